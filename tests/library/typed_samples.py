"""Thirty types that authors ask for, with values of each: every channel hands over an equal value of the class.

Shared by the tests of the page, of the API, of the command and of the cluster.
"""

from __future__ import annotations

import dataclasses
import enum
import typing
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple, NotRequired
from uuid import UUID

from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, EmailStr, Field, HttpUrl
from typing_extensions import TypedDict

from hitl.core.text import is_blank


class Color(enum.Enum):
    RED = "red"
    BLUE = "deep blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 9


class Address(BaseModel):
    street: str = Field(max_length=40)
    number: int | None = None


class Person(BaseModel):
    name: str = Field(min_length=1, max_length=40, description="As it stands on the door.")
    home: Address
    work: Address | None = None


class Deploy(BaseModel):
    region: Literal["eu", "us"]
    replicas: int = Field(1, ge=1, le=9)
    cost: Decimal = Decimal("1.50")
    at: datetime | None = None
    dry_run: bool = True
    level: Level = Level.LOW


class Team(BaseModel):
    name: str = Field(max_length=20)
    members: list[Person] = Field(default=[], max_length=4)


class Circle(BaseModel):
    kind: Literal["circle"] = "circle"
    radius: float


class Square(BaseModel):
    kind: Literal["square"] = "square"
    side: int


class Drawing(BaseModel):
    shapes: list[Annotated[Circle | Square, Field(discriminator="kind")]]
    frame: Square | None = None


class Note(BaseModel):
    title: str = Field("", max_length=40)
    body: str
    tags: set[Color] = set()


class Ticket(TypedDict):
    key: str
    labels: NotRequired[list[str]]


class Pair(NamedTuple):
    left: int
    right: str


class Window(BaseModel):
    begin: date | datetime | str
    most: Annotated[bool | int, Field(description="How many, or whether there is a limit.")] = True
    places: dict[str, list[timedelta | int | None]] = {}


@dataclasses.dataclass
class Point:
    x: int
    label: str = "here"


@dataclasses.dataclass
class Route:
    points: list[Point]
    took: timedelta
    id: UUID


Small = Annotated[int, Field(ge=1, le=9)]
Short = Annotated[str, Field(min_length=1, max_length=5)]
Shape = Annotated[Circle | Square, Field(discriminator="kind")]

_ints = st.integers(-(2**53), 2**53)
_floats = st.floats(allow_nan=False, allow_infinity=False)
# Inside an answer an empty text is taken, and one of which nobody sees anything is not.
_texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20).filter(
    lambda text: not text or not is_blank(text)
)
_lines = st.lists(_texts, max_size=3).map("\n".join).filter(lambda text: not text or not is_blank(text))
_words = _texts.filter(lambda text: not is_blank(text))
_decimals = st.decimals(-(10**9), 10**9, allow_nan=False, allow_infinity=False, places=3)
_zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))) | st.just(UTC)
_moments = st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=_zones)
_spans = st.timedeltas(timedelta(0), timedelta(days=300))
_addresses = st.builds(Address, street=_texts, number=st.none() | _ints)
_people = st.builds(Person, name=_words, home=_addresses, work=st.none() | _addresses)
_circles = st.builds(Circle, radius=_floats)
_squares = st.builds(Square, side=_ints)
_points = st.builds(Point, x=_ints, label=_texts)
_deploys = st.builds(
    Deploy,
    region=st.sampled_from(["eu", "us"]),
    replicas=st.integers(1, 9),
    cost=_decimals,
    at=st.none() | _moments,
    dry_run=st.booleans(),
    level=st.sampled_from(Level),
)
_windows = st.builds(
    Window,
    begin=st.dates() | _moments | _words,
    most=st.booleans() | _ints,
    places=st.dictionaries(_texts, st.lists(_spans | _ints | st.none(), max_size=3), max_size=2),
)
_tickets = st.fixed_dictionaries({"key": _texts}, optional={"labels": st.lists(_texts, max_size=3)})

