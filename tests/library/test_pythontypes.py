"""Every type that pydantic knows: asked for, answered by JSON and by text, and handed over as the type itself."""

from __future__ import annotations

import enum
import json
import math
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FutureDate,
    NaiveDatetime,
    SecretStr,
    computed_field,
    field_validator,
)

from hitl.core.pythontypes import Unusable, as_json, typed
from hitl.core.question import Question, parse_answer
from hitl.core.text import is_blank
from hitl.core.values import format_value
from hitl.errors import InvalidRequest, InvalidValue
from tests.library.samples import Even
from tests.library.typed_samples import MORE, TYPED, Address, Circle, Color, Level, Small, Square, same

TYPES = {**TYPED, **MORE}


class Deploy(BaseModel):
    region: Literal["eu", "us"]
    replicas: int = Field(1, ge=1, le=9)
    cost: Decimal = Decimal("1.50")
    at: datetime | None = None
    addresses: list[Address] = []
    level: Level = Level.LOW


def question(data_type: Any, **more: Any) -> Question:
    return Question.of("typed", data_type, "Which one?", 60, **more)


@pytest.mark.parametrize("name", TYPES)
@given(data=st.data())
@settings(max_examples=40)
def test_a_value_comes_back_as_the_same_value_of_the_same_class(name: str, data: st.DataObject) -> None:
    data_type, values = TYPES[name]
    value = data.draw(values)
    asked = question(data_type)
    sent = as_json(data_type, value)

    by_json = parse_answer(asked, json.loads(json.dumps(sent)), text=False)
    by_text = parse_answer(asked, format_value(asked.data_type, sent), text=True)

    assert same(by_json, by_text)
    result = typed(data_type, by_json)
    assert same(result, value), (result, value)


@pytest.mark.parametrize("name", TYPES)
@given(data=st.data())
@settings(max_examples=10)
def test_a_default_is_a_value_of_the_type(name: str, data: st.DataObject) -> None:
    data_type, values = TYPES[name]
    value = data.draw(values.filter(lambda each: each is not None and not is_blank(str(each))))

    asked = question(data_type, default=value)

    assert asked.default is not None
    assert typed(data_type, parse_answer(asked, asked.default, text=True)) == value


@pytest.mark.parametrize(
    ("data_type", "kind", "choices"),
    [
        (Color, "str", ["red", "deep blue"]),
        (Level, "int", ["1", "9"]),
        (Literal["a", "b"], "str", ["a", "b"]),
        (Literal["only"], "str", ["only"]),
        (Small, "int", []),
        (date, "str", []),
        (Decimal, "str", []),
        (Deploy, "json", []),
        (Literal[True], "bool", []),
        (Enum := enum.Enum("Enum", {f"n{number}": f"n{number}" for number in range(65)}), "str", []),
    ],
)
def test_what_can_be_listed_is_chosen_and_what_is_one_text_is_typed(
    data_type: Any, kind: str, choices: list[str]
) -> None:
    asked = question(data_type)
    assert (asked.data_type, asked.choices) == (kind, choices)


def test_values_of_the_type_are_offered_as_it_writes_them() -> None:
    days = [date(2026, 12, 24), date(2026, 12, 31)]
    assert question(date, choices=days, default=days[1]).choices == ["2026-12-24", "2026-12-31"]


@pytest.mark.parametrize(
    ("data_type", "answer"),
    [
        (Small, "10"),
        (date, "2026-02-30"),
        (datetime, "yesterday"),
        (Decimal, "1,5"),
        (Decimal, "NaN"),
        (UUID, "1234"),
        (Color, "green"),
        (Deploy, '{"region": "mars"}'),
        (Deploy, '{"region": "eu", "replicas": 10}'),
        (Deploy, '{"region": "eu", "addresses": [{}]}'),
        (list[date], '["2026-02-30"]'),
    ],
)
def test_what_the_type_says_is_checked_before_anything_is_recorded(data_type: Any, answer: str) -> None:
    with pytest.raises(InvalidValue):
        parse_answer(question(data_type), answer, text=True)


class Secret(BaseModel):
    user: str
    password: SecretStr


class Hidden(BaseModel):
    day: pydantic.Secret[date]


HIDDEN = [pydantic.Secret[int], Hidden, list[Hidden], Hidden | None]


@pytest.mark.parametrize("data_type", [SecretStr, Secret, list[Secret], Secret | None, *HIDDEN])
def test_a_secret_is_refused_as_answers_are_stored_in_clear(data_type: Any) -> None:
    with pytest.raises(InvalidRequest, match="holds a secret, and answers are stored in clear"):
        question(data_type)


def test_a_model_that_is_called_secret_hides_nothing() -> None:
    class Secret(BaseModel):
        name: str

        @field_validator("name")
        @classmethod
        def _known(cls, name: str) -> str:
            return name

    assert question(Secret).data_type == "json"


@pytest.mark.parametrize("data_type", [object(), 42, type, print, list["Nowhere"], tuple[object(), int]])  # type: ignore[name-defined,misc]  # noqa: F821 - they are wrong
def test_a_type_that_no_form_can_ask_for_is_refused_with_the_way_out(data_type: Any) -> None:
    with pytest.raises(
        InvalidRequest, match="has no JSON Schema, so no form can ask for it: use a Pydantic model"
    ):
        question(data_type)


def test_two_questions_of_different_types_are_two_questions() -> None:
    assert question(Circle).untyped_digest() != question(Square).untyped_digest()


