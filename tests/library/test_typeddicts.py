"""`typing.TypedDict` of the standard library is a type like any other, on each Python."""

from __future__ import annotations

import dataclasses
import sys
from typing import Annotated, Any, Generic, Literal, NotRequired, Required, TypedDict, TypeVar

import pytest
import typing_extensions
from pydantic import Field, with_config

from hitl.core.pythontypes import answer_type, as_json, typed
from hitl.core.question import Question, parse_answer
from hitl.errors import InvalidRequest, InvalidValue

T = TypeVar("T")


class Base(TypedDict, total=False):
    """What a base says."""

    x: int


class Tree(Base):
    name: Annotated[str, Field(min_length=2)]
    tags: NotRequired[list[str]]
    children: list[Tree]
    pair: Pair | None


class Pair(TypedDict):
    left: tuple[int, Base]
    right: Literal["a", "b"]


class Loose(TypedDict, total=False):
    needed: Required[int]
    other: int


@with_config(extra="forbid")
class Strict(TypedDict):
    x: int


class Box(TypedDict, Generic[T]):
    item: T
    inside: list[Box[T]]


class Written(typing_extensions.TypedDict):
    x: int


BOX: Any = {"item": "a", "inside": [{"item": "b", "inside": []}]}
LEAF: Any = {"name": "leaf", "children": [], "pair": None}
TREE: Any = {
    "x": 1,
    "name": "tree",
    "tags": ["t"],
    "children": [LEAF],
    "pair": {"left": [1, {}], "right": "a"},
}
TYPED_TREE: Any = {**TREE, "pair": {"left": (1, {}), "right": "a"}}


@pytest.mark.parametrize(
    ("data_type", "value", "result"),
    [
        (Tree, TREE, TYPED_TREE),
        (list[Tree], [TREE], [TYPED_TREE]),
        (Tree | None, TREE, TYPED_TREE),
        (dict[str, Loose], {"a": {"needed": 1}}, {"a": {"needed": 1}}),
        (Annotated[list[Loose], Field(min_length=1)], [{"needed": 1}], [{"needed": 1}]),
        (tuple[Strict, Written], [{"x": 1}, {"x": 2}], ({"x": 1}, {"x": 2})),
        (Box[str], BOX, BOX),
        (list[Box[Strict]], [{"item": {"x": 1}, "inside": []}], [{"item": {"x": 1}, "inside": []}]),
        (TypedDict("Made", {"if": int}), {"if": 1}, {"if": 1}),  # type: ignore[operator]  # made on the spot
    ],
)
def test_a_value_is_the_plain_dict_that_it_is_everywhere(data_type: Any, value: Any, result: Any) -> None:
    asked = Question.of("typed", data_type, "Which?", 60)

    kept = parse_answer(asked, value, text=False)

    found = typed(data_type, kept)
    assert found == result
    assert type(found) is type(result)
    assert as_json(data_type, found) == value


@pytest.mark.parametrize(
    ("data_type", "value"),
    [
        (Tree, {**LEAF, "name": "l"}),
        (Tree, {**LEAF, "children": [{"name": "leaf"}]}),
        (Tree, {**LEAF, "pair": {"left": [1, {"x": "one"}], "right": "a"}}),
        (Loose, {"other": 1}),
        (Strict, {"x": 1, "y": 2}),
        (Box[int], BOX),
    ],
)
def test_what_does_not_fit_is_refused_before_it_is_recorded(data_type: Any, value: Any) -> None:
    with pytest.raises(InvalidValue):
        parse_answer(Question.of("typed", data_type, "Which?", 60), value, text=False)


def test_people_read_its_name_and_its_docstring() -> None:
    schema = answer_type(Base).schema
    assert schema is not None
    assert (schema["title"], schema["description"]) == ("Base", "What a base says.")


@dataclasses.dataclass
class Holder:
    pair: Pair


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="pydantic takes it from Python 3.12 on")
def test_inside_a_dataclass_the_refusal_names_the_way_out() -> None:
    with pytest.raises(InvalidRequest, match=r"data_type Holder .*use `typing_extensions\.TypedDict`"):
        Question.of("typed", Holder, "Which?", 60)
