"""What is printed: JSON for programs, tables for a terminal, aligned text for a pipe.

Data goes to standard output, everything else to standard error. What other people wrote is made printable.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final, NoReturn

import typer
from pydantic import BaseModel
from rich.console import Console
from rich.text import Text

from hitl.cli.codes import Code
from hitl.cli.streams import fits
from hitl.cli.tables import PHASE_STYLES, print_table, standard_output
from hitl.cli.view import EscalationView, RequestView, VoteView
from hitl.cli.web_listing import ListedQuestion
from hitl.core.documents import format_time
from hitl.core.escalation import named_shortly
from hitl.core.evidence import Evidence, shown_size
from hitl.core.files import is_a_files
from hitl.core.text import ascii_controls
from hitl.errors import one_line, printable

ASKER_ENDED: Final = "the program that asked has ended, so nobody waits for the answer"

_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))
_LISTED_PHASES: Final = {
    "open": "Pending",
    "overdue": "Pending",
    "answered": "Answered",
    "rejected": "Rejected",
    "timed_out": "TimedOut",
    "cancelled": "Cancelled",
}


def print_json(content: BaseModel | Sequence[BaseModel] | dict[str, Any]) -> None:
    """Print data as JSON to standard output."""
    data = _plain(content)
    text = ascii_controls(json.dumps(data, indent=2, ensure_ascii=False))
    print(text if fits(text, sys.stdout) else json.dumps(data, indent=2))


def print_value(text: str) -> None:
    r"""Print only an answer. On a terminal, control characters are removed.

    Characters that the encoding of a pipe lacks are printed as ``\u2026``, and standard error says so.
    """
    print(printable(text) if sys.stdout.isatty() else text)
    if not fits(text, sys.stdout):
        say(
            f"hitl: {sys.stdout.encoding} lacks some characters of the answer, which are escaped: set "
            "PYTHONIOENCODING=utf-8, or give --json"
        )


def print_requests(views: Sequence[RequestView], now: datetime, *, settled: bool) -> None:
    """Print questions as a table, with their namespaces if they have any.

    Args:
        views: The questions.
        now: The present moment, for ages and deadlines.
        settled: Show outcomes as well.
    """
    rows = [
        [
            view.id,
            one_line(view.prompt),
            view.data_type,
            view.phase,
            one_line(view.value_text()),
            view.respondent(),
            view.via,
            _deadline(view, now),
            duration((now - view.created_at).total_seconds()),
        ]
        for view in views
    ]
    _print_list(rows, [view.namespace for view in views], [view.agree for view in views], settled=settled)


def print_listed(questions: Sequence[ListedQuestion], now: datetime, *, settled: bool) -> None:
    """Print the questions that a web app lists, as `print_requests` does.

    Args:
        questions: The questions.
        now: The present moment, for ages and deadlines.
        settled: Show outcomes as well.
    """
    rows = [
        [
            each.request_id,
            each.prompt,
            each.data_type,
            _LISTED_PHASES.get(each.state, each.state),
            each.ended.value if each.ended else "",
            each.ended.respondent() if each.ended else "",
            each.ended.via if each.ended else "",
            "" if each.ended else _left(each.expires_at, now),
            duration((now - each.asked_at).total_seconds()),
        ]
        for each in questions
    ]
    agreed = [each.approval.progress() if each.approval else "" for each in questions]
    _print_list(rows, [each.namespace for each in questions], agreed, settled=settled)


def _print_list(
    rows: Sequence[Sequence[str]], namespaces: Sequence[str], agreed: Sequence[str], *, settled: bool
) -> None:
    """Print the rows of a list, without outcomes, namespaces and votes where there are none."""
    head = ["ID", "PROMPT", "TYPE", "PHASE", "VALUE", "BY", "VIA", "DEADLINE", "AGE"]
    shown = [list(row) for row in rows]
    if not settled:
        head, shown = (head[:3] + head[7:], [row[:3] + row[7:] for row in shown])
    if any(agreed):
        at = head.index("DEADLINE")
        head = [*head[:at], "AGREE", *head[at:]]
        shown = [[*row[:at], agree, *row[at:]] for agree, row in zip(agreed, shown, strict=True)]
    if any(namespaces):
        head = [head[0], "NAMESPACE", *head[1:]]
        shown = [[row[0], namespace, *row[1:]] for namespace, row in zip(namespaces, shown, strict=True)]
    print_table(head, shown, wrapped=("PROMPT", "VALUE"), cut=True)


def print_request(view: RequestView, now: datetime, *, stored: bool) -> None:
    """Print one question in full.

    Args:
        view: The question.
        now: The present moment, for ages and deadlines.
        stored: It was found in storage, where links are made.
    """
    a_file = is_a_files(view.schema_)
    lines = [
        ("ID", view.id),
        ("Namespace", view.namespace),
        ("Event", view.event_name),
        ("Prompt", view.prompt),
        ("Type", view.data_type),
        ("Choices", ", ".join(_labelled(view, each) for each in view.choices)),
        ("Proposed", view.proposed or ""),
        ("Refused", "\n".join(map(one_line, view.refused))),
        ("Evidence", "\n".join(map(_evidence, view.evidence))),
        ("Left out", f"{', '.join(view.left_out)}: see the form" if view.left_out else ""),
        ("Default", "" if view.default is None else f"{view.default} (on timeout: {view.on_timeout})"),
        ("Answer", f"a file: upload it in the form, or `hitl answer {view.id} --file FILE`" if a_file else ""),
        ("Schema", "" if view.schema_ is None or a_file else json.dumps(view.schema_, ensure_ascii=False)),
        ("May answer", named_shortly(view.respondents)),
        ("Handed over", "\n".join(f"by {one_line(each.by)} to {one_line(each.to)}" for each in view.handed_over)),
        ("Escalates", "\n".join(_step(each, now) for each in view.escalation)),
        ("Reminders", "\n".join(_moment(each, _distance(each, now)) for each in view.reminded_at)),
        ("Must agree", view.requires),
        ("Requester", view.requester),
        ("Votes", "\n".join(filter(None, [view.standing, *map(_vote, view.votes)]))),
        ("Asked", _moment(view.created_at, f"{duration((now - view.created_at).total_seconds())} ago")),
        ("Deadline", _moment(view.expires_at, _deadline(view, now))),
        ("Form", view.form_url if view.phase == "Pending" else ""),
        ("Link", _link(view, stored=stored)),
        ("Phase", f"{view.phase} ({ASKER_ENDED})" if view.asker_ended else view.phase),
        ("Value", _value(view)),
        ("Edited", _edited(view)),
        ("By", view.respondent()),
        ("Via", view.via),
        ("Commit", view.commit),
        ("At", _moment(view.settled_at)),
        ("Comment", view.comment),
    ]
    shown = [(name, printable(text)) for name, text in lines if text]
    width = max(len(name) for name, _ in shown) + 2
    for name, text in shown:
        first, *rest = text.splitlines() or [""]
        style = PHASE_STYLES[view.phase] if name == "Phase" else ""
        line = Text.assemble((f"{name}:".ljust(width), "bold"), (first, style))
        standard_output().print(line, *(Text(" " * width + each) for each in rest), sep="\n", soft_wrap=True)


def _step(step: EscalationView, now: datetime) -> str:
    who = named_shortly(step.respondents) or "those in its policy"
    return f"to {who}: {_moment(step.at, _distance(step.at, now))}"


def _distance(at: datetime, now: datetime) -> str:
    seconds = (at - now).total_seconds()
    return f"in {duration(seconds)}" if seconds > 0 else f"{duration(-seconds)} ago"


def say(text: str) -> None:
    """Print a message for people, to standard error."""
    print(printable(text), file=sys.stderr, flush=True)


def fail(text: str, code: Code) -> NoReturn:
    """Say what went wrong and end the command."""
    say(f"hitl: {text}")
    raise typer.Exit(code)


@contextmanager
def waiting(text: str) -> Iterator[None]:
    """Show on a terminal that something is being waited for."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    with console.status(Text(printable(text))):
        yield