def test_what_only_the_type_refuses_is_named_by_its_part() -> None:
    with pytest.raises(Unusable) as refused:
        typed(Even, {"number": 3})
    assert refused.value.details == ("number: choose an even number",)


class Camel(BaseModel):
    first_name: str = Field(alias="firstName")


class Written(BaseModel):
    count: int = Field(1, serialization_alias="written")


class Computed(BaseModel):
    model_config = ConfigDict(extra="forbid")
    side: int

    @computed_field  # type: ignore[prop-decorator]  # as pydantic documents it
    @property
    def area(self) -> int:
        return self.side**2


@pytest.mark.parametrize(
    ("data_type", "value", "sent"),
    [
        (Camel, Camel(firstName="Ann"), {"firstName": "Ann"}),
        (list[Camel], [Camel(firstName="Ann")], [{"firstName": "Ann"}]),
        (Written, Written(count=5), {"count": 5}),
        (Computed, Computed(side=2), {"side": 2}),
        (NaiveDatetime, datetime(2026, 1, 2, 3, 4), "2026-01-02T03:04:00"),
    ],
)
def test_a_default_is_written_as_its_type_reads_it(data_type: Any, value: Any, sent: Any) -> None:
    asked = question(data_type, default=value)
    assert asked.default is not None
    kept = parse_answer(asked, asked.default, text=True)
    assert kept == sent
    assert typed(data_type, kept) == value


class Tuples(enum.Enum):
    LEFT = (1, 2)


class OfMember(BaseModel):
    color: Literal[Color.RED]


@pytest.mark.parametrize("data_type", [Literal[Color.RED], OfMember, Literal[b"a"], Tuples, list[Tuples]])
def test_values_that_no_json_becomes_are_refused_before_anybody_is_asked(data_type: Any) -> None:
    with pytest.raises(InvalidRequest, match=r"which no answer can be|give each member a text or a number"):
        question(data_type)


def test_a_pattern_that_pydantic_cannot_read_is_refused_with_its_fault() -> None:
    with pytest.raises(InvalidRequest, match="look-around"):
        question(Annotated[str, Field(pattern="^(?=a)")])


def test_bytes_that_are_no_text_are_refused_as_a_default() -> None:
    with pytest.raises(InvalidRequest, match="default"):
        question(bytes, default=b"\xff")


class NotANumber(BaseModel):
    share: float = float("nan")


def test_a_fields_default_that_json_lacks_is_left_to_the_type() -> None:
    asked = question(NotANumber)
    assert math.isnan(typed(NotANumber, parse_answer(asked, "{}", text=True)).share)


@pytest.mark.parametrize(
    ("one", "other", "choices"),
    [(Literal["yes", "no"], Literal["no", "yes"], ["no", "yes"]), (Literal[1, 2], Literal[2, 1], ["2", "1"])],
)
def test_equal_types_keep_the_order_in_which_each_is_written(one: Any, other: Any, choices: list[str]) -> None:
    assert question(one).choices == choices[::-1]
    assert question(other).choices == choices


@pytest.mark.parametrize("default", [Even.model_construct(number=3), {"number": 3}])
def test_a_default_that_its_own_type_refuses_is_refused_before_the_deadline(default: Any) -> None:
    with pytest.raises(InvalidRequest, match=r"the default .* is refused by its own data type: .*an even number"):
        question(Even, default=default)


def test_a_choice_that_its_own_type_refuses_is_not_offered() -> None:
    with pytest.raises(InvalidRequest, match="the choice '2020-01-01' is refused by its own data type"):
        question(FutureDate, choices=[date(2020, 1, 1), date(2990, 1, 1)])


class Blank(enum.StrEnum):
    NOTHING = " "
    SOME = "some"


def test_members_without_a_text_to_click_on_do_not_stand_in_the_way_of_the_others() -> None:
    asked = question(Blank)
    assert typed(Blank, parse_answer(asked, "some", text=True)) is Blank.SOME


class Step(BaseModel):
    type: date | str
    limit: bool | int | None = None
    steps: list[Step] = []


@pytest.mark.parametrize(
    ("data_type", "recorded", "meant"),
    [
        (Step, {"type": "0", "steps": [{"type": "1"}]}, Step(type="0", steps=[Step(type="1")])),
        (list[Step | int], [{"type": "2026-02-28"}, 1], [Step(type=date(2026, 2, 28)), 1]),
        (bool | int, 1, 1),
        (list[Literal[1] | bool], [True, 1], [True, 1]),
        (Level | bool, True, True),
        (Color | date, "red", Color.RED),
        (dict[str, bool | int], {"replicas": 1}, {"replicas": 1}),
        (datetime | str, "5", "5"),
        (datetime | str, "2026-02-28 09:30:00Z", "2026-02-28 09:30:00Z"),
        (list[date | str], ["0"], ["0"]),
        (dict[str, datetime | str | None], {"from": "1700000000"}, {"from": "1700000000"}),
        (timedelta | time, "01:00:00", time(1)),
        (UUID | str, "12345678123456781234567812345678", "12345678123456781234567812345678"),
        (float | Decimal, 9007199254740993, Decimal(9007199254740993)),
        (Decimal | str, "1_000", "1_000"),
    ],
)
def test_of_a_union_the_alternative_counts_whose_schema_the_answer_fits(
    data_type: Any, recorded: Any, meant: Any
) -> None:
    came_back = typed(data_type, parse_answer(question(data_type), recorded, text=False))
    assert same(came_back, meant), f"{recorded!r} came back as {came_back!r}"
