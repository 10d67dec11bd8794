"""What an author writes, read strictly: an argument of the wrong kind is refused with a helpful message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from numbers import Real
from typing import Any, Final

from hitl.core.jsontypes import Schema
from hitl.core.limits import MAX_ATTEMPTS, MAX_CHOICES, MAX_TIMEOUT_SECONDS
from hitl.core.plain import plain
from hitl.core.strictjson import shortened
from hitl.core.values import DataType, format_value, parse_json
from hitl.errors import InvalidRequest, InvalidValue

# numpy's word for spans of time: finer than microseconds, they become numbers of their own unit.
_NUMPY_SPAN: Final = "m"


def seconds(argument: str, given: object) -> float:
    """Return a number of seconds, over 0 and at most 366 days.

    Args:
        argument: The argument's name.
        given: A number of seconds, or a `timedelta`.

    Raises:
        InvalidRequest: naming the argument.
    """
    number: Any = plain(given, argument)
    if isinstance(number, timedelta):
        number = number.total_seconds()
    elif getattr(getattr(given, "dtype", None), "kind", "") == _NUMPY_SPAN:
        number = None
    if not isinstance(number, Real) or isinstance(number, bool):
        raise InvalidRequest(
            f"{argument} is {shortened(repr(given))}: give a number of seconds, or a datetime.timedelta"
        )
    span: Any = number
    if not 0 < span <= MAX_TIMEOUT_SECONDS:
        raise InvalidRequest(f"{argument} is {shortened(str(given))}: it must be over 0 and at most 366 days")
    return float(span)


def whole_seconds(argument: str, given: object) -> int:
    """Return a whole number of seconds, from 1 to 366 days.

    Args:
        argument: The argument's name.
        given: A number of seconds, or a `timedelta`.

    Raises:
        InvalidRequest: naming the argument.
    """
    span = seconds(argument, given)
    if not span.is_integer():
        raise InvalidRequest(f"{argument} is {shortened(str(given))}: give whole seconds")
    return int(span)


def attempts(given: object) -> int:
    """Return how often a question is asked at most.

    Raises:
        InvalidRequest: for what is no whole number from 1 to 10.
    """
    number = plain(given, "attempts")
    if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number <= MAX_ATTEMPTS:
        raise InvalidRequest(f"attempts is {shortened(repr(given))}: give a whole number from 1 to {MAX_ATTEMPTS}")
    return number


def choices(kind: DataType, given: object) -> list[str]:
    """Return what may be answered, as canonical texts in the order given; none for None.

    Raises:
        InvalidRequest: for what is no list of different values of the type.
    """
    given = plain(given, "choices")
    # An empty tuple stood for "none given" in release 0.1.0.
    if given is None or (isinstance(given, tuple) and not given):
        return []
    if not isinstance(given, Sequence) or isinstance(given, str | bytes | bytearray):
        raise InvalidRequest(
            f"choices is of type {type(given).__name__}, {shortened(repr(given))}: "
            "give a list of values, in the order in which they are shown"
        )
    if not given:
        raise InvalidRequest(
            "choices is empty, so nothing could be chosen: give a list of values, or leave it out"
        )
    if len(given) > MAX_CHOICES:
        raise InvalidRequest(f"choices has {len(given):,} values: give at most {MAX_CHOICES}")
    if kind in ("bool", "json"):
        raise InvalidRequest(f"choices cannot be given with data_type {kind}")
    if all(isinstance(each, list | tuple) and len(each) == 2 for each in given):
        raise InvalidRequest(
            'choices holds pairs: give a mapping, whose values are the labels, such as {"eu": "Europe"}'
        )
    offered = [canonical(kind, choice, "choices") for choice in given]
    if len(set(offered)) != len(offered):
        raise InvalidRequest("choices holds the same value twice")
    return offered


def canonical(kind: DataType, value: Any, argument: str, *, empty: bool = False) -> str:
    """Return a value of the type as its canonical text.

    Args:
        kind: The type's name.
        value: What was given.
        argument: The argument's name.
        empty: Whether nothing at all is a text.

    Raises:
        InvalidRequest: naming the argument, when the value is not of the type.
    """
    try:
        return format_value(kind, parse_json(kind, plain(value, argument), empty=empty))
    except InvalidValue as error:
        raise InvalidRequest(f"{argument}: {error}") from error


def schema(given: Any) -> Schema | None:
    """Return an author's `schema`, after a check that it is a mapping.

    Raises:
        InvalidRequest: for anything else, such as a model's class.
    """
    if given is None:
        return None
    if isinstance(given, Mapping):
        return {name: plain(each, "schema") for name, each in given.items()}
    if hasattr(given, "model_json_schema"):
        raise InvalidRequest(f"schema is the model {given.__name__}: give {given.__name__}.model_json_schema()")
    raise InvalidRequest(f"schema is of type {type(given).__name__}: give a JSON Schema as a dict")
