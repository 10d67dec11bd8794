"""What a form holds, by the names of its fields: of a value, and as a value again.

A field is named by the place of its value, a JSON Pointer behind ``v``: ``v/address/street``, ``v/tags/0``. What
is no value has a name with a tilde behind that of its part::

    v/tags~rows      how many rows there are
    v/address~on     an optional part is there
    v/shape~of       which alternative is chosen; its own fields are below v/shape~0, v/shape~1, …
    v/name~empty     what is empty is a value, and not "no answer"

No step loses anything: what was typed into a part that is not chosen is a fault, until it is cleared. So is a
field that has no place in the form, that is sent twice, or that names an option or a row that is none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from pydantic import JsonValue

from hitl.core.forms.held import holds
from hitl.core.forms.labels import folded, found
from hitl.core.forms.names import ON, ROOT, Sent, below, place_of
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
)
from hitl.core.forms.places import in_order
from hitl.core.forms.received import Received
from hitl.core.forms.rules import group_faults, list_faults
from hitl.core.forms.texts import WANTED, read_line, text_of
from hitl.core.strictjson import read_json, show
from hitl.core.text import ascii_controls
from hitl.core.values import format_value
from hitl.errors import InvalidValue

YES_NO: Final[tuple[tuple[str, JsonValue], ...]] = (("Yes", True), ("No", False))
_CHOOSE: Final = "Choose one."
_CHOOSE_SOME: Final = "Choose from the answers that are shown."


def options_of(part: Part) -> tuple[tuple[str, JsonValue], ...]:
    """Return what a part offers, each value with its label."""
    return part.options if isinstance(part, Choice | Several) else YES_NO


def filled(part: Part, value: Maybe = MISSING, name: str = ROOT) -> dict[str, list[str]]:
    """Return the form that shows a value; without one, that of the schema's defaults."""
    return {key: list(texts) for key, texts in _filled(part, value, name)}


def read(part: Part, sent: Sent, name: str = ROOT) -> tuple[Maybe, list[PartFault]]:
    """Return the value of a form, and what is wrong with it; the value counts only when nothing is."""
    faults: list[PartFault] = []
    received = Received(sent)
    value = _Reader(received, faults).value(part, name)
    # A part with a fault may not have been read to its end.
    left = None if faults else received.left_over()
    if left is not None:
        why = f"The field {show(left)} has no place in this form: nothing was recorded. Leave it out."
        return MISSING, [PartFault(name, why)]
    return value, in_order(faults, sent)


def _filled(part: Part, value: Maybe, name: str, new: bool = False) -> Iterator[tuple[str, Sequence[str]]]:
    # A row that is new has no new rows in itself: what holds itself would have no end.
    if value is MISSING:
        value = part.default
    if value is MISSING and isinstance(part, Group) and not part.optional:
        value = {}
    match part:
        case Line():
            text = "" if value is MISSING else text_of(value, part.kind)
            yield name, [text]
            if value == "":
                yield f"{name}~empty", [ON]
        case Raw():
            yield (
                name,
                ["" if value is MISSING or (value is None and part.nullable) else _as_json(value)],
            )
        case Choice() if part.searched:
            yield name, [label for label, each in part.options if same(each, value)][:1] or [""]
        case Flag() | Choice():
            yield (
                name,
                [str(number) for number, (_, each) in enumerate(options_of(part)) if same(each, value)][:1],
            )
        case Several():
            chosen = value if isinstance(value, list) else []
            yield name, [str(n) for n, (_, each) in enumerate(part.options) if any(same(each, v) for v in chosen)]
            if value == []:
                yield f"{name}~empty", [ON]
        case Rows():
            rows = value if isinstance(value, list) else []
            least = part.least if value is MISSING else 0
            yield f"{name}~rows", [str(max(len(rows), least))]
            if value == []:
                yield f"{name}~empty", [ON]
            for number, row in enumerate(rows):
                yield from _filled(part.item, row, below(name, number))
            for number in range(0 if new else least):
                yield from _filled(part.item, MISSING, below(name, number), new=True)
        case Group() | Fixed():
            yield from _filled_inside(part, value, name, new)
        case OneOf():
            chosen_one = branch_of(part, value)
            yield f"{name}~of", [] if chosen_one is None else [str(chosen_one)]
            if chosen_one is not None:
                yield from _filled(part.branches[chosen_one][1], value, f"{name}~{chosen_one}")


def _filled_inside(part: Group | Fixed, value: Maybe, name: str, new: bool) -> Iterator[tuple[str, Sequence[str]]]:
    there = isinstance(value, dict | list)
    if part.optional:
        if not there:
            return
        yield f"{name}~on", [ON]
    for key, inside in parts_inside(part):
        yield from _filled(inside, value_inside(value, key), below(name, key), new)


def parts_inside(part: Group | Fixed) -> list[tuple[str | int, Part]]:
    """Return the parts of a part, each with its name or its place."""
    return list(part.fields) if isinstance(part, Group) else list(enumerate(part.items))


def value_inside(value: Maybe, key: str | int) -> Maybe:
    """Return what a value has under the name or at the place of a part; `MISSING` for nothing."""
    if isinstance(value, dict):
        return value.get(str(key), MISSING)
    return value[key] if isinstance(value, list) and isinstance(key, int) and key < len(value) else MISSING


def branch_of(part: OneOf, value: Maybe) -> int | None:
    """Return which alternative a value is; None for none."""
    if value is MISSING or value is None:
        return None
    held: int | None = None
    for number, (_, branch) in enumerate(part.branches):
        again, faults = read(branch, filled(branch, value))
        if faults or again is MISSING:
            continue
        if same(again, value):
            return number
        # What leaves out a name that has a default is sent back with it.
        if held is None and holds(again, value):
            held = number
    return held


def same(one: Maybe, other: Maybe) -> bool:
    """Tell whether two values are the same JSON: true is not 1."""
    if one is MISSING or other is MISSING:
        return one is other
    return format_value("json", one) == format_value("json", other)


def _as_json(value: JsonValue) -> str:
    # Written without what a field would not send back.
    return ascii_controls(format_value("json", value))


class _Reader:
    def __init__(self, received: Received, faults: list[PartFault]) -> None:
        # Loaded when somebody answers: it takes as long as everything else that a form needs.
        from hitl.core.schema.check import BUDGET
        from hitl.core.schema.work import Work

        self._received = received
        self._faults = faults
        # All fields share what one check may cost: a form has some hundred.
        self._work = Work(BUDGET)

    def value(self, part: Part, name: str) -> Maybe:
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
        if text == "" and part.kind in ("text", "long") and was_empty:
            return ""
        if not text.strip() and (part.kind not in ("text", "long") or text == ""):
            return self._nothing(part, name, WANTED[part.kind])
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
