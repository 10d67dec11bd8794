"""Decimals in a schema: they travel as text, and their bounds hold to the last digit.

JSON Schema bounds numbers, not texts, and most readers of JSON numbers make doubles of them. So the schema of a
Decimal allows a number or a text, and both carry a keyword of ours, with texts as bounds::

    {"anyOf": [
        {"type": "number", "minimum": 0.5, "x-hitl-decimal": {"minimum": "0.5", "decimalPlaces": 2}},
        {"type": "string", "pattern": "…", "x-hitl-decimal": {"minimum": "0.5", "decimalPlaces": 2}},
    ]}

Other tools ignore the keyword, and so do releases of HITL before it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from pydantic import JsonValue
from pydantic_core import SchemaValidator, ValidationError, core_schema

from hitl.core.strictjson import shortened
from hitl.core.values import DECIMAL

KEYWORD: Final = "x-hitl-decimal"
PATTERN: Final = f"^{DECIMAL}$"

# What the keyword says, what pydantic calls it, and what JSON Schema calls it for a number.
_LIMITS: Final = {
    "minimum": "ge",
    "exclusiveMinimum": "gt",
    "maximum": "le",
    "exclusiveMaximum": "lt",
    "multipleOf": "multiple_of",
}
_COUNTS: Final = {"maxDigits": "max_digits", "decimalPlaces": "decimal_places"}
_MAX_COUNT: Final = 65_536
# Each answer is compared with it.
_MAX_BOUND_CHARS: Final = 1_024
_WHOLE: Final = re.compile(DECIMAL, re.ASCII)

# Pydantic 2.12 and 2.13 write one of these for each Decimal. Look-around is refused, and what comes behind it has
# no end in some, so that it is found in every text: the digits that it counts are counted here.
_START: Final = r"^(?!^[-+.]*$)[+-]?0*"
_NO_LIMIT: Final = _START + r"\d*\.?\d*$"
_OF_PYDANTIC: Final = tuple(
    re.compile(re.escape(_START) + rest)
    for rest in (
        r"\\d\*\\\.\?\\d\*\$",
        r"\\d\*\\\.\?\\d\{0,(?P<places>\d+)\}0\*\$",
        r"\(\?:\\d\{0,\d+\}\|\(\?=\[\\d\.\]\{1,(?P<digits>\d+)\}0\*\$\)\\d\*\\\.\\d\*0\*\$\)",
        r"\(\?:\\d\{0,\d+\}\|\(\?=\[\\d\.\]\{1,(?P<digits>\d+)\}0\*\$\)"
        r"\\d\{0,\d+\}\\\.\\d\{0,(?P<places>\d+)\}0\*\$\)",
    )
)
# The pieces of ours, and of what pydantic 2.14 writes where it is told to: a sign, and somewhere an exponent.
_OF_NUMBERS: Final = re.compile(
    r"\^\[\+-\]\?(\\d|\\\.|\[\+-\]|\[0-9\]|\[eE\]|\(\?:|[0-9]|[()|?*+]|\{[0-9,]*\})*\$", re.ASCII
)
_EXPONENT: Final = "[eE]"


def decimal_schema(bounds: Mapping[str, Any]) -> dict[str, JsonValue]:
    """Return the schema of a Decimal.

    Args:
        bounds: As pydantic's core schema has them: ``ge``, ``gt``, ``le``, ``lt``, ``multiple_of``,
            ``max_digits``, ``decimal_places``. Others are left out.
    """
    exact: dict[str, JsonValue] = {}
    limits: dict[str, JsonValue] = {}
    for name, given in _LIMITS.items():
        if bounds.get(given) is not None:
            bound = Decimal(str(bounds[given]))
            exact[name] = str(bound)
            # A number that stands for another one would refuse what is allowed.
            if name != "multipleOf" and (number := _as_number(bound)) is not None:
                limits[name] = number
    exact |= {name: bounds[given] for name, given in _COUNTS.items() if bounds.get(given) is not None}
    rule: dict[str, JsonValue] = {KEYWORD: exact} if exact else {}
    return {"anyOf": [{"type": "number", **limits, **rule}, {"type": "string", "pattern": PATTERN, **rule}]}


def is_decimal(parts: list[Any]) -> bool:
    """Tell whether alternatives are a Decimal's: a number, or its text, as any release of pydantic writes it.

    Args:
        parts: The alternatives of an ``anyOf``.
    """
    if len(parts) != 2 or not all(isinstance(each, dict) for each in parts):
        return False
    number, text = sorted(parts, key=lambda each: str(each.get("type")))
    if (number.get("type"), text.get("type")) != ("number", "string"):
        return False
    pattern = text.get("pattern")
    if not isinstance(pattern, str):
        return False
    written = _EXPONENT in pattern and _OF_NUMBERS.fullmatch(pattern) is not None
    return written or said_by(pattern) is not None


def said_by(pattern: str) -> dict[str, JsonValue] | None:
    """Return what a Decimal's pattern says, ours or one of pydantic, as the keyword does; None for any other."""
    if pattern == PATTERN:
        return {}
    for form in _OF_PYDANTIC:
        if found := form.fullmatch(pattern):
            counts = found.groupdict()
            said: dict[str, JsonValue] = {}
            if counts.get("digits"):
                # The point is counted with them.
                said["maxDigits"] = int(counts["digits"]) - 1
            if counts.get("places"):
                said["decimalPlaces"] = int(counts["places"])
            return said
    return None


