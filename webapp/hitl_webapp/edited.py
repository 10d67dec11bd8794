"""An answer in its parts, and what it changed of the proposed one: as rows for people, as JSON for programs."""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from pydantic import JsonValue

from hitl.core.documents import OutcomeDocument, RequestDocument
from hitl.core.edits import edits_of
from hitl.core.forms.labels import told
from hitl.core.forms.parts import (
    MISSING,
    Choice,
    Fixed,
    Flag,
    Group,
    Maybe,
    OneOf,
    Part,
    Rows,
    Several,
    options_of,
)
from hitl.core.pointers import unescaped
from hitl.core.values import format_value
from hitl_webapp.parts import form_of
from hitl_webapp.sentences import shown_value

NOTHING: Final = "(nothing)"
_MAX_LABEL_CHARS: Final = 300
# A longer answer is shown as JSON alone.
_MAX_ROWS: Final = 200


class Edit(NamedTuple):
    """One row of the table: a part of the answer, as people read it.

    Args:
        part: Its label, with those of the parts around it.
        proposed: What was proposed.
        answered: What was answered.
    """

    part: str
    proposed: str
    answered: str


def public_changes(request: RequestDocument, outcome: OutcomeDocument | None) -> dict[str, Any]:
    """Return whether the proposed value was edited, and each change, for programs."""
    found: list[dict[str, JsonValue]] = []
    for each in edits_of(request, outcome) or ():
        change: dict[str, JsonValue] = {"place": each.place}
        if each.before is not MISSING:
            change["before"] = each.before
        if each.after is not MISSING:
            change["after"] = each.after
        found.append(change)
    return {"edited": bool(found), "changes": found}


def edit_rows(request: RequestDocument, outcome: OutcomeDocument) -> list[Edit]:
    """Return the rows of the table on the page of the outcome."""
    form = form_of(request)
    rows = []
    for change in edits_of(request, outcome) or ():
        labels, part = _labelled(form, change.place)
        before, after = (_shown(request, part, value) for value in (change.before, change.after))
        label = " › ".join(labels) or "Answer"
        rows.append(Edit(label[:_MAX_LABEL_CHARS], before, after))
    return rows


def answer_rows(request: RequestDocument, outcome: OutcomeDocument) -> list[tuple[str, str]]:
    """Return each part of an answer as people read it: its label, empty for the whole answer, and what it holds.

    There is none for an answer of one field, and for one that has no form.
    """
    form = form_of(request)
    if form is None or outcome.outcome != "answered":
        return []
    rows: list[tuple[str, str]] = []
    for labels, part, value in _leaves(form, outcome.value, ()):
        if len(rows) == _MAX_ROWS:
            return []
        rows.append((" › ".join(labels)[:_MAX_LABEL_CHARS], _shown(request, part, value)))
    return rows


def _leaves(
    part: Part | None, value: JsonValue, labels: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Part | None, JsonValue]]:
    inside: list[tuple[str, JsonValue]] = []
    if isinstance(value, dict) and isinstance(part, Group | OneOf):
        inside = list(value.items())
    elif isinstance(value, list) and isinstance(part, Rows | Fixed):
        inside = [(str(number), each) for number, each in enumerate(value)]
    if not inside:
        yield labels, part, value
    for key, each in inside:
        label, of_key = _inside(part, key)
        yield from _leaves(of_key, each, (*labels, label))


def _labelled(form: Part | None, place: str) -> tuple[list[str], Part | None]:
    labels: list[str] = []
    for step in place.split("/")[1:]:
        label, form = _inside(form, unescaped(step))
        labels.append(label)
    return labels, form


def _inside(part: Part | None, key: str) -> tuple[str, Part | None]:
    """Return the label and the part of a name or a place; those of a value without a form are as they are."""
    number = int(key) if key.isascii() and key.isdecimal() else -1
    match part:
        case Group():
            inside = dict(part.fields).get(key)
            return (inside.label if inside is not None and inside.label else key), inside
        case Several():
            return str(number + 1), part
        case Rows():
            return (str(number + 1) if number >= 0 else key), part.item
        case Fixed() if 0 <= number < len(part.items):
            return part.items[number].label or str(number + 1), part.items[number]
        case OneOf():
            of_branch = [_inside(branch, key) for _, branch in part.branches]
            return next((each for each in of_branch if each[1] is not None), (key, None))
        case _:
            return (str(number + 1) if number >= 0 else key), None


def _shown(request: RequestDocument, part: Part | None, value: Maybe) -> str:
    if value is MISSING or value is None or value == []:
        return NOTHING
    if request.data_type != "json":
        return shown_value(request, format_value(request.data_type, value))
    if isinstance(part, Several) and isinstance(value, list):
        return ", ".join(_shown(request, part, each) for each in value)
    if isinstance(part, Flag) and isinstance(value, bool):
        return "Yes" if value else "No"
    if isinstance(part, Choice | Several):
        return told([(_text(each), label) for label, each in options_of(part)], _text(value))
    return _text(value)


def _text(value: JsonValue) -> str:
    return value if isinstance(value, str) else format_value("json", value)
