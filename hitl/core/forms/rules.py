"""What a schema asks of a list or an object as a whole, each fault at the part where it is corrected.

No rule here refuses what the schema allows. What else it asks is told by `hitl.core.forms.places`, once the whole
answer is checked.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from pydantic import JsonValue

from hitl.core.forms.hints import count_in
from hitl.core.forms.names import below
from hitl.core.forms.parts import MISSING, Group, Maybe, PartFault, Rows, Several


def list_faults(part: Rows | Several, name: str, values: list[Maybe]) -> Iterator[PartFault]:
    """Find what is wrong with a list: too few, too many, one there twice.

    Args:
        part: The list.
        name: The name of its field.
        values: What each row holds; `MISSING` for one that is wrong in itself.
    """
    least, most = count_in(part.schema, "minItems"), count_in(part.schema, "maxItems")
    count = len(values)
    if least is not None and count < least:
        verb = "Choose" if isinstance(part, Several) else "Add"
        so_far = f": there {_are(count)}" if count else ""
        yield PartFault(name, f"{verb} at least {'one' if least == 1 else f'{least:,}'}{so_far}.")
    elif most is not None and count > most:
        less = f"Choose at most {most:,}" if isinstance(part, Several) else f"Remove {count - most:,}"
        yield PartFault(name, f"{less}: at most {most:,} may be there, and there {_are(count)}.")
    if part.schema.get("uniqueItems") is True and isinstance(part, Rows):
        yield from _twice(name, values)


def group_faults(part: Group, name: str, values: Mapping[str, JsonValue]) -> Iterator[PartFault]:
    """Find what is missing in an object because something else is there.

    Args:
        part: The object.
        name: The name of its field.
        values: What is there.
    """
    rules = part.schema.get("dependentRequired")
    inside = dict(part.fields)
    for cause, names in rules.items() if isinstance(rules, dict) else ():
        if cause in values and isinstance(names, list):
            for other in names:
                if other not in values:
                    label = inside[cause].label if cause in inside else cause
                    place = below(name, other) if other in inside else name
                    yield PartFault(place, f"Fill this in too, as you filled in {label}.")


def _twice(name: str, values: list[Maybe]) -> Iterator[PartFault]:
    first: dict[str, int] = {}
    for number, value in enumerate(values):
        if value is MISSING:
            continue
        text = json.dumps(value, sort_keys=True)
        if text in first:
            yield PartFault(
                below(name, number), f"This is the same as number {first[text] + 1}: change or remove it."
            )
        first.setdefault(text, number)


def _are(count: int) -> str:
    return "is one" if count == 1 else "are none" if count == 0 else f"are {count:,}"
