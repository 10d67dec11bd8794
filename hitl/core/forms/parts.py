"""The parts that a form is made of. Each stands for one schema, and holds those of the schemas inside it."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from pydantic import JsonValue


class _Missing(Enum):
    MISSING = "missing"


MISSING: Final = _Missing.MISSING
"""No value at all, where None is JSON's null."""
Maybe: TypeAlias = JsonValue | Literal[_Missing.MISSING]

LineKind: TypeAlias = Literal[
    "text", "long", "int", "number", "decimal", "date", "time", "moment", "local", "email", "url"
]


class PartFault(NamedTuple):
    """What is wrong with one part.

    Args:
        name: The name of its field.
        why: A sentence.
    """

    name: str
    why: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """What every part has.

    Args:
        label: Its title; empty: nothing but its place names it.
        help: What the schema's description says.
        required: It cannot be left out.
        nullable: It may be null: "no answer".
        default: Its value where nobody gives one, which the reader of the answer fills in.
        schema: What it stands for.
    """

    label: str = ""
    help: str = ""
    required: bool = True
    nullable: bool = False
    default: Maybe = MISSING
    schema: dict[str, Any] = field(default_factory=dict)

    @property
    def optional(self) -> bool:
        """Whether a person may leave it empty. What has a default is filled in with it."""
        return self.nullable or (not self.required and self.default is MISSING)


@dataclass(frozen=True, kw_only=True, eq=False)
class Line(Part):
    """One text field."""

    kind: LineKind = "text"


class Flag(Part):
    """Yes or no."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Choice(Part):
    """One of several values, each with its label.

    Args:
        options: The values.
        searched: Its field holds the label or the value itself, as text, rather than the place among the options.
    """

    options: tuple[tuple[str, JsonValue], ...]
    searched: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Several(Part):
    """Any of several values, each with its label."""

    options: tuple[tuple[str, JsonValue], ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Group(Part):
    """An object: a part for each of its names."""

    fields: tuple[tuple[str, Part], ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Rows(Part):
    """A list of parts that are alike.

    Args:
        item: What each of them is.
        least: How many there are at least.
        most: How many there may be.
    """

    item: Part
    least: int
    most: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Fixed(Part):
    """A list with a part of its own at each place."""

    items: tuple[Part, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class OneOf(Part):
    """One of several parts, each with its label."""

    branches: tuple[tuple[str, Part], ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Constant(Part):
    """A value that is always the same: nobody is asked for it."""

    value: JsonValue


class Raw(Part):
    """Whatever has no form of its own: JSON as text."""


YES_NO: Final[tuple[tuple[str, JsonValue], ...]] = (("Yes", True), ("No", False))


def options_of(part: Part) -> tuple[tuple[str, JsonValue], ...]:
    """Return what a part offers, each value with its label."""
    return part.options if isinstance(part, Choice | Several) else YES_NO


def parts_inside(part: Group | Fixed) -> list[tuple[str | int, Part]]:
    """Return the parts of a part, each with its name or its place."""
    return list(part.fields) if isinstance(part, Group) else list(enumerate(part.items))
