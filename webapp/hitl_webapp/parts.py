"""The form of an answer in parts: what a page shows of each, and which questions have one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from hitl.core.documents import RequestDocument
from hitl.core.forms import MISSING, Maybe, Part, PartFault, changed, filled, plan
from hitl.core.forms.parts import Constant, Line, Raw, Rows
from hitl.core.forms.sent import below, one, options_of, parts_inside, rows_of
from hitl.core.values import format_value
from hitl_webapp.fields import POINT, initial, range_of

_KEPT_FORMS: Final = 256
_HINTS: Final = {
    "date": "Such as 2026-02-28",
    "time": "Such as 09:30:00",
    "moment": "With its zone, such as 2026-02-28T09:30:00+01:00",
    "email": "Such as ann@example.com",
    "url": "Such as https://example.com/page",
    "decimal": "Write decimals after a point, as in 4.50",
}
_HINTS_OF_FORMAT: Final = {"duration": "Such as P3DT4H30M: 3 days, 4 hours and 30 minutes", "uuid": "A UUID"}


@dataclass(frozen=True)
class PartsForm:
    """The form of one answer, with what was typed so far.

    Args:
        part: What it is made of.
        sent: What its fields hold.
        faults: What is wrong, by the name of the field.
        focus: The part to look at first; empty: the first fault, if any.
    """

    part: Part
    sent: Mapping[str, Sequence[str]]
    faults: Mapping[str, str] = field(default_factory=dict)
    focus: str = ""

    def one(self, name: str) -> str:
        """Return what a field holds."""
        return one(self.sent, name)

    def has(self, name: str) -> bool:
        """Tell whether a field was sent."""
        return name in self.sent

    def checked(self, name: str, number: int) -> bool:
        """Tell whether an option is chosen."""
        return str(number) in self.sent.get(name, ())

    def rows(self, part: Rows, name: str) -> int:
        """Return how many rows a list has."""
        return rows_of(part, self.sent, name)

    def fault(self, name: str) -> str:
        """Return what is wrong with a part."""
        return self.faults.get(name, "")

    def first(self, name: str) -> bool:
        """Tell whether a part is the one to look at first."""
        return name == (self.focus or next(iter(self.faults), ""))


def form_of(question: RequestDocument) -> Part | None:
    """Return the parts of a question's form; None for one whose answer is one field."""
    if question.data_type != "json" or question.choices or not question.json_schema:
        return None
    return _planned(json.dumps(question.json_schema))


def parts_form(
    question: RequestDocument,
    sent: Mapping[str, Sequence[str]] | None = None,
    wrong: Sequence[PartFault] = (),
    focus: str = "",
) -> PartsForm | None:
    """Return the form of a question's parts; None for one whose answer is one field.

    Args:
        question: The question.
        sent: What was typed so far. None: nothing yet, so what is proposed, or the default, is filled in.
        wrong: What is wrong with it.
        focus: The part to look at first.
    """
    part = form_of(question)
    if part is None:
        return None
    if sent is None:
        first = initial(question)
        value: Maybe = MISSING if first is None else json.loads(first)
        sent = filled(part, value)
    faults: dict[str, str] = {}
    for name, why in wrong:
        faults.setdefault(name, why)
    return PartsForm(part, sent, faults, focus)


def stepped(question: RequestDocument, sent: Mapping[str, Sequence[str]], step: str) -> PartsForm | None:
    """Return the form after one of its buttons was pressed; None where it has no such button."""
    after = None if form_of(question) is None else changed(sent, step)
    if after is None:
        return None
    verb, _, name = step.partition(" ")
    if verb == "add":
        name = f"{name}/{int(after[f'{name}~rows'][0]) - 1}"
    elif verb == "remove":
        name = name.rpartition("/")[0]
    return parts_form(question, after, focus=name)


def hint_of(part: Line) -> str:
    """Return how a field's value is written."""
    if part.kind == "int":
        hint = range_of(part.schema, "A whole number")
    elif part.kind == "number":
        hint = range_of(part.schema, "A number") + POINT
    else:
        hint = _HINTS.get(part.kind, _HINTS_OF_FORMAT.get(str(part.schema.get("format")), ""))
    if not part.required and part.default not in (MISSING, None, ""):
        usual = part.default if isinstance(part.default, str) else format_value("json", part.default)
        hint = f"{hint}. Left empty: {usual}".removeprefix(". ")
    return hint


def shape(part: Part) -> str:
    """Return a part's kind, for the template."""
    return type(part).__name__.lower()


FILTERS: Final = {
    "below": below,
    "hint_of": hint_of,
    "options_of": options_of,
    "parts_inside": parts_inside,
    "shape": shape,
}


@lru_cache(maxsize=_KEPT_FORMS)
def _planned(schema: str) -> Part | None:
    part = plan(json.loads(schema))
    # A field of text holds any JSON; what is always the same needs no form.
    return None if isinstance(part, Raw | Constant) else part
