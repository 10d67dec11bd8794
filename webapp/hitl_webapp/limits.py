"""What every request must keep to before the app looks at it, and what every response says about itself."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hitl_webapp import pages
from hitl_webapp.intake import Intake
from hitl_webapp.logs import log_access
from hitl_webapp.problems import Problem
from hitl_webapp.security import HEADERS
from hitl_webapp.settings import WebSettings

_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
_WITH_BODY: Final = ("/submit", "/submit/json")
# A second one of these would be another's word against the first.
_ONCE: Final = (
    b"host",
    b"content-length",
    b"content-type",
    b"content-encoding",
    b"transfer-encoding",
    b"authorization",
    b"idempotency-key",
    b"origin",
    b"sec-fetch-site",
    b"x-hitl-proxy-secret",
)
_CLIENT_GONE: Final = 499


class Guard:
    """Refuses strange hosts, pages of other sites, bodies too large and senders too slow.

    A body is read whole before the app sees the request, within bounds of bytes and of seconds. One that does not
    come whole never reaches the app.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: WebSettings,
        kept: Callable[[Scope], bytes | None],
        explain: Callable[[Request, Exception], Awaitable[Response]],
    ) -> None:
        """Wrap an app.

        Args:
            app: The app.
            settings: The limits.
            kept: Returns a page that is known to be what the app would answer, or None.
            explain: Makes a response of an error.
        """
        self.app = app
        self.settings = settings
        self.kept = kept
        self.explain = explain
        self._intake = Intake(settings)
        identity = (settings.proxy_user_header, settings.proxy_groups_header)
        self._once = frozenset((*_ONCE, *(name.lower().encode("latin-1") for name in identity)))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        leaving = _Leaving(scope, send)
        try:
            await self._serve(scope, receive, leaving)
        except Exception as error:
            if leaving.started:
                raise
            response = await self.explain(Request(scope), error)
            response.headers["connection"] = "close"
            await response(scope, receive, leaving)

    async def _serve(self, scope: Scope, receive: Receive, send: _Leaving) -> None:
        headers = Headers(scope=scope)
        if refusal := self._refusal(scope["method"], headers):
            await _refuse(send, headers, *refusal)
            return
        if scope["method"] != "POST" or scope["path"] not in _WITH_BODY:
            page = self.kept(scope) if scope["method"] == "GET" else None
            # These routes read no body; the server ends the connection if one was announced.
            await (self.app(scope, _replay(b"", receive), send) if page is None else _send_page(send, page))
            return
        if refusal := _encoded(headers):
            await _refuse(send, headers, *refusal)
            return
        async with self._intake.read(scope, headers, receive) as body:
            if body is None:
                log_access(scope, _CLIENT_GONE)
                return
            await self.app(scope, _replay(body, receive), send)

    def _refusal(self, method: str, headers: Headers) -> tuple[int, str, str] | None:
        if twice := self._twice(headers):
            return 400, "Malformed request", f"The header {twice} is there twice: send it once."
        host = _host_name(headers.get("host", ""))
        if self.settings.loopback_only and host not in _LOOPBACK:
            return 400, "Wrong host", "This web app answers on this machine's loopback address only."
        if self.settings.allowed_hosts and host not in self.settings.allowed_hosts:
            return 400, "Wrong host", "This web app does not answer under that host name."
        if method not in ("GET", "HEAD", "OPTIONS") and self._of_another_site(headers):
            return 403, "Not from here", "Answers are not accepted from pages of other sites."
        return None

    def _twice(self, headers: Headers) -> str:
        seen = set()
        for name, _ in headers.raw:
            if name in self._once:
                if name in seen:
                    return name.decode("latin-1")
                seen.add(name)
        return ""

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
        return _authority(origin) not in (
            _authority(self.settings.endpoint) or headers.get("host", ""),
            headers.get("host", ""),
        )


def _encoded(headers: Headers) -> tuple[int, str, str] | None:
    """Return why a body is not what it stands for, as its header fields say; None: it is."""
    if headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        return 415, "Not in this format", "The body is encoded: send it without Content-Encoding."
    if headers.get("transfer-encoding", "chunked").strip().lower() != "chunked":
        return 415, "Not in this format", "The body is encoded: chunked is the only Transfer-Encoding read here."
    if "content-range" in headers:
        return 400, "Malformed request", "The body is a part of something, as Content-Range says: send it whole."
    return None


def _authority(url: str) -> str | None:
    """Return host and port of a URL; None: it is no URL, and nobody's."""
    try:
        return urlsplit(url).netloc
    except ValueError:
        return None


def _host_name(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if ":" in host else host


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return what gives the body once, and then waits for the client to go, as a response may do meanwhile."""
    sent = False

    async def replay() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


class _Leaving:
    """Sends a response with the headers that every one has, and writes the log's line of it."""

    __slots__ = ("_scope", "_send", "started")

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope = scope
        self._send = send
        self.started = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            log_access(self._scope, message["status"])
            given = message["headers"] = [*message.get("headers", ())]
            names = {name for name, _ in given}
            given += [header for header in HEADERS if header[0] not in names]
        await self._send(message)


async def _send_page(send: Send, page: bytes) -> None:
    headers = [(b"content-type", b"text/html; charset=utf-8"), (b"content-length", str(len(page)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": page})


async def _refuse(send: Send, asked: Headers, status: int, title: str, detail: str) -> None:
    if "text/html" in asked.get("accept", ""):
        kind, body = "text/html; charset=utf-8", pages.message_page(title, detail)
    else:
        kind, body = "application/problem+json", json.dumps(Problem(status, title, detail).document())
    content = body.encode()
    headers = [
        (b"content-type", kind.encode()),
        (b"content-length", str(len(content)).encode()),
        # What is left of the request is not read, so the connection cannot be used again.
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
