"""What is typed into one field, read strictly: as `hitl.core.values` reads a whole answer."""

from __future__ import annotations

import re
from typing import Final

from pydantic import JsonValue

from hitl.core.forms.parts import Line, LineKind
from hitl.core.strictjson import encodable, show
from hitl.core.values import DECIMAL, parse_text, signed
from hitl.errors import InvalidValue

WANTED: Final[dict[LineKind, str]] = {
    "text": "Enter some text.",
    "long": "Enter some text.",
    "int": "Enter a whole number, such as 42.",
    "number": "Enter a number, such as 4.5.",
    "decimal": "Enter a number, such as 4.50.",
    "date": "Enter a date, such as 2026-02-28.",
    "time": "Enter a time, such as 09:30:00.",
    "moment": "Enter a date and a time with its zone, such as 2026-02-28T09:30:00+01:00.",
    "email": "Enter an e-mail address, such as ann@example.com.",
    "url": "Enter an address, such as https://example.com/page.",
}
_DECIMAL: Final = re.compile(DECIMAL)
_AS_TYPED: Final = ("text", "long")


def text_of(value: JsonValue) -> str:
    """Return how a value stands in a field; empty for none."""
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, dict | list | bool):
        return ""
    return repr(value)


def read_line(line: Line, text: str) -> JsonValue:
    """Return the value of a text that is not blank.

    Raises:
        InvalidValue: with a sentence for the field.
    """
    value = _read(line.kind, text)
    # Loaded when somebody answers: it takes as long as everything else that a form needs.
    from hitl.core.schema import check_value

    check_value(line.schema, value)
    return value


def _read(kind: LineKind, text: str) -> JsonValue:
    match kind:
        case "int":
            return parse_text("int", text)
        case "number":
            return parse_text("float", text)
        case "decimal":
            number = signed(text.strip())
            if not _DECIMAL.fullmatch(number):
                raise InvalidValue(f"{show(number)} is not a number: write it with a point, such as 1234.50.")
            return number
        case _:
            return encodable(text if kind in _AS_TYPED else text.strip())
