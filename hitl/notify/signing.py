"""Signatures as Standard Webhooks (https://www.standardwebhooks.com) has them, with symmetric keys."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime
from typing import Final

_PREFIX: Final = "whsec_"
_SHORTEST, _LONGEST = 24, 64


def key_of(text: str) -> bytes:
    """Return the key that a text such as ``whsec_…`` stands for.

    Raises:
        ValueError: it is none. The text is not repeated.
    """
    try:
        key = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(
            "a secret is whsec_ and base64: `openssl rand -base64 32` makes what follows whsec_"
        ) from None
    if not _SHORTEST <= len(key) <= _LONGEST:
        raise ValueError(f"a secret has {_SHORTEST} to {_LONGEST} bytes, and this one has {len(key)}")
    return key


def signed_headers(keys: Sequence[bytes], message_id: str, now: datetime, body: bytes) -> dict[str, str]:
    """Return the headers by which a receiver knows a message, and who sent it.

    Args:
        keys: One signature is made with each, so that receivers may change keys one by one. None: no signature.
        message_id: The same at each try.
        now: The present moment, which receivers compare with theirs.
        body: What is sent, as it is.
    """
    stamp = str(int(now.timestamp()))
    signed = b".".join([message_id.encode(), stamp.encode(), body])
    digests = [base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode() for key in keys]
    headers = {"webhook-id": message_id, "webhook-timestamp": stamp}
    return headers | ({"webhook-signature": " ".join(f"v1,{each}" for each in digests)} if digests else {})
