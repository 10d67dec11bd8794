"""The choices of a question. Several of them as one answer are a list without repetitions, stored as `json`."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import JsonValue

from hitl.core import arguments
from hitl.core.pythontypes import AnswerType, answer_type, offered_values, require_usable
from hitl.core.strictjson import shortened
from hitl.core.text import is_blank
from hitl.core.values import Value, parse_text
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


def answered_with(
    data_type: Any, choices: Sequence[Value] | Mapping[Any, str] | None, multiple: bool
) -> tuple[Any, AnswerType, list[str], dict[str, str]]:
    """Return the type of the answer, how a question asks for it, its choices and their labels.

    Args:
        data_type: The type of one choice, or of the answer.
        choices: As `Question.of` takes them.
        multiple: Whether several of them may be given.

    Raises:
        InvalidRequest: for what is no choice, or no label of one.
    """
    asked = answer_type(data_type)
    offered, labels = _offered(data_type, asked, choices)
    if multiple:
        return list_type(data_type), several(data_type, asked, offered, labels), [], {}
    return data_type, asked, offered, labels


def _offered(
    data_type: Any, asked: AnswerType, choices: Sequence[Value] | Mapping[Any, str] | None
) -> tuple[list[str], dict[str, str]]:
    """Return the choices as canonical texts, and the labels of those that have one."""
    if not isinstance(choices, Mapping):
        return arguments.choices(asked.kind, offered_values(data_type, asked, choices)), {}
    offered = arguments.choices(asked.kind, offered_values(data_type, asked, list(choices)))
    for text, label in zip(offered, choices.values(), strict=True):
        if not isinstance(label, str) or is_blank(label):
            raise InvalidRequest(f"choices: the label of {text!r} is {shortened(repr(label))}: give some text")
    return offered, dict(zip(offered, choices.values(), strict=True))
