"""`hitl ask` and `hitl wait`: the exit code says how it ended."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer

from hitl import events
from hitl.cli.output import note, print_json
from hitl.cli.requests import Id, Json
from hitl.cli.running import exit_code, open_root, run
from hitl.documents import OutcomeDocument
from hitl.errors import EventFailed
from hitl.requests import read_request
from hitl.settle import expire
from hitl.values import format_value, parse_text, type_name


class Type(StrEnum):
    """What can be asked for."""

    int = "int"
    float = "float"
    bool = "bool"
    str = "str"
    json = "json"


class OnTimeout(StrEnum):
    """What the deadline makes of a question."""

    fail = "fail"
    default = "default"


def ask(
    prompt: Annotated[str, typer.Argument(help="The question, in Markdown.", metavar="PROMPT")],
    data_type: Annotated[Type, typer.Option("--type", help="The type of the answer.")] = Type.str,
    choice: Annotated[
        list[str] | None, typer.Option(help="One of the answers allowed; give it repeatedly.")
    ] = None,
    default: Annotated[
        str | None, typer.Option(help="The answer at the deadline, with --on-timeout default.")
    ] = None,
    on_timeout: Annotated[OnTimeout, typer.Option(help="What to do at the deadline.")] = OnTimeout.fail,
    timeout: Annotated[float, typer.Option(help="Seconds until the deadline.")] = 3600,
    name: Annotated[str, typer.Option(help="The event's name.")] = "ask",
    key: Annotated[
        str | None, typer.Option(help="Names the question for good: asked again, it is the same.")
    ] = None,
    json: Json = False,
) -> None:
    """Ask a question, wait, and print the answer.

    Ends with 0 when answered, 1 rejected, 3 timed out, 4 cancelled.
    """
    kind = type_name(data_type.value)

    async def asked() -> object:
        return await events.ask.aio(
            prompt,
            kind,
            name=name,
            timeout_seconds=timeout,
            poll_interval_seconds=1,
            key=key,
            choices=choice or (),
            default=None if default is None else parse_text(kind, default),
            on_timeout=on_timeout.value,
        )

    try:
        value = run(asked())
    except EventFailed as failed:
        note(f"hitl: {failed}")
        raise typer.Exit(exit_code(failed.outcome)) from failed
    print_json({"value": value}) if json else print(format_value(kind, value))  # type: ignore[arg-type]  # it is JSON


def wait(request_id: Id, json: Json = False) -> None:
    """Wait for a question's outcome, and print its value; ends as `ask` does."""
    store = open_root()

    async def outcome() -> OutcomeDocument:
        request = await read_request(store, request_id)
        while (found := await expire(store, request, now=datetime.now(UTC), markers=True)) is None:  # noqa: ASYNC110 - storage tells nobody
            await asyncio.sleep(1)
        return found

    found = run(outcome())
    if json:
        print_json(found.model_dump(mode="json", exclude={"respondent": {"link"}}))
    elif (text := found.value_text()) is not None:
        print(text)
    else:
        note(f"hitl: {found.summary()}")
    raise typer.Exit(exit_code(found))
