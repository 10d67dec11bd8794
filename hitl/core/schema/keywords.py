"""The keywords of JSON Schema, each a function that finds faults in a value and pays for what it does.

The package jsonschema has the same semantics, and no bound: it follows references outside its keywords, and its
messages hold the whole value. Here a schema is compiled into parts once, and only these are visited.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final, TypeAlias

from hitl.core.limits import LARGEST_DOUBLE
from hitl.core.schema.formats import cost, wanted_instead
from hitl.core.schema.patterns import Pattern
from hitl.core.schema.work import Place, Work, shown, shown_list
from hitl.core.values import is_number


@dataclass(frozen=True, slots=True)
class Fault:
    """Where a value does not fit, and why.

    Args:
        at: The place.
        say: Returns why. Most faults are never told, as another alternative fits, and wording one takes ten times
            as long as finding it.
    """

    at: Place
    say: Callable[[], str]


def _about(at: Place, part: Any, said: str) -> Fault:
    return Fault(at, lambda: f"{shown(part)} {said}")


# What two fractions of doubles cost, at most: each is up to 1,075 bits long.
_EXACT_UNITS: Final = 12
_MAX_FOLLOWED: Final = 8

# The names or indices of one value that some keyword looked at; None where nobody asks.
Seen: TypeAlias = "set[str | int] | None"
Check: TypeAlias = Callable[[Any, Any, Place, Work, Seen], Iterable[Fault]]


@dataclass(slots=True, eq=False)
class Part:
    """A compiled schema: its keywords with their arguments, in the order in which they are checked."""

    checks: list[tuple[Check, Any]] = field(default_factory=list)
    collects: bool = False


def faults(part: Part, value: Any, at: Place, work: Work, seen: Seen = None) -> Iterator[Fault]:
    """Find what of a value does not fit a part.

    Args:
        part: The compiled schema.
        value: A JSON value.
        at: Where the value is.
        work: What all this may cost.
        seen: Collects what was looked at, for the unevaluated… of a part around this one.

    Raises:
        TooMuchWork: when it would cost more.
        RecursionError: when value or references are nested too deeply.
        OverflowError: when the value holds a number beyond a double where one is needed.
    """
    work.at = at
    work.spend(1 + len(part.checks))
    if not part.collects:
        for check, argument in part.checks:
            yield from check(argument, value, at, work, seen)
        return
    # What a part around this one looked at is nothing to the unevaluated… of this one.
    own: set[str | int] = set()
    for check, argument in part.checks:
        yield from check(argument, value, at, work, own)
    if seen is not None:
        work.spend(len(own) // 8)
        seen |= own


def fits(part: Part, value: Any, at: Place, work: Work, seen: Seen = None) -> bool:
    """Tell whether a value fits a part; only then is what was looked at added to `seen`."""
    if seen is None:
        return next(faults(part, value, at, work), None) is None
    own: set[str | int] = set()
    if next(faults(part, value, at, work, own), None) is not None:
        return False
    work.spend(len(own) // 8)
    seen |= own
    return True


def is_integer(value: Any) -> bool:
    """Tell whether a value is a whole number: to JSON Schema, 1.0 is one."""
    return (isinstance(value, int) and not isinstance(value, bool)) or (
        isinstance(value, float) and value.is_integer()
    )


TYPES: Final[dict[str, Callable[[Any], bool]]] = {
    "array": lambda value: isinstance(value, list),
    "boolean": lambda value: isinstance(value, bool),
    "integer": is_integer,
    "null": lambda value: value is None,
    "number": is_number,
    "object": lambda value: isinstance(value, dict),
    "string": lambda value: isinstance(value, str),
}


def identity(value: Any, work: Work) -> str:
    """Return a text that is the same for values that are equal to JSON Schema, and for no others.

    A text, as its sender cannot choose its hash: many numbers with one hash would fill a set slowly.
    """
    if isinstance(value, str):
        work.spend(len(value) // 256)
        return f'"{value}'
    text = json.dumps(_plain(value), sort_keys=True)
    work.spend(1 + len(text) // 4)
    return text


def _plain(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return value


def decimal_bounds(
    rule: Callable[[str], str | None], value: Any, at: Place, work: Work, seen: Seen
) -> Iterable[Fault]:
    """The keyword of ours that bounds a Decimal: as a format, it is checked where formats are."""
    return decimal(rule, value, at, work, seen) if work.formats else ()


def never(_argument: None, value: Any, at: Place, _work: Work, _seen: Seen) -> Iterable[Fault]:
    """False as a schema."""
    return (Fault(at, lambda: f"{shown(value)} is not allowed here"),)


def reference(part: Part, value: Any, at: Place, work: Work, seen: Seen) -> Iterable[Fault]:
    """$ref, and $dynamicRef: in a single document both lead to the same part."""
    work.spend(2)
    return faults(part, value, at, work, seen)


def of_type(names: list[str], value: Any, at: Place, _work: Work, _seen: Seen) -> Iterable[Fault]:
    """Type."""
    if any(TYPES[name](value) for name in names):
        return ()
    return (Fault(at, lambda: f"{shown(value)} is not of type {', '.join(map(repr, names))}"),)


def may_be(part: Part, value: Any) -> bool:
    """Tell whether a value has the type that a part asks for, as far as that can be told at once."""
    # References that lead to each other in a circle end somewhere.
    for _ in range(_MAX_FOLLOWED):
        if not part.checks:
            return True
        check, argument = part.checks[0]
        if check is of_type:
            return any(TYPES[name](value) for name in argument)
        if check is not reference:
            return check is not never
        part = argument
    return True


def one_of_values(
    offered: tuple[set[str], list[Any]], value: Any, at: Place, work: Work, _seen: Seen
) -> Iterable[Fault]:
    """Enum: the identities of what is allowed, and the values themselves."""
    known, values = offered
    if identity(value, work) in known:
        return ()
    return (Fault(at, lambda: f"{shown(value)} is not one of [{shown_list(values)}]"),)


def constant(offered: tuple[str, Any], value: Any, at: Place, work: Work, _seen: Seen) -> Iterable[Fault]:
    """Const: the identity of what is allowed, and the value itself."""
    known, only = offered
    return () if identity(value, work) == known else (Fault(at, lambda: f"{shown(only)} was expected"),)


def limit(
    rule: tuple[Callable[[Any, Any], bool], Any, str], value: Any, at: Place, _work: Work, _seen: Seen
) -> Iterable[Fault]:
    """Minimum and its like: what must not be true of the value and the bound, and how it is said."""
    wrong, bound, saying = rule
    if is_number(value) and wrong(value, bound):
        return (Fault(at, lambda: f"{shown(value)} is {saying} of {shown(bound)}"),)
    return ()


def length(
    rule: tuple[type, int, int | None, bool], value: Any, at: Place, _work: Work, _seen: Seen
) -> Iterable[Fault]:
    """MinLength and its like: of which type, at least, at most, and whether it is an object's."""
    kind, least, most, named = rule
    if not isinstance(value, kind):
        return ()
    size = len(value)  # type: ignore[arg-type]  # text, list or object
    if size < least:
        few = "does not have enough properties" if named else "is too short"
        return (Fault(at, lambda: f"{shown(value)} {'should be non-empty' if least == 1 else few}"),)
    if most is not None and size > most:
        many = "has too many properties" if named else "is too long"
        return (Fault(at, lambda: f"{shown(value)} {'is expected to be empty' if most == 0 else many}"),)
    return ()


