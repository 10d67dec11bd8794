"""`hitl audit`: what happened to the questions under a root, and whether all of it is still there."""

from __future__ import annotations

import asyncio
import csv
import json
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from pydantic import ValidationError

from hitl.cli import output
from hitl.cli.codes import Code
from hitl.cli.options import AsJson
from hitl.core.audit import Anchor, Attempt, Omitted
from hitl.core.chain import Finding
from hitl.core.text import ascii_controls
from hitl.errors import InvalidRequest, one_line, printable
from hitl.records.audit_check import Counts, Verification
from hitl.records.audit_export import Row, export
from hitl.settings import Settings
from hitl.storage import open_store

# Spreadsheets take what begins like this for a formula, some of them behind blanks or in full width.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_COLUMNS: Final = (
    *(name for name in Attempt.model_fields if name not in ("n", "previous", "kind")),
    "file",
    "line",
)


class Format(StrEnum):
    """How an export is written."""

    jsonl = "jsonl"
    csv = "csv"


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no day: write it like 2031-05-06") from None


def _anchor(text: str) -> Anchor:
    try:
        given = Path(text[1:]).read_text(encoding="utf-8") if text.startswith("@") else text
        return Anchor.model_validate_json(given)
    except OSError as error:
        raise typer.BadParameter(f"{text[1:]} cannot be read: {error.strerror}") from error
    except (ValidationError, ValueError) as error:
        raise typer.BadParameter(
            "this is no anchor: give what the operator's ConfigMap holds for the root"
        ) from error


Since = Annotated[
    date, typer.Option("--since", metavar="DATE", parser=_day, help="The first day, in UTC.", show_default=False)
]


def export_audit(
    since: Since,
    until: Annotated[
        date | None,
        typer.Option(
            "--until", metavar="DATE", parser=_day, help="The last day, in UTC; else today.", show_default=False
        ),
    ] = None,
    format_: Annotated[Format, typer.Option("--format", help="How it is written.")] = Format.jsonl,
) -> None:
    """Print every attempt and outcome, in the order of time: who, by which right, what was shown and answered.

    Outcomes without a line in the audit are among them, without a line's number.
    """
    if until is not None and until < since:
        raise InvalidRequest(f"--until {until} is before --since {since}: name the later day")
    write, left = _writer(format_), list[str]()

    async def all_rows() -> None:
        async for row in export(open_store(Settings()), since, until, left=left):
            write(row)
            while left:
                output.say(one_line(f"left out: {left.pop(0)}"))

    asyncio.run(all_rows())
    for each in left:
        output.say(one_line(f"left out: {each}"))


def verify(
    since: Annotated[
        date | None,
        typer.Option(
            "--since",
            metavar="DATE",
            parser=_day,
            help="Only what was written from this day on, in UTC, as after older days were deleted.",
            show_default=False,
        ),
    ] = None,
    anchor: Annotated[
        Anchor | None,
        typer.Option(
            "--anchor",
            metavar="JSON",
            parser=_anchor,
            help="A line that must be there, as the operator's ConfigMap holds it for the root; @FILE reads it.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Find lines of the audit that were changed, removed, repeated or moved, and outcomes that were changed.

    Ends with 1 if there are any. What a writer that was killed leaves is told, and is no fault.
    """
    verification = Verification(open_store(Settings()), now=datetime.now(UTC), since=since, anchor=anchor)

    async def all_findings() -> int:
        faults = 0
        async for finding in verification.findings():
            faults += finding.fault
            _print_finding(finding, as_json)
        return faults

    faults, counts = asyncio.run(all_findings()), verification.counts
    if as_json:
        _print_line({"kind": "summary", "faults": faults, **vars(counts)})
    elif not counts.segments:
        output.say("There is no audit here.")
    else:
        output.say(_summary(counts, faults))
    if faults:
        output.fail(f"the audit has {faults:,} {'fault' if faults == 1 else 'faults'}", Code.REFUSED)


def _summary(counts: Counts, faults: int) -> str:
    of = ((counts.lines, "line"), (counts.segments, "segment"), (counts.writers, "writer"))
    lines, segments, writers = (f"{number:,} {word}{'' if number == 1 else 's'}" for number, word in of)
    read = f"{lines} in {segments} by {writers}"
    killed = f", {counts.open_writers:,} of which did not say that they ended" if counts.open_writers else ""
    return f"{read}{killed}{'' if faults else ': no faults'}"


def _print_finding(finding: Finding, as_json: bool) -> None:
    if as_json:
        _print_line({**vars(finding), "fault": finding.fault})
        return
    where = finding.file if finding.line is None else f"{finding.file}:{finding.line}"
    # A line feed in a name must not forge a finding.
    print(one_line(f"{where}: {finding.kind}: {finding.text}"))


def _print_line(content: dict[str, Any]) -> None:
    print(ascii_controls(json.dumps(content, ensure_ascii=not _prints_unicode())))


def _prints_unicode() -> bool:
    return (sys.stdout.encoding or "").lower().startswith("utf")


def _writer(format_: Format) -> Callable[[Row], None]:
    if format_ is Format.jsonl:
        return lambda row: _print_line(_content(row))
    table = csv.writer(sys.stdout)
    table.writerow(_COLUMNS)
    return lambda row: table.writerow([_cell(_content(row).get(name)) for name in _COLUMNS])


def _content(row: Row) -> dict[str, Any]:
    """Return a row with all its columns."""
    place = {"file": row.file, "line": row.line}
    if isinstance(row.said, Omitted):
        reason = f"{row.said.refused} refused attempts and {row.said.others} others have no line of their own"
        return {"at": row.said.model_dump(mode="json")["at"], "result": "omitted", "reason": reason, **place}
    return row.said.model_dump(mode="json", exclude={"n", "previous", "kind"}) | place


def _cell(value: Any) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    if value is None:
        return ""
    text = " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    text = printable(text)
    formula = text.startswith(_FORMULA) or text.lstrip().startswith(_FORMULA)
    return f"'{text}" if formula else text
