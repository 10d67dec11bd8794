"""`hitl ask`: a shell asks, waits, and continues with the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias

import typer

from hitl.author.asking import AskedQuestion, ask_question
from hitl.author.endings import NOBODY_WAITS, settled
from hitl.author.signals import signals_raise
from hitl.cli import output
from hitl.cli.asked_names import as_typed
from hitl.cli.asked_times import Escalate, Hours, Remind, escalation_of, hours_of, reminders_of, respondents_of
from hitl.cli.asked_type import choices_of, value_of
from hitl.cli.asked_type import type_from as type_from_place
from hitl.cli.codes import Code
from hitl.cli.options import AsJson, span_to_deadline
from hitl.cli.requests import finish
from hitl.cli.view import RequestView, view_of
from hitl.core.approval import Approval
from hitl.core.pythontypes import Unusable, typed
from hitl.core.question import Question
from hitl.core.strictjson import read_json
from hitl.core.values import DataType
from hitl.errors import HITLError, InvalidRequest, InvalidValue, one_line
from hitl.records.evidence import Piece
from hitl.settings import Settings

_POLL_SECONDS: Final = 5.0

Respondents: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="WHO",
        help="Who may answer: user=NAME, or NAME alone, or group=NAME; give it once for each. Else everyone who "
        "can open the form.",
        show_default=False,
    ),
]
TypeName: TypeAlias = Annotated[
    DataType | None,
    typer.Option(
        "--type",
        metavar="TYPE",
        help="What is wanted: int, float, bool, str or json. Else str.",
        show_default=False,
    ),
]
TypeFrom: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="PLACE",
        help="What is wanted: a type of yours, such as models.py:Deploy or shop.orders:Order. Its code runs.",
        show_default=False,
    ),
]
Choices: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--choices", metavar="VALUE", help="What may be answered; give it once for each.", show_default=False
    ),
]
Labelled: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--choice",
        metavar="VALUE=LABEL",
        help="What may be answered, and how people see it; give it once for each.",
        show_default=False,
    ),
]
Default: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="VALUE", help="The answer that counts when nobody gives one in time.", show_default=False
    ),
]
Proposed: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="VALUE",
        help="What the form holds at first. The outcome says what was edited.",
        show_default=False,
    ),
]
SchemaFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="A JSON Schema that the answer must fit.",
        show_default=False,
        exists=True,
        dir_okay=False,
    ),
]
EvidenceFiles: TypeAlias = Annotated[
    list[Path] | None,
    typer.Option(
        "--evidence",
        metavar="FILE",
        help="Show this file beside the question: an image, a table in CSV or Parquet, Markdown, an HTML report; "
        "any other can be downloaded. Give it once for each.",
        show_default=False,
        exists=True,
        dir_okay=False,
    ),
]
EvidenceLinks: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--evidence-link",
        metavar="URL",
        help="Show this link beside the question; NAME=URL gives it a name. Give it once for each.",
        show_default=False,
    ),
]
Agreement: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--approval",
        metavar="NUMBER|JSON",
        help="How many people must agree, such as 2; or all of the policy as JSON, such as "
        '\'{"requiredResponses": 2, "groups": [{"name": "sre", "required": 1}]}\'.',
        show_default=False,
    ),
]
Requester: TypeAlias = Annotated[
    str,
    typer.Option(
        metavar="NAME", help="The user it is asked for, where --approval excludes this user.", show_default=False
    ),
]
Key: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="KEY", help="Asked again under this key, it is the same question.", show_default=False),
]


def ask(
    prompt: Annotated[
        str, typer.Argument(metavar="PROMPT", help="The question, in Markdown; - reads it from standard input.")
    ],
    data_type: TypeName = None,
    type_from: TypeFrom = None,
    choices: Choices = None,
    labelled: Labelled = None,
    default: Default = None,
    proposed: Proposed = None,
    evidence: EvidenceFiles = None,
    evidence_link: EvidenceLinks = None,
    schema: SchemaFile = None,
    timeout: Annotated[
        float,
        typer.Option(metavar="TIME", parser=span_to_deadline, help="Until the deadline: 90, 90s, 15m, 8h or 2d."),
    ] = "1h",  # type: ignore[assignment]  # typer parses a default as it does what is typed
    name: Annotated[str, typer.Option(metavar="NAME", help="A short name, shown to people.")] = "ask",
    key: Key = None,
    plain: Annotated[
        bool, typer.Option("--plain", help="The prompt is no Markdown: the form shows it as it is.")
    ] = False,
    respondents: Respondents = None,
    approval: Agreement = None,
    requester: Requester = "",
    escalate: Escalate = None,
    remind: Remind = None,
    business_hours: Hours = None,
    as_json: AsJson = False,
) -> None:
    """Ask a question, wait, and print the answer."""
    if data_type is not None and type_from is not None:
        output.fail("give --type or --type-from, and not both", Code.USAGE)
    wanted: Any = type_from_place(type_from) if type_from is not None else data_type or "str"
    pieces = _pieces(evidence or (), evidence_link or ())
    with as_typed(choices="--choices" if choices else "--choice"):
        question = Question.of(
            name,
            wanted,
            prompt,
            timeout_seconds=timeout,
            choices=choices_of(choices or [], labelled or []),
            default=value_of(wanted, default, "--default"),
            schema=_schema(schema),
            prompt_format="plain" if plain else "markdown",
            respondents=respondents_of(respondents or ()),
            proposed=value_of(wanted, proposed, "--proposed"),
            evidence=[piece.evidence for piece in pieces],
            approval=_approval(approval),
            requester=requester,
            escalate=escalation_of(escalate or ()),
            reminders=reminders_of(remind),
            business_hours=hours_of(business_hours),
        )
    with signals_raise():
        view = asyncio.run(_ask(question, key, pieces))
    if view.phase == "Answered":
        _require_usable(wanted, view)
    finish(view, as_json)


def _pieces(files: Sequence[Path], links: Sequence[str]) -> list[Piece]:
    if not files and not links:
        return []
    # Loaded only here: tables and their previews take long to load, and every command loads this module.
    from hitl.author.evidence import pieces_of
    from hitl.cli.asked_evidence import shown_file, shown_link

    return asyncio.run(pieces_of([*map(shown_file, files), *map(shown_link, links)]))


def _require_usable(wanted: Any, view: RequestView) -> None:
    """End the command if the type's own validators refuse the answer, which its schema cannot tell."""
    try:
        typed(wanted, view.value)
    except Unusable as error:
        output.fail(
            f"{view.id}: {one_line(view.value_text())} was recorded, and its own type refuses it: {error}",
            Code.REFUSED,
        )


async def _ask(question: Question, key: str | None, pieces: Sequence[Piece]) -> RequestView:
    asked = await ask_question(question, key=key, pieces=pieces)
    try:
        output.say(f"{question.prompt}\nAnswer at {asked.form_url}")
        if inbox := _own_inbox(asked):
            output.say(f"All questions that wait for you: {inbox}")
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


def _own_inbox(asked: AskedQuestion) -> str:
    """Return the address of the user's own inbox, if this process serves it."""
    if asked.context.mode != "local":
        return ""
    from hitl.serving.local import local_inbox

    return local_inbox(Settings(), asked.context.endpoint)


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


def _approval(text: str | None) -> Approval | None:
    if text is None:
        return None
    try:
        given = read_json(text)
    except InvalidValue as error:
        raise InvalidRequest(f"--approval: {error}") from error
    # Every field is checked by the policy itself.
    fields: dict[str, Any] = given if isinstance(given, dict) else {"required": given}
    return Approval(**fields)


def _schema(path: Path | None) -> Any:
    if path is None:
        return None
    try:
        return read_json(path.read_bytes())
    except (OSError, InvalidValue) as error:
        raise InvalidRequest(f"--schema: {path} cannot be read as JSON: {error}") from error
