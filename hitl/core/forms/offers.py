"""The values of which an answer is one, each with the label under which people see it."""

from __future__ import annotations

from typing import Final

from hitl.core.asked import Asked
from hitl.core.forms.labels import Offer, told_apart
from hitl.core.forms.parts import Choice
from hitl.core.forms.plan import plan
from hitl.core.values import format_value, parse_json
from hitl.errors import InvalidValue

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
    return tuple((text, label) for label, text in told_apart([(label, text) for text, label in given]))


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
