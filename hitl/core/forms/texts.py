"""What is typed into one field, read strictly: as `hitl.core.values` reads a whole answer."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pydantic import JsonValue

from hitl.core.forms.hints import MOMENT, NUMBERS, TEXTS, format_wanted, line_refusal, number_wanted
from hitl.core.forms.moments import canonical
from hitl.core.forms.parts import Line, LineKind
from hitl.core.strictjson import encodable, show
from hitl.core.values import DECIMAL, parse_text, signed
from hitl.errors import InvalidValue

if TYPE_CHECKING:
    from hitl.core.schema.work import Work

_WANTED: Final[dict[LineKind, str]] = {
    "text": "Enter some text.",
    "long": "Enter some text.",
    "int": "Enter a whole number, such as 42.",
    "number": "Enter a number, such as 4.5.",
    "decimal": "Enter a number, such as 4.50.",
    "date": "Enter a date, such as 2026-02-28.",
    "time": "Enter a time, such as 09:30:00.",
    "moment": f"Enter a date and a time with its zone, such as {MOMENT}.",
    "local": "Enter a date and a time without a zone, such as 2026-02-28T09:30:00.",
    "email": "Enter an e-mail address, such as ann@example.com.",
    "url": "Enter an address, such as https://example.com/page.",
}
_DECIMAL: Final = re.compile(DECIMAL)


def wanted(line: Line) -> str:
    """Return the sentence for a field that was left empty and must not be."""
    if line.kind in TEXTS and (said := format_wanted(line.schema)):
        return f"Enter {said}."
    return (number_wanted(line) if line.kind in NUMBERS else "") or _WANTED[line.kind]


def text_of(value: JsonValue, kind: LineKind = "text") -> str:
    """Return how a value stands in a field; empty for none."""
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, dict | list | bool):
        return ""
    # In JSON, 3.0 is a whole number too. Typed, it is none.
    whole = kind == "int" and isinstance(value, float) and value.is_integer()
    return repr(int(value) if whole else value)


def read_line(line: Line, text: str, work: Work | None = None) -> JsonValue:
    """Return the value of a text that is not blank.

    Args:
        line: The field.
        text: What was typed into it.
        work: What is left of the budget that all fields of a form share; None: this one has its own.

    Raises:
        InvalidValue: with a sentence for the field.
    """
    value = _read(line, text)
    # Loaded when somebody answers: it takes as long as everything else that a form needs.
    from hitl.core.schema import check_value

    try:
        check_value(line.schema, value, work=work)
    except InvalidValue as error:
        raise InvalidValue(line_refusal(line, value, error)) from error
    return value


def _read(line: Line, text: str) -> JsonValue:
    match line.kind:
        case "int":
            return parse_text("int", text)
        case "number":
            return parse_text("float", text)
        case "decimal":
            return _decimal(text)
        case "date" | "time" | "moment" | "local":
            return encodable(canonical(line.kind, text))
        case _:
            return encodable(text if line.kind in TEXTS else text.strip())


def _decimal(text: str) -> str:
    number = signed(text.strip())
    if not _DECIMAL.fullmatch(number):
        raise InvalidValue(f"{show(number)} is not a number: write it with a point, such as 1234.50.")
    return number
