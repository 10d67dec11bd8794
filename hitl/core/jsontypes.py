"""The Python types that JSON can hold: which they are, and what JSON Schema says of each.

Read once when a question is asked, and once when its answer is handed over. In between only the schema counts,
which lies in storage with the question, so that every channel refuses what the program could not take.
"""

from __future__ import annotations

import types
import typing
from typing import Any, Final, Literal, TypeAlias

from pydantic import JsonValue

from hitl.core.limits import LARGEST_DOUBLE
from hitl.core.values import DATA_TYPES, INT64_MAX, INT64_MIN, NoJsonType
from hitl.errors import InvalidRequest

Schema: TypeAlias = dict[str, JsonValue]

_SCALARS: Final[dict[Any, Schema]] = {
    int: {"type": "integer", "minimum": INT64_MIN, "maximum": INT64_MAX},
    # A whole number may be longer than a double can hold.
    float: {"type": "number", "minimum": -LARGEST_DOUBLE, "maximum": LARGEST_DOUBLE},
    bool: {"type": "boolean"},
    str: {"type": "string"},
    None: {"type": "null"},
    types.NoneType: {"type": "null"},
    Any: {},
}
# Each level of a type is a level of its schema.
_MAX_LEVELS: Final = 16
_EXAMPLES: Final[dict[str, str]] = {
    "array": "[1, 2, 3]",
    "boolean": "true",
    "integer": "42",
    "null": "null",
    "number": "4.5",
    "object": '{"table": "users", "rows": 3}',
    "string": '"some text"',
}
_UNEVALUATED: Final = ("unevaluatedProperties", "unevaluatedItems")


def type_schema(data_type: Any) -> Schema | None:
    """Return the JSON Schema of a type, or None where the type's name says all: for scalars, "json" and Any.

    Args:
        data_type: What `hitl.core.values.type_name` takes: ``dict``, ``list``, ``dict[str, T]``, ``list[T]`` or
            ``None``, where T is again one of these, int, float, bool, str, Any, a union, or a Literal of texts.

    Raises:
        NoJsonType: for a type that only pydantic may know.
        InvalidRequest: for a type that JSON cannot hold; says what to write instead.
    """
    if data_type is Any or (isinstance(data_type, str) and data_type in DATA_TYPES):
        return None
    if isinstance(data_type, type) and data_type in (int, float, bool, str):
        return None
    return _schema(data_type, data_type, _MAX_LEVELS)


def combined(own: Schema | None, of_type: Schema | None) -> Schema | None:
    """Return the schema that asks for both, the author's own and that of the type, or None for neither.

    The author's stays at the root, where its references lead to what they led to.
    """
    if own is None or of_type is None:
        return of_type if own is None else own
    both = own.get("allOf", [])
    if not isinstance(both, list):
        # It is refused as it stands, when the schema is checked.
        return own
    if any(name in own for name in _UNEVALUATED) and len(of_type) > 1:
        # What the type allows would count as evaluated, and the author's rule would allow everything.
        of_type = {"not": {"not": of_type}}
    return {**own, "allOf": [*both, of_type]}


def json_example(schema: Schema | None) -> str:
    """Return a JSON value as text, of the type that a schema asks for: it shows how such a value is written."""
    also: Any = (schema or {}).get("allOf", [])
    for part in [schema, *also]:
        kind = part.get("type") if isinstance(part, dict) else None
        if isinstance(kind, str) and kind in _EXAMPLES:
            inside = part.get({"array": "items", "object": "additionalProperties"}.get(kind, ""))
            if not isinstance(inside, dict) or not inside:
                return _EXAMPLES[kind]
            shown = json_example(inside)
            if kind == "array":
                return f"[{shown}]"
            # That of an object inside would not fit more than this one.
            return shown if shown == _EXAMPLES["object"] else f'{{"rows": {shown}}}'
    return _EXAMPLES["object"]


def _schema(part: Any, whole: Any, levels: int) -> Schema:
    if levels == 0:
        raise InvalidRequest(f"data_type {_name(whole)} is nested too deeply: use dict, list or 'json'")
    for scalar, schema in _SCALARS.items():
        if part is scalar:
            return dict(schema)
    origin, arguments = typing.get_origin(part) or part, typing.get_args(part)
    if origin is list:
        return {"type": "array"} | _named("items", [_schema(each, whole, levels - 1) for each in arguments])
    if origin is dict:
        if arguments and arguments[0] is not str:
            raise InvalidRequest(
                f"data_type {_name(whole)} has names of type {_name(arguments[0])}, and JSON's names are text: "
                f"use dict[str, {_name(arguments[1])}] and convert the names of the answer"
            )
        inner = [_schema(each, whole, levels - 1) for each in arguments[1:]]
        return {"type": "object"} | _named("additionalProperties", inner)
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [_schema(each, whole, levels - 1) for each in arguments]}
    if origin is Literal and all(isinstance(each, str) for each in arguments):
        return {"enum": list(arguments)}
    raise NoJsonType(f"data_type {_name(whole)} is none of JSON's own, because of {_name(part)}")


def _named(keyword: str, schemas: list[Schema]) -> Schema:
    # An empty schema allows everything, as does its absence.
    return {keyword: schemas[0]} if schemas and schemas[0] else {}


def _name(data_type: Any) -> str:
    if isinstance(data_type, type) and not typing.get_args(data_type):
        return data_type.__name__
    return repr(data_type)
