"""`hitl link`: one more link to a form, such as one for each person who is asked."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import urlencode

import typer

from hitl.cli import output
from hitl.cli.options import AsJson, RequestId
from hitl.cli.stored import Stored
from hitl.errors import AlreadySettled, ServeError
from hitl.requests import add_link, read_outcome, read_request
from hitl.settings import Settings


def link(
    request_id: RequestId,
    label: Annotated[str, typer.Option(metavar="TEXT", help="Whom it is for.", show_default=False)] = "",
    endpoint: Annotated[
        str,
        typer.Option(
            metavar="URL", help="The web app's base URL. HITL_ENDPOINT; else as recorded.", show_default=False
        ),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Make a new link to a request's form and print it. Whoever has it may answer."""
    settings = Settings()
    url = asyncio.run(_new_link(settings, request_id, label, endpoint or settings.endpoint))
    if as_json:
        output.print_json({"request_id": request_id, "label": label, "url": url})
    else:
        print(url)


async def _new_link(settings: Settings, request_id: str, label: str, endpoint: str) -> str:
    store = Stored(settings).store
    document = (await read_request(store, request_id)).document
    outcome = await read_outcome(store, request_id)
    if outcome is not None:
        raise AlreadySettled(outcome)
    base = (endpoint or document.app_endpoint).rstrip("/")
    if not base:
        raise ServeError(
            f"where the web app is reached is not recorded with {request_id}: give --endpoint or set HITL_ENDPOINT"
        )
    token = await add_link(store, request_id, now=datetime.now(UTC), label=label, expires_at=document.expires_at)
    return f"{base}/form/{request_id}?{urlencode({'token': token})}"
