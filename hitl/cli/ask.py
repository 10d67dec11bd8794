"""`hitl ask`: a shell asks, waits, and goes on with the answer."""

from __future__ import annotations

import asyncio
import contextlib
import re
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from hitl.author.events import Event, new_event
from hitl.cli import output
from hitl.cli.options import AsJson
from hitl.cli.requests import finish
from hitl.cli.storage_backend import Stored
from hitl.core.values import DataType, Value, parse_text, read_json
from hitl.errors import EventFailed, HITLError, InvalidRequest, InvalidValue
from hitl.settings import Settings

_SPAN: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([smhd]?)\Z", re.ASCII)
_SECONDS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


def _span(text: str) -> float:
    matched = _SPAN.match(text.strip())
    if matched is None:
        raise typer.BadParameter(f"{text!r} is no span of time: write 90, 90s, 15m, 8h or 2d")
    return float(matched[1]) * _SECONDS[matched[2]]


def ask(
    prompt: Annotated[str, typer.Argument(metavar="PROMPT", help="The question, in Markdown.")],
    data_type: Annotated[
        DataType, typer.Option("--type", metavar="TYPE", help="What is wanted: int, float, bool, str or json.")
    ] = "str",
    choices: Annotated[
        list[str] | None,
        typer.Option(
            "--choices", metavar="VALUE", help="What may be answered; give it once for each.", show_default=False
        ),
    ] = None,
    default: Annotated[
        str | None,
        typer.Option(
            metavar="VALUE", help="The answer that counts when nobody gives one in time.", show_default=False
        ),
    ] = None,
    schema: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A JSON Schema that the answer must fit.",
            show_default=False,
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    timeout: Annotated[
        float, typer.Option(metavar="TIME", parser=_span, help="Until the deadline: 90, 90s, 15m, 8h or 2d.")
    ] = "1h",  # type: ignore[assignment]  # typer parses a default as it does what is typed
    name: Annotated[str, typer.Option(metavar="NAME", help="A short name, shown to people.")] = "ask",
    key: Annotated[
        str | None,
        typer.Option(
            metavar="KEY", help="Asked again under this key, it is the same question.", show_default=False
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Ask a question, wait, and print the answer."""
    options: dict[str, Any] = {
        "name": name,
        "data_type": data_type,
        "prompt": prompt,
        "timeout_seconds": timeout,
        "key": key,
        "choices": choices or None,
        "default": _default(data_type, default),
        "schema": _schema(schema),
    }
    asyncio.run(_ask(options, as_json))


async def _ask(options: dict[str, Any], as_json: bool) -> None:
    event: Event[Any] = await new_event.aio(**options)
    output.say(f"{event.prompt}\nAnswer at {event.form_url}")
    try:
        with output.waiting("waiting for the answer"), contextlib.suppress(EventFailed):
            await event.wait.aio()
    except asyncio.CancelledError:
        if options["key"] is None:
            await withdraw(event)
        else:
            output.say("hitl: interrupted; the question stays, and the same command finds it again")
        raise
    finish(await Stored(Settings()).show(event.request_id), as_json)


async def withdraw(event: Event[Any]) -> None:
    """Withdraw a question for whose answer nobody waits any more."""
    try:
        await event.cancel.aio("nobody waits for the answer any more")
    except HITLError as error:
        output.say(f"hitl: interrupted; the question could not be withdrawn: {error}")
    else:
        output.say("hitl: interrupted; the question was withdrawn")


def _default(data_type: DataType, default: str | None) -> Value:
    if default is None:
        return None
    try:
        return parse_text(data_type, default)
    except InvalidValue as error:
        raise InvalidRequest(f"--default: {error}") from error


def _schema(path: Path | None) -> Any:
    if path is None:
        return None
    try:
        return read_json(path.read_bytes())
    except (OSError, InvalidValue) as error:
        raise InvalidRequest(f"--schema: {path} cannot be read as JSON: {error}") from error
