"""The keywords of JSON Schema that hold schemas. See `hitl.core.schema.keywords` for their form."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from hitl.core.schema.keywords import Fault, Part, Seen, constant, faults, fits, may_be, never, unexpected
from hitl.core.schema.work import Place, Work, shown, shown_list

ANYTHING: Final = Part()
NOTHING: Final = Part([(never, None)])


def all_of(parts: list[Part], value: Any, at: Place, work: Work, seen: Seen) -> Iterator[Fault]:
    """AllOf."""
    for part in parts:
        yield from faults(part, value, at, work, seen)


def any_of(parts: list[Part], value: Any, at: Place, work: Work, seen: Seen) -> Iterable[Fault]:
    """AnyOf: all are tried where somebody asks what they looked at."""
    work.spend(len(parts) // 8)
    of_its_type = [part for part in parts if may_be(part, value)]
    if len(of_its_type) == 1:
        # The others can only be of another type: what is wrong is told of this one.
        return faults(of_its_type[0], value, at, work, seen)
    fitting = False
    for part in parts:
        if fits(part, value, at, work, seen):
            fitting = True
            if seen is None:
                break
    return () if fitting else (Fault(at, lambda: _fits_none(parts, value)),)


def one_of(parts: list[Part], value: Any, at: Place, work: Work, seen: Seen) -> Iterable[Fault]:
    """OneOf."""
    count = sum(fits(part, value, at, work, seen) for part in parts)
    if count == 1:
        return ()
    if count == 0:
        return (Fault(at, lambda: _fits_none(parts, value)),)
    return (
        Fault(at, lambda: f"{shown(value)} is valid under {count} of the given schemas, and must be under one"),
    )


def _fits_none(parts: list[Part], value: Any) -> str:
    """Return the sentence about a value that fits none of the parts; where each is one value, it names them."""
    checks = [part.checks for part in parts]
    if all([check for check, _ in each] == [constant] for each in checks):
        return f"{shown(value)} is not one of [{shown_list([argument[1] for [(_, argument)] in checks])}]"
    return f"{shown(value)} is not valid under any of the given schemas"


def negated(part: Part, value: Any, at: Place, work: Work, _seen: Seen) -> Iterable[Fault]:
    """Not."""
    if not fits(part, value, at, work):
        return ()
    return (Fault(at, lambda: f"{shown(value)} is what the schema's 'not' excludes"),)


def conditional(parts: tuple[Part, Part, Part], value: Any, at: Place, work: Work, seen: Seen) -> Iterable[Fault]:
    """If, then, else."""
    condition, then, otherwise = parts
    chosen = then if fits(condition, value, at, work, seen) else otherwise
    return faults(chosen, value, at, work, seen)


def dependent_schemas(parts: dict[str, Part], value: Any, at: Place, work: Work, seen: Seen) -> Iterator[Fault]:
    """DependentSchemas."""
    if isinstance(value, dict):
        work.spend(len(parts) // 8)
        for name, part in parts.items():
            if name in value:
                yield from faults(part, value, at, work, seen)


def properties(parts: dict[str, Part], value: Any, at: Place, work: Work, seen: Seen) -> Iterator[Fault]:
    """Properties."""
    if not isinstance(value, dict):
        return
    names = parts if len(parts) <= len(value) else value
    work.spend(len(names) // 8)
    for name in names:
        if name in value and name in parts:
            if seen is not None:
                seen.add(name)
            yield from faults(parts[name], value[name], (at, name), work)


def additional_properties(
    rule: tuple[Part, dict[str, Any]], value: Any, at: Place, work: Work, seen: Seen
) -> Iterator[Fault]:
    """AdditionalProperties, with the properties beside it."""
    if not isinstance(value, dict):
        return
    part, known = rule
    work.spend(len(value) // 8)
    rest = [name for name in value if name not in known]
    yield from _rest(part, rest, value, "Additional properties", at, work)
    if seen is not None:
        seen.update(rest)


def property_names(part: Part, value: Any, at: Place, work: Work, _seen: Seen) -> Iterator[Fault]:
    """PropertyNames."""
    if isinstance(value, dict):
        for name in value:
            yield from faults(part, name, at, work)


def prefix_items(parts: list[Part], value: Any, at: Place, work: Work, seen: Seen) -> Iterator[Fault]:
    """PrefixItems."""
    if not isinstance(value, list):
        return
    for index, (part, item) in enumerate(zip(parts, value, strict=False)):
        if seen is not None:
            seen.add(index)
        yield from faults(part, item, (at, index), work)


def items(rule: tuple[Part, int], value: Any, at: Place, work: Work, seen: Seen) -> Iterator[Fault]:
    """Items: all after those that prefixItems names."""
    part, prefix = rule
    if not isinstance(value, list) or len(value) <= prefix:
        return
    if part is NOTHING:
        extra = len(value) - prefix
        few = f"at most {prefix} item{'' if prefix == 1 else 's'}"
        yield Fault(at, lambda: f"Expected {few} but found {extra:,} extra")
        return
    for index in range(prefix, len(value)):
        yield from faults(part, value[index], (at, index), work)
    if seen is not None:
        work.spend(len(value) // 8)
        seen.update(range(prefix, len(value)))


def contains(
    rule: tuple[Part, float, float | None], value: Any, at: Place, work: Work, seen: Seen
) -> Iterator[Fault]:
    """Contains, with minContains and maxContains."""
    if not isinstance(value, list):
        return
    part, least, most = rule
    matches = 0
    for index, item in enumerate(value):
        if fits(part, item, (at, index), work):
            matches += 1
            if seen is not None:
                seen.add(index)
            if most is not None and matches > most:
                yield Fault(at, lambda: f"Too many items match the given schema (expected at most {shown(most)})")
                return
    if matches < least:
        if matches == 0:
            yield Fault(at, lambda: f"{shown(value)} does not contain items matching the given schema")
        else:
            yield Fault(
                at,
                lambda: (
                    f"Too few items match the given schema (expected at least {shown(least)} "
                    f"but only {matches} matched)"
                ),
            )


def unevaluated_properties(part: Part, value: Any, at: Place, work: Work, seen: Seen) -> Iterator[Fault]:
    """UnevaluatedProperties: those that no keyword of this schema looked at; it comes last."""
    if not isinstance(value, dict) or seen is None:
        return
    work.spend(len(value) // 8)
    rest = [name for name in value if name not in seen]
    yield from _rest(part, rest, value, "Unevaluated properties", at, work)
    seen.update(rest)


def unevaluated_items(part: Part, value: Any, at: Place, work: Work, seen: Seen) -> Iterator[Fault]:
    """UnevaluatedItems: those that no keyword of this schema looked at; it comes last."""
    if not isinstance(value, list) or seen is None:
        return
    work.spend(len(value) // 8)
    rest = [index for index in range(len(value)) if index not in seen]
    if part is NOTHING and rest:
        yield Fault(at, lambda: unexpected("Unevaluated items", [value[index] for index in rest]))
        return
    for index in rest:
        yield from faults(part, value[index], (at, index), work)
    seen.update(rest)


def _rest(
    part: Part, names: list[str], value: dict[str, Any], what: str, at: Place, work: Work
) -> Iterator[Fault]:
    if part is NOTHING:
        if names:
            yield Fault(at, lambda: unexpected(what, sorted(names)))
        return
    for name in names:
        yield from faults(part, value[name], (at, name), work)
