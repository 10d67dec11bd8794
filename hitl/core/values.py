"""Data types: Python type, type name, text and JSON, and the one way between them.

An answer arrives as text (a form, ``kubectl``, a commit) or as JSON (the API). Both end in the same Python
value, or in an `InvalidValue` with a sentence for the respondent. Nothing is guessed: ``maybe`` is no bool,
``4.5`` no int, ``1,000`` neither 1 nor 1000, and what a double or an int64 cannot hold is refused rather than
rounded.
"""

from __future__ import annotations

import json
import re
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias, TypeGuard, get_args

from pydantic import JsonValue

from hitl.core.strictjson import check_depth, double, encodable, finite, read_json, shortened
from hitl.core.strictjson import show as _show
from hitl.core.text import is_blank
from hitl.errors import InvalidRequest, InvalidValue

DataType: TypeAlias = Literal["int", "float", "bool", "str", "json"]
Value: TypeAlias = JsonValue

DATA_TYPES: Final[tuple[DataType, ...]] = get_args(DataType)
MAX_VALUE_CHARS: Final = 65_536
INT64_MIN: Final = -(2**63)
INT64_MAX: Final = 2**63 - 1

DECIMAL: Final = r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?"
"""A decimal number as a person types one, and as Python writes one."""
_INT = re.compile(r"[+-]?[0-9]+\Z", re.ASCII)
_FLOAT = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?\Z", re.ASCII)
# A comma that can only stand before decimals: what has three digits behind it may be a thousand.
_DECIMAL_COMMA = re.compile(r"[+-]?(0|[0-9]{4,}),[0-9]+\Z|[+-]?[0-9]+,([0-9]{1,2}|[0-9]{4,})\Z", re.ASCII)
# What word processors and web pages print before a negative number. No other dash is read as a minus.
_MINUS_SIGN: Final = "\u2212"
# Made once: `json.dumps` makes one at each call that wants anything else than its own ways.
_canonical: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


class NoJsonType(InvalidRequest):
    """A type that JSON knows nothing of; pydantic may know it."""


def type_name(data_type: Any) -> DataType:
    """Return the name of a Python type, or of a type name.

    Args:
        data_type: ``int``, ``float``, ``bool``, ``str``, one of their names, or what JSON can hold as a whole:
            ``dict``, ``list``, their generic forms (see `hitl.core.jsontypes`), ``None``, ``Any``, ``"json"``.

    Raises:
        NoJsonType: for any other type.
        InvalidRequest: for any other name.
    """
    scalars: dict[Any, DataType] = {int: "int", float: "float", bool: "bool", str: "str"}
    if isinstance(data_type, str) and data_type in DATA_TYPES:
        return data_type
    if isinstance(data_type, type) and data_type in scalars:
        return scalars[data_type]
    origin = typing.get_origin(data_type) or data_type
    if data_type is Any or data_type is None or any(origin is each for each in (dict, list, types.NoneType)):
        return "json"
    if isinstance(data_type, str):
        raise InvalidRequest(
            f"data_type {shortened(repr(data_type))} is no type: use one of {', '.join(DATA_TYPES)}, "
            "or a type itself"
        )
    raise NoJsonType(f"data_type {shortened(repr(data_type))} is none of JSON's own")


def parse_text(data_type: DataType, text: str, *, empty: bool = False) -> Value:
    """Read a value from text, as a form, ``kubectl`` or a file holds it.

    Blanks around a number or a bool are dropped, no-break blanks too, and the minus sign U+2212 before a number
    is read as ``-``. Separators, decimal commas, units and other digits than 0 to 9 are refused, since what one
    country reads as 1000 is 1 to another.

    Args:
        data_type: The type's name.
        text: What was given.
        empty: Whether nothing at all is a text.

    Raises:
        InvalidValue: when the text is not exactly one value of the type.
    """
    _check_length(text)
    if empty and data_type == "str" and not text:
        return ""
    if is_blank(text):
        raise InvalidValue(f"An answer is needed: {_wanted(data_type)}.")
    match data_type:
        case "int":
            return _int64(_number("int", _INT, text))
        case "float":
            number = _number("float", _FLOAT, text)
            # As in JSON, where -0 is a whole number and so has no sign.
            return double(number, _wanted("float")) if number.strip("+-0") else 0.0
        case "bool":
            if text.strip() not in ("true", "false"):
                raise InvalidValue(f"{_show(text.strip())} is neither true nor false: {_wanted('bool')}.")
            return text.strip() == "true"
        case "str":
            return encodable(text)
        case "json":
            return _parse_json_text(text)


