"""Object keys and request ids: the only place that builds either.

Keys are relative to the root. A request id is a DNS label, so that it also names the HumanInput, and never
holds a slash, a dot or anything else that a path could be bent with.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import uuid
from typing import Final

from hitl.errors import RequestNotFound

PREFIX: Final = "hitl-requests"
NEW: Final = f"{PREFIX}/_new"
ANSWERED: Final = f"{PREFIX}/_answered"
PROBES: Final = f"{PREFIX}/_probe"
DELETED: Final = f"{PREFIX}/_deleted"

REQUEST_ID_PATTERN: Final = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
TOKEN_BYTES: Final = 32

_REQUEST_ID = re.compile(REQUEST_ID_PATTERN, re.ASCII)
_TOKEN_HASH = re.compile("[0-9a-f]{64}", re.ASCII)
_DIGEST_CHARS = 24
_SLUG_CHARS = 63 - _DIGEST_CHARS - 1


def is_request_id(text: str) -> bool:
    """Tell whether a text could be a request id."""
    return _REQUEST_ID.fullmatch(text) is not None


def request_key(request_id: str) -> str:
    """Return the key of the question."""
    return f"{PREFIX}/{_checked(request_id)}/request.json"


def response_key(request_id: str) -> str:
    """Return the key of the outcome."""
    return f"{PREFIX}/{_checked(request_id)}/response.json"


def links_prefix(request_id: str) -> str:
    """Return the prefix of a request's links."""
    return f"{PREFIX}/{_checked(request_id)}/links"


def link_key(request_id: str, token_hash: str) -> str:
    """Return the key of a link, given the hash of its token (see `hash_token`)."""
    if not _TOKEN_HASH.fullmatch(token_hash):
        raise RequestNotFound("this is not the hash of a link's token: it has 64 hexadecimal characters")
    return f"{links_prefix(request_id)}/{token_hash}.json"


def new_marker(request_id: str) -> str:
    """Return the key of the marker that announces a request without a HumanInput."""
    return f"{NEW}/{_checked(request_id)}"


def answered_marker(request_id: str) -> str:
    """Return the key of the marker that announces an outcome."""
    return f"{ANSWERED}/{_checked(request_id)}"


def deleted_marker(request_id: str) -> str:
    """Return the key of the marker that says when a question was deleted, so that its outcome may follow."""
    return f"{DELETED}/{_checked(request_id)}"


def probe_key() -> str:
    """Return a random key for the start-up probe."""
    return f"{PROBES}/{uuid.uuid4().hex}"


def path_under(root: str, key: str) -> str:
    """Return the full path of a key, as documents and clients of the old plugin name it."""
    return f"{root.rstrip('/')}/{key}"


def new_token() -> str:
    """Return a new link token: 256 random bits, safe in a URL."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def hash_token(token: str) -> str:
    """Return the hash by which a token is stored: 64 hexadecimal characters."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def random_request_id(event_name: str) -> str:
    """Return an id for a question asked outside any Flyte action and without a key."""
    return _named(event_name, uuid.uuid4().hex)


def derived_request_id(event_name: str, *identity: str) -> str:
    """Return the id that the same identity always gets, so that a restarted task finds its question.

    Args:
        event_name: Shown at the front of the id, for people.
        identity: What sets this question apart; hashed with unambiguous borders between the parts.
    """
    digest = hashlib.sha256()
    for part in (event_name, *identity):
        raw = part.encode("utf-8", "surrogatepass")
        digest.update(len(raw).to_bytes(8, "big") + raw)
    return _named(event_name, digest.hexdigest())


def _named(event_name: str, digest: str) -> str:
    slug = re.sub(r"[^a-z0-9]+", "-", event_name.lower()).strip("-")[:_SLUG_CHARS].strip("-")
    return f"{slug or 'event'}-{digest[:_DIGEST_CHARS]}"


def _checked(request_id: str) -> str:
    if not is_request_id(request_id):
        raise RequestNotFound("this is not a request id: it has 1 to 63 of a-z, 0-9 and '-'")
    return request_id
