"""Texts inside an answer in which nothing can be seen: refused like a whole answer of which nobody sees anything.

An empty text says that it is empty, and is left to the schema. What the author wrote is taken as it is: a choice,
a default, a text of the proposed value. So is what has no field of its own, as a name and its text in a dict.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from pydantic import JsonValue

from hitl.core.text import is_blank
from hitl.core.values import parse_text
from hitl.errors import InvalidRequest, InvalidValue

if TYPE_CHECKING:
    from hitl.core.forms import Part
    from hitl.core.schema.work import Place, Work

_CHARS_FOR_A_UNIT: Final = 64


def require_seen(
    schema: Mapping[str, Any], value: JsonValue, given: tuple[str | None, ...], work: Work | None = None
) -> None:
    """Refuse an answer that has such a text in a field of its own.

    Args:
        schema: The schema, which the answer fits.
        value: The answer.
        given: What the author gave, as canonical texts.
        work: What finding the fields may cost; None: what every check may.

    Raises:
        InvalidValue: its `details` and `places` name each such text.
    """
    unseen = _blank_texts(value)
    if unseen:
        unseen -= {text for each in given if each is not None for text in _blank_texts(parse_text("json", each))}
    if not unseen:
        return
    # Loaded for such an answer alone: it takes as long as everything else that a program needs.
    from hitl.core.forms import plan
    from hitl.core.schema import budget
    from hitl.core.schema.check import TakesTooLong
    from hitl.core.schema.work import TooMuchWork, path_of, place_text

    try:
        found = list(_Looker(schema, unseen, work or budget()).places(plan(schema), value, None))
    except TooMuchWork as error:
        raise TakesTooLong(
            "Looking for texts that cannot be seen takes too long: give a shorter value."
        ) from error
    if found:
        why = tuple(f"{place_text(at)}: nothing can be seen in this text" for at in found)
        raise InvalidValue(f"The value does not fit: {why[0]}.", why, tuple(tuple(path_of(at)) for at in found))


class _Looker:
    def __init__(self, schema: Mapping[str, Any], unseen: set[str], work: Work) -> None:
        self._definitions = {name: schema[name] for name in ("$defs", "definitions") if name in schema}
        self._unseen = unseen
        self._work = work
        # Looking a schema up costs as much as reading it, for each of a thousand rows.
        self._units = 1 + len(json.dumps(schema)) // _CHARS_FOR_A_UNIT

    def places(self, part: Part, value: JsonValue, at: Place) -> Iterator[Place]:
        """Yield where a text is that nobody sees, and that has a field of its own."""
        from hitl.core.forms.parts import Fixed, Group, Line, OneOf, Rows

        self._work.spend(1)
        match part, value:
            case Line(kind="text" | "long"), str():
                if value in self._unseen and value != part.default:
                    yield at
            case Group(), dict():
                for name, inside in part.fields:
                    if name in value:
                        yield from self.places(inside, value[name], (at, name))
            case Rows(), list():
                for number, each in enumerate(value):
                    yield from self.places(part.item, each, (at, number))
            case Fixed(), list():
                for number, (inside, each) in enumerate(zip(part.items, value, strict=False)):
                    yield from self.places(inside, each, (at, number))
            case OneOf(), _ if _blank_texts(value) & self._unseen:
                yield from self._in_branches([inside for _, inside in part.branches], value, at)

    def _in_branches(self, branches: list[Part], value: JsonValue, at: Place) -> list[Place]:
        """Return where it is in all alternatives that the value is; none where one of them offers the text."""
        found: list[Place] = []
        for branch in branches:
            if self._fits(branch, value):
                found = list(self.places(branch, value, at))
                if not found:
                    break
        return found

    def _fits(self, branch: Part, value: JsonValue) -> bool:
        from hitl.core.schema.check import TakesTooLong, check_value

        self._work.spend(self._units)
        try:
            check_value({**branch.schema, **self._definitions}, value, formats=False, work=self._work)
        except TakesTooLong:
            raise
        except (InvalidValue, InvalidRequest):
            return False
        return True


def _blank_texts(value: JsonValue) -> set[str]:
    found: set[str] = set()
    left = [value]
    while left:
        part = left.pop()
        if isinstance(part, str):
            if part and is_blank(part):
                found.add(part)
        elif isinstance(part, dict):
            left.extend(part.values())
        elif isinstance(part, list):
            left.extend(part)
    return found
