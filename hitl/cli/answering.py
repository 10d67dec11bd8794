"""`hitl answer ID` without a value: asks for the fields at the terminal. Nothing is recorded before the end."""

from __future__ import annotations

import sys
from typing import NoReturn

import typer

from hitl.cli import output
from hitl.cli.codes import Code
from hitl.cli.view import RequestView
from hitl.cli.walk import Terminal, Walk, part_of, part_showing
from hitl.core.asked import Asked
from hitl.core.files import asks_for_file
from hitl.core.forms import MISSING, Maybe
from hitl.core.forms.held import start_of
from hitl.core.question import parse_answer
from hitl.core.values import format_value
from hitl.errors import InvalidValue, one_line, printable


def require_terminal(request_id: str) -> None:
    """End the command if there is no terminal where an answer could be asked for."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        output.fail(
            "VALUE is missing, and this is no terminal where it could be asked for: give it, such as "
            f"`hitl answer {one_line(request_id)} 42`, or - to read it from standard input, or --file FILE where "
            "a file is asked for",
            Code.USAGE,
        )


def at_terminal(view: RequestView) -> str:
    """Ask for an answer, field by field, and return it as text, once the person who types it confirms it.

    Args:
        view: The question. It waits for an answer.
    """
    asked = asked_of(view)
    if asks_for_file(asked):
        output.fail(f"{view.id} is answered by a file: give --file and its path", Code.USAGE)
    _introduce(view)
    try:
        return ask_for(asked, Terminal(line=_line, say=output.say))
    except (KeyboardInterrupt, EOFError):
        _nothing_recorded(view)


def asked_of(view: RequestView) -> Asked:
    """Return a question as answers are checked by it."""
    return Asked(
        event_name=view.event_name or view.id,
        prompt=view.prompt,
        data_type=view.data_type,
        json_schema=view.schema_,
        choices=view.choices,
        choice_labels=view.choice_labels,
        default=view.default,
        proposed=view.proposed,
    )


def ask_for(asked: Asked, terminal: Terminal) -> str:
    """Ask for an answer until it fits and is confirmed; return it as text."""
    value = start_of(asked)
    part = part_showing(part_of(asked), value)
    while True:
        walk = Walk(terminal)
        value = walk.value(part, value)
        fault = _fault(asked, value)
        if fault is not None:
            terminal.say(f"{fault}\nThe fields are asked again: Enter keeps what is in brackets.")
            continue
        width = max(len(label) for label, _ in walk.given) + 2
        terminal.say("\n" + "\n".join(f"  {f'{label}:':<{width}}{text}" for label, text in walk.given))
        if walk.yes("Send this answer? It cannot be changed afterwards."):
            return format_value(asked.data_type, None if value is MISSING else value)
        terminal.say("The fields are asked again: Enter keeps what is in brackets, Ctrl-C ends without an answer.")


def _fault(asked: Asked, value: Maybe) -> str | None:
    """Return what is wrong with the answer as a whole, such as too few rows; None for nothing."""
    try:
        parse_answer(asked, None if value is MISSING else value, text=False)
    except InvalidValue as error:
        return "\n".join([str(error), *(f"  {each}" for each in error.details[1:])])
    return None


def _introduce(view: RequestView) -> None:
    lines = [view.prompt]
    if view.refused:
        lines += ["The answer before could not be used:", *(f"  {each}" for each in view.refused)]
    lines += [f"{each.name}: {each.url or 'see the form'}" for each in view.evidence]
    if view.form_url and (view.evidence or view.left_out):
        lines.append(f"The form: {view.form_url}")
    output.say("\n".join(lines) + "\n")


def _line(shown: str) -> str:
    # Not `input`, which writes to standard output, where only data goes.
    sys.stderr.write(printable(shown))
    sys.stderr.flush()
    text = sys.stdin.readline()
    if not text:
        raise EOFError
    return text.removesuffix("\n").removesuffix("\r")


def _nothing_recorded(view: RequestView) -> NoReturn:
    output.say(f"\nhitl: nothing was recorded; {view.id} still waits for an answer")
    raise typer.Exit(Code.INTERRUPTED)