def multiple(divisor: Any, value: Any, at: Place, work: Work, _seen: Seen) -> Iterable[Fault]:
    """MultipleOf: as doubles divide, or else by the decimals that people write: 19.99 is a multiple of 0.01."""
    if not is_number(value):
        return ()
    work.spend(2 + sum(number.bit_length() for number in (value, divisor) if isinstance(number, int)) // 512)
    if isinstance(divisor, float):
        quotient = value / divisor
        failed = not math.isfinite(quotient) or int(quotient) != quotient
    else:
        failed = bool(value % divisor)
    if failed and (isinstance(value, float) or isinstance(divisor, float)):
        work.spend(_EXACT_UNITS)
        failed = (_exact(value) / _exact(divisor)).denominator != 1
    return (Fault(at, lambda: f"{shown(value)} is not a multiple of {shown(divisor)}"),) if failed else ()


def _exact(number: int | float) -> Fraction:
    """Return the shortest decimal number that a double stands for, as JSON writes it."""
    if isinstance(number, int):
        return Fraction(number)
    # In one step the text is read by a regular expression, and takes twice as long.
    return Fraction(Decimal(repr(number)))


def decimal(rule: Callable[[str], str | None], value: Any, at: Place, work: Work, _seen: Seen) -> Iterable[Fault]:
    """A decimal number, and its bounds. See `hitl.core.decimals`."""
    if not isinstance(value, str) and not is_number(value):
        return ()
    text = value if isinstance(value, str) else repr(value)
    work.spend(20 + len(text) // 8)
    wrong = rule(text)
    return () if wrong is None else (Fault(at, lambda: f"{shown(value)} {wrong}"),)


def pattern(wanted: Pattern, value: Any, at: Place, work: Work, _seen: Seen) -> Iterable[Fault]:
    """Pattern: found anywhere in a text."""
    if not isinstance(value, str) or wanted.found(value, work):
        return ()
    return (Fault(at, lambda: f"{shown(value)} does not match {shown(wanted.text)}"),)


def text_format(name: str, value: Any, at: Place, work: Work, _seen: Seen) -> Iterable[Fault]:
    """Format: only those that are known get here."""
    if not isinstance(value, str) or not work.formats:
        return ()
    work.spend(cost(name, value))
    wanted = wanted_instead(name, value)
    return () if wanted is None else (Fault(at, lambda: f"{shown(value)} is not {wanted}"),)


def double(_argument: None, value: Any, at: Place, work: Work, _seen: Seen) -> Iterable[Fault]:
    """Where a bound is the largest double: a whole number may have more digits than one keeps."""
    if not isinstance(value, int) or abs(value) > LARGEST_DOUBLE:
        return ()
    work.spend(1)
    kept = float(value)
    return () if kept == value else (_about(at, value, f"has more digits than can be kept: write {kept!r}"),)


def unique(_argument: None, value: Any, at: Place, work: Work, _seen: Seen) -> Iterable[Fault]:
    """UniqueItems, where it is true."""
    if not isinstance(value, list):
        return ()
    known: set[str] = set()
    for item in value:
        work.spend(1)
        text = identity(item, work)
        if text in known:
            return (_about(at, item, "is there twice"),)
        known.add(text)
    return ()


def required(names: list[str], value: Any, at: Place, work: Work, _seen: Seen) -> Iterator[Fault]:
    """Required."""
    if isinstance(value, dict):
        work.spend(len(names) // 8)
        for name in names:
            if name not in value:
                yield _about(at, name, "is a required property")


def dependent_required(
    rules: dict[str, list[str]], value: Any, at: Place, work: Work, _seen: Seen
) -> Iterator[Fault]:
    """DependentRequired."""
    if isinstance(value, dict):
        work.spend(len(rules) // 8)
        for name, names in rules.items():
            if name in value:
                work.spend(len(names) // 8)
                for other in names:
                    if other not in value:
                        yield _about(at, other, f"is a dependency of {shown(name)}")


def unexpected(what: str, values: list[Any]) -> str:
    """Return the sentence on properties or items that nothing allows."""
    verb = "was" if len(values) == 1 else "were"
    return f"{what} are not allowed ({shown_list(values)} {verb} unexpected)"
