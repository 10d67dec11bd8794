"""From what a form holds to its value: each field is read, or is a fault."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pydantic import JsonValue

from hitl.core.forms.hints import TEXTS, takes_empty
from hitl.core.forms.labels import folded, found
from hitl.core.forms.names import ROOT, Sent, below, place_of
from hitl.core.forms.parts import (
    MISSING,
    Choice,
    Constant,
    Fixed,
    Flag,
    Group,
    Line,
    Maybe,
    OneOf,
    Part,
    PartFault,
    Raw,
    Rows,
    Several,
    options_of,
    parts_inside,
)
from hitl.core.forms.places import in_order
from hitl.core.forms.received import Received
from hitl.core.forms.rules import group_faults, list_faults
from hitl.core.forms.texts import read_line, text_of, wanted
from hitl.core.strictjson import read_json, show
from hitl.errors import InvalidValue

if TYPE_CHECKING:
    from hitl.core.schema.work import Work

PART_UNITS: Final = 20
"""What looking at a part costs, besides the check of what is in its field, see `hitl.core.schema.work`."""
_CHOOSE: Final = "Choose one."
_CHOOSE_SOME: Final = "Choose from the answers that are shown."
_TOO_LONG: Final = "Reading this form takes too long: answer with less."


def read(part: Part, sent: Sent, name: str = ROOT, work: Work | None = None) -> tuple[Maybe, list[PartFault]]:
    """Return the value of a form, and what is wrong with it; the value counts only when nothing is.

    Args:
        part: What the form is made of.
        sent: What was sent.
        name: The name of its field.
        work: What it may cost; None: what every check may.
    """
    from hitl.core.schema.work import TooMuchWork

    faults: list[PartFault] = []
    received = Received(sent)
    try:
        value = _Reader(received, faults, shared(work)).value(part, name)
    except TooMuchWork:
        return MISSING, in_order(faults, sent) or [PartFault(name, _TOO_LONG)]
    # A part with a fault may not have been read to its end.
    left = None if faults else received.left_over()
    if left is not None:
        why = f"The field {show(left)} has no place in this form: nothing was recorded. Leave it out."
        return MISSING, [PartFault(name, why)]
    return value, in_order(faults, sent)


def shared(work: Work | None) -> Work:
    """Return the budget of a form: what is left of the given one, or what every check may cost."""
    # Loaded when somebody answers: it takes as long as everything else that a form needs.
    from hitl.core.schema import budget

    return work or budget()


class _Reader:
    def __init__(self, received: Received, faults: list[PartFault], work: Work) -> None:
        self._received = received
        self._faults = faults
        # All fields share what one check may cost: a form has some hundred.
        self._work = work

    def value(self, part: Part, name: str) -> Maybe:
        self._work.spend(PART_UNITS)
        try:
            return self._value(part, name)
        except InvalidValue as error:
            return self._fault(name, str(error))

    def _value(self, part: Part, name: str) -> Maybe:
        if self._is_left_out(part, name):
            return MISSING
        match part:
            case Constant():
                return part.value
            case Line():
                return self._line(part, name)
            case Raw():
                return self._raw(part, name)
            case Flag() | Choice():
                return self._choice(part, name)
            case Several():
                return self._several(part, name)
            case Rows():
                return self._rows(part, name)
            case Group() | Fixed():
                return self._inside(part, name)
            case OneOf():
                return self._one_of(part, name)
        raise TypeError(f"{type(part).__name__} is no part of a form")

    def _is_left_out(self, part: Part, name: str) -> bool:
        """Tell whether a program left out a field that every browser sends, and that has a default."""
        if part.required or part.default is MISSING or not isinstance(part, Line | Raw | Rows):
            return False
        sent_as = f"{name}~rows" if isinstance(part, Rows) else name
        return not self._received.has(sent_as)

    def _line(self, part: Line, name: str) -> Maybe:
        text, was_empty = self._received.one(name), self._received.marked(f"{name}~empty")
        was_empty = was_empty or (part.default not in (MISSING, None) and not part.nullable)
        if text == "" and was_empty and takes_empty(part):
            return ""
        if not text.strip() and (part.kind not in TEXTS or text == ""):
            return self._nothing(part, name, wanted(part))
        return read_line(part, text, self._work)

    def _raw(self, part: Raw, name: str) -> Maybe:
        text = self._received.one(name)
        return read_json(text) if text.strip() else self._nothing(part, name, "Enter a JSON value.")

    def _choice(self, part: Flag | Choice, name: str) -> Maybe:
        if isinstance(part, Choice) and part.searched:
            return self._searched(part, name)
        text = self._received.one(name)
        if text == "" and part.optional:
            return self._nothing(part, name, _CHOOSE)
        return self._offered(part, text, _CHOOSE)

    def _searched(self, part: Choice, name: str) -> Maybe:
        typed = self._received.one(name)
        meant = found([(label, label) for label, _ in part.options], typed)
        for label, value in part.options:
            if label == meant or (meant is None and folded(text_of(value)) == folded(typed) != ""):
                return value
        wanted = f"Choose one of the {len(part.options)} answers in the list."
        return self._nothing(part, name, wanted) if not typed.strip() else self._fault(name, wanted)

    def _several(self, part: Several, name: str) -> Maybe:
        texts = [each for each in dict.fromkeys(self._received.all(name)) if each]
        empty = self._received.marked(f"{name}~empty")
        some: list[Maybe] = [self._offered(part, each, _CHOOSE_SOME) for each in texts]
        return self._ruled(part, name, some) if some else self._empty(part, name, empty)

    def _rows(self, part: Rows, name: str) -> Maybe:
        count, empty = self._received.count(name), self._received.marked(f"{name}~empty")
        if count == 0:
            return self._empty(part, name, empty)
        return self._ruled(part, name, [self.value(part.item, below(name, number)) for number in range(count)])

    def _inside(self, part: Group | Fixed, name: str) -> Maybe:
        if part.optional and not self._received.marked(f"{name}~on"):
            return None if part.nullable else MISSING
        found = [(key, self.value(inside, below(name, key))) for key, inside in parts_inside(part)]
        some = [(key, each) for key, each in found if each is not MISSING]
        if isinstance(part, Fixed):
            return [each for _, each in some]
        values = {str(key): each for key, each in some}
        self._faults.extend(group_faults(part, name, values))
        return values

    def _one_of(self, part: OneOf, name: str) -> Maybe:
        text = self._received.one(f"{name}~of")
        number = place_of(text, len(part.branches))
        others = [at for at in range(len(part.branches)) if at != number]
        typed = [at for at in others if self._received.leave_out(f"{name}~{at}")]
        if typed:
            return self._fault(
                name, f"You filled in {part.branches[typed[0]][0]}: choose it, or clear its fields."
            )
        if number is None:
            may = part.optional and text == ""
            return self._nothing(part, name, _CHOOSE) if may else self._fault(name, _CHOOSE)
        return self.value(part.branches[number][1], f"{name}~{number}")

    def _offered(self, part: Part, text: str, wanted: str) -> JsonValue:
        offered = options_of(part)
        number = place_of(text, len(offered))
        if number is None:
            raise InvalidValue(wanted)
        return offered[number][1]

    def _empty(self, part: Several | Rows, name: str, empty: bool) -> Maybe:
        if empty or not part.optional:
            return self._ruled(part, name, [])
        return None if part.nullable else MISSING

    def _ruled(self, part: Several | Rows, name: str, values: list[Maybe]) -> Maybe:
        self._faults.extend(list_faults(part, name, values))
        return [each for each in values if each is not MISSING]

    def _nothing(self, part: Part, name: str, why: str) -> Maybe:
        if part.nullable:
            return None
        return self._fault(name, why) if part.required else MISSING

    def _fault(self, name: str, why: str) -> Maybe:
        self._faults.append(PartFault(name, why))
        return MISSING
