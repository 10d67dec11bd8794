"""What every request must keep to before anything looks at it, and what every response says about itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hitl_webapp import pages
from hitl_webapp.logs import log_access
from hitl_webapp.problems import Problem
from hitl_webapp.settings import WebSettings

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
_HEADERS: Final = tuple(
    (name.lower().encode(), value.encode())
    for name, value in {**SECURITY_HEADERS, "Cache-Control": "no-store"}.items()
)
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


class Guard:
    """Refuses strange hosts, pages of other sites, bodies too large and senders too slow.

    A body is read whole before the app sees the request, within a bound of bytes and of seconds, so that nothing
    behind this has to care.
    """

    def __init__(self, app: ASGIApp, settings: WebSettings, kept: Callable[[Scope], bytes | None]) -> None:
        """Wrap an app.

        Args:
            app: The app.
            settings: The limits.
            kept: Returns a page that is known to be what the app would answer, or None.
        """
        self.app = app
        self.settings = settings
        self.kept = kept

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        send = _leaving(scope, send)
        if refusal := self._refusal(scope["method"], headers):
            await _refuse(send, headers, *refusal)
            return
        if scope["method"] in ("GET", "HEAD", "OPTIONS"):
            page = self.kept(scope) if scope["method"] == "GET" else None
            await (self.app(scope, receive, send) if page is None else _send_page(send, page))
            return
        try:
            async with asyncio.timeout(self.settings.body_seconds):
                body = await self._body(headers, receive)
        except TimeoutError:
            await _refuse(
                send, headers, 408, "Too slow", f"The body did not arrive within {self.settings.body_seconds:g} s."
            )
            return
        if body is None:
            limit = f"{self.settings.max_body_bytes:,}"
            await _refuse(
                send, headers, 413, "Too large", f"The body is larger than {limit} bytes: nothing was recorded."
            )
            return
        await self.app(scope, _replay(body, receive), send)

    def _refusal(self, method: str, headers: Headers) -> tuple[int, str, str] | None:
        host = _host_name(headers.get("host", ""))
        if self.settings.loopback_only and host not in _LOOPBACK:
            return 400, "Wrong host", "This web app answers on this machine's loopback address only."
        if self.settings.allowed_hosts and host not in self.settings.allowed_hosts:
            return 400, "Wrong host", "This web app does not answer under that host name."
        if method not in ("GET", "HEAD", "OPTIONS") and self._of_another_site(headers):
            return 403, "Not from here", "Answers are not accepted from pages of other sites."
        return None

    def _of_another_site(self, headers: Headers) -> bool:
        site = headers.get("sec-fetch-site")
        if site not in (None, "none", "same-origin"):
            return True
        origin = headers.get("origin")
        if origin == "null":
            # Our own pages are sent with no referrer, for which browsers write this. Sec-Fetch-Site tells them
            # from others; without TLS browsers leave it out, and then only a link's token shows whose a page is.
            by_token = self.settings.auth == "link" and not self.settings.loopback_only
            return site != "same-origin" and not (site is None and by_token)
        if origin is None:
            return False
        return urlsplit(origin).netloc not in (
            urlsplit(self.settings.endpoint).netloc or headers.get("host", ""),
            headers.get("host", ""),
        )

    async def _body(self, headers: Headers, receive: Receive) -> bytes | None:
        limit = self.settings.max_body_bytes
        announced = headers.get("content-length", "0")
        if announced.isdigit() and int(announced) > limit:
            return None
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return bytes(body)
            body += message.get("body", b"")
            if len(body) > limit:
                return None
            if not message.get("more_body", False):
                return bytes(body)


def _host_name(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if ":" in host else host


def _replay(body: bytes, receive: Receive) -> Receive:
    sent = False

    async def replay() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def _leaving(scope: Scope, send: Send) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            log_access(scope, message["status"])
            given = message["headers"] = [*message.get("headers", ())]
            names = {name for name, _ in given}
            given += [header for header in _HEADERS if header[0] not in names]
        await send(message)

    return wrapped


async def _send_page(send: Send, page: bytes) -> None:
    headers = [(b"content-type", b"text/html; charset=utf-8"), (b"content-length", str(len(page)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": page})


async def _refuse(send: Send, asked: Headers, status: int, title: str, detail: str) -> None:
    if "text/html" in asked.get("accept", ""):
        kind, body = "text/html; charset=utf-8", pages.render("message.html", title=title, detail=detail)
    else:
        kind, body = "application/problem+json", json.dumps(Problem(status, title, detail).document())
    content = body.encode()
    headers = [
        (b"content-type", kind.encode()),
        (b"content-length", str(len(content)).encode()),
        # What is left of the body is not read, so the connection cannot be used again.
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
