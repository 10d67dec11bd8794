"""What an answer changed of what was proposed."""

import json

import pytest
from hypothesis import given

from hitl.core.edits import MAX_CHANGES, Change, edits
from hitl.core.forms.parts import MISSING
from hitl.core.question import Question
from tests.library.test_values import json_values


def asked(proposed: object) -> Question:
    return Question.of("edit", "json", "Right?", 60, proposed=proposed)


def test_each_part_that_differs_is_told_with_its_place() -> None:
    question = asked({"name": "api", "old": 1, "ports": [80, 443], "a/b~c": True})
    assert edits(question, {"name": "web", "ports": [80], "a/b~c": 1, "new": None}) == (
        Change("/name", "api", "web"),
        Change("/old", 1, MISSING),
        Change("/ports/1", 443, MISSING),
        Change("/a~1b~0c", True, 1),
        Change("/new", MISSING, None),
    )


def test_a_scalar_is_one_part() -> None:
    question = Question.of("edit", int, "Right?", 60, proposed=3)
    assert edits(question, 3) == ()
    assert edits(question, 4) == (Change("", 3, 4),)


def test_where_nothing_was_proposed_nothing_was_edited() -> None:
    assert edits(Question.of("edit", int, "Right?", 60, default=3), 4) == ()


def test_the_list_of_changes_is_bounded() -> None:
    assert len(edits(asked([0] * 1_000), [1] * 1_000)) == MAX_CHANGES


@pytest.mark.parametrize("empty", [{}, [], ""])
def test_an_empty_value_against_another_kind_is_one_change(empty: object) -> None:
    [change] = edits(asked(empty), 5)
    assert (change.place, change.after) == ("", 5)


@given(json_values)
def test_a_value_that_is_sent_back_as_it_was_proposed_has_no_edits(value: object) -> None:
    if value is not None:
        assert edits(asked(value), json.loads(json.dumps(value))) == ()
