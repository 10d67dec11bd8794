"""Which input fits a question. What is typed into it arrives as it was typed: no input here reads numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from hitl.core.documents import RequestDocument
from hitl.core.forms.offers import Offer, exact, found, offered, searchable
from hitl.core.jsontypes import json_example
from hitl.core.pythontypes import is_decimal
from hitl.core.values import format_value

RADIO_CHOICES: Final = 8
_LINE_CHARS: Final = 120
# A hint tells these of a number's schema; the others refuse nothing.
_BOUNDS: Final = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
# From here on a float stands for several whole numbers.
_EXACT: Final = 2**53
POINT: Final = ". Write decimals after a point, as in 4.5"
_TOLD: Final = frozenset((*_BOUNDS, "type", "title", "description", "default", "examples", "$comment", "$schema"))

Widget: TypeAlias = Literal["line", "textarea", "json", "bool", "radio", "select", "search"]
InputMode: TypeAlias = Literal["text", "numeric", "decimal", "email", "url"]
_KEYBOARDS: Final[dict[str, InputMode]] = {"email": "email", "uri": "url"}


@dataclass(frozen=True)
class Field:
    """The input of a form.

    Args:
        widget: Its kind.
        keyboard: Which keys a phone shows for it.
        exact: It takes a number, a date or the like: nothing that a phone corrects or completes.
        offers: What is offered: canonical texts, each with its label.
        by_index: A choice is posted as `choice`, its place in the list: its text is not safe to print.
        hint: A sentence below the label.
        enter: What to enter, when the schema refuses what was typed; empty: the hint does not tell all of it.
    """

    widget: Widget
    keyboard: InputMode = "text"
    exact: bool = False
    offers: tuple[Offer, ...] = ()
    by_index: bool = False
    hint: str = ""
    enter: str = ""

    @property
    def choices(self) -> tuple[str, ...]:
        """What is offered, as canonical texts."""
        return tuple(text for text, _ in self.offers)

    def posted(self, value: str) -> tuple[str, str]:
        """Return the name and the value under which a form posts this value."""
        if self.by_index:
            return "choice", str(self.choices.index(value)) if value in self.choices else ""
        return "value", value

    def label(self, text: str) -> str:
        """Return the label of a value; of what is none of those offered, the text itself."""
        return dict(self.offers).get(text, text)


def field_for(request: RequestDocument) -> Field:
    """Return the input that fits a question."""
    schema = request.json_schema or {}
    if offers := offered(request):
        # What is typed to search cannot tell choices apart that differ in blanks or capitals only.
        as_text = exact([text for text, _ in offers])
        many: Widget = "search" if as_text and searchable(offers) else "select"
        return Field("radio" if len(offers) <= RADIO_CHOICES else many, offers=offers, by_index=not as_text)
    match request.data_type:
        case "bool":
            return Field("bool")
        case "int":
            keyboard: InputMode = "numeric" if _never_negative(schema) else "text"
            hint = range_of(schema, "A whole number")
            return Field("line", keyboard, exact=True, hint=hint, enter=_enter(request, schema, hint))
        case "float":
            keyboard = "decimal" if _never_negative(schema) else "text"
            hint = range_of(schema, "A number")
            enter = _enter(request, schema, hint)
            hint += POINT
            return Field("line", keyboard, exact=True, hint=hint, enter=enter)
        case "str" if line := _exact_text(schema):
            return line
        case "str":
            long = not isinstance(limit := schema.get("maxLength"), int) or limit > _LINE_CHARS
            return Field("textarea" if long else "line")
        case "json":
            return Field("json", hint=f"A JSON value, such as {json_example(schema)}")


def _exact_text(schema: dict[str, Any]) -> Field | None:
    """Return the input for a Decimal or for a format that is checked: one line, with an example."""
    also: Any = schema.get("allOf", [])
    for part in [schema, *also]:
        if not isinstance(part, dict):
            continue
        if is_decimal(part):
            limits = part["anyOf"][0]
            hint = range_of(limits, "A number")
            enter = _sentence(f"{hint}, with decimals after a point, as in 4.5") if part is schema else ""
            keyboard: InputMode = "decimal" if _never_negative(limits) else "text"
            return Field("line", keyboard, exact=True, hint=hint + POINT, enter=enter)
        wanted = _format_wanted(name) if isinstance(name := part.get("format"), str) else ""
        if wanted:
            hint = wanted[0].upper() + wanted[1:]
            enter = _sentence(hint) if set(schema) <= {*_TOLD, "format"} else ""
            return Field("line", _KEYBOARDS.get(str(name), "text"), exact=True, hint=hint, enter=enter)
    return None


def _format_wanted(name: str) -> str:
    # Loaded when a question has a format: it takes as long as everything else that a form needs.
    from hitl.core.schema import formats

    return formats.wanted(name) if name in formats.CHECKED else ""


def _sentence(hint: str) -> str:
    return f"Enter {hint[0].lower()}{hint[1:]}."


def initial(request: RequestDocument) -> str | None:
    """Return what the form holds at first, as canonical text: what is proposed, else the default, if any."""
    return request.default if request.proposed is None else request.proposed


def chosen(request: RequestDocument, index: str) -> str:
    """Return the choice at a place of the list, as `Field.posted` writes it; empty when there is none."""
    choices = field_for(request).choices
    if index.isascii() and index.isdigit() and len(index) <= 3 and int(index) < len(choices):
        return choices[int(index)]
    return ""


def searched(request: RequestDocument, typed: str) -> str:
    """Return the choice whose label or value was typed, whatever its blanks and capitals; else what was typed."""
    of_offer = found(offered(request), typed)
    return typed if of_offer is None else of_offer


def _enter(request: RequestDocument, schema: dict[str, Any], hint: str) -> str:
    """Return the hint as a request, if it tells all that the schema asks of a number."""
    kinds = ("integer", "number") if request.data_type == "int" else ("number",)
    told = set(schema) <= _TOLD and schema.get("type", "number") in kinds
    return _sentence(hint) if told else ""


def _never_negative(schema: dict[str, Any]) -> bool:
    # The number keyboards of iPhones have no minus sign.
    return any(_is_number(schema.get(name)) and schema[name] >= 0 for name in ("minimum", "exclusiveMinimum"))


def range_of(schema: dict[str, Any], what: str) -> str:
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


def _bound(schema: dict[str, Any], name: str) -> str:
    bound = schema.get(name)
    if isinstance(bound, float) and bound.is_integer() and abs(bound) < _EXACT:
        bound = int(bound)
    return format_value("json", bound) if _is_number(bound) else ""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
