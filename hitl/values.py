"""Data types: Python type, type name, text and JSON, and the one way between them.

An answer arrives as text (a form, ``kubectl``, a commit) or as JSON (the API). Both end in the same Python
value, or in an `InvalidValue` with a sentence for whoever typed it. Nothing is guessed: ``maybe`` is no bool,
``4.5`` no int, and what a double or an int64 cannot hold is refused rather than rounded.
"""

from __future__ import annotations

import json
import math
import re
import types
import typing
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final, Literal, TypeAlias, get_args

from pydantic import JsonValue

from hitl.errors import InvalidRequest, InvalidValue

DataType: TypeAlias = Literal["int", "float", "bool", "str", "json"]
Value: TypeAlias = JsonValue

DATA_TYPES: Final[tuple[DataType, ...]] = get_args(DataType)
MAX_VALUE_CHARS: Final = 65_536
MAX_JSON_DEPTH: Final = 64
INT64_MIN: Final = -(2**63)
INT64_MAX: Final = 2**63 - 1

_INT = re.compile(r"[+-]?[0-9]+\Z", re.ASCII)
_FLOAT = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?\Z", re.ASCII)
_SHOWN_CHARS = 40
_TOO_DEEP = f"The JSON is nested too deeply: at most {MAX_JSON_DEPTH} levels are allowed, so flatten it."


def type_name(data_type: Any) -> DataType:
    """Return the name of a Python type, or of a type name.

    Args:
        data_type: ``int``, ``float``, ``bool``, ``str``, one of their names, or anything that JSON can hold
            as a whole: ``dict``, ``list``, their generic forms, ``Any``, ``"json"``.

    Raises:
        InvalidRequest: for any other type.
    """
    scalars: dict[Any, DataType] = {int: "int", float: "float", bool: "bool", str: "str"}
    if isinstance(data_type, str) and data_type in DATA_TYPES:
        return data_type
    if isinstance(data_type, type) and data_type in scalars:
        return scalars[data_type]
    origin = typing.get_origin(data_type) or data_type
    if data_type is Any or origin in (dict, list) or (isinstance(origin, type) and origin is types.NoneType):
        return "json"
    raise InvalidRequest(
        f"data_type {data_type!r} is not supported: use int, float, bool, str, or dict, list or 'json' for JSON"
    )


def parse_text(data_type: DataType, text: str) -> Value:
    """Read a value from text, as a form, ``kubectl`` or a file holds it.

    Raises:
        InvalidValue: when the text is not exactly one value of the type.
    """
    _check_length(text)
    if data_type != "str":
        text = text.strip()
    if not text.strip():
        raise InvalidValue(f"An answer is needed: {_wanted(data_type)}.")
    match data_type:
        case "int":
            if not _INT.match(text):
                raise InvalidValue(f"{_show(text)} is not a whole number: {_wanted('int')}.")
            return _int64(text)
        case "float":
            if not _FLOAT.match(text):
                raise InvalidValue(f"{_show(text)} is not a number: {_wanted('float')}.")
            return _double(text)
        case "bool":
            if text not in ("true", "false"):
                raise InvalidValue(f"{_show(text)} is neither true nor false: {_wanted('bool')}.")
            return text == "true"
        case "str":
            return _encodable(text)
        case "json":
            return _parse_json_text(text)


def parse_json(data_type: DataType, value: Value) -> Value:
    """Read a value that came as JSON. Scalars may also come as their text, as scripts often send them.

    Raises:
        InvalidValue: when the value is not of the type.
    """
    if data_type == "json":
        return _parse_json_text(format_value("json", value))
    if isinstance(value, str):
        return parse_text(data_type, value)
    if data_type == "bool" and isinstance(value, bool):
        return value
    if data_type == "int" and isinstance(value, int) and not isinstance(value, bool):
        return _int64(str(value) if abs(value) <= INT64_MAX + 1 else "9" * 20)
    if data_type == "float" and isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return _finite(float(value), str(value))
        except OverflowError as error:
            raise InvalidValue(f"The number is too large: {_wanted('float')}.") from error
    shown = "nothing" if value is None else _shortened(format_value("json", value))
    raise InvalidValue(f"{shown} is not of type {data_type}: {_wanted(data_type)}.")


