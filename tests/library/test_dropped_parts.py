"""What a type would drop or round is refused when it is answered, and what was asked before is found again."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import pytest
from pydantic import BaseModel, ConfigDict, Field, JsonValue, NaiveDatetime, RootModel
from typing_extensions import TypedDict

from hitl.core.forms import plan
from hitl.core.forms.hints import hint_of
from hitl.core.forms.parts import Line, Rows
from hitl.core.pythontypes import as_json, typed
from hitl.core.question import Question, parse_answer
from hitl.errors import InvalidValue


class Inner(BaseModel):
    amount: int = 1


class Outer(BaseModel):
    inner: Inner | None = None
    several: list[Inner] = []


class Release(BaseModel):
    """A release."""

    version: str
    at: NaiveDatetime
    replicas: dict[int, str] = {}


class Free(BaseModel):
    model_config = ConfigDict(extra="allow")
    amount: int = 1


@dataclass
class Data:
    amount: int = 1


class Named(TypedDict, total=False):
    amount: int


class Price(BaseModel):
    amount: Decimal


def question(data_type: Any) -> Question:
    return Question.of("release", data_type, "Which one?", 60)


@pytest.mark.parametrize(
    ("data_type", "value"),
    [
        (Inner, {"amuont": 1_000_000}),
        (Data, {"amuont": 1_000_000}),
        (Named, {"amuont": 1_000_000}),
        (list[Inner], [{"amount": 1}, {"Amount": 2}]),
        (dict[str, Inner], {"a": {"amuont": 2}}),
        (RootModel[Inner], {"amuont": 2}),
        (Outer, {"inner": {"amuont": 2}}),
        (Outer, {"several": [{"amuont": 2}]}),
        (Inner | Named, {"amuont": 2}),
    ],
    ids=str,
)
def test_a_name_that_the_type_does_not_know_is_refused(data_type: Any, value: Any) -> None:
    with pytest.raises(InvalidValue, match=r"amuont|Amount"):
        parse_answer(question(data_type), value, text=False)


def test_a_type_may_take_names_that_it_does_not_know() -> None:
    value: JsonValue = {"amount": 2, "more": 3}
    assert parse_answer(question(Free), value, text=False) == value
    assert typed(Free, value) == Free.model_validate(value)


@pytest.mark.parametrize(
    "change",
    [
        {"replicas": {"1": "a", "01": "b"}},
        {"replicas": {"+1": "a"}},
        {"replicas": {"-0": "a"}},
        {"at": "2026-02-30T10:00"},
        {"at": "2026-13-45T99:99"},
        {"at": "2026-02-28T24:00"},
        {"at": "0000-01-01T00:00"},
        {"at": "2026-02-28T10:00:00Z"},
    ],
    ids=str,
)
def test_what_the_program_could_not_get_as_it_was_meant_is_refused(change: Any) -> None:
    value: dict[str, JsonValue] = {
        "version": "1",
        "at": "2026-02-28T10:00",
        "replicas": {"0": "a", "-1": "b", "10": "c"},
    }
    assert parse_answer(question(Release), value, text=False) == value
    typed(Release, value)
    with pytest.raises(InvalidValue):
        parse_answer(question(Release), value | change, text=False)


@pytest.mark.parametrize("number", ["12345678901234567.89", "0.12345678901234567890123", "1234567890123456.7"])
def test_a_decimal_number_inside_a_model_is_kept_to_its_last_digit_or_refused(number: str) -> None:
    with pytest.raises(InvalidValue, match="has more digits than can be kept"):
        parse_answer(question(Price), f'{{"amount": {number}}}', text=True)
    kept = parse_answer(question(Price), f'{{"amount": "{number}"}}', text=True)
    assert typed(Price, kept).amount == Decimal(number)


class Measured(BaseModel):
    amount: float = 0
    positive: Annotated[float, Field(gt=0)] = 1
    flags: dict[bool, int] = {}
    ids: dict[UUID, int] = {}


WHOLE = 2**53
ID = "abcdef78-1234-4678-9234-567812345678"


@pytest.mark.parametrize(
    ("data_type", "value", "wrong"),
    [
        (Measured, {"amount": WHOLE}, {"amount": WHOLE + 1}),
        (Measured, {"amount": 10**300 // 3 * 3.0}, {"amount": 10**300 // 3}),
        (Measured, {"amount": 1e308}, {"amount": 10**400}),
        (Measured, {"positive": WHOLE}, {"positive": WHOLE + 1}),
        (Measured, {"flags": {"true": 1, "false": 2}}, {"flags": {"true": 1, "yes": 2}}),
        (Measured, {"ids": {ID: 1}}, {"ids": {ID: 1, ID.upper(): 2}}),
        (list[float], [WHOLE], [WHOLE + 1]),
        (dict[str, float], {"a": -WHOLE}, {"a": -WHOLE - 1}),
    ],
    ids=str,
)
def test_what_the_type_would_round_or_merge_is_refused(data_type: Any, value: Any, wrong: Any) -> None:
    assert parse_answer(question(data_type), value, text=False) == value
    assert as_json(data_type, typed(data_type, value)) is not None
    with pytest.raises(InvalidValue):
        parse_answer(question(data_type), wrong, text=False)


def test_a_hint_says_nothing_of_the_largest_double() -> None:
    for data_type in (list[float], list[Annotated[float, Field(gt=0)]]):
        rows = plan(question(data_type).json_schema or {})
        assert isinstance(rows, Rows)
        assert isinstance(rows.item, Line)
        assert "308" not in hint_of(rows.item)


def test_a_question_of_release_0_2_0_is_found_again_and_its_answer_is_read() -> None:
    # As that release made it: the ids of questions depend on it.
    former = "346a0cc462d48d4a4e5ba203ae20e76b60484730753f7f3ee218bd5eead9b496"
    assert question(Release).untyped_digest() == former

    answered: JsonValue = {
        "version": "1",
        "at": "2026-02-28T10:00",
        "replicas": {"01": "b"},
        "note": "recorded by that release",
    }
    assert typed(Release, answered).replicas == {1: "b"}
    stored = question(Release).model_copy(update={"json_schema": question(Release).untyped_schema})
    assert question(Release).asks_the_same_as(stored)
    assert parse_answer(stored, answered, text=False) == answered
