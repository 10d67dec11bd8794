"""`hitl serve`: the web app over a root, in the foreground."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hitl.cli import output
from hitl.core.urls import inbox_url
from hitl.errors import ServeError
from hitl.extras import how_to_install
from hitl.serving.keys import inbox_key
from hitl.serving.ports import LOOPBACK, listen_again
from hitl.serving.programs import this_user
from hitl.settings import Settings
from hitl.storage import open_store

if TYPE_CHECKING:
    import uvicorn

    from hitl_webapp.settings import WebSettings


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
        from hitl_webapp.own import Own
        from hitl_webapp.serving import server_for
        from hitl_webapp.settings import WebSettings
    except ImportError as error:
        raise ServeError(f"the web app is not installed: {how_to_install('webapp')} ({error})") from error
    given: dict[str, Any] = {"host": host, "port": port, "auth": auth, "storage_root": Settings().root()}
    web = WebSettings(**{name: value for name, value in given.items() if value is not None})
    store = open_store(web)
    asyncio.run(store.probe())
    # People sign in elsewhere, or come from other machines.
    key = inbox_key(web) if web.auth == "link" and web.host == LOOPBACK else ""
    server = server_for(create_app(web, store, Own(key, this_user()) if key else None), web)
    output.say(f"Serving the questions under {web.root()}; Ctrl-C ends it.")
    # uvicorn ends the process when it cannot listen, or cannot start, which deserves a sentence.
    try:
        sockets = _sockets(server, web)
    except SystemExit:
        raise _not_listening(web) from None
    if key:
        output.say(
            f"Your questions, for you alone: {inbox_url(f'http://{LOOPBACK}:{sockets[0].getsockname()[1]}', key)}"
        )
    with contextlib.suppress(SystemExit):
        server.run(sockets)
    if server.lifespan.should_exit:
        raise ServeError("the web app could not start, for the reason given above")
    if not server.started:
        raise _not_listening(web)


def _sockets(server: uvicorn.Server, web: WebSettings) -> list[socket.socket]:
    """Listen where the settings say, and where the links lead that programs of this machine have given out."""
    wanted = server.config.bind_socket()
    # People sign in at the one address that a proxy knows.
    links = listen_again(web) if web.auth == "link" and web.host == LOOPBACK else None
    if links is None:
        return [wanted]
    output.say(
        f"The links of programs that have ended lead here again: http://{LOOPBACK}:{links.getsockname()[1]}"
    )
    return [wanted, links]


def _not_listening(web: WebSettings) -> ServeError:
    return ServeError(f"{web.host}:{web.port} cannot be listened on: choose another with --host and --port")
