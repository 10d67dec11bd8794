"""A JSON Schema compiled into parts: each is read once, and each reference leads to the part it names."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any, Final
from urllib.parse import unquote

from hitl.core import decimals
from hitl.core.limits import LARGEST_DOUBLE
from hitl.core.pointers import unescaped
from hitl.core.schema import applicators as holding
from hitl.core.schema import keywords as plain
from hitl.core.schema.applicators import ANYTHING, NOTHING
from hitl.core.schema.formats import CHECKED
from hitl.core.schema.keywords import Check, Part
from hitl.core.schema.metaschema import NAMED, ONE, SEVERAL
from hitl.core.schema.patterns import Pattern
from hitl.core.schema.work import Place, Work, shown
from hitl.errors import InvalidRequest

_REFERENCES: Final = ("$ref", "$dynamicRef")
_LIMITS: Final[dict[str, tuple[Callable[[Any, Any], bool], str]]] = {
    "minimum": (operator.lt, "less than the minimum"),
    "maximum": (operator.gt, "greater than the maximum"),
    "exclusiveMinimum": (operator.le, "less than or equal to the minimum"),
    "exclusiveMaximum": (operator.ge, "greater than or equal to the maximum"),
}
_LENGTHS: Final[dict[str, type]] = {"Length": str, "Items": list, "Properties": dict}
# These need nothing but their argument, as it is or as the part that it became.
_DIRECT: Final[dict[str, Check]] = {
    "multipleOf": plain.multiple,
    "required": plain.required,
    "dependentRequired": plain.dependent_required,
    "prefixItems": holding.prefix_items,
    "properties": holding.properties,
    "propertyNames": holding.property_names,
    "allOf": holding.all_of,
    "anyOf": holding.any_of,
    "oneOf": holding.one_of,
    "not": holding.negated,
    "dependentSchemas": holding.dependent_schemas,
}
# Last, as they ask what the others looked at.
_LAST: Final[dict[str, Check]] = {
    "unevaluatedItems": holding.unevaluated_items,
    "unevaluatedProperties": holding.unevaluated_properties,
}


def compiled(schema: dict[str, Any], work: Work, check: Callable[[Any, Place], None]) -> Part:
    """Compile a schema.

    Args:
        schema: As JSON holds it; it must not change any more.
        work: What this may cost.
        check: Refuses what is no JSON Schema. It is asked for the whole, and for what a reference leads to where
            the metaschema expects no schema, such as into a default.

    Raises:
        InvalidRequest: saying what cannot be used.
        TooMuchWork: when it costs more.
        RecursionError: when it is nested too deeply.
    """
    check(schema, None)
    _refuse_foreign(schema, work)
    compiler = _Compiler(schema, work)
    root = compiler.part(schema, None)
    # A reference may lead to a part that has references itself, so this grows while the loop runs.
    for part, index, reference, at in compiler.references:
        work.at = at
        target = compiler.target(reference)
        if id(target) not in compiler.parts and not isinstance(target, bool):
            check(target, at)
        part.checks[index] = (plain.reference, compiler.part(target, at))
    return root


class _Compiler:
    def __init__(self, schema: dict[str, Any], work: Work) -> None:
        self.schema = schema
        self.work = work
        self.parts: dict[int, Part] = {}
        self.anchors: dict[str, Any] = {}
        self.references: list[tuple[Part, int, str, Place]] = []

    def part(self, schema: Any, at: Place) -> Part:
        if isinstance(schema, bool):
            return ANYTHING if schema else NOTHING
        if id(schema) in self.parts:
            return self.parts[id(schema)]
        if "patternProperties" in schema:
            raise InvalidRequest(
                "the schema has patternProperties, which is not served: use propertyNames with a pattern"
            )
        part = self.parts[id(schema)] = Part()
        self.work.at = at
        self.work.spend(10 + 2 * len(schema))
        inner = self._inner(schema, at)
        # Whatever else fails is told of a value of the right type, so the type is looked at first.
        for name, argument in sorted(schema.items(), key=lambda item: item[0] != "type"):
            self.work.at = at
            if name in ("$anchor", "$dynamicAnchor"):
                self.anchors[argument] = schema
            elif name in _REFERENCES:
                # What it leads to is found when every anchor is known.
                self.references.append((part, len(part.checks), argument, at))
                part.checks.append((plain.never, None))
            else:
                part.checks.extend(self._checks(name, argument, schema, inner))
        for name, check in _LAST.items():
            if name in inner:
                part.collects = True
                part.checks.append((check, inner[name]))
        return part

    def _inner(self, schema: dict[str, Any], at: Place) -> dict[str, Any]:
        """Return the parts that a schema holds, by keyword."""
        inner: dict[str, Any] = {}
        for name, argument in schema.items():
            here: Place = (at, name)
            if name in ONE:
                inner[name] = self.part(argument, here)
            elif name in SEVERAL:
                inner[name] = [self.part(each, (here, index)) for index, each in enumerate(argument)]
            elif name in NAMED:
                inner[name] = {key: self.part(each, (here, key)) for key, each in argument.items()}
        return inner

    def _checks(
        self, name: str, argument: Any, schema: dict[str, Any], inner: dict[str, Any]
    ) -> Iterator[tuple[Check, Any]]:
        """Yield the check of one keyword; none for what is a note, or belongs to another keyword."""
        if name in _DIRECT:
            yield _DIRECT[name], inner.get(name, argument)
        elif name in _LIMITS:
            wrong, saying = _LIMITS[name]
            yield plain.limit, (wrong, argument, saying)
            if argument in (LARGEST_DOUBLE, -LARGEST_DOUBLE):
                yield plain.double, None
        elif name[:3] in ("min", "max") and name[3:] in _LENGTHS:
            bounds = (argument, None) if name.startswith("min") else (0, argument)
            yield plain.length, (_LENGTHS[name[3:]], *bounds, name.endswith("Properties"))
        else:
            yield from self._rest(name, argument, schema, inner)

    def _rest(
        self, name: str, argument: Any, schema: dict[str, Any], inner: dict[str, Any]
    ) -> Iterator[tuple[Check, Any]]:
        match name:
            case "type":
                yield plain.of_type, [argument] if isinstance(argument, str) else argument
            case "enum":
                yield plain.one_of_values, ({plain.identity(each, self.work) for each in argument}, argument)
            case "const":
                yield plain.constant, (plain.identity(argument, self.work), argument)
            case "uniqueItems" if argument:
                yield plain.unique, None
            case "pattern" if (said := decimals.said_by(argument)) is not None:
                yield plain.decimal, decimals.decimal_rule(said, others=False)
            case "pattern":
                yield plain.pattern, Pattern.of(argument, self.work)
            case decimals.KEYWORD:
                yield plain.decimal_bounds, self._decimal_rule(argument)
            case "format" if argument in CHECKED:
                yield plain.text_format, argument
            case "additionalProperties":
                yield holding.additional_properties, (inner[name], schema.get("properties", {}))
            case "items":
                yield holding.items, (inner[name], len(schema.get("prefixItems", [])))
            case "contains":
                bounds = (schema.get("minContains", 1), schema.get("maxContains"))
                yield holding.contains, (inner[name], *bounds)
            case "if":
                then, otherwise = inner.get("then", ANYTHING), inner.get("else", ANYTHING)
                yield holding.conditional, (inner[name], then, otherwise)

    def _decimal_rule(self, argument: Any) -> Callable[[str], str | None]:
        self.work.spend(50)
        try:
            return decimals.decimal_rule(argument, others=True)
        except ValueError as error:
            raise InvalidRequest(f"the schema has a keyword that cannot be used: {error}") from error

    def target(self, reference: str) -> Any:
        """Return what a reference leads to."""
        self.work.spend(5 + len(reference) // 8)
        if not reference.startswith("#"):
            raise InvalidRequest(
                f"the schema refers to {shown(reference)}, and nothing is fetched: put it under $defs"
            )
        pointer = reference[1:]
        try:
            if not pointer.startswith("/"):
                return self.anchors[pointer] if pointer else self.schema
            found: Any = self.schema
            for name in unquote(pointer[1:]).split("/"):
                found = found[int(name) if isinstance(found, list) else unescaped(name)]
        except (IndexError, KeyError, TypeError, ValueError) as error:
            raise InvalidRequest(f"the schema refers to {shown(reference)}, which it does not hold") from error
        return found


def _refuse_foreign(schema: dict[str, Any], work: Work) -> None:
    left: list[Any] = [schema]
    while left:
        part = left.pop()
        if isinstance(part, list):
            work.spend(len(part) // 8)
            left.extend(part)
        if not isinstance(part, dict):
            continue
        work.spend(1)
        for name in ("$schema", "$id"):
            if isinstance(part.get(name), str):
                raise InvalidRequest(f"the schema has {name} {shown(part[name])} inside: leave it out")
        left.extend(part.values())
