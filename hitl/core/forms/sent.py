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
from typing import TYPE_CHECKING

from pydantic import JsonValue

from hitl.core.forms.held import holds
from hitl.core.forms.names import ON, ROOT, Sent, below
from hitl.core.forms.parts import (
    MISSING,
    Choice,
    Fixed,
    Flag,
    Group,
    Line,
    Maybe,
    OneOf,
    Part,
    Raw,
    Rows,
    Several,
    options_of,
    parts_inside,
)
from hitl.core.forms.reading import PART_UNITS, read, shared
from hitl.core.forms.texts import text_of
from hitl.core.text import ascii_controls
from hitl.core.values import format_value

if TYPE_CHECKING:
    from hitl.core.schema.work import Work


def filled(part: Part, value: Maybe = MISSING, name: str = ROOT, work: Work | None = None) -> dict[str, list[str]]:
    """Return the form that shows a value; without one, that of the schema's defaults.

    Args:
        part: What the form is made of.
        value: The value.
        name: The name of its field.
        work: What it may cost to find which alternatives the value is; None: what every check may.

    Raises:
        TakesTooLong: it costs more.
    """
    from hitl.core.schema.check import TakesTooLong
    from hitl.core.schema.work import TooMuchWork

    try:
        return _form_of(part, value, name, shared(work))
    except TooMuchWork as error:
        raise TakesTooLong("The value has too many parts for a form: give it as JSON.") from error


def _form_of(part: Part, value: Maybe, name: str, work: Work) -> dict[str, list[str]]:
    return {key: list(texts) for key, texts in _filled(part, value, name, work)}


def _filled(
    part: Part, value: Maybe, name: str, work: Work, new: bool = False
) -> Iterator[tuple[str, Sequence[str]]]:
    work.spend(PART_UNITS)
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
                yield from _filled(part.item, row, below(name, number), work)
            for number in range(0 if new else least):
                yield from _filled(part.item, MISSING, below(name, number), work, new=True)
        case Group() | Fixed():
            yield from _filled_inside(part, value, name, work, new)
        case OneOf():
            chosen_one = branch_of(part, value, work)
            yield f"{name}~of", [] if chosen_one is None else [str(chosen_one)]
            if chosen_one is not None:
                yield from _filled(part.branches[chosen_one][1], value, f"{name}~{chosen_one}", work)


def _filled_inside(
    part: Group | Fixed, value: Maybe, name: str, work: Work, new: bool
) -> Iterator[tuple[str, Sequence[str]]]:
    there = isinstance(value, dict | list)
    if part.optional:
        if not there:
            return
        yield f"{name}~on", [ON]
    for key, inside in parts_inside(part):
        yield from _filled(inside, value_inside(value, key), below(name, key), work, new)


def sends_back(part: Part, sent: Sent, value: JsonValue, work: Work | None = None) -> bool:
    """Tell whether a form that is sent as it is shown means a value: else the form would change it.

    Args:
        part: What the form is made of.
        sent: What it sends.
        value: The value that it shows.
        work: What it may cost; None: what every check may.
    """
    again, wrong = read(part, sent, work=work)
    return not wrong and again is not MISSING and holds(again, value)


def value_inside(value: Maybe, key: str | int) -> Maybe:
    """Return what a value has under the name or at the place of a part; `MISSING` for nothing."""
    if isinstance(value, dict):
        return value.get(str(key), MISSING)
    return value[key] if isinstance(value, list) and isinstance(key, int) and key < len(value) else MISSING


def branch_of(part: OneOf, value: Maybe, work: Work | None = None) -> int | None:
    """Return which alternative a value is; None for none.

    Args:
        part: The alternatives.
        value: The value.
        work: What it may cost to find that; None: what every check may.

    Raises:
        TooMuchWork: it costs more.
    """
    work = shared(work)
    if value is MISSING or value is None:
        return None
    held: int | None = None
    for number, (_, branch) in enumerate(part.branches):
        again, faults = read(branch, _form_of(branch, value, ROOT, work), work=work)
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