def duration(seconds: float) -> str:
    """Return a span of time in its one or two largest units, such as ``2h5m``."""
    left = max(0, int(seconds))
    parts: list[str] = []
    for size, unit in _UNITS:
        count, left = divmod(left, size)
        if count or parts or size == 1:
            parts.append(f"{count}{unit}" if count or not parts else "")
        if len(parts) == 2:
            break
    return "".join(parts)


def _labelled(view: RequestView, choice: str) -> str:
    label = view.choice_labels.get(choice, choice)
    return choice if label == choice else f"{choice} ({label})"


def _evidence(each: Evidence) -> str:
    what = each.url or f"{each.media_type or each.kind}, {shown_size(each.size_bytes)}, sha256 {each.sha256[:12]}"
    return f"{one_line(each.name)}: {what}" + (f" ({one_line(each.alt)})" if each.alt else "")


def _vote(vote: VoteView) -> str:
    comment = f": {one_line(vote.comment)}" if vote.comment else ""
    said = "declined" if vote.answer is None else one_line(vote.answer)
    return f"{vote.voter()}: {said}, via {vote.via} at {format_time(vote.voted_at)}{comment}"


def _value(view: RequestView) -> str:
    text = view.value_text()
    if view.phase != "Answered":
        return ""
    if view.default_used:
        return f"{text} (the default: nobody answered)"
    return _labelled(view, text)


def _edited(view: RequestView) -> str:
    """Return a line for each part that the answer has otherwise than it was proposed."""
    if view.edited is None:
        return ""
    lines = [
        f"{one_line(each.path)}: ".removeprefix(": ") + f"{_or_none(each.proposed)} → {_or_none(each.answered)}"
        for each in view.edited
    ]
    left = [f"and {view.edits_left_out} more"] if view.edits_left_out else []
    return "\n".join([*lines, *left]) or "nothing: answered as proposed"


def _or_none(text: str | None) -> str:
    return "(none)" if text is None else one_line(text)


def _deadline(view: RequestView, now: datetime) -> str:
    return _left(view.expires_at, now) if view.phase == "Pending" else ""


def _left(deadline: datetime, now: datetime) -> str:
    left = (deadline - now).total_seconds()
    return f"in {duration(left)}" if left > 0 else "passed"


def _link(view: RequestView, *, stored: bool) -> str:
    """Return the command that prints a link to the form: tokens are stored in Secrets only."""
    if view.phase != "Pending":
        return ""
    if view.link_secret:
        secret = f"{view.link_secret} -n {view.namespace}"
        return f"kubectl get secret {secret} -o jsonpath='{{.data.url}}' | base64 -d"
    return f"hitl link {view.id}" if stored and view.form_url else ""


def _moment(moment: datetime | None, relative: str = "") -> str:
    if moment is None:
        return ""
    return f"{format_time(moment)} ({relative})" if relative else format_time(moment)


def _plain(content: Any) -> Any:
    if isinstance(content, BaseModel):
        return content.model_dump(mode="json", by_alias=True)
    if isinstance(content, dict):
        return content
    return [_plain(each) for each in content]
