"""Which input fits a question. What is typed into it arrives as it was typed: no input here reads numbers."""

from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from hitl.core.documents import RequestDocument
from hitl.core.forms.hints import (
    MOMENT,
    NUMBERS,
    POINT,
    decimal_range,
    limits_of,
    range_of,
    sentence_of,
    text_hint,
)
from hitl.core.forms.labels import Offer, exact, found, searchable
from hitl.core.forms.moments import kind_of
from hitl.core.forms.offers import offered
from hitl.core.forms.parts import Line, LineKind
from hitl.core.forms.plan import FEW
from hitl.core.jsontypes import json_example
from hitl.core.pythontypes import is_decimal
from hitl.core.values import is_number

_LINE_CHARS: Final = 120
# A hint tells these of a number's schema; the others refuse nothing.
_BOUNDS: Final = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
_TOLD: Final = frozenset((*_BOUNDS, "type", "title", "description", "default", "examples", "$comment", "$schema"))

Widget: TypeAlias = Literal["line", "textarea", "json", "bool", "radio", "select", "search"]
InputMode: TypeAlias = Literal["text", "numeric", "decimal", "email", "url"]
_KEYBOARDS: Final[dict[str, InputMode]] = {"email": "email", "uri": "url"}


class Field(NamedTuple):
    """The input of a form.

    Args:
        widget: Its kind.
        keyboard: Which keys a phone shows for it.
        exact: It takes a number, a date or the like: nothing that a phone corrects or completes.
        offers: What is offered: canonical texts, each with its label.
        by_index: A choice is posted as `choice`, its place in the list: its text is not safe to print.
        hint: A sentence below the label.
        kind: Which date or time it takes, if any.
        enter: What to enter, when the schema refuses what was typed; empty: the hint does not tell all of it.
    """

    widget: Widget
    keyboard: InputMode = "text"
    exact: bool = False
    offers: tuple[Offer, ...] = ()
    by_index: bool = False
    hint: str = ""
    enter: str = ""
    kind: LineKind | None = None

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
        # A search by text cannot distinguish choices that differ in blanks or capitals only.
        as_text = exact([text for text, _ in offers])
        many: Widget = "search" if as_text and searchable(offers) else "select"
        return Field("radio" if len(offers) <= FEW else many, offers=offers, by_index=not as_text)
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
            return Field("textarea" if long else "line", hint=text_hint(schema))
        case "json":
            return Field("json", hint=f"A JSON value, such as {json_example(schema)}")


def keyboard_of(part: Line) -> InputMode:
    """Return which keys a phone shows for one part of an answer."""
    if part.kind == "email" or part.kind == "url":
        return part.kind
    limits = limits_of(part.schema) if part.kind == "decimal" else part.schema
    if part.kind not in NUMBERS or not _never_negative(limits):
        return "text"
    return "numeric" if part.kind == "int" else "decimal"


def _exact_text(schema: dict[str, Any]) -> Field | None:
    """Return the input for a Decimal or for a format that is checked: one line, with an example."""
    also: Any = schema.get("allOf", [])
    for part in [schema, *also]:
        if not isinstance(part, dict):
            continue
        if is_decimal(part):
            limits = limits_of(part)
            hint = decimal_range(limits)
            enter = sentence_of(f"{hint}, with decimals after a point, as in 4.5") if part is schema else ""
            keyboard: InputMode = "decimal" if _never_negative(limits) else "text"
            return Field("line", keyboard, exact=True, hint=hint + POINT, enter=enter)
        wanted = _format_wanted(name) if isinstance(name := part.get("format"), str) else ""
        if kind_of(part) == "moment":
            wanted = f"a date and a time with its zone, such as {MOMENT}"
        if wanted:
            hint = wanted[0].upper() + wanted[1:]
            # A moment without a zone has a pattern as well, which says the same.
            told = {*_TOLD, "format", *(("pattern",) if kind_of(part) == "local" else ())}
            enter = sentence_of(hint) if set(schema) <= told else ""
            keys = _KEYBOARDS.get(str(name), "text")
            return Field("line", keys, exact=True, hint=hint, enter=enter, kind=kind_of(part))
        if kind_of(part):
            hint = "A date and a time without a zone, such as 2026-02-28T09:30:00"
            return Field("line", exact=True, hint=hint, enter=sentence_of(hint), kind=kind_of(part))
    return None


def _format_wanted(name: str) -> str:
    # Loaded when a question has a format: it takes as long as everything else that a form needs.
    from hitl.core.schema import formats

    return formats.wanted(name) if name in formats.CHECKED else ""


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
    return sentence_of(hint) if told else ""


def _never_negative(schema: Mapping[str, Any]) -> bool:
    # The number keyboards of iPhones have no minus sign.
    return any(is_number(schema.get(name)) and schema[name] >= 0 for name in ("minimum", "exclusiveMinimum"))
