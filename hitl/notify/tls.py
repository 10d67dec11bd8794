"""The certificates by which servers are known."""

from __future__ import annotations

import functools
import os
import ssl
from typing import Final

_CERTIFICATES: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR")


def tls_context() -> ssl.SSLContext:
    """Return what verifies the certificates of servers, by the authorities that the environment names."""
    return _context(*map(os.environ.get, _CERTIFICATES))


@functools.cache
def _context(_file: str | None, _folder: str | None) -> ssl.SSLContext:
    # Loaded here: most programs tell nobody anything. Reading all certificates takes longer than sending.
    import httpx

    return httpx.create_ssl_context()
