"""`hitl ask`: a shell asks, waits, and continues with the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias

import typer

from hitl.author.asking import ask_question
from hitl.author.endings import NOBODY_WAITS, settled
from hitl.author.signals import signals_raise
from hitl.cli import output
from hitl.cli.options import AsJson, span
from hitl.cli.requests import finish
from hitl.cli.view import RequestView, view_of
from hitl.core.question import Question
from hitl.core.values import DataType, Value, parse_text, read_json
from hitl.errors import HITLError, InvalidRequest, InvalidValue

_POLL_SECONDS: Final = 5.0
_KINDS: Final = {"user": "users", "users": "users", "group": "groups", "groups": "groups"}

Respondents: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="WHO",
        help="Who may answer: a user's name, or group=NAME; give it once for each. Else everyone who can open the "
        "form.",
        show_default=False,
    ),
]


def ask(
    prompt: Annotated[
        str, typer.Argument(metavar="PROMPT", help="The question, in Markdown; - reads it from standard input.")
    ],
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
        float, typer.Option(metavar="TIME", parser=span, help="Until the deadline: 90, 90s, 15m, 8h or 2d.")
    ] = "1h",  # type: ignore[assignment]  # typer parses a default as it does what is typed
    name: Annotated[str, typer.Option(metavar="NAME", help="A short name, shown to people.")] = "ask",
    key: Annotated[
        str | None,
        typer.Option(
            metavar="KEY", help="Asked again under this key, it is the same question.", show_default=False
        ),
    ] = None,
    plain: Annotated[
        bool, typer.Option("--plain", help="The prompt is no Markdown: the form shows it as it is.")
    ] = False,
    respondents: Respondents = None,
    as_json: AsJson = False,
) -> None:
    """Ask a question, wait, and print the answer."""
    question = Question.of(
        name,
        data_type,
        prompt,
        timeout_seconds=timeout,
        choices=choices or None,
        default=_default(data_type, default),
        schema=_schema(schema),
        prompt_format="plain" if plain else "markdown",
        respondents=_respondents(respondents or ()),
    )
    with signals_raise():
        view = asyncio.run(_ask(question, key))
    finish(view, as_json)


async def _ask(question: Question, key: str | None) -> RequestView:
    asked = await ask_question(question, key=key)
    try:
        output.say(f"{question.prompt}\nAnswer at {asked.form_url}")
        with output.waiting("waiting for the answer"):
            outcome = await asked.outcome(_POLL_SECONDS)
    except BaseException:
        # Ctrl-C, SIGTERM, SIGHUP, an error: nobody waits any more.
        if asked.kept:
            served = "; until then, `hitl serve` serves its form" if asked.context.mode == "local" else ""
            settled(asked.request_id)
            output.say(f"hitl: interrupted; the question stays, and the same command finds it again{served}")
        else:
            await withdraw(asked.withdraw)
        raise
    return view_of(asked.document, outcome)


async def withdraw(by: Callable[[str], Awaitable[None]]) -> None:
    """Withdraw a question for whose answer nobody waits any more.

    Args:
        by: Withdraws it, for the reason that it is given.
    """
    try:
        await by(NOBODY_WAITS)
    except HITLError as error:
        output.say(f"hitl: interrupted; the question could not be withdrawn: {error}")
    else:
        output.say("hitl: interrupted; the question was withdrawn")


def _default(data_type: DataType, default: str | None) -> Value:
    if default is None:
        return None
    try:
        return parse_text(data_type, default, empty=True)
    except InvalidValue as error:
        raise InvalidRequest(f"--default: {error}") from error


def _respondents(named: Sequence[str]) -> dict[str, list[str]] | None:
    """Return who may answer. A name may hold ``=``, as those of LDAP do, so only known words in front count."""
    given: dict[str, list[str]] = {}
    for each in named:
        kind, equals, name = each.partition("=")
        field = _KINDS.get(kind.strip().lower()) if equals else None
        given.setdefault(field or "users", []).append(name if field else each)
    return given or None


def _schema(path: Path | None) -> Any:
    if path is None:
        return None
    try:
        return read_json(path.read_bytes())
    except (OSError, InvalidValue) as error:
        raise InvalidRequest(f"--schema: {path} cannot be read as JSON: {error}") from error