def read_json(text: str | bytes) -> Value:
    """Read JSON strictly: each name once, numbers that a double holds, at most 64 levels.

    Raises:
        InvalidValue: saying what is wrong.
    """
    try:
        text = text.decode() if isinstance(text, bytes) else text
    except UnicodeDecodeError as error:
        raise InvalidValue("This is not JSON: it is not in UTF-8.") from error
    return _load_json(text)


def format_value(data_type: DataType, value: Value) -> str:
    """Write a value as its one canonical text, which `parse_text` reads back to the same value.

    Raises:
        InvalidValue: when JSON cannot hold the value (NaN, a set, half a surrogate pair).
    """
    if data_type == "str" and isinstance(value, str):
        return _encodable(value)
    try:
        return _encodable(json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")))
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidValue(f"The value cannot be written as JSON: {error}.") from error


def check_choice(text: str, choices: Sequence[str]) -> None:
    """Refuse a canonical text that is not among the choices; no choices allow everything.

    Raises:
        InvalidValue: naming what was chosen and what is offered.
    """
    if choices and text not in choices:
        offered = ", ".join(_show(choice) for choice in choices[:8])
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


def _double(text: str) -> float:
    number = _finite(float(text), text)
    if number == 0 and re.search("[1-9]", re.split("[eE]", text)[0]):
        raise InvalidValue(f"{_show(text)} is too close to zero to be kept: {_wanted('float')}.")
    return number


def _finite(number: float, text: str) -> float:
    if not math.isfinite(number):
        raise InvalidValue(f"{_show(text)} is not a finite number: {_wanted('float')}.")
    return number


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidValue("The answer holds half a character (a lone surrogate): type it again.") from error
    return text


def _parse_json_text(text: str) -> Value:
    _check_length(text)
    value = _load_json(text)
    # 1e15 is written as 1000000000000000.0: what is kept may be longer than what was typed.
    _check_length(format_value("json", value))
    return value


def _load_json(text: str) -> Value:
    try:
        value: Value = json.loads(
            text, parse_constant=_refuse_constant, parse_float=_double, object_pairs_hook=_each_name_once
        )
    except json.JSONDecodeError as error:
        raise InvalidValue(
            f"This is not JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        ) from error
    except RecursionError as error:
        raise InvalidValue(_TOO_DEEP) from error
    except InvalidValue:
        raise
    except ValueError as error:
        # Python bounds the digits of an integer that it reads.
        raise InvalidValue(f"This is not JSON that can be kept: {error}.") from error
    _check_depth(value)
    return value


def _refuse_constant(constant: str) -> float:
    raise InvalidValue(f"{constant} is not JSON: only finite numbers are.")


def _each_name_once(pairs: list[tuple[str, Value]]) -> dict[str, Value]:
    content = dict(pairs)
    if len(content) < len(pairs):
        [(twice, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise InvalidValue(f"The JSON has {_show(twice)} twice in one object: leave one of them out.")
    return content


def _check_depth(value: Value) -> None:
    containers = _containers([value])
    for _ in range(MAX_JSON_DEPTH):
        containers = _containers(
            [inner for outer in containers for inner in (outer.values() if isinstance(outer, dict) else outer)]
        )
        if not containers:
            return
    raise InvalidValue(_TOO_DEEP)


def _containers(values: list[Value]) -> list[dict[str, Value] | list[Value]]:
    return [value for value in values if isinstance(value, dict | list)]


def _wanted(data_type: DataType) -> str:
    return {
        "int": "type a whole number such as 42",
        "float": "type a number such as 4.5",
        "bool": "choose true or false",
        "str": "type some text",
        "json": "type a JSON value",
    }[data_type]


def _show(text: str) -> str:
    return json.dumps(_shortened(text), ensure_ascii=False)


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 1] + "…"
