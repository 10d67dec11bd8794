"""Which alternative of a union an answer is: one that its own schema allows.

Pydantic takes more than its JSON Schema says: ``"5"`` is a datetime to it, five seconds after 1970, and 1 is true.
So of ``datetime | str`` it would make a moment of a text, and of ``bool | int`` a bool of a number. The validator
made here leaves out each scalar whose schema the answer does not fit, and lets pydantic choose among the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import product
from typing import Any, Final

from pydantic import JsonValue, TypeAdapter
from pydantic_core import SchemaError, SchemaValidator

from hitl.core.jsontypes import Schema
from hitl.core.typeschemas import schema_of_part
from hitl.errors import InvalidValue

_SCALARS: Final = frozenset(
    (
        *("bool", "date", "datetime", "decimal", "enum", "float", "int", "literal", "str", "time", "timedelta"),
        *("url", "uuid"),
    )
)
# What is not named here may change a value before its parts see it, and is left as it is.
_CONTAINERS: Final = frozenset(
    (
        *("dataclass", "dataclass-args", "dataclass-field", "default", "definitions", "dict", "frozenset"),
        *("function-after", "list", "model", "model-field", "model-fields", "nullable", "set", "tagged-union"),
        *("tuple", "typed-dict", "typed-dict-field"),
    )
)
_INSIDE: Final = ("choices", "definitions", "fields", "items_schema", "schema", "values_schema")
# A union is built for each set of them that an answer may fit.
_MOST_SCALARS: Final = 5


@lru_cache(maxsize=64)
def exact_validator(adapter: TypeAdapter[Any]) -> SchemaValidator | None:
    """Return a validator of the same type whose unions read an answer as it was meant; None: it has no union.

    Args:
        adapter: The type.
    """
    if not _has_union(adapter.core_schema):
        return None
    exact = _exact(adapter.core_schema)
    # Else a model in it would be read by the validator that its class has. Some releases do not know the argument.
    with suppress(TypeError, SchemaError):
        return SchemaValidator(exact, _use_prebuilt=False)
    # Another release of pydantic may write a schema that this does not know.
    with suppress(SchemaError):
        return SchemaValidator(exact)
    return None


def _has_union(part: Any) -> bool:
    if isinstance(part, Mapping):
        return part.get("type") == "union" or any(map(_has_union, part.values()))
    return isinstance(part, list | tuple) and any(map(_has_union, part))


def _exact(part: Any) -> Any:
    if isinstance(part, list):
        return [_exact(each) for each in part]
    if not isinstance(part, Mapping):
        return part
    if part.get("type") == "union":
        return _exact_union(part)
    if part.get("type") not in _CONTAINERS:
        return part
    return {**part, **{name: _exact_inside(part[name]) for name in _INSIDE if name in part}}


def _exact_inside(part: Any) -> Any:
    if isinstance(part, Mapping) and not isinstance(part.get("type"), str):
        # The fields of a model, or the choices of a tagged union, by their names. One may be called type.
        return {name: _exact(each) for name, each in part.items()}
    return _exact(part)


def _exact_union(union: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what asks which scalars an answer fits, then takes a union of these and of what is no scalar."""
    # A choice may have a label, which only errors show.
    choices = [_exact(each[0] if isinstance(each, tuple) else each) for each in union["choices"]]
    scalars = [number for number, each in enumerate(choices) if each["type"] in _SCALARS]
    if not 1 <= len(scalars) <= _MOST_SCALARS:
        return {**union, "choices": choices}
    schemas = [schema_of_part(choices[number]) for number in scalars]
    unions: dict[str, Any] = {}
    for kept in product((True, False), repeat=len(scalars)):
        left_out = {number for number, fits in zip(scalars, kept, strict=True) if not fits}
        some = [each for number, each in enumerate(choices) if number not in left_out]
        if some:
            unions[_tag(kept)] = {**union, "choices": some}
    return {"type": "tagged-union", "choices": unions, "discriminator": _fitting(schemas)}


def _fitting(schemas: Sequence[Schema]) -> Callable[[JsonValue], str]:
    return lambda value: _tag([_fits(each, value) for each in schemas])


def _fits(schema: Schema, value: JsonValue) -> bool:
    # Loaded only here: a program that asks for a scalar never needs it.
    from hitl.core.schema import check_value

    try:
        check_value(schema, value)
    except InvalidValue:
        return False
    return True


def _tag(kept: Sequence[bool]) -> str:
    return "".join(str(int(each)) for each in kept)
