"""How the web app is run by uvicorn, wherever that happens."""

from __future__ import annotations

import socket
from typing import Final

import uvicorn
from fastapi import FastAPI

from hitl.logs import show_logs
from hitl.settings import Settings
from hitl.storage import Store
from hitl_webapp.app import HITLApp
from hitl_webapp.connections import Limits
from hitl_webapp.logs import redact_servers
from hitl_webapp.main import create_app
from hitl_webapp.own import Own
from hitl_webapp.protocol import bounded
from hitl_webapp.settings import WebSettings

_BACKLOG: Final = 128
# Files, pipes and sockets beside those of clients: of the storage, the API server, the log, and the backlog's.
_OTHER_DESCRIPTORS: Final = 256


def server_for(app: FastAPI, settings: WebSettings, *, quiet: bool = False) -> uvicorn.Server:
    """Return a uvicorn server for the app.

    Args:
        app: The web app.
        settings: Where to listen.
        quiet: Log next to nothing, as befits a server inside somebody else's program.
    """
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_level="warning" if quiet else "info",
        # The app writes its own, see hitl_webapp.logs.
        access_log=False,
        # Identity comes from headers that hitl_webapp.auth checks itself; uvicorn's own trust is not wanted.
        proxy_headers=False,
        server_header=False,
        http=bounded(_limits(settings)),
        # No route speaks WebSocket.
        ws="none",
        # As many may be accepted in one turn of the loop, before one beyond the limit can be closed.
        backlog=_BACKLOG,
        timeout_keep_alive=settings.idle_seconds,
        timeout_graceful_shutdown=5,
    )
    redact_servers()
    if not quiet:
        show_logs()
    return _Server(config, app)


class _Server(uvicorn.Server):
    """uvicorn, which tells the app that it ends before it waits for what is under way."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End: replies without an end first."""
        if isinstance(self._app, HITLApp):
            self._app.ending.set()
        await super().shutdown(sockets)


def most_connections(wanted: int, descriptors: int) -> int:
    """Return how many connections may be open at once.

    Args:
        wanted: As the settings have it.
        descriptors: How many files the process may open; a negative number stands for any number.
    """
    if descriptors < 0:
        return wanted
    return max(1, min(wanted, max(descriptors - _OTHER_DESCRIPTORS, descriptors // 2)))


def embedded_server(settings: Settings, store: Store, port: int, key: str = "", name: str = "") -> uvicorn.Server:
    """Return the server of local mode: links and the user's inbox, on loopback, inside somebody else's program.

    Args:
        settings: The library's settings.
        store: The root's store.
        port: The port of loopback that is listened on already.
        key: The key of the user's inbox; empty: there is none.
        name: The user's name; empty: it is not known.
    """
    web = WebSettings(
        storage_root=settings.root(),
        storage_options=settings.storage_options if settings.storage_root else {},
        auth="link",
        host="127.0.0.1",
        port=port,
        endpoint=f"http://127.0.0.1:{port}",
        loopback_only=True,
        markers=False,
    )
    return server_for(create_app(web, store, Own(key, name) if key else None), web, quiet=True)


def _limits(settings: WebSettings) -> Limits:
    return Limits(
        connections=most_connections(settings.max_connections, _descriptors()),
        header_bytes=settings.max_header_bytes,
        head_seconds=settings.head_seconds,
        body_seconds=settings.body_seconds,
        reply_seconds=settings.reply_seconds,
    )


def _descriptors() -> int:
    try:
        import resource
    except ImportError:
        # Windows has no such limit.
        return -1
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return -1 if soft == resource.RLIM_INFINITY else soft
