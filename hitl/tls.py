"""The certificates by which servers are known. They are read once: reading them all takes 35 ms."""

from __future__ import annotations

import functools
import os
import ssl
from typing import Final

_CERTIFICATES: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR")


def tls_context() -> ssl.SSLContext:
    """Return what verifies the certificates of servers, by the authorities that the environment names."""
    return _context(*map(os.environ.get, _CERTIFICATES))


def tls_context_for(url: str) -> ssl.SSLContext:
    """Return the same for a URL of HTTPS; for any other, what trusts nobody: no certificate is shown there."""
    return tls_context() if url.lower().startswith("https:") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@functools.cache
def _context(_file: str | None, _folder: str | None) -> ssl.SSLContext:
    # Loaded here: most programs tell nobody anything, and start sooner without.
    import httpx

    return httpx.create_ssl_context()
