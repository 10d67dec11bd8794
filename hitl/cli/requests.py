"""`hitl show`, `answer`, `reject`, `cancel`, `wait`: what people do with questions."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from hitl.cli import output
from hitl.cli.backend import Backend
from hitl.cli.codes import Code, code_of_phase
from hitl.cli.options import AsJson, Comment, RequestId, span
from hitl.cli.place import Place, looks
from hitl.cli.storage_backend import Stored
from hitl.cli.view import RequestView
from hitl.core.documents import format_time
from hitl.core.text import is_blank
from hitl.errors import one_line, printable


@looks
def show(
    place: Place,
    request_id: RequestId,
    as_json: AsJson = False,
) -> None:
    """Show one question and its outcome."""
    backend = place.backend()
    view = asyncio.run(backend.show(request_id))
    if as_json:
        output.print_json(view)
    else:
        output.print_request(view, datetime.now(UTC), stored=isinstance(backend, Stored))


@looks
def answer(
    place: Place,
    request_id: RequestId,
    value: Annotated[
        str | None,
        typer.Argument(
            metavar="[VALUE]",
            help="The answer, as one types it in the form; - reads it from standard input. Without it, the fields "
            "of the form are asked for at the terminal.",
            show_default=False,
        ),
    ] = None,
    comment: Comment = "",
    file: Annotated[
        Path | None,
        typer.Option(
            "--file",
            metavar="FILE",
            help="The answer is this file, to a question that asks for one.",
            show_default=False,
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    json_value: Annotated[
        bool, typer.Option("--json-value", help="VALUE is JSON, such as '\"text\"' or '[1, 2]'.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Answer a question."""
    if value is not None and file is not None:
        output.fail("give VALUE or --file, and not both", Code.USAGE)
    if value is None and json_value:
        output.fail("--json-value says how to read VALUE, which is missing: give it", Code.USAGE)
    if file is not None:
        _recorded(asyncio.run(place.backend().answer_file(request_id, file, comment=comment)), as_json)
        return
    if value is None:
        # Loaded only here: fields of every kind take longer to load than the command itself.
        from hitl.cli.answering import at_terminal, require_terminal

        require_terminal(request_id)
        value = at_terminal(asyncio.run(place.backend().answerable(request_id)))
    given = place.backend().answer(request_id, value, text=not json_value, comment=comment)
    _recorded(asyncio.run(given), as_json)


@looks
def reject(
    place: Place,
    request_id: RequestId,
    comment: Annotated[str, typer.Option("--comment", metavar="TEXT", help="Why.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Refuse to answer a question. The program that waits gets the reason."""
    if is_blank(comment):
        output.fail("--comment is empty: give a reason, which the waiting program gets", Code.USAGE)
    _recorded(
        asyncio.run(place.backend().reject(request_id, comment=comment)),
        as_json,
    )


@looks
def withdraw(place: Place, request_id: RequestId, as_json: AsJson = False) -> None:
    """Withdraw your vote, or take back that you handed a question over."""
    view = asyncio.run(place.backend().withdraw(request_id))
    _done(view, f"withdrawn. {view.standing}".strip(), as_json)


@looks
def delegate(
    place: Place,
    request_id: RequestId,
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="The user, by the name that their sign-in shows.", show_default=False),
    ],
    as_json: AsJson = False,
) -> None:
    """Hand a question over to another user, who then answers on your behalf.

    In a cluster only, as a shell verifies no name.
    """
    view = asyncio.run(place.backend().delegate(request_id, name))
    _done(view, f"handed over to {name}, who may answer on your behalf", as_json)


@looks
def cancel(
    place: Place,
    request_id: RequestId,
    comment: Comment = "",
    as_json: AsJson = False,
) -> None:
    """Withdraw a question, so that nobody needs to answer it any more."""
    _recorded(
        asyncio.run(place.backend().cancel(request_id, comment=comment)),
        as_json,
    )


@looks
def wait(
    place: Place,
    request_id: RequestId,
    timeout: Annotated[
        float | None,
        typer.Option(
            metavar="TIME",
            parser=span,
            help="Wait no longer than this: 90, 90s, 15m, 8h or 2d. The question stays as it is.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Wait until a question has an outcome, and print its value."""
    with output.waiting(f"waiting for {request_id}"):
        view = asyncio.run(_waited(place.backend(), request_id, timeout))
    finish(view, as_json)


async def _waited(backend: Backend, request_id: str, seconds: float | None) -> RequestView:
    """Return a question once it is settled, or as it is after so many seconds."""
    try:
        async with asyncio.timeout(seconds) as limit:
            return await backend.wait(request_id)
    except TimeoutError:
        if not limit.expired():
            raise
        return await backend.show(request_id)


def finish(view: RequestView, as_json: bool) -> None:
    """Print the outcome of a question that was waited for, and end with its exit code."""
    if as_json:
        output.print_json(view)
    elif view.phase == "Answered":
        output.print_value(view.value_text())
    code = code_of_phase(view.phase)
    if code is not Code.DONE:
        output.say(f"hitl: {summary(view)}")
        raise typer.Exit(code)


def summary(view: RequestView) -> str:
    """Return one sentence that says what was recorded, on one line whatever people wrote."""
    respondent = one_line(view.respondent())
    who = f" by {respondent}" if respondent else ""
    when = f" at {format_time(view.settled_at)}" if view.settled_at else ""
    comment = f": {one_line(view.comment)}" if view.comment else ""
    match view.phase:
        case "Answered":
            return f"{view.id}: answered {one_line(view.value_text())}{who}{when}{comment}"
        case "TimedOut":
            return f"{view.id}: nobody answered before the deadline"
        case "Pending" if view.standing:
            return f"{view.id}: {view.standing}"
        case "Pending":
            return f"{view.id}: still waits for an answer"
        case phase:
            return f"{view.id}: {phase.lower()}{who}{when}{comment}"


def _done(view: RequestView, told: str, as_json: bool) -> None:
    if as_json:
        output.print_json(view)
    else:
        print(printable(f"{view.id}: {one_line(told)}"))


def _recorded(view: RequestView, as_json: bool) -> None:
    if as_json:
        output.print_json(view)
    else:
        saved = f"{view.id}: your vote was saved. {view.standing}"
        print(printable(saved if view.standing else summary(view)))
