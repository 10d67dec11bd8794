"""`hitl serve`: the web app over a root, in the foreground."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Annotated, Any

import typer

from hitl.cli import output
from hitl.errors import ServeError
from hitl.settings import Settings
from hitl.storage import open_store


def serve(
    host: Annotated[
        str | None,
        typer.Option(
            metavar="HOST", help="The address to listen on. HITL_HOST; else 127.0.0.1.", show_default=False
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            metavar="PORT",
            help="The port; 0 takes a free one. HITL_PORT; else 8080.",
            show_default=False,
        ),
    ] = None,
    auth: Annotated[
        str | None,
        typer.Option(
            metavar="MODE", help="Who may answer, see settings. HITL_AUTH; else link.", show_default=False
        ),
    ] = None,
) -> None:
    """Serve the forms of a root until Ctrl-C."""
    try:
        from hitl_webapp.main import create_app
        from hitl_webapp.serving import server_for
        from hitl_webapp.settings import WebSettings
    except ImportError as error:
        raise ServeError(f"the web app is not installed: pip install 'flyte-hitl[webapp]' ({error})") from error
    given: dict[str, Any] = {"host": host, "port": port, "auth": auth, "storage_root": Settings().root()}
    web = WebSettings(**{name: value for name, value in given.items() if value is not None})
    store = open_store(web)
    asyncio.run(store.probe())
    server = server_for(create_app(web, store), web)
    output.say(f"Serving the questions under {web.root()}; Ctrl-C ends it.")
    # uvicorn ends the process when it cannot listen, which deserves a sentence.
    with contextlib.suppress(SystemExit):
        server.run()
    if server.lifespan.should_exit:
        raise ServeError("the web app could not start, for the reason given above")
    if not server.started:
        raise ServeError(f"{web.host}:{web.port} cannot be listened on: choose another with --host and --port")
