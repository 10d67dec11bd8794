"""Decimals: their bounds hold to the last digit wherever an answer enters, however it is written."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from hitl.core.decimals import KEYWORD
from hitl.core.forms.parts import Group, Line
from hitl.core.forms.plan import plan
from hitl.core.pythontypes import as_json, typed
from hitl.core.question import Question, parse_answer
from hitl.core.schema import check_schema, check_value
from hitl.errors import InvalidRequest, InvalidValue

Price = Annotated[Decimal, Field(ge=Decimal("0.1"), lt=Decimal("99.995"), max_digits=5, decimal_places=2)]
Steps = Annotated[Decimal, Field(multiple_of=Decimal("0.05"))]
# A double is either below or above both.
Narrow = Annotated[Decimal, Field(gt=Decimal("0.10000000000000000001"), le=Decimal("9007199254740993.5"))]
Whole = Annotated[Decimal, Field(ge=-5, le=9007199254740993)]
Digits = Annotated[Decimal, Field(max_digits=3)]
TYPES = [Price, Steps, Narrow, Whole, Digits]

_plain = st.decimals(-200, 200, allow_nan=False, allow_infinity=False, places=3)
_near = st.sampled_from(["0.1", "0.10", "0.0999", "99.99", "99.995", "0.1000000000000000000", "9007199254740993"])
_large = st.integers(-(10**18), 10**18).map(Decimal)
_exponents = st.builds("{}e{}".format, st.integers(-999, 999), st.integers(-30, 9_999)).map(Decimal)
_decimals = _plain | _near.map(Decimal) | _large | _exponents


def takes(data_type: Any, number: Decimal) -> bool:
    try:
        TypeAdapter(data_type).validate_json(json.dumps(str(number)))
    except (ValidationError, ArithmeticError):
        return False
    return True


@pytest.mark.parametrize("data_type", TYPES)
@settings(max_examples=200)
@given(number=_decimals)
def test_a_text_is_accepted_exactly_if_the_type_takes_it(data_type: Any, number: Decimal) -> None:
    asked = Question.of("price", data_type, "Which?", 60)
    try:
        parse_answer(asked, str(number), text=True)
        accepted = True
    except InvalidValue:
        accepted = False

    assert accepted == takes(data_type, number)


@pytest.mark.parametrize("data_type", TYPES)
@settings(max_examples=100)
@given(number=st.floats(-200, 200) | st.integers(-(10**17), 10**17) | st.sampled_from([0.1, 99.99, 19.95, 0.15]))
def test_a_json_number_inside_a_value_is_its_shortest_decimal(data_type: Any, number: float) -> None:
    asked = Question.of("prices", list[data_type], "Which?", 60)
    try:
        parse_answer(asked, [number], text=False)
        accepted = True
    except InvalidValue:
        accepted = False

    assert accepted == takes(data_type, Decimal(repr(number)))


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("abc", r"'abc' is not a number: write it with a point"),
        ("0.09", r"'0\.09' should be greater than or equal to 0\.1"),
        ("100", r"'100' should be less than 99\.995"),
        ("1.234", r"'1\.234' should have no more than 2 decimal places"),
        ("1234.5", r"'1234\.5' should have no more than 3 digits before the decimal point"),
    ],
)
def test_a_refusal_says_which_bound_it_is(answer: str, told: str) -> None:
    with pytest.raises(InvalidValue, match=told):
        parse_answer(Question.of("price", Price, "Which?", 60), answer, text=True)


@pytest.mark.parametrize("typed_as", ["-1.5", "\u22121.5", " -1.5\n", "\u00a0\u22121.5"])
def test_a_decimal_is_read_as_other_numbers_are(typed_as: str) -> None:
    whole, part = Question.of("n", Decimal, "How?", 60), Question.of("n", float, "How?", 60)
    assert parse_answer(whole, typed_as, text=True) == "-1.5"
    assert parse_answer(part, typed_as, text=True) == -1.5
    if typed_as != "-1.5":
        with pytest.raises(InvalidValue, match="is not a number"):
            parse_answer(whole, typed_as, text=False)


class Item(BaseModel):
    price: Price
    note: Annotated[Decimal, Field(ge=0)] | None = None


@pytest.mark.parametrize("item", [{"price": "0.09"}, {"price": 0.09}, {"price": "1", "note": "-0.01"}])
def test_the_bounds_of_a_models_field_hold(item: Any) -> None:
    with pytest.raises(InvalidValue, match=r"should be greater than or equal to|is less than the minimum"):
        parse_answer(Question.of("item", Item, "Which?", 60), item, text=False)


def test_a_value_keeps_its_last_digit() -> None:
    asked = Question.of("narrow", Narrow, "Which?", 60)
    number = Decimal("0.1000000000000000000100001")
    kept = parse_answer(asked, as_json(Narrow, number), text=False)
    assert str(typed(Narrow, kept)) == str(number)


def test_other_tools_are_told_the_bounds_that_a_double_can_say() -> None:
    schema = Question.of("price", Price, "Which?", 60).json_schema
    assert schema is not None
    assert schema["anyOf"][0] == {  # type: ignore[index]  # an anyOf is a list
        "type": "number",
        "minimum": 0.1,
        "exclusiveMaximum": 99.995,
        KEYWORD: {"minimum": "0.1", "exclusiveMaximum": "99.995", "maxDigits": 5, "decimalPlaces": 2},
    }


@pytest.mark.parametrize(
    "argument",
    [
        [],
        {"minimum": 1},
        {"minimum": "1e99999"},
        {"minimum": "NaN"},
        {"minimum": "9" * 1_025},
        {"multipleOf": "0"},
        {"maxDigits": -1},
        {"a": "1"},
    ],
)
def test_a_bound_that_is_none_is_refused_when_asked(argument: Any) -> None:
    with pytest.raises(InvalidRequest, match=KEYWORD):
        check_schema({KEYWORD: argument})


# What releases of pydantic write for the same field: 2.11, 2.12 and 2.13, 2.14, and 2.14 where it is told to.
_START = r"^(?!^[-+.]*$)[+-]?0*"
_NUMBER = r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)"
PATTERNS: dict[str, tuple[str, Any, list[str], list[str]]] = {
    "2.12, without bounds": (
        _START + r"\d*\.?\d*$",
        Decimal,
        ["0", "-1.50", ".5", "1.", "0012"],
        ["", "-", "abc", "1,5", "NaN", "1.2.3"],
    ),
    "2.12, places": (
        _START + r"\d*\.?\d{0,2}0*$",
        Decimal,
        ["19.99", "19.9900", "-3"],
        ["19.999", "abc"],
    ),
    "2.12, digits": (
        _START + r"(?:\d{0,3}|(?=[\d.]{1,4}0*$)\d*\.\d*0*$)",
        Decimal,
        ["123", "1.23"],
        ["1234", "1.234", "abc"],
    ),
    "2.12, both": (
        _START + r"(?:\d{0,3}|(?=[\d.]{1,6}0*$)\d{0,3}\.\d{0,2}0*$)",
        Decimal,
        ["123.45", "1.5"],
        ["1234", "1.234", "abc"],
    ),
    "2.14, where it is told to": (
        rf"^[+-]?(?:[0-9]+(?:\.[0-9]{{0,2}}0*)?|[0-9]*\.[0-9]{{1,2}}0*|{_NUMBER}[eE][+-]?[0-9]+)$",
        Decimal,
        ["19.99", "1e2"],
        ["19.999", "abc"],
    ),
}


@pytest.mark.parametrize("name", PATTERNS)
def test_a_models_schema_of_another_release_is_a_decimal_too(name: str) -> None:
    pattern, _, right, wrong = PATTERNS[name]
    schema: Any = {
        "type": "object",
        "properties": {"price": {"anyOf": [{"type": "number"}, {"type": "string", "pattern": pattern}]}},
    }
    asked = Question.of("price", dict, "Which?", 60, schema=schema)

    match plan(schema):
        case Group(fields=(("price", Line(kind="decimal")),)):
            pass
        case other:
            pytest.fail(f"no field of a decimal: {other}")
    for text in right:
        assert parse_answer(asked, {"price": text}, text=False) == {"price": text}
    for text in wrong:
        with pytest.raises(InvalidValue):
            parse_answer(asked, {"price": text}, text=False)


@pytest.mark.parametrize("pattern", ["^[a-z]+$", "^[0-9]{4}$", "^$"])
def test_a_number_or_a_text_of_another_kind_is_no_decimal(pattern: str) -> None:
    part = plan({"anyOf": [{"type": "number"}, {"type": "string", "pattern": pattern}]})
    assert not isinstance(part, Line)


@pytest.mark.parametrize(
    ("number", "step", "fits"),
    [
        (19.99, 0.01, True),
        (0.3, 0.1, True),
        (0.30000000000000004, 0.1, False),
        (1e300, 0.1, True),
        (7, 0.5, True),
        (1.1 * 3, 1.1, True),
    ],
)
def test_a_multiple_is_one_by_the_decimals_that_people_write(number: float, step: float, fits: bool) -> None:
    if fits:
        check_value({"multipleOf": step}, number)
        return
    with pytest.raises(InvalidValue, match="is not a multiple of"):
        check_value({"multipleOf": step}, number)


def test_what_is_wrong_is_told_of_the_one_alternative_of_its_type() -> None:
    schema: Any = {
        "anyOf": [{"$ref": "#/$defs/small"}, {"type": "null"}],
        "$defs": {"small": {"maximum": 9, "type": "integer"}},
    }
    with pytest.raises(InvalidValue, match="12 is greater than the maximum of 9"):
        check_value(schema, 12)
    check_value(schema, None)
