"""Several of the choices as one answer, and choices under labels."""

from __future__ import annotations

from datetime import date
from typing import Any, Literal

import pytest
from pydantic import FutureDate

import hitl
from hitl.core.forms.parts import Several
from hitl.core.forms.plan import plan
from hitl.core.pythontypes import typed
from hitl.core.question import Question, parse_answer
from hitl.core.several import list_type
from hitl.errors import InvalidRequest, InvalidValue
from tests.library.running import answer
from tests.library.typed_samples import Color


def question(data_type: Any, **more: Any) -> Question:
    return Question.of("several", data_type, "Which ones?", 60, multiple=True, **more)


CASES: list[tuple[Any, dict[str, Any], Any, list[Any]]] = [
    (str, {"choices": ["eu", "us"]}, ["us"], ["us"]),
    ("str", {"choices": {"eu": "Europe", "us": "America"}}, ["us", "eu"], ["us", "eu"]),
    (int, {"choices": {1: "one", 2: "two"}}, [2], [2]),
    (float, {"choices": [0.5, 1]}, [1, 0.5], [1.0, 0.5]),
    (Color, {}, ["deep blue"], [Color.BLUE]),
    (Color, {"choices": {Color.RED: "Rot"}}, ["red"], [Color.RED]),
    (Literal["a", "b"], {}, ["b", "a"], ["b", "a"]),
    (date, {"choices": [date(2026, 12, 24)]}, ["2026-12-24"], [date(2026, 12, 24)]),
    (str, {"choices": ["eu", "us"]}, [], []),
]


@pytest.mark.parametrize(("data_type", "given", "sent", "result"), CASES)
def test_several_are_a_list_of_the_type(data_type: Any, given: Any, sent: Any, result: Any) -> None:
    asked = question(data_type, **given)

    kept = parse_answer(asked, sent, text=False)

    found = typed(list_type(data_type), kept)
    assert found == result
    assert [type(each) for each in found] == [type(each) for each in result]


@pytest.mark.parametrize("sent", [["mars"], ["eu", "eu"], "eu", {"eu": True}, None])
def test_what_is_no_list_of_different_choices_is_refused(sent: Any) -> None:
    with pytest.raises(InvalidValue):
        parse_answer(question(str, choices=["eu", "us"]), sent, text=False)


def test_the_form_has_a_box_for_each_with_its_label() -> None:
    part = plan(question(str, choices={"eu": "Europe", "us": "America"}).json_schema or {})
    assert isinstance(part, Several)
    assert part.options == (("Europe", "eu"), ("America", "us"))
    assert isinstance(plan(question(Color).json_schema or {}), Several)


def test_a_schema_says_how_many() -> None:
    asked = question(str, choices=["eu", "us", "asia"], schema={"minItems": 1, "maxItems": 2})
    assert isinstance(plan(asked.json_schema or {}), Several)
    parse_answer(asked, ["eu"], text=False)
    for wrong in ("[]", '["eu", "us", "asia"]'):
        with pytest.raises(InvalidValue):
            parse_answer(asked, wrong, text=True)


def test_default_and_proposed_are_lists_of_the_type() -> None:
    asked = question(Color, default=[Color.RED], proposed=[Color.BLUE, Color.RED])
    assert (asked.default, asked.proposed) == ('["red"]', '["deep blue","red"]')
    for wrong in (["green"], "red"):
        with pytest.raises(InvalidRequest, match="default"):
            question(Color, default=wrong)


@pytest.mark.parametrize(
    ("data_type", "given", "told"),
    [
        (str, {}, "multiple=True needs choices"),
        (Color, {"choices": []}, "choices is empty"),
        (bool, {"choices": [True, False]}, "choices cannot be given with data_type bool"),
        (dict, {"choices": ["a"]}, "choices cannot be given with data_type json"),
        (FutureDate, {"choices": [date(2020, 1, 1)]}, "the choice '2020-01-01' is refused by its own data type"),
        (int, {"choices": [1, 1]}, "the same value twice"),
    ],
)
def test_choices_that_cannot_be_offered_are_refused(data_type: Any, given: Any, told: str) -> None:
    with pytest.raises(InvalidRequest, match=told):
        question(data_type, **given)


async def test_the_author_gets_a_list() -> None:
    event = await hitl.new_event.aio("several", Color, multiple=True, poll_interval_seconds=0.05)
    assert answer(event.form_url, ["deep blue", "red"]).status_code == 200

    assert await event.wait.aio() == [Color.BLUE, Color.RED]
    assert event.data_type is Color


async def test_labels_are_shown_and_the_value_is_answered() -> None:
    event = await hitl.new_event.aio(
        "labelled", str, choices={"eu": "Europe (Frankfurt)", "us": "America"}, poll_interval_seconds=0.05
    )
    assert answer(event.form_url, "eu").status_code == 200
    assert await event.wait.aio() == "eu"


@pytest.mark.parametrize("label", ["", " ", 1, None])
@pytest.mark.parametrize("multiple", [False, True])
def test_a_label_is_some_text(label: Any, multiple: bool) -> None:
    with pytest.raises(InvalidRequest, match=r"choices: the label of 'eu' is .*: give some text"):
        Question.of("labelled", str, "Where?", 60, choices={"eu": label}, multiple=multiple)


def test_a_label_is_short() -> None:
    with pytest.raises(InvalidRequest, match="choice_labels"):
        Question.of("labelled", str, "Where?", 60, choices={"eu": "x" * 300})
