"""The FastAPI application behind its middlewares, and the two ways past its router.

Looking for a route takes FastAPI as long as recording an answer, so the two requests that come most often are
served before it: submissions of programs, and forms that were shown a moment ago. FastAPI has these routes too,
and describes them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from hitl_webapp.below import BelowBase, Heads, base_path
from hitl_webapp.guards import FieldsOnce, OwnPages
from hitl_webapp.intake import WholeBodies
from hitl_webapp.own import Own
from hitl_webapp.replies import Replies
from hitl_webapp.routes import api, forms
from hitl_webapp.settings import WebSettings

_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


class HITLApp(FastAPI):
    """FastAPI with HITL's middlewares around all of it, its own handling of errors too.

    Args:
        settings: The web app's settings.
        own: Whose inbox it has, in local mode.
        kwargs: What FastAPI takes.
    """

    def __init__(self, settings: WebSettings, own: Own | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs, servers=_servers(base_path(settings.endpoint)))
        # Our own servers set it when they are told to end; others end what is under way themselves.
        self.ending = asyncio.Event()
        # The one that is added last sees a request first.
        app: ASGIApp = Heads(Shortcuts(super().__call__))
        app = WholeBodies(app, settings)
        app = OwnPages(app, settings)
        for hosts in _hosts(settings):
            app = TrustedHostMiddleware(app, hosts, www_redirect=False)
        app = FieldsOnce(app, settings)
        self._front = BelowBase(Replies(app), settings, own.key if own else "")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        scope["app"] = self
        await self._front(scope, receive, send)


class Shortcuts:
    """Serves submissions of programs and forms that are kept; hands everything else to FastAPI."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and scope["method"] == "POST" and scope["path"] == "/submit/json":
            body = (await receive())["body"]
            response = await api.submitted(scope["app"].state.service, Headers(scope=scope), body)
            await response(scope, receive, send)
            return
        if scope["type"] == "http" and scope["method"] == "GET":
            page = forms.kept_page(scope["app"], scope)
            if page is not None:
                await _send_page(send, page)
                return
        await self._app(scope, receive, send)


def _servers(base: str) -> list[dict[str, Any]] | None:
    # Clients of the API find its routes below the base path.
    return [{"url": base}] if base else None


def _hosts(settings: WebSettings) -> list[Sequence[str]]:
    """Return the lists of host names, each of which must have the one that is asked for."""
    lists: list[Sequence[str]] = []
    if settings.allowed_hosts:
        lists.append(settings.allowed_hosts)
    if settings.loopback_only:
        lists.append(_LOOPBACK)
    return lists


async def _send_page(send: Send, page: bytes) -> None:
    headers = [(b"content-type", b"text/html; charset=utf-8"), (b"content-length", str(len(page)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": page})
