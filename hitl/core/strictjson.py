"""Strict JSON, for input from any source: the body of a program, a file, a form's text, a shell's argument.

Python's own reader takes more than JSON, and changes some of it: the last of two equal names wins, ``1e-400``
becomes 0, ``1e400`` infinity, half a character stays half. Here each of them is refused with a sentence.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from decimal import Decimal
from typing import Final

from pydantic import JsonValue

from hitl.core.text import ascii_controls
from hitl.errors import InvalidValue

MAX_JSON_DEPTH: Final = 64

_SHOWN_CHARS = 40
# As many digits are the same again once they were a double; and no double has more of them when it is written out.
_EXACT_DIGITS: Final = 15
_MOST_DIGITS: Final = 767
# A body of the API holds a value one level down, and the value is counted by itself when it is read.
_MAX_LEVELS: Final = MAX_JSON_DEPTH + 1
_TOO_DEEP: Final = (
    f"The JSON is nested too deeply: at most {MAX_JSON_DEPTH} levels are allowed for a value, so flatten it."
)
_BYTE_ORDER_MARK: Final = "\ufeff"


def read_json(text: str | bytes) -> JsonValue:
    """Read one JSON value, strictly. The caller bounds the length of the text.

    Refused are: bytes that are no UTF-8; a name twice in one object; NaN and Infinity; a number with a fraction or
    an exponent that a double cannot hold, because it is too large, becomes 0 or has too many digits; whole numbers
    of more than 4,300 digits; half a character (a lone surrogate); and more than 65 levels, so that an object may
    hold a value of 64. A byte order mark in front is dropped.

    Args:
        text: The JSON text, or its bytes.

    Raises:
        InvalidValue: with a sentence that says what is wrong, and where it can be told.
    """
    if isinstance(text, bytes):
        try:
            text = text.decode()
        except UnicodeDecodeError as error:
            raise InvalidValue(
                f"This is not JSON: byte {error.start + 1:,} is not UTF-8, so save or send it as UTF-8."
            ) from error
    try:
        value: JsonValue = json.loads(
            text.removeprefix(_BYTE_ORDER_MARK),
            parse_constant=_refuse_constant,
            parse_float=_double,
            object_pairs_hook=_each_name_once,
        )
    except json.JSONDecodeError as error:
        raise InvalidValue(
            f"This is not JSON: {error.msg} at line {error.lineno}, column {error.colno}.{_instead(error)}"
        ) from error
    except RecursionError as error:
        raise InvalidValue(_TOO_DEEP) from error
    except InvalidValue:
        raise
    except ValueError as error:
        # Python bounds the digits of an integer that it reads.
        raise InvalidValue(f"This is not JSON that can be kept: {error}.") from error
    check_depth(value, _MAX_LEVELS)
    # Only an escape or a text that was no UTF-8 to begin with can hold half a character.
    if not text.isascii() or re.search(r"\\u[dD][89a-fA-F]", text):
        encodable(json.dumps(value, ensure_ascii=False))
    return value


def check_depth(value: JsonValue, levels: int = MAX_JSON_DEPTH) -> None:
    """Refuse a value that is nested more deeply than so many levels.

    Raises:
        InvalidValue: naming how many levels a value may have.
    """
    containers = _containers([value])
    for _ in range(levels):
        containers = _containers(
            [inner for outer in containers for inner in (outer.values() if isinstance(outer, dict) else outer)]
        )
        if not containers:
            return
    raise InvalidValue(_TOO_DEEP)


def double(text: str, wanted: str) -> float:
    """Return the number that a decimal text stands for, as a double.

    Args:
        text: A decimal number, with or without an exponent.
        wanted: What would be right, for the sentence.

    Raises:
        InvalidValue: when a double cannot hold it.
    """
    number = finite(float(text), text, wanted)
    if number == 0 and re.search("[1-9]", re.split("[eE]", text)[0]):
        raise InvalidValue(f"{show(text)} is too close to zero to be kept: {wanted}.")
    if len(text) > _EXACT_DIGITS and _is_rounded(text, number):
        raise InvalidValue(
            f"{show(text)} has more digits than can be kept: write {number!r} if that is close enough. A decimal "
            "number keeps all of them when it is sent as a text."
        )
    return number


def _is_rounded(text: str, number: float) -> bool:
    """Tell whether a double stands for another number than the one that was written.

    Programs write a double by as many digits as they like: each such text is that double, and nothing is lost.
    """
    written = Decimal(text)
    digits = min(len(written.as_tuple().digits), _MOST_DIGITS)
    return written not in (Decimal(repr(number)), Decimal(f"{number:.{digits - 1}e}"))


def finite(number: float, text: str, wanted: str) -> float:
    """Return a number that is finite, or refuse it as it was written."""
    if not math.isfinite(number):
        raise InvalidValue(f"{show(text)} is not a finite number: {wanted}.")
    return number


def encodable(text: str) -> str:
    """Return a text that UTF-8 can hold, or refuse it."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidValue("The answer holds half a character (a lone surrogate): type it again.") from error
    return text


def show(text: str) -> str:
    """Return a text in quotes for a sentence, shortened, and safe to print."""
    return ascii_controls(json.dumps(shortened(text), ensure_ascii=False))


def shortened(text: str, most: int = _SHOWN_CHARS) -> str:
    """Return at most so much of a text as a sentence can hold, or as is asked for."""
    return text if len(text) <= most else text[: most - 1] + "…"


def _double(text: str) -> float:
    return double(text, "type a number such as 4.5")


def _refuse_constant(constant: str) -> float:
    raise InvalidValue(f"{constant} is not JSON: only finite numbers are.")


def _each_name_once(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    content = dict(pairs)
    if len(content) < len(pairs):
        [(twice, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise InvalidValue(f"The JSON has {show(twice)} twice in one object: leave one of them out.")
    return content


def _containers(values: list[JsonValue]) -> list[dict[str, JsonValue] | list[JsonValue]]:
    return [value for value in values if isinstance(value, dict | list)]


def _instead(error: json.JSONDecodeError) -> str:
    """Return what to write instead of what is no JSON, with a blank before it; empty where nobody can tell."""
    rest = error.doc[error.pos :]
    if rest.startswith(("True", "False", "None")):
        return " JSON has true, false and null."
    return " Put double quotes around a text." if rest[:1].isalpha() or rest[:1] == "'" else ""
