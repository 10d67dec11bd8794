"""JSON Schema, for `json` answers and to narrow a scalar: draft 2020-12, by jsonschema, with bounds.

A schema comes from one person, an answer from another, and both are checked in processes that serve many more.
So nothing is ever fetched, patterns are matched in linear time (by the Rust engine inside pydantic, as Python's
own takes exponential time for some), and a check that would take too long is given up with a sentence.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from functools import lru_cache, wraps
from itertools import islice
from typing import Annotated, Any, Final

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.validators import extend
from pydantic import Field, JsonValue, TypeAdapter
from pydantic_core import SchemaError as PatternError
from pydantic_core import ValidationError as NoMatch
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from hitl.errors import InvalidRequest, InvalidValue

MAX_SCHEMA_CHARS: Final = 65_536
MAX_PATTERN_CHARS: Final = 1_024
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

_MAX_FAULTS = 20
# About a second of one core. An answer of the largest size against an ordinary schema takes a fifth of it.
_MAX_STEPS = 200_000
_REFERENCES = ("$ref", "$dynamicRef")
_REFERENCE_STEPS = 4

_Keyword = Callable[[Any, Any, Any, Any], Iterable[ValidationError] | None]
_steps_left: ContextVar[list[int]] = ContextVar("steps_left")


class _TooMuchWork(Exception):
    pass


def check_schema(schema: Mapping[str, JsonValue]) -> None:
    """Refuse what is no JSON Schema, or one that cannot be checked within bounds.

    Refused besides what the metaschema refuses: references to anything outside the schema, other drafts,
    `patternProperties` (use `propertyNames` with a `pattern`), and patterns with look-around or back-references.
    `format` is a note for people; it is not checked.

    Raises:
        InvalidRequest: saying where the schema is wrong.
    """
    _validator(_as_text(schema))


def check_value(schema: Mapping[str, JsonValue], value: JsonValue) -> None:
    """Refuse a value that the schema does not allow.

    Raises:
        InvalidValue: its `details` hold one sentence for each fault, at most 20.
        InvalidRequest: when the schema itself is refused, see `check_schema`.
    """
    validator = _validator(_as_text(schema))
    token = _steps_left.set([_MAX_STEPS])
    try:
        found = list(islice(validator.iter_errors(value), _MAX_FAULTS))
    except RecursionError as error:
        raise InvalidValue("The value is nested too deeply for the schema: flatten it.") from error
    except _TooMuchWork as error:
        raise InvalidValue(
            "Checking the value against the schema takes too long: give a shorter value, or ask with a "
            "simpler schema."
        ) from error
    except OverflowError as error:
        raise InvalidValue("The value holds a number that is too large for the schema's arithmetic.") from error
    finally:
        _steps_left.reset(token)
    if found:
        found.sort(key=lambda error: [str(part) for part in error.path])
        faults = tuple(f"{_place(error)}: {_short(error.message)}" for error in found)
        raise InvalidValue(f"The value does not fit the schema: {faults[0]}.", faults)


def _as_text(schema: Mapping[str, JsonValue]) -> str:
    try:
        text = json.dumps(schema, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InvalidRequest(f"the schema cannot be written as JSON: {error}") from error
    except RecursionError as error:
        raise InvalidRequest("the schema is nested too deeply") from error
    if len(text) > MAX_SCHEMA_CHARS:
        raise InvalidRequest(f"the schema has {len(text):,} characters: at most {MAX_SCHEMA_CHARS:,} are allowed")
    return text


@lru_cache(maxsize=256)
def _validator(text: str) -> Any:
    schema = json.loads(text)
    if not isinstance(schema, dict):
        raise InvalidRequest("the schema is no object")
    dialect = schema.pop("$schema", DIALECT)
    if str(dialect).rstrip("#") != DIALECT:
        raise InvalidRequest(f"the schema is written for {dialect!r}: write it for {DIALECT}")
    # Every reference begins with "#", so nothing needs the schema's own name.
    schema.pop("$id", None)
    try:
        _check_meta(schema)
        _check_parts(schema)
        return _Bounded(schema, registry=Registry())
    except RecursionError as error:
        raise InvalidRequest("the schema is nested too deeply") from error


def _check_meta(schema: Any) -> None:
    try:
        Draft202012Validator.check_schema(schema, format_checker=FormatChecker(formats=()))
    except SchemaError as error:
        raise InvalidRequest(
            f"the schema is no JSON Schema: at {_place(error)}: {_short(error.message)}"
        ) from error


def _check_parts(schema: dict[str, Any]) -> None:
    resolver = Registry().resolver_with_root(DRAFT202012.create_resource(schema))
    for part in _objects(schema):
        for name in ("$schema", "$id"):
            if isinstance(part.get(name), str):
                raise InvalidRequest(f"the schema has {name} {part[name]!r} inside: leave it out")
        if isinstance(part.get("patternProperties"), dict):
            raise InvalidRequest(
                "the schema has patternProperties, which is not served: use propertyNames with a pattern"
            )
        if isinstance(part.get("pattern"), str):
            _pattern(part["pattern"])
        for reference in (part[name] for name in _REFERENCES if isinstance(part.get(name), str)):
            if not reference.startswith("#"):
                raise InvalidRequest(
                    f"the schema refers to {reference!r}, and nothing is fetched: put it under $defs"
                )
            try:
                target = resolver.lookup(reference).contents
            except Unresolvable as error:
                raise InvalidRequest(f"the schema refers to {reference!r}, which it does not hold") from error
            # A reference may lead to where the metaschema expects no schema, such as into a default.
            _check_meta(target)


def _objects(content: Any) -> Iterator[dict[str, Any]]:
    left = [content]
    while left:
        part = left.pop()
        if isinstance(part, dict):
            yield part
            left.extend(part.values())
        elif isinstance(part, list):
            left.extend(part)


@lru_cache(maxsize=1024)
def _pattern(pattern: str) -> TypeAdapter[str]:
    if len(pattern) > MAX_PATTERN_CHARS:
        raise InvalidRequest(
            f"a pattern of the schema has {len(pattern):,} characters: at most {MAX_PATTERN_CHARS:,} are allowed"
        )
    try:
        return TypeAdapter(Annotated[str, Field(pattern=pattern)])
    except PatternError as error:
        why = str(error).strip().splitlines()[-1].removeprefix("error: ")
        raise InvalidRequest(f"the schema's pattern {_short(pattern)!r} cannot be used: {why}") from error


def _spend(steps: int) -> None:
    left = _steps_left.get()
    left[0] -= steps
    if left[0] < 0:
        raise _TooMuchWork


def _bounded(name: str, keyword: _Keyword) -> _Keyword:
    price = _REFERENCE_STEPS if name in _REFERENCES else 1

    @wraps(keyword)
    def check(validator: Any, argument: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        _spend(price + (len(argument) if isinstance(argument, list | dict) else 0))
        for error in keyword(validator, argument, instance, schema) or ():
            # A fault's message holds the whole of what is at fault.
            _spend(len(error.message) // 64)
            yield error

    return check


def _matches(_validator: Any, pattern: str, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    if not isinstance(instance, str):
        return
    _spend(len(instance) // 16)
    try:
        _pattern(pattern).validate_python(instance)
    except NoMatch:
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _unique(_validator: Any, wanted: bool, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    if not wanted or not isinstance(instance, list):
        return
    seen: set[str] = set()
    for item in instance:
        text = json.dumps(_plain(item), sort_keys=True)
        _spend(1 + len(text) // 64)
        if text in seen:
            yield ValidationError(f"{item!r} is there twice")
            return
        seen.add(text)


def _plain(value: Any) -> Any:
    """Return a value in which equal numbers are equal texts: to JSON Schema, 1.0 is 1."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return value


_Bounded: Any = extend(  # type: ignore[no-untyped-call]  # its stubs leave it untyped
    Draft202012Validator,
    {
        name: _bounded(name, keyword)
        for name, keyword in {
            **Draft202012Validator.VALIDATORS,
            "pattern": _matches,
            "uniqueItems": _unique,
        }.items()
    },
)


def _place(error: ValidationError | SchemaError) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.path) or "the value"


def _short(message: str) -> str:
    return message if len(message) <= 300 else message[:299] + "…"