def decimal_rule(argument: object, *, others: bool) -> Callable[[str], str | None]:
    """Return a function that says what is wrong with the text of a decimal number; None: nothing.

    Args:
        argument: What the keyword says.
        others: Whether a text that is no number is let through, since something else refuses it.

    Raises:
        ValueError: when it says something else than bounds.
    """
    if not isinstance(argument, dict):
        raise ValueError(f"{KEYWORD} is no object")
    rules: dict[str, Any] = {}
    for name, given in argument.items():
        if name in _LIMITS and isinstance(given, str):
            rules[_LIMITS[name]] = _bound(name, given)
        elif name in _COUNTS and type(given) is int and 0 <= given <= _MAX_COUNT:
            rules[_COUNTS[name]] = given
        else:
            limits, counts = ", ".join(_LIMITS), ", ".join(_COUNTS)
            raise ValueError(
                f"{KEYWORD} may say {limits}, each a decimal number as text, and {counts}, each a count"
            )
    validator = SchemaValidator(core_schema.decimal_schema(**rules))

    def wrong(text: str) -> str | None:
        if not _WHOLE.fullmatch(text):
            return None if others else "is not a number: write it with a point, such as 1234.50"
        try:
            validator.validate_python(Decimal(text))
        except InvalidOperation:
            # Only a remainder can be too long.
            return "is too long to be divided"
        except ValidationError as error:
            why: str = error.errors(include_url=False, include_input=False)[0]["msg"]
            return why.removeprefix("Decimal input ").removeprefix("Input ")
        return None

    return wrong


def _bound(name: str, given: str) -> Decimal:
    bound = None
    # Where an exponent is of any size, comparing has no bound.
    if _WHOLE.fullmatch(given) and len(given) <= _MAX_BOUND_CHARS:
        try:
            bound = Decimal(given)
        except InvalidOperation:
            bound = None
    if bound is None or (name == "multipleOf" and bound <= 0):
        raise ValueError(
            f"{KEYWORD}: {name} is {shortened(repr(given))}, which is no decimal number that can be used"
        )
    return bound


def _as_number(bound: Decimal) -> int | float | None:
    """Return a JSON number that is exactly the bound, or None where doubles have none."""
    whole = bound == bound.to_integral_value() if bound.adjusted() < 18 else False
    if whole:
        return int(bound)
    number = float(bound)
    return number if Decimal(repr(number)) == bound else None
