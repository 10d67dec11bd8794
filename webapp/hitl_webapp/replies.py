"""The outermost middleware: every reply has the security headers, and a line in the log.

By hand, as Starlette has nothing for it: one place must see the replies of all routes and of all refusals.
"""

from __future__ import annotations

from typing import Final

from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hitl_webapp.explain import explain
from hitl_webapp.logs import log_access
from hitl_webapp.security import HEADERS

_CLIENT_GONE: Final = 499
_NAMES: Final = frozenset(name for name, _ in HEADERS)


class Replies:
    """Adds what every reply has, and turns whatever is raised before a reply into one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        leaving = _Leaving(scope, send)
        try:
            await self._app(scope, receive, leaving)
        except Exception as error:
            if leaving.status == 0:
                response = await explain(Request(scope), error)
                await response(scope, receive, leaving)
            elif not leaving.whole:
                raise
            # Else FastAPI has explained the error, and raises it again to be logged, which was done.
        if leaving.status == 0:
            # The client is gone, so no reply can be sent.
            log_access(scope, _CLIENT_GONE)


class _Leaving:
    """Sends a reply with the headers that every one has, and writes the log's line of it."""

    __slots__ = ("_scope", "_send", "status", "whole")

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope = scope
        self._send = send
        self.status = 0
        self.whole = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            log_access(self._scope, self.status)
            given = message.get("headers", ())
            own = {name for name, _ in given if name in _NAMES}
            added = [header for header in HEADERS if header[0] not in own] if own else HEADERS
            message = {**message, "headers": [*given, *added]}
        elif not message.get("more_body", False):
            self.whole = True
        await self._send(message)
