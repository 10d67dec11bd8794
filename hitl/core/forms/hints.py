"""What one field takes, as a hint before somebody types, and as a sentence when something else was typed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from hitl.core.decimals import KEYWORD as DECIMAL_LIMITS
from hitl.core.forms.parts import MISSING, Line, LineKind
from hitl.core.forms.patterns import in_words
from hitl.core.limits import LARGEST_DOUBLE
from hitl.core.strictjson import shortened, show
from hitl.core.values import format_value, is_number
from hitl.errors import InvalidValue

MOMENT: Final = "2026-02-28 09:30 +01:00"
POINT: Final = ". Write decimals after a point, as in 4.5"
NUMBERS: Final[tuple[LineKind, ...]] = ("int", "number", "decimal")
TEXTS: Final[tuple[LineKind, ...]] = ("text", "long")
# From here on a float stands for several whole numbers.
_EXACT: Final = 2**53
_MAX_USUAL_CHARS: Final = 200
_HINTS: Final[Mapping[LineKind, str]] = {
    "date": "Such as 2026-02-28",
    "time": "Such as 09:30:00",
    "moment": f"With its zone, such as {MOMENT}",
    "local": "Such as 2026-02-28T09:30:00, without a zone",
    "email": "Such as ann@example.com",
    "url": "Such as https://example.com/page",
}
_OF_CHARACTERS: Final = ("format", "pattern")
_HINTS_OF_FORMAT: Final = {"duration": "Such as P3DT4H30M: 3 days, 4 hours and 30 minutes", "uuid": "A UUID"}


def hint_of(part: Line) -> str:
    """Return how a field's value is written; empty: as any text."""
    match part.kind:
        case "int":
            hint = _numbers(part)
        case "number" | "decimal":
            hint = _numbers(part) + POINT
        case "text" | "long":
            told = _HINTS_OF_FORMAT.get(str(part.schema.get("format")), "") or format_wanted(part.schema)
            hint = told[:1].upper() + told[1:] if told else text_hint(part.schema)
        case _:
            hint = _HINTS[part.kind]
    usual = _if_empty(part)
    return f"{hint}. Left empty: {usual}".removeprefix(". ") if usual else hint


def text_hint(schema: Mapping[str, Any]) -> str:
    """Return how long a text may be and of what it is made, as far as its schema says; empty: anything."""
    hint = ": ".join(each for each in (_lengths(schema), _pattern(schema)) if each)
    return hint[:1].upper() + hint[1:]


def text_refusal(schema: Mapping[str, Any], text: str) -> str:
    """Return what to enter instead of a text that the schema refuses; empty: it is refused for another reason.

    Args:
        schema: The text's schema.
        text: What was typed.
    """
    least, most = count_in(schema, "minLength"), count_in(schema, "maxLength")
    if most is not None and len(text) > most:
        return f"Shorten it to at most {most:,} characters: it has {len(text):,}."
    if least is not None and len(text) < least:
        return f"Enter at least {least:,} characters: it has {len(text):,}."
    pattern = _pattern(schema)
    # No other keyword of a text is left, but for those that are told as what they are.
    return f"Enter {pattern}." if pattern and "format" not in schema else ""


def line_refusal(line: Line, value: Any, error: InvalidValue) -> str:
    """Return the sentence for a field whose value its schema refuses."""
    if line.kind in NUMBERS:
        return number_wanted(line) or str(error)
    said = text_refusal(line.schema, value) if isinstance(value, str) else ""
    wanted = format_wanted(line.schema)
    return said or (f"Enter {wanted}." if wanted else str(error))


def takes_empty(line: Line) -> bool:
    """Tell whether a field that is left empty may be an empty text: a duration or a text of a pattern may not."""
    schema = line.schema
    if line.kind not in TEXTS or count_in(schema, "minLength"):
        return False
    if schema.keys().isdisjoint(_OF_CHARACTERS):
        return True
    # Loaded when a question has one of them: it takes as long as everything else that a form needs.
    from hitl.core.schema import check_value

    try:
        check_value({name: schema[name] for name in _OF_CHARACTERS if name in schema}, "")
    except InvalidValue:
        return False
    return True


def number_wanted(line: Line) -> str:
    """Return which number to enter into a field of numbers; empty: its schema allows any."""
    hint = _numbers(line)
    return sentence_of(hint) if hint not in ("A whole number", "A number") else ""


def sentence_of(hint: str) -> str:
    """Return a hint as the sentence that says what to enter."""
    return f"Enter {hint[0].lower()}{hint[1:]}."


