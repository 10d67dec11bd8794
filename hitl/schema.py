"""JSON Schema, for `json` answers and to narrow a scalar: a thin layer over jsonschema.

References are resolved inside the schema alone: nothing is ever fetched.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.validators import validator_for
from pydantic import JsonValue
from referencing import Registry
from referencing.exceptions import Unresolvable

from hitl.errors import InvalidRequest, InvalidValue

MAX_SCHEMA_CHARS: Final = 65_536
_MAX_FAULTS = 20


def check_schema(schema: Mapping[str, JsonValue]) -> None:
    """Refuse what is no JSON Schema.

    Raises:
        InvalidRequest: saying where the schema is wrong.
    """
    text = json.dumps(schema)
    if len(text) > MAX_SCHEMA_CHARS:
        raise InvalidRequest(
            f"the schema has {len(text):,} characters: at most {MAX_SCHEMA_CHARS:,} are allowed"
        )
    try:
        validator_for(schema, default=Draft202012Validator).check_schema(dict(schema))
    except SchemaError as error:
        raise InvalidRequest(f"the schema is no JSON Schema: at {_place(error)}: {error.message}") from error


def check_value(schema: Mapping[str, JsonValue], value: JsonValue) -> None:
    """Refuse a value that the schema does not allow.

    Raises:
        InvalidValue: its `details` hold one sentence for each fault, at most 20.
        InvalidRequest: when the schema refers to something outside itself.
    """
    try:
        found = sorted(
            _validator(json.dumps(schema)).iter_errors(value), key=lambda e: [str(p) for p in e.path]
        )
    except Unresolvable as error:
        raise InvalidRequest(f"the schema refers to what it does not hold: {error.ref}") from error
    except RecursionError as error:
        raise InvalidValue("The value is nested too deeply for the schema: flatten it.") from error
    if found:
        faults = tuple(f"{_place(error)}: {_short(error.message)}" for error in found[:_MAX_FAULTS])
        raise InvalidValue(f"The value does not fit the schema: {faults[0]}.", faults)


@lru_cache(maxsize=256)
def _validator(schema: str) -> Any:
    content = json.loads(schema)
    kind = validator_for(content, default=Draft202012Validator)
    return kind(content, registry=Registry())


def _place(error: ValidationError | SchemaError) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.path) or "the value"


def _short(message: str) -> str:
    return message if len(message) <= 300 else message[:299] + "…"