TYPED: Mapping[str, tuple[Any, st.SearchStrategy[Any]]] = {
    "an Enum of texts": (Color, st.sampled_from(Color)),
    "an IntEnum": (Level, st.sampled_from(Level)),
    "a Literal of texts": (Literal["a", "b c"], st.sampled_from(["a", "b c"])),
    "a Literal of both": (Literal[1, "one"], st.sampled_from([1, "one"])),
    "an optional int": (int | None, st.none() | _ints),
    "an optional text": (str | None, st.none() | _words),
    "an optional Enum": (Color | None, st.none() | st.sampled_from(Color)),
    "a bounded int": (Small, st.integers(1, 9)),
    "a short text": (Short, _words.map(lambda text: text.strip()[:5])),
    "a Decimal": (Decimal, _decimals),
    "a date": (date, st.dates()),
    "a moment with its zone": (datetime, _moments),
    "a time": (time, st.times()),
    "a span": (timedelta, _spans),
    "a UUID": (UUID, st.uuids()),
    "an address of a page": (
        HttpUrl,
        st.sampled_from(["https://example.com/a?b=1", "http://example.com/"]).map(HttpUrl),
    ),
    "an e-mail address": (EmailStr, st.sampled_from(["ann@example.com", "o.neil+x@example.org"])),
    "a list of numbers": (list[float], st.lists(_floats, max_size=4)),
    "several of an Enum": (set[Color], st.sets(st.sampled_from(Color))),
    "a tuple": (tuple[int, str], st.tuples(_ints, _texts)),
    "a dict of numbers": (dict[str, int], st.dictionaries(_texts, _ints, max_size=3)),
    "a NamedTuple": (Pair, st.builds(Pair, left=_ints, right=_texts)),
    "a TypedDict": (Ticket, _tickets),
    "a dataclass": (Point, _points),
    "a dataclass of a list": (Route, st.builds(Route, st.lists(_points, max_size=3), _spans, st.uuids())),
    "a model": (Deploy, _deploys),
    "a model in a model": (Person, _people),
    "a model with a list of models": (Team, st.builds(Team, name=_texts, members=st.lists(_people, max_size=3))),
    "a union of models": (Shape, _circles | _squares),
    "a model with a list of a union": (
        Drawing,
        st.builds(Drawing, shapes=st.lists(_circles | _squares, max_size=3), frame=st.none() | _squares),
    ),
    "a model with long text": (
        Note,
        st.builds(Note, title=_texts, body=_lines, tags=st.sets(st.sampled_from(Color))),
    ),
}
"""Each type, by words for it, with a strategy for its values."""

MORE: Mapping[str, tuple[Any, st.SearchStrategy[Any]]] = {
    "a Literal of numbers": (Literal[1, 2], st.sampled_from([1, 2])),
    "an optional text of any kind": (str | None, st.none() | _texts),
    "an int or a text": (int | str, _ints | _words),
    "a bool or an int": (bool | int, st.booleans() | _ints),
    "bools or numbers of JSON": (dict[str, bool | float], st.dictionaries(_texts, st.booleans() | _floats)),
    "a moment or a text": (datetime | str, _moments | _words),
    "a span or a time": (timedelta | time, _spans | st.times()),
    "a list of a UUID or a text": (list[UUID | str], st.lists(st.uuids() | _words, max_size=3)),
    "a model with unions": (Window, _windows),
    "a set": (set[int], st.sets(_ints, max_size=5)),
    "a frozenset": (frozenset[str], st.frozensets(_texts, max_size=5)),
    "a tuple of any length": (tuple[int, ...], st.lists(_ints, max_size=5).map(tuple)),
    "a list of dates": (list[date], st.lists(st.dates(), max_size=5)),
    "a dict of Decimals": (dict[str, Decimal], st.dictionaries(_texts, _decimals, max_size=5)),
    "a model of scalars": (Address, _addresses),
    "a list of models": (list[Address], st.lists(_addresses, max_size=3)),
    "a union of models without a discriminator": (Circle | Square, _circles | _squares),
}
"""Types that no channel treats apart, for tests of the types themselves."""


def same(one: Any, other: Any) -> bool:
    """Tell whether two values are equal and of the same class, to the last part, digit and time zone."""
    if type(one) is not type(other) or bool(one != other):
        return False
    match one:
        case BaseModel():
            return all(same(getattr(one, name), getattr(other, name)) for name in type(one).model_fields)
        case dict():
            return all(same(value, other[key]) for key, value in one.items())
        case list() | tuple():
            return all(same(*pair) for pair in zip(one, other, strict=True))
        case Decimal():
            return one.as_tuple() == typing.cast("Decimal", other).as_tuple()
        case datetime():
            return one.utcoffset() == typing.cast("datetime", other).utcoffset()
    if dataclasses.is_dataclass(one):
        return all(same(getattr(one, each.name), getattr(other, each.name)) for each in dataclasses.fields(one))
    return True


def several_of_each(count: int) -> dict[str, list[Any]]:
    """Return so many values of each type, the same ones each time: for channels too slow for a property test."""
    drawn: list[dict[str, Any]] = []

    @settings(max_examples=count + 1, derandomize=True, database=None, phases=[Phase.generate])
    @given(st.fixed_dictionaries({name: values for name, (_, values) in TYPED.items()}))
    def draw(values: dict[str, Any]) -> None:
        drawn.append(values)

    draw()
    # The first one is the simplest there is.
    return {name: [values[name] for values in drawn[1:]] for name in TYPED}
