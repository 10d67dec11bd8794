"""Where in a form a fault of the whole answer belongs, and how it is said there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from pydantic import JsonValue

from hitl.core.forms.names import BELOW, ROOT, Sent, below, one, place_of
from hitl.core.forms.parts import Fixed, Group, OneOf, Part, PartFault, Rows
from hitl.errors import InvalidRequest, InvalidValue

if TYPE_CHECKING:
    from hitl.core.schema.work import Work

_DEFINITIONS: Final = ("$defs", "definitions")
_MAX_ALTERNATIVES: Final = 16


def whole_faults(
    part: Part,
    sent: Sent,
    schema: Mapping[str, Any],
    value: JsonValue,
    error: InvalidValue,
    work: Work | None = None,
) -> list[PartFault]:
    """Return what is refused of a whole answer, each fault at its part, in the order of the form.

    Args:
        part: The form.
        sent: What was sent.
        schema: The schema of the whole answer.
        value: The answer as it was read.
        error: What is refused of it.
        work: What it may cost; None: what every check may. When it is spent, no more is said of what is wrong
            inside alternatives.
    """
    # Loaded when somebody answers: it takes as long as everything else that a form needs.
    from hitl.core.schema import budget

    places = _Places(schema, sent, work or budget())
    return in_order(places.placed(part, ROOT, value, error, _MAX_ALTERNATIVES), sent)


def in_order(found: Sequence[PartFault], sent: Sent) -> list[PartFault]:
    """Return faults in the order of the form, which is the order in which a browser sends its fields."""
    wanted = {fault.name for fault in found}
    longest = max(map(len, wanted), default=0)
    order: dict[str, int] = {}
    for number, name in enumerate(sent) if len(found) > 1 else ():
        # A part is where the first field below it is. Names that nobody asked for may be long.
        for end in (each.start() for each in BELOW.finditer(name, 0, longest + 1)):
            if name[:end] in wanted:
                order.setdefault(name[:end], number)
    return sorted(found, key=lambda fault: order.get(fault.name, len(sent)))


class _Places:
    def __init__(self, root: Mapping[str, Any], sent: Sent, work: Work) -> None:
        # All alternatives share it: there may be one in each row.
        self._work = work
        self._definitions = {name: root[name] for name in _DEFINITIONS if name in root}
        self._sent = sent

    def placed(self, part: Part, name: str, value: JsonValue, error: InvalidValue, left: int) -> list[PartFault]:
        """Return each fault of an error at its part."""
        places = error.places or ((),)
        sentences = error.details or (str(error),)
        found: list[PartFault] = []
        for place, why in zip(places, sentences, strict=False):
            found += self._placed(part, name, value, place, why, left)
        return found

    def _faults(
        self, part: Part, name: str, schema: Mapping[str, Any], value: JsonValue, left: int
    ) -> list[PartFault]:
        from hitl.core.schema.check import TakesTooLong, check_value

        try:
            check_value(schema, value, work=self._work)
        except TakesTooLong:
            return []
        except InvalidValue as error:
            return self.placed(part, name, value, error, left)
        except InvalidRequest:
            # A part of a schema that refers to what is beside it is none without it.
            return []
        return []

    def _placed(
        self, part: Part, name: str, value: JsonValue, place: tuple[str | int, ...], why: str, left: int
    ) -> list[PartFault]:
        """Return a fault at the part that its place leads to; of an alternative, what is wrong inside it."""
        if isinstance(part, OneOf):
            number = place_of(one(self._sent, f"{name}~of"), len(part.branches))
            if number is None:
                return [PartFault(name, _plain(why))]
            branch, inside = part.branches[number][1], f"{name}~{number}"
            if place:
                return self._placed(branch, inside, value, place, why, left)
            found = (
                self._faults(branch, inside, {**branch.schema, **self._definitions}, value, left - 1)
                if left
                else []
            )
            return found or [PartFault(name, _plain(why))]
        if not place:
            return [PartFault(name, _plain(why))]
        step, rest = place[0], place[1:]
        match part:
            case Group() if step in (fields := dict(part.fields)) and isinstance(value, dict):
                return self._placed(fields[str(step)], below(name, step), value.get(str(step)), rest, why, left)
            case Rows() if isinstance(step, int) and isinstance(value, list):
                return self._placed(part.item, below(name, step), value[step], rest, why, left)
            case Fixed() if isinstance(step, int) and isinstance(value, list) and step < len(part.items):
                return self._placed(part.items[step], below(name, step), value[step], rest, why, left)
            case _:
                return [PartFault(name, _plain(why, place))]


def _plain(why: str, inside: tuple[str | int, ...] = ()) -> str:
    """Return a fault as a sentence of its own, and where it is inside of its field."""
    # Loaded when somebody answers: it takes as long as everything else that a form needs.
    from hitl.core.schema.work import Place, place_text

    _, colon, message = why.partition(": ")
    at: Place = None
    for step in inside:
        at = (at, step)
    where = f"{place_text(at)}: " if inside else ""
    return f"This does not fit: {where}{message if colon else why}."
