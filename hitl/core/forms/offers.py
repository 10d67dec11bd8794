"""The values of which an answer is one, each with the label under which people see it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final, TypeAlias

from hitl.core.forms.parts import Choice
from hitl.core.forms.plan import plan
from hitl.core.question import Asked
from hitl.core.text import printable
from hitl.core.values import format_value, parse_json
from hitl.errors import InvalidValue

Offer: TypeAlias = tuple[str, str]
"""A value as its canonical text, and its label."""

# Without one of them, a schema lists no values.
_LISTING: Final = ("enum", "const", "oneOf", "anyOf", "allOf", "$ref")


def offered(asked: Asked) -> tuple[Offer, ...]:
    """Return what a question offers, in its order; empty: its answer is none of a few.

    Args:
        asked: The question, as stored: its choices, or what its schema lists, with a title for each or without.
    """
    if asked.choices:
        given = [(text, asked.choice_labels.get(text, text)) for text in asked.choices]
    elif asked.data_type in ("json", "bool") or not any(each in (asked.json_schema or {}) for each in _LISTING):
        return ()
    else:
        given = _listed(asked)
    # Where two labels are equal, only the values tell them apart.
    seen = Counter(label for _, label in given)
    return tuple((text, label if seen[label] == 1 else f"{label} ({text})") for text, label in given)


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


def _listed(asked: Asked) -> list[Offer]:
    part = plan(asked.json_schema or {})
    if not isinstance(part, Choice) or part.nullable:
        return []
    given: dict[str, str] = {}
    for label, value in part.options:
        try:
            text = format_value(asked.data_type, parse_json(asked.data_type, value))
        except InvalidValue:
            # The schema lists what the type does not take.
            continue
        given.setdefault(text, label)
    return list(given.items())
