"""The form of an answer in parts: what a page shows of each, and which questions have one."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from hitl.core.documents import RequestDocument
from hitl.core.forms import MISSING, Part, PartFault, changed, filled, plan
from hitl.core.forms.held import initial, sent_back
from hitl.core.forms.hints import hint_of
from hitl.core.forms.names import ROOT, below, one, rows_of
from hitl.core.forms.parts import Constant, Fixed, Group, OneOf, Raw, Rows, options_of, parts_inside
from hitl.core.forms.sent import sends_back
from hitl.core.forms.weight import MAX_CHARS_LATER, fits_a_page
from hitl.core.jsontypes import json_example
from hitl.errors import InvalidValue
from hitl_webapp.fields import keyboard_of
from hitl_webapp.problems import BadInput

if TYPE_CHECKING:
    from hitl.core.schema.work import Work

_KEPT_FORMS: Final = 256
# Fewer than a form may send, so that there is room for more rows.
_MAX_FIELDS: Final = 1_500


class _Planned(NamedTuple):
    """What a question's form is made of, and what its fields hold at first."""

    part: Part
    first: Mapping[str, Sequence[str]]


# By the schema and by what is filled in. No LRUCache of cachetools: threads use it side by side.
_kept: dict[tuple[str, str | None], _Planned | None] = {}


class PartsForm(NamedTuple):
    """The form of one answer, with what was typed so far.

    Args:
        part: What it is made of.
        sent: What its fields hold.
        faults: What is wrong, by the name of the field.
        focus: The part to look at first; empty: the first fault, if any.
    """

    part: Part
    sent: Mapping[str, Sequence[str]]
    faults: Mapping[str, str] = MappingProxyType({})
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

    def rows(self, name: str) -> int:
        """Return how many rows a list has."""
        return rows_of(self.sent, name)

    def fault(self, name: str) -> str:
        """Return what is wrong with a part."""
        return self.faults.get(name, "")

    def first(self, name: str) -> bool:
        """Tell whether a part is the one to look at first."""
        return name == (self.focus or next((each for each, _ in self.faulty("")), ""))

    def faulty(self, asked: str) -> list[tuple[str, str]]:
        """Return the parts that are wrong, from the top of the page: the name of each, and what people call it.

        Args:
            asked: What the page calls the whole answer.
        """
        return [each for each in _shown(self.part, self.sent, ROOT, asked) if each[0] in self.faults]


def form_of(question: RequestDocument, work: "Work | None" = None) -> Part | None:
    """Return the parts of a question's form; None for one whose answer is one field.

    Args:
        question: The question.
        work: What it may cost to find that; None: what every check may. What is found is kept.
    """
    planned = _planned(question, work)
    return None if planned is None else planned.part


def parts_form(
    question: RequestDocument,
    sent: Mapping[str, Sequence[str]] | None = None,
    wrong: Sequence[PartFault] = (),
    focus: str = "",
    work: "Work | None" = None,
) -> PartsForm | None:
    """Return the form of a question's parts; None for one whose answer is one field.

    Args:
        question: The question.
        sent: What was typed so far. None: nothing yet, so what is proposed, or the default, is filled in.
        wrong: What is wrong with it.
        focus: The part to look at first.
        work: As `form_of` takes it.
    """
    planned = _planned(question, work)
    if planned is None:
        return None
    part = planned.part
    if sent is None:
        sent = planned.first
    elif not fits_a_page(part, sent, MAX_CHARS_LATER):
        raise BadInput("The form holds more than a page can show: nothing was recorded.")
    faults: dict[str, str] = {}
    for name, why in wrong:
        faults.setdefault(name, why)
    return PartsForm(part, sent, faults, focus)


def stepped(
    question: RequestDocument, sent: Mapping[str, Sequence[str]], step: str, work: "Work | None" = None
) -> PartsForm | None:
    """Return the form after one of its buttons was pressed; None where it has no such button.

    Args:
        question: The question.
        sent: What was typed so far.
        step: What was pressed.
        work: As `form_of` takes it.
    """
    part = form_of(question, work)
    after = None if part is None else changed(part, sent, step, work)
    if part is None or after is None:
        return None
    verb, _, name = step.partition(" ")
    if verb in ("add", "fill") and not fits_a_page(part, after, MAX_CHARS_LATER):
        full = [PartFault(name, "No more fits into this form: answer with less.")]
        return parts_form(question, sent, full, work=work)
    if verb == "add":
        name = f"{name}/{int(after[f'{name}~rows'][0]) - 1}"
    elif verb == "remove":
        name = name.rpartition("/")[0]
    return parts_form(question, after, focus=name, work=work)


def shape(part: Part) -> str:
    """Return a part's kind, for the template."""
    return type(part).__name__.lower()


FILTERS: Final = {
    "below": below,
    "hint_of": hint_of,
    "json_example": json_example,
    "keyboard_of": keyboard_of,
    "options_of": options_of,
    "parts_inside": parts_inside,
    "shape": shape,
}


def _planned(question: RequestDocument, work: "Work | None") -> _Planned | None:
    if question.data_type != "json" or question.choices or not question.json_schema:
        return None
    key = (json.dumps(question.json_schema), initial(question))
    with suppress(KeyError):
        return _kept[key]
    made = _plan(*key, work)
    # What was given up for want of work is found by who has more.
    if work is None or work.left >= 0:
        if len(_kept) >= _KEPT_FORMS:
            _kept.clear()
        _kept[key] = made
    return made


def _plan(schema: str, first: str | None, work: "Work | None") -> _Planned | None:
    part = plan(json.loads(schema))
    # A field of text holds any JSON; what is always the same needs no form.
    if isinstance(part, Raw | Constant):
        return None
    try:
        sent = filled(part, MISSING if first is None else json.loads(first), work=work)
    except InvalidValue:
        return None
    if len(sent) > _MAX_FIELDS or not fits_a_page(part, sent):
        return None
    # A value stays text if the form would change it, such as a list that is longer than its rows.
    return _Planned(part, sent) if first is None or _sends_back(part, sent, first, work) else None


def _sends_back(part: Part, sent: Mapping[str, Sequence[str]], first: str, work: "Work | None") -> bool:
    by_browsers = {name: list(map(sent_back, texts)) for name, texts in sent.items()}
    return sends_back(part, by_browsers, json.loads(first), work)


def _shown(
    part: Part, sent: Mapping[str, Sequence[str]], name: str, label: str, around: str = ""
) -> Iterator[tuple[str, str]]:
    """Yield each part that the template shows, in its order, as `PartsForm.faulty` returns it.

    Args:
        part: The part.
        sent: What its fields hold.
        name: Its name.
        label: What people call it.
        around: What they call the parts around it that are needed to find it, such as the row of a list.
    """
    yield name, f"{around}{label}"
    inside = around if name == ROOT else f"{around}{label}: "
    if isinstance(part, Group | Fixed):
        if not part.optional or f"{name}~on" in sent:
            for key, each in parts_inside(part):
                yield from _shown(each, sent, below(name, key), each.label or str(key), inside)
    elif isinstance(part, Rows):
        for number in range(rows_of(sent, name)):
            yield from _shown(part.item, sent, below(name, number), f"{label} {number + 1}", around)
    elif isinstance(part, OneOf):
        for number, (text, branch) in enumerate(part.branches):
            yield from _shown(branch, sent, f"{name}~{number}", branch.label or text, inside)
