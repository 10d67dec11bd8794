"""From a schema to the parts of its form. What has no form of its own becomes JSON as text, for that part only."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

from pydantic import JsonValue

from hitl.core.decimals import is_decimal
from hitl.core.forms.constants import constant, without_tags
from hitl.core.forms.held import sent_back
from hitl.core.forms.labels import plainly, searchable, told_apart
from hitl.core.forms.moments import kind_of
from hitl.core.forms.names import MAX_ROWS
from hitl.core.forms.parts import (
    MISSING,
    Choice,
    Constant,
    Fixed,
    Flag,
    Group,
    Line,
    LineKind,
    OneOf,
    Part,
    Raw,
    Rows,
    Several,
)
from hitl.core.pointers import unescaped

FEW: Final = 8
"""So many values are shown at once. More are searched."""
_MAX_DEPTH: Final = 6
_MAX_PARTS: Final = 300
# How many references and parts of `allOf` are followed; each may copy as many names as the schema has.
_MAX_STEPS: Final = 1_000
_MAX_COPIED: Final = 20_000
_MAX_BRANCHES: Final = 8
_MAX_OPTIONS: Final = 256
_LINE_LABELS: Final[Mapping[LineKind, str]] = {
    "int": "A whole number",
    "number": "A number",
    "decimal": "A number",
    "date": "A date",
    "time": "A time",
    "moment": "A date and a time",
    "local": "A date and a time",
    "email": "An e-mail address",
    "url": "An address",
}
_LINE_CHARS: Final = 120
# Beside these, other keywords only narrow what the form offers: the whole answer is checked by the schema anyway.
_FORMLESS: Final = ("not", "if", "dependentSchemas", "patternProperties", "$dynamicRef")
_NOTES: Final = ("title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "$comment")
_KINDS: Final[dict[str, LineKind]] = {
    "email": "email",
    "uri": "url",
}


class _TooMuch(Exception):
    """The schema has more parts than a person fills in."""


def plan(schema: Mapping[str, Any]) -> Part:
    """Return the form of a schema.

    Args:
        schema: As `hitl.core.schema.check_schema` accepts it.
    """
    try:
        return _Planner(dict(schema)).part(dict(schema), "", depth=0)
    except _TooMuch:
        return Raw(schema=dict(schema))


class _Planner:
    def __init__(self, root: dict[str, Any]) -> None:
        self._root = root
        self._parts = 0
        self._steps = 0
        self._copied = 0

    def part(self, given: Any, name: str, *, required: bool = True, depth: int) -> Part:
        """Return the form of one schema inside the whole one."""
        self._parts += 1
        if self._parts > _MAX_PARTS:
            raise _TooMuch
        schema = self._resolved({} if given is True else given)
        if not isinstance(schema, dict):
            return Raw(label=_label(name), required=required)
        given = given if isinstance(given, dict) else {}
        notes: dict[str, Any] = {
            # What it refers to has a title too, such as the name of a class: that of two fields may be the same.
            "label": _text(given.get("title")) or _label(name) or _text(schema.get("title")),
            "help": _text(schema.get("description")),
            "required": required,
            "default": schema.get("default", MISSING),
            "schema": schema,
        }
        if depth > _MAX_DEPTH or any(keyword in schema for keyword in _FORMLESS):
            return Raw(**notes)
        for keyword in ("anyOf", "oneOf"):
            if keyword in schema:
                return self._one_of(schema, keyword, notes, depth)
        if "const" in schema:
            return constant(schema["const"], notes)
        if "enum" in schema:
            return _choice(schema["enum"], notes)
        return self._typed(schema, notes, depth)

    def _typed(self, schema: dict[str, Any], notes: dict[str, Any], depth: int) -> Part:
        kinds = schema.get("type")
        kinds = list(kinds) if isinstance(kinds, list) else [kinds]
        if "null" in kinds and len(kinds) > 1:
            notes["nullable"] = True
            kinds.remove("null")
        if kinds == [None]:
            kinds = ["object"] if "properties" in schema else ["array"] if "prefixItems" in schema else [None]
        match kinds:
            case ["object"]:
                return self._group(schema, notes, depth)
            case ["array"]:
                return self._list(schema, notes, depth)
            case ["boolean"]:
                return Flag(**notes)
            case ["integer"]:
                return Line(kind="int", **notes)
            case ["number"]:
                return Line(kind="number", **notes)
            case ["string"]:
                usual = notes["default"]
                # As JSON, it is written without what a field would not send back.
                kept = not isinstance(usual, str) or sent_back(usual) == usual
                return Line(kind=_line_kind(schema), **notes) if kept else Raw(**notes)
            case ["null"]:
                return Constant(value=None, **notes)
            case _:
                return Raw(**notes)

    def _group(self, schema: dict[str, Any], notes: dict[str, Any], depth: int) -> Part:
        properties = schema.get("properties")
        # What may have any names has no form, nor has a name that a browser would change.
        others = schema.get("additionalProperties", True)
        if not isinstance(properties, dict) or not properties or isinstance(others, dict):
            return Raw(**notes)
        if any("\n" in name or sent_back(name) != name for name in properties):
            return Raw(**notes)
        needed = schema.get("required", ())
        inside = [
            (name, self.part(part, name, required=name in needed, depth=depth + 1))
            for name, part in properties.items()
        ]
        return Group(fields=tuple(inside), **notes)

    def _list(self, schema: dict[str, Any], notes: dict[str, Any], depth: int) -> Part:
        places, rest = schema.get("prefixItems"), schema.get("items")
        if isinstance(places, list):
            if rest is not False and schema.get("maxItems") != len(places):
                return Raw(**notes)
            items = [self.part(each, f"{number}", depth=depth + 1) for number, each in enumerate(places, 1)]
            return Fixed(items=tuple(items), **notes)
        if not isinstance(rest, dict):
            return Raw(**notes)
        item = self.part(rest, "", depth=depth + 1)
        if isinstance(item, Choice) and schema.get("uniqueItems") is True and not item.nullable:
            return Several(options=item.options, **notes)
        least, most = schema.get("minItems", 0), schema.get("maxItems", MAX_ROWS)
        if not isinstance(least, int) or least > MAX_ROWS or (isinstance(item, Raw) and depth >= _MAX_DEPTH):
            return Raw(**notes)
        return Rows(item=item, least=least, most=min(int(most), MAX_ROWS), **notes)

    def _one_of(self, schema: dict[str, Any], keyword: str, notes: dict[str, Any], depth: int) -> Part:
        base = {name: rule for name, rule in schema.items() if name not in (keyword, "discriminator", *_NOTES)}
        parts = [self._resolved(each) for each in schema[keyword]]
        if not all(isinstance(each, dict) for each in parts) or any(name in base for name in ("anyOf", "oneOf")):
            return Raw(**notes)
        some = [each for each in parts if each.get("type") != "null"]
        notes["nullable"] = len(some) < len(parts)
        if is_decimal(some) and not base:
            return Line(kind="decimal", **notes)
        if some and all("const" in each for each in some):
            return _offering(
                [(_text(each.get("title")) or plainly(each["const"]), each["const"]) for each in some], notes
            )
        if len(some) == 1:
            return self._only(base | some[0], notes, depth)
        if not 2 <= len(some) <= _MAX_BRANCHES:
            return Raw(**notes)
        branches = []
        for number, each in enumerate(some, 1):
            inside = self.part(self._merged(base, each), "", depth=depth + 1)
            branches.append((inside.label or self._tag(each) or _kind_label(inside, number), inside))
        names = told_apart([(label, number) for number, (label, _) in enumerate(branches, 1)])
        named = [(name, inside) for (name, _), (_, inside) in zip(names, branches, strict=True)]
        return OneOf(branches=tuple(without_tags(named)), **notes)

    def _only(self, schema: dict[str, Any], notes: dict[str, Any], depth: int) -> Part:
        """Return the form of the one alternative beside null."""
        one = self.part(schema, "", depth=depth)
        return dataclasses.replace(
            one,
            label=notes["label"] or one.label,
            help=notes["help"] or one.help,
            required=notes["required"],
            nullable=notes["nullable"] or one.nullable,
            default=one.default if notes["default"] is MISSING else notes["default"],
        )

    def _tag(self, branch: dict[str, Any]) -> str:
        for part in (branch.get("properties") or {}).values():
            resolved = self._resolved(part)
            if isinstance(resolved, dict) and "const" in resolved:
                return plainly(resolved["const"])
        return ""

    def _resolved(self, given: Any, followed: tuple[str, ...] = ()) -> Any:
        """Return a schema without its reference and `allOf`; whatever is odd about them, as no object."""
        self._steps += 1
        if self._steps > _MAX_STEPS:
            raise _TooMuch
        if not isinstance(given, dict):
            return given
        schema = given
        if "$ref" in schema:
            target = self._target(schema["$ref"])
            if target is None or schema["$ref"] in followed:
                return None
            beside = {name: rule for name, rule in schema.items() if name != "$ref"}
            inner = self._resolved(target, (*followed, schema["$ref"]))
            if not isinstance(inner, dict):
                return None
            schema = self._merged(inner, beside)
        if "allOf" in schema:
            whole = {name: rule for name, rule in schema.items() if name != "allOf"}
            for each in schema["allOf"]:
                inner = self._resolved(each, followed)
                if not isinstance(inner, dict) or any(
                    name in whole and name in inner for name in ("anyOf", "oneOf")
                ):
                    return None
                whole = self._merged(inner, whole)
            schema = whole
        return schema

    def _merged(self, under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
        """Return both schemas' rules, as far as a form shows them."""
        both = under | over
        self._copied += len(both)
        if "properties" in under and "properties" in over:
            both["properties"] = under["properties"] | over["properties"]
            self._copied += len(both["properties"])
        if "required" in under and "required" in over:
            both["required"] = [*under["required"], *over["required"]]
            self._copied += len(both["required"])
        if self._copied > _MAX_COPIED:
            raise _TooMuch
        return both

    def _target(self, reference: Any) -> Any:
        if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
            return None
        target: Any = self._root
        for step in reference.split("/")[1:]:
            name = unescaped(unquote(step))
            if not isinstance(target, dict) or name not in target:
                return None
            target = target[name]
        return target


