"""What a question offers, with the labels that people see, whether its choices or its schema list the values."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any, Literal

import pytest

from hitl.cli.walk import part_of
from hitl.core.forms import plan
from hitl.core.forms.labels import found, searchable, told
from hitl.core.forms.offers import offered
from hitl.core.forms.parts import Group, OneOf, options_of
from hitl.core.question import Question

REGIONS = {"eu-1": "Frankfurt", "us-1": "Ohio"}
TITLED = [{"const": value, "title": title} for value, title in REGIONS.items()]


class Level(Enum):
    LOW = 1
    HIGH = 2


def asked(data_type: Any = str, **content: Any) -> Question:
    return Question.of("region", data_type, "Which?", 60, **content)


@pytest.mark.parametrize(
    ("data_type", "content", "offers"),
    [
        (str, {"choices": REGIONS}, (("eu-1", "Frankfurt"), ("us-1", "Ohio"))),
        (str, {"choices": ["b", "a"]}, (("b", "b"), ("a", "a"))),
        (str, {"schema": {"oneOf": TITLED}}, (("eu-1", "Frankfurt"), ("us-1", "Ohio"))),
        (str, {"schema": {"anyOf": TITLED}}, (("eu-1", "Frankfurt"), ("us-1", "Ohio"))),
        (str, {"schema": {"allOf": [{"enum": ["a", "b"]}]}}, (("a", "a"), ("b", "b"))),
        (int, {"schema": {"enum": [1, "a", 2.0, None, True]}}, ()),
        (int, {"schema": {"enum": [1, "a", 2.0, True]}}, (("1", "1"),)),
        (float, {"schema": {"enum": [1, 2.5]}}, (("1.0", "1"), ("2.5", "2.5"))),
        (Level, {}, (("1", "1"), ("2", "2"))),
        (Literal["x", "y"], {}, (("x", "x"), ("y", "y"))),
        (int, {"choices": {1: "many", 2: "many"}}, (("1", "many (1)"), ("2", "many (2)"))),
        (
            str,
            {"choices": {"a": "X", "b": "X", "c": "X (a)"}},
            (("a", 'X (a) ("a")'), ("b", "X (b)"), ("c", 'X (a) ("c")')),
        ),
        (int, {"schema": {"minimum": 1}}, ()),
        (str, {}, ()),
        (bool, {"schema": {"enum": [True]}}, ()),
        ("json", {"schema": {"enum": ["a", "b"]}}, ()),
    ],
)
def test_a_value_is_offered_under_its_label(data_type: Any, content: Any, offers: Any) -> None:
    assert offered(asked(data_type, **content)) == offers


def test_a_value_is_told_with_its_label() -> None:
    offers = offered(asked(choices={"eu-1": "Frankfurt", "b": "b"}))
    assert [told(offers, text) for text in ("eu-1", "b", "mars")] == ["Frankfurt (eu-1)", "b", "mars"]
    assert told(offered(asked(int, choices={1: "many", 2: "many"})), "1") == "many (1)"


@pytest.mark.parametrize(
    ("choices", "is_searchable"),
    [
        (REGIONS, True),
        ({"a": "A", "b": "B"}, True),
        ({"a": "b", "b": "a"}, False),
        ({"a": "one  two"}, False),
        ({"a": "X", "b": "x"}, False),
    ],
)
def test_what_is_typed_to_search_means_one_value_or_there_is_no_search(choices: Any, is_searchable: bool) -> None:
    assert searchable(offered(asked(choices=choices))) is is_searchable


@pytest.mark.parametrize(
    ("typed", "value"),
    [("Frankfurt", "eu-1"), (" frankFURT", "eu-1"), ("us-1", "us-1"), ("US-1 ", "us-1"), ("mars", None)],
)
def test_a_label_or_the_value_itself_is_found(typed: str, value: str | None) -> None:
    assert found(offered(asked(choices=REGIONS)), typed) == value


@pytest.mark.parametrize(
    ("schema", "labels"),
    [
        ({"enum": [1, "1"]}, ["1", '1 ("1")']),
        ({"enum": [True, "true", "no"]}, ["true", 'true ("true")', "no"]),
        ({"oneOf": [{"const": "a", "title": "X"}, {"const": "b", "title": "X"}]}, ["X (a)", "X (b)"]),
        ({"oneOf": [{"const": 1, "title": "X"}, {"const": "1", "title": "X"}]}, ["X (1) (1)", 'X (1) ("1")']),
        ({"type": "array", "uniqueItems": True, "items": {"enum": [1, "1"]}}, ["1", '1 ("1")']),
        (
            {"anyOf": [{"title": "Plan", "type": "integer"}, {"title": "Plan", "type": "string"}]},
            ["Plan (1)", "Plan (2)"],
        ),
    ],
)
def test_no_two_options_of_a_part_look_the_same(schema: dict[str, Any], labels: list[str]) -> None:
    form = plan({"type": "object", "properties": {"part": schema}})
    assert isinstance(form, Group)
    part = dict(form.fields)["part"]
    options: Sequence[tuple[str, object]] = part.branches if isinstance(part, OneOf) else options_of(part)
    assert [label for label, _ in options] == labels


def test_at_the_terminal_choices_of_equal_labels_are_told_apart() -> None:
    part = part_of(asked(choices={"a": "Frankfurt", "b": "Frankfurt"}))
    assert options_of(part) == (("Frankfurt (a)", "a"), ("Frankfurt (b)", "b"))
