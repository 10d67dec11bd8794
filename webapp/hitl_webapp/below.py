"""The path below which people reach the web app, as behind an ingress that serves it at `/hitl`.

The settings' `endpoint` names it. An ingress may take the prefix off a request or leave it: both are understood.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Final
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

# What stands before the path of each address in the page that is being made.
BASE: Final[ContextVar[str]] = ContextVar("hitl_base", default="")


def base_path(endpoint: str) -> str:
    """Return the path of a base URL, without a slash at its end; empty: the web app is at the top."""
    try:
        path = urlsplit(endpoint).path
    except ValueError:
        return ""
    return f"/{path.strip('/')}" if path.strip("/") else ""


class BelowBase:
    """Takes the base path off a request, and lets pages know it."""

    def __init__(self, app: ASGIApp, base: str) -> None:
        self._app = app
        self._base = base

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if self._base and scope["type"] == "http":
            BASE.set(self._base)
            path: str = scope["path"]
            if path == self._base or path.startswith(f"{self._base}/"):
                scope["path"] = path[len(self._base) :] or "/"
        await self._app(scope, receive, send)


class Heads:
    """Answers HEAD as GET, without the body: monitors and mail programs look at links so."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def without_body(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self._app({**scope, "method": "GET"}, receive, without_body)
