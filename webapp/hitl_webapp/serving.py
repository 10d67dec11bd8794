"""How the web app is run by uvicorn, wherever that happens."""

from __future__ import annotations

import uvicorn
from fastapi import FastAPI

from hitl_webapp.logs import redact_servers, show_logs
from hitl_webapp.settings import WebSettings


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
        timeout_graceful_shutdown=5,
        h11_max_incomplete_event_size=32 * 1024,
    )
    redact_servers()
    if not quiet:
        show_logs()
    return uvicorn.Server(config)