def _choice(values: Any, notes: dict[str, Any]) -> Part:
    some = [each for each in values if each is not None]
    if not some:
        return Constant(value=None, **notes)
    notes["nullable"] = notes.get("nullable", False) or len(some) < len(values)
    return _offering([(plainly(each), each) for each in some], notes)


def _offering(options: list[tuple[str, JsonValue]], notes: dict[str, Any]) -> Part:
    if len(options) > _MAX_OPTIONS:
        return Raw(**notes)
    options = told_apart(options)
    many = len(options) > FEW and searchable([(plainly(value), label) for label, value in options])
    return Choice(options=tuple(options), searched=many, **notes)


def _line_kind(schema: dict[str, Any]) -> LineKind:
    kind = _KINDS.get(str(schema.get("format"))) or kind_of(schema)
    if kind is not None:
        return kind
    most = schema.get("maxLength")
    short = isinstance(most, int) and most <= _LINE_CHARS
    return "text" if short or "pattern" in schema or "format" in schema else "long"


def _kind_label(part: Part, number: int) -> str:
    match part:
        case Line():
            return _LINE_LABELS.get(part.kind, "A text")
        case Flag():
            return "Yes or no"
        case Rows() | Several() | Fixed():
            return "A list"
        case _:
            return f"Option {number}"


def _label(name: str) -> str:
    words = name.replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def _text(given: Any) -> str:
    return given if isinstance(given, str) else ""
