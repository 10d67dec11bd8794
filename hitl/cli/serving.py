"""`hitl serve`: the web app in the foreground."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from hitl.cli.output import note


class Auth(StrEnum):
    """Who may answer."""

    link = "link"
    proxy = "proxy"


def serve(
    host: Annotated[str, typer.Option(envvar="HITL_HOST", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(envvar="HITL_PORT", min=1, max=65535, help="The port to listen on.")] = 8080,
    auth: Annotated[Auth, typer.Option(envvar="HITL_AUTH", help="Who may answer.")] = Auth.link,
) -> None:
    """Serve the forms and the JSON API over the root, until Ctrl-C."""
    from hitl_webapp.main import create_app
    from hitl_webapp.serving import server_for
    from hitl_webapp.settings import WebSettings

    settings = WebSettings(host=host, port=port, auth=auth.value)
    # Without a root that others share, this serves what local programs ask.
    root = settings.root()
    note(f"Serving {root} at http://{host}:{port}")
    server_for(create_app(settings, settings.open_store()), settings).run()
