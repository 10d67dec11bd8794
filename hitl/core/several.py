"""Several of the choices as one answer: a list without repetitions, stored as `json` with a schema of its own."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import JsonValue

from hitl.core.pythontypes import AnswerType, require_usable
from hitl.core.values import parse_text
from hitl.errors import InvalidRequest

_BY_NAME: Final = {"int": int, "float": float, "str": str}


def list_type(data_type: Any) -> Any:
    """Return the type of a list of the type."""
    item = _BY_NAME.get(data_type, data_type) if isinstance(data_type, str) else data_type
    return types.GenericAlias(list, (item,))


def several(data_type: Any, asked: AnswerType, offered: Sequence[str], labels: Mapping[str, str]) -> AnswerType:
    """Return how a question asks for several of its choices.

    Args:
        data_type: The type of one.
        asked: How a question asks for one.
        offered: The choices, as canonical texts.
        labels: What people see instead of a choice.

    Raises:
        InvalidRequest: there are no choices, or the type refuses one.
    """
    if not offered:
        raise InvalidRequest(
            "multiple=True needs choices: give them, or a type that lists them, such as an Enum, or ask for a list"
        )
    values = [parse_text(asked.kind, text) for text in offered]
    for text, value in zip(offered, values, strict=True):
        if asked.pydantic:
            require_usable(data_type, value, f"choice {text!r}")
    items: dict[str, JsonValue] = {"enum": values}
    if labels:
        items = {
            "oneOf": [
                {"const": value, "title": labels.get(text, text)}
                for text, value in zip(offered, values, strict=True)
            ]
        }
    # No earlier release asked for it, so it is asked as what only pydantic knows.
    return AnswerType("json", {"type": "array", "uniqueItems": True, "items": items}, pydantic=True)