def limits_of(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the bounds of a Decimal: those of its number, or as texts where no double is the same."""
    parts = [each for each in schema.get("anyOf", ()) if isinstance(each, dict)]
    number = next((each for each in parts if each.get("type") == "number"), {})
    exact = number.get(DECIMAL_LIMITS)
    return {**exact, **number} if isinstance(exact, dict) else number


def range_of(schema: Mapping[str, Any], what: str) -> str:
    """Return which numbers a schema allows, as far as it can be told in a few words.

    Args:
        schema: The number's schema.
        what: ``A number`` or ``A whole number``.
    """
    low, high = _bound(schema, "minimum"), _bound(schema, "maximum")
    above, below = _bound(schema, "exclusiveMinimum"), _bound(schema, "exclusiveMaximum")
    if low and high and not (above or below):
        limits = [f"from {low} to {high}"]
    else:
        limits = [
            f"{word} {bound}"
            for word, bound in (("at least", low), ("more than", above), ("at most", high), ("less than", below))
            if bound
        ]
    step = _bound(schema, "multipleOf")
    whole = what == "A whole number" and step == "1"
    parts = [*limits, *([f"a multiple of {step}"] if step and not whole else [])]
    if not parts:
        return what
    separator = " " if parts[0].startswith("from") else ", "
    return f"{what}{separator}{', '.join(parts)}"


def decimal_range(limits: Mapping[str, Any]) -> str:
    """Return which decimal numbers are allowed, also by how many digits they have.

    Args:
        limits: What `limits_of` returns.
    """
    places, digits = count_in(limits, "decimalPlaces"), count_in(limits, "maxDigits")
    said = [range_of(limits, "A number")]
    if digits is not None:
        said.append(f"at most {digits:,} digits")
    if places is not None:
        said.append("no decimals" if places == 0 else f"at most {places:,} decimal{'s' if places > 1 else ''}")
    return ", ".join(said)


def count_in(schema: Mapping[str, Any], name: str) -> int | None:
    """Return the count that a keyword says, such as ``minLength``; None: it says none."""
    count = schema.get(name)
    return int(count) if is_number(count) and count >= 0 else None


def _if_empty(part: Line) -> str:
    """Return what an emptied field means, where nobody would expect it; empty: it is told otherwise."""
    if part.default in (MISSING, None, ""):
        return ""
    if part.nullable:
        return "no answer"
    if takes_empty(part):
        return "an empty text"
    if part.required:
        return ""
    return _short(part.default if isinstance(part.default, str) else format_value("json", part.default))


def _numbers(line: Line) -> str:
    """Return which numbers a field takes."""
    if line.kind == "decimal":
        return decimal_range(limits_of(line.schema))
    return range_of(line.schema, "A whole number" if line.kind == "int" else "A number")


def _bound(schema: Mapping[str, Any], name: str) -> str:
    bound = schema.get(name)
    if bound in (LARGEST_DOUBLE, -LARGEST_DOUBLE):
        # It is said of every number.
        return ""
    if isinstance(bound, str):
        # A Decimal's, see `hitl.core.decimals`.
        return bound
    if isinstance(bound, float) and bound.is_integer() and abs(bound) < _EXACT:
        bound = int(bound)
    return format_value("json", bound) if is_number(bound) else ""


def _lengths(schema: Mapping[str, Any]) -> str:
    least, most = count_in(schema, "minLength") or 0, count_in(schema, "maxLength")
    if most is None:
        return f"at least {least:,} characters" if least > 1 else ""
    if least == most:
        return f"{most:,} characters"
    return f"{least:,} to {most:,} characters" if least > 1 else f"at most {most:,} characters"


def _pattern(schema: Mapping[str, Any]) -> str:
    pattern = schema.get("pattern")
    if not isinstance(pattern, str):
        return ""
    examples = schema.get("examples")
    if isinstance(examples, list) and examples and isinstance(examples[0], str) and examples[0]:
        return f"text such as {_short(examples[0])}"
    return in_words(pattern) or f"text that fits the regular expression {show(_short(pattern))}"


def format_wanted(schema: Mapping[str, Any]) -> str:
    """Return what a text of the schema's format is; empty: it has none that is checked."""
    # Loaded when a question has a format: it takes as long as everything else that a form needs.
    from hitl.core.schema import formats

    name = schema.get("format")
    return formats.wanted(name) if isinstance(name, str) and name in formats.CHECKED else ""


def _short(text: str) -> str:
    return shortened(text) if len(text) > _MAX_USUAL_CHARS else text
