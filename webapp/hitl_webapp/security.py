"""What every reply says about itself, whichever part of the server writes it."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Final

from hitl_webapp.problems import Problem

CSP: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
SECURITY_HEADERS: Final = {
    "Content-Security-Policy": CSP,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
HEADERS: Final = tuple(
    (name.lower().encode(), value.encode())
    for name, value in {**SECURITY_HEADERS, "Cache-Control": "no-store"}.items()
)


def raw_problem(status: int, detail: str) -> bytes:
    """Return a whole HTTP reply, for what is refused before the app sees a request. It ends the connection.

    Args:
        status: The HTTP status.
        detail: A sentence for the client.
    """
    phrase = HTTPStatus(status).phrase
    body = json.dumps(Problem(status, phrase, detail).document()).encode()
    head = [
        f"HTTP/1.1 {status} {phrase}".encode(),
        b"content-type: application/problem+json",
        b"content-length: %d" % len(body),
        b"connection: close",
        *(name + b": " + value for name, value in HEADERS),
    ]
    return b"\r\n".join(head) + b"\r\n\r\n" + body