def parse_json(data_type: DataType, value: Value, *, empty: bool = False) -> Value:
    """Read a value that came as JSON. Scalars may also come as their text, as scripts often send them.

    Args:
        data_type: The type's name.
        value: What was given.
        empty: Whether nothing at all is a text.

    Raises:
        InvalidValue: when the value is not of the type.
    """
    if data_type == "json":
        text = format_value("json", value)
        _check_names(value)
        return _parse_json_text(text)
    if isinstance(value, str):
        return parse_text(data_type, value, empty=empty)
    if data_type == "bool" and isinstance(value, bool):
        return value
    if data_type == "int" and isinstance(value, int) and not isinstance(value, bool):
        return _int64(str(value) if abs(value) <= INT64_MAX + 1 else "9" * 20)
    if data_type == "float" and is_number(value):
        try:
            number = finite(float(value), str(value), _wanted("float"))
        except OverflowError as error:
            raise InvalidValue(f"The number is too large: {_wanted('float')}.") from error
        # A whole number is refused like one with a fraction where a double has no room for all its digits.
        return number if number == value else double(str(value), _wanted("float"))
    shown = "nothing" if value is None else shortened(format_value("json", value))
    raise InvalidValue(f"{shown} is not of type {data_type}: {_wanted(data_type)}.")


def format_value(data_type: DataType, value: Value) -> str:
    """Write a value as its one canonical text, which `parse_text` reads back to the same value.

    Raises:
        InvalidValue: when JSON cannot hold the value (NaN, a set, half a surrogate pair).
    """
    if data_type == "str" and isinstance(value, str):
        return encodable(value)
    try:
        return encodable(_canonical(value))
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidValue(f"The value cannot be written as JSON: {error}.") from error


def check_choice(text: str, choices: Sequence[str], labels: Mapping[str, str] | None = None) -> None:
    """Refuse a canonical text that is not among the choices; no choices allow everything.

    Args:
        text: The answer.
        choices: What is offered.
        labels: What people read for some of the choices.

    Raises:
        InvalidValue: naming what was chosen and what is offered.
    """
    if choices and text not in choices:
        named = {choice: f" ({_show(label)})" for choice, label in (labels or {}).items()}
        offered = ", ".join(_show(choice) + named.get(choice, "") for choice in choices[:8])
        more = f" and {len(choices) - 8} more" if len(choices) > 8 else ""
        raise InvalidValue(f"{_show(text)} is not one of the choices: pick one of {offered}{more}.")


def _check_length(text: str) -> None:
    if len(text) > MAX_VALUE_CHARS:
        raise InvalidValue(
            f"The answer has {len(text):,} characters: at most {MAX_VALUE_CHARS:,} are allowed, so shorten it "
            "or answer with a link to it."
        )


def _int64(text: str) -> int:
    digits = text.lstrip("+-").lstrip("0") or "0"
    if len(digits) <= 19:
        number = -int(digits) if text.startswith("-") else int(digits)
        if INT64_MIN <= number <= INT64_MAX:
            return number
    raise InvalidValue(f"{_show(text)} is out of range: a whole number from -2^63 to 2^63-1 is needed.")


def signed(text: str) -> str:
    """Return a number's text with ``-`` in front, where a word processor has put the minus sign U+2212."""
    return "-" + text[1:] if text.startswith(_MINUS_SIGN) else text


def is_number(value: Any) -> TypeGuard[int | float]:
    """Tell whether a value is a number to JSON: to Python, True is one too."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(data_type: DataType, pattern: re.Pattern[str], text: str) -> str:
    text = text.strip()
    number = signed(text)
    if pattern.match(number):
        return number
    if data_type == "int":
        raise InvalidValue(
            f"{_show(text)} is not a whole number: write it in digits, without separators or units, such as 1000."
        )
    if _DECIMAL_COMMA.match(number):
        pointed = shortened(number.replace(",", "."))
        raise InvalidValue(f"{_show(text)} is not a number: write {pointed} with a point, without separators.")
    raise InvalidValue(
        f"{_show(text)} is not a number: write it with a point, without separators or units, such as 1234.5."
    )


def _parse_json_text(text: str) -> Value:
    _check_length(text)
    value = read_json(text)
    check_depth(value)
    # 1e15 is written as 1000000000000000.0: what is kept may be longer than what was typed.
    _check_length(format_value("json", value))
    return value


def _check_names(value: Any) -> None:
    """Refuse names that are no text: Python would write 1 as "1", and another value would come back."""
    left = [value]
    while left:
        part = left.pop()
        if isinstance(part, Mapping):
            for name in part:
                if not isinstance(name, str):
                    raise InvalidValue(
                        f"The name {shortened(repr(name))} is no text, as every name in JSON is: write it as text."
                    )
            left.extend(part.values())
        elif isinstance(part, list | tuple):
            left.extend(part)


def _wanted(data_type: DataType) -> str:
    return {
        "int": "type a whole number such as 42",
        "float": "type a number such as 4.5",
        "bool": "choose true or false",
        "str": "type some text",
        "json": "type a JSON value",
    }[data_type]
