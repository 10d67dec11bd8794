"""Values with labels: what people read of each, and which of them is meant by what somebody types to search."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Final, TypeAlias, TypeVar

from pydantic import JsonValue

from hitl.errors import printable

Offer: TypeAlias = tuple[str, str]
"""A value as its canonical text, and its label."""

_MOST_TIMES: Final = 3
_V = TypeVar("_V", bound=JsonValue)


def told_apart(options: Sequence[tuple[str, _V]]) -> list[tuple[str, _V]]:
    """Return options, each with its label, so that no two labels are equal: only the values tell those apart.

    Args:
        options: Labels and values.
    """
    found = list(options)
    for write in (plainly, *(_as_json for _ in range(_MOST_TIMES))):
        seen = Counter(label for label, _ in found)
        if len(seen) == len(found):
            break
        found = [
            (label if seen[label] == 1 or label == write(value) else f"{label} ({write(value)})", value)
            for label, value in found
        ]
    return found


def plainly(value: JsonValue) -> str:
    """Return a value without a title as people read it."""
    return value if isinstance(value, str) else _as_json(value)


def _as_json(value: JsonValue) -> str:
    return json.dumps(value, ensure_ascii=False)


def told(offers: Sequence[Offer], text: str) -> str:
    """Return a value as people read it: its label, and the value behind it where the label is another."""
    label = dict(offers).get(text, text)
    return label if label == text or label.endswith(f"({text})") else f"{label} ({text})"


def folded(text: str) -> str:
    """Return a text without what people do not mind when they search: blanks and capitals."""
    return " ".join(text.split()).casefold()


def exact(texts: Sequence[str]) -> bool:
    """Tell whether texts arrive as they are when somebody types them, and are told apart then."""
    plain = all(printable(each) == each == " ".join(each.split()) for each in texts)
    return plain and len({folded(each) for each in texts}) == len(texts)


def searchable(offers: Sequence[Offer]) -> bool:
    """Tell whether what is typed to search, a label or a value, means one offer at most."""
    labels, values = [label for _, label in offers], [text for text, _ in offers]
    if not exact(labels):
        return False
    of_label = {folded(label): text for text, label in offers}
    return all(of_label.get(folded(value), value) == value for value in values)


def found(offers: Sequence[Offer], typed: str) -> str | None:
    """Return the value of the offer that was typed, as its label or as the value itself; None: it is none."""
    wanted = folded(typed)
    for text, label in offers:
        if typed == text or folded(label) == wanted:
            return text
    return next((text for text, _ in offers if folded(text) == wanted), None)
