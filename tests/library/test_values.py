"""Text and JSON become typed values, or a sentence: nothing is guessed and nothing rounded away."""

import json
import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hitl.core.strictjson import MAX_JSON_DEPTH, read_json
from hitl.core.text import is_blank
from hitl.core.values import (
    DATA_TYPES,
    INT64_MAX,
    INT64_MIN,
    MAX_VALUE_CHARS,
    DataType,
    NoJsonType,
    Value,
    check_choice,
    format_value,
    parse_json,
    parse_text,
    type_name,
)
from hitl.errors import InvalidRequest, InvalidValue

texts = st.text(st.characters(exclude_categories=["Cs"]))
# What JSON can hold as such: names are text, numbers finite.
json_values: st.SearchStrategy[Value] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
values: dict[DataType, st.SearchStrategy[Any]] = {
    "int": st.integers(INT64_MIN, INT64_MAX),
    "float": st.floats(allow_nan=False, allow_infinity=False),
    "bool": st.booleans(),
    "str": texts.filter(lambda text: not is_blank(text)),
    "json": json_values,
}


def shown(value: Any) -> str:
    """A short id for a case, for values too whose text is endless."""
    return "huge" if isinstance(value, int) and abs(value) > 2**64 else ascii(value)[:24]


def same(one: Value, other: Value) -> bool:
    """Equal, and of one type: 1 is neither True nor 1.0, and 0.0 is not -0.0."""
    return repr(one) == repr(other)


@pytest.mark.parametrize(
    ("data_type", "text", "value"),
    [
        ("int", "42", 42),
        ("int", " 42\n", 42),
        ("int", "+7", 7),
        ("int", "-0", 0),
        ("int", "007", 7),
        ("int", "0" * 5000 + "7", 7),
        ("int", "9223372036854775807", INT64_MAX),
        ("int", "-9223372036854775808", INT64_MIN),
        ("int", "\u22125", -5),
        ("int", "\u00a0\u202f 1000\u00a0", 1000),
        ("float", " \u2212.5e1\u2009", -5.0),
        ("float", "4.5", 4.5),
        ("float", "4", 4.0),
        ("float", ".5", 0.5),
        ("float", "5.", 5.0),
        ("float", "-0.0", -0.0),
        ("float", "0e5", 0.0),
        ("float", "1E-3", 0.001),
        ("float", "5e-324", 5e-324),
        ("float", "1.7976931348623157e308", 1.7976931348623157e308),
        ("bool", "true", True),
        ("bool", " false ", False),
        ("str", " kept as typed\r\n", " kept as typed\r\n"),
        ("str", "null", "null"),
        ("str", "a" * MAX_VALUE_CHARS, "a" * MAX_VALUE_CHARS),
        ("json", '{"a": [1, 2.5, true, null, "x"]}', {"a": [1, 2.5, True, None, "x"]}),
        ("json", "null", None),
        ("json", "123456789012345678901234567890", 123456789012345678901234567890),
        ("json", '"\\ud83d\\ude00"', "😀"),
        ("json", "[" * MAX_JSON_DEPTH + "]" * MAX_JSON_DEPTH, json.loads("[" * 64 + "]" * 64)),
    ],
    ids=shown,
)
def test_what_text_is_read_as(data_type: DataType, text: str, value: Value) -> None:
    assert same(parse_text(data_type, text), value)


@pytest.mark.parametrize(
    ("data_type", "text", "sentence"),
    [
        *[
            (data_type, text, "An answer is needed")
            for data_type in DATA_TYPES
            for text in ("", " \t\r\n\u00a0", "\u200b", "\x00")
        ],
        *[(data_type, "x" * 2_000_000, "has 2,000,000 characters") for data_type in DATA_TYPES],
        ("int", "4.5", '"4.5" is not a whole number'),
        ("int", "4.0", "is not a whole number"),
        ("int", "1e3", "is not a whole number"),
        ("int", "0x1F", '"0x1F" is not a whole number'),
        ("int", "1_000", "is not a whole number"),
        ("int", "1,000", "is not a whole number"),
        ("int", "٣", "is not a whole number"),
        ("int", "- 1", "is not a whole number"),
        ("int", "--1", "is not a whole number"),
        ("int", "+-1", "is not a whole number"),
        ("int", "true", "is not a whole number"),
        ("int", "NaN", "is not a whole number"),
        ("int", "9223372036854775808", "from -2^63 to 2^63-1"),
        ("int", "-9223372036854775809", "from -2^63 to 2^63-1"),
        ("int", "9" * 60_000, "from -2^63 to 2^63-1"),
        ("int", "1 000", "write it in digits, without separators or units, such as 1000"),
        ("int", "1\u202f000", "without separators"),
        ("int", "1'000", "without separators"),
        ("int", "1.000", "without separators"),
        ("int", "12 %", "without separators or units"),
        ("int", "１２", "is not a whole number"),
        ("int", "\u2013" + "5", "is not a whole number"),
        ("int", "5\u22123", "is not a whole number"),
        ("int", "\u2212\u22125", "is not a whole number"),
        ("int", "-\u22125", "is not a whole number"),
        ("int", "\u2212 5", "is not a whole number"),
        ("int", "5\u200b", "is not a whole number"),
        ("int", "\u202e5", '"\\u202e5" is not a whole number'),
        ("float", "0,42", '"0,42" is not a number: write 0.42 with a point, without separators.'),
        ("float", "\u22120,5", "write -0.5 with a point"),
        ("float", "12,5", "write 12.5 with a point"),
        ("float", "1000,125", "write 1000.125 with a point"),
        # A thousand in one country, a little over one in another: no number is proposed.
        ("float", "1,000", "write it with a point, without separators or units, such as 1234.5."),
        ("float", "1.234,5", "such as 1234.5."),
        ("float", "1,234.5", "such as 1234.5."),
        ("float", "1,234,567", "such as 1234.5."),
        ("float", "1 000.5", "such as 1234.5."),
        ("float", "12 %", "without separators or units"),
        ("float", "4٫5", "is not a number"),
        ("float", "1e\u22123", "is not a number"),
        ("float", "NaN", '"NaN" is not a number'),
        ("float", "Infinity", "is not a number"),
        ("float", "-inf", "is not a number"),
        ("float", "1e400", '"1e400" is not a finite number'),
        ("float", "9" * 400, "is not a finite number"),
        ("float", "1e-400", "too close to zero"),
        ("float", "0x1p3", "is not a number"),
        ("float", "1_0.0", "is not a number"),
        ("float", "4,5", "is not a number"),
        ("float", ".", "is not a number"),
        ("float", "1e", "is not a number"),
        ("float", "٣", "is not a number"),
        ("bool", "maybe", '"maybe" is neither true nor false'),
        *[("bool", text, "neither true nor false") for text in ("True", "TRUE", "yes", "on", "1", "0", "t")],
        ("str", "half \ud800", "half a character"),
        ("json", "{", "This is not JSON"),
        ("json", "{'a': 1}", "line 1, column 2"),
        ("json", "[1,]", "This is not JSON"),
        ("json", "1 2", "This is not JSON"),
        ("json", "NaN", "NaN is not JSON"),
        ("json", "[-Infinity]", "-Infinity is not JSON"),
        ("json", "[1e400]", "not a finite number"),
        ("json", "[1e-400]", "too close to zero"),
        ("json", "1" * 5000, "not JSON that can be kept"),
        ("json", '"\\ud800"', "half a character"),
        ("json", '{"\\udfff": 1}', "half a character"),
        ("json", '{"a": 1, "b": 2, "a": 3}', '"a" twice in one object'),
        ("json", '[{"x": {"\\u0061": 1, "a": 1}}]', '"a" twice in one object'),
        ("json", "[" * 65 + "]" * 65, "at most 64 levels"),
        ("json", '{"a":' * 65 + "1" + "}" * 65, "at most 64 levels"),
        ("json", "[" * 30_000 + "]" * 30_000, "at most 64 levels"),
        ("json", "[" + "1e15," * 8_000 + "1]", "characters: at most 65,536"),
    ],
    ids=shown,
)
def test_what_text_is_refused(data_type: DataType, text: str, sentence: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        parse_text(data_type, text)

    message = str(refused.value)
    assert sentence in message
    assert message.endswith(".")
    assert len(message) < 200


@pytest.mark.parametrize(
    ("data_type", "given_value", "value"),
    [
        ("int", 42, 42),
        ("int", "42", 42),
        ("float", 4, 4.0),
        ("float", "4.5", 4.5),
        ("bool", False, False),
        ("bool", "true", True),
        ("str", "x", "x"),
        ("json", "42", "42"),
        ("json", None, None),
        ("json", {"a": [1.0]}, {"a": [1.0]}),
    ],
    ids=shown,
)
def test_what_json_is_read_as(data_type: DataType, given_value: Value, value: Value) -> None:
    assert same(parse_json(data_type, given_value), value)


@pytest.mark.parametrize(
    ("data_type", "given_value", "sentence"),
    [
        ("int", True, "true is not of type int"),
        ("int", 4.0, "4.0 is not of type int"),
        ("int", None, "nothing is not of type int"),
        ("int", [1], "is not of type int"),
        ("int", 2**63, "out of range"),
        ("int", -(10**5000), "out of range"),
        ("float", True, "is not of type float"),
        ("float", float("nan"), "not a finite number"),
        ("float", float("inf"), "not a finite number"),
        ("float", 10**400, "too large"),
        ("bool", 1, "is not of type bool"),
        ("bool", 0, "is not of type bool"),
        ("bool", "maybe", "neither true nor false"),
        ("str", 5, "is not of type str"),
        ("str", "", "An answer is needed"),
        ("json", float("nan"), "cannot be written as JSON"),
        ("json", "x" * 70_000, "characters"),
        ("json", 10**5000, "cannot be written as JSON"),
    ],
    ids=shown,
)
def test_what_json_is_refused(data_type: DataType, given_value: Value, sentence: str) -> None:
    with pytest.raises(InvalidValue, match=sentence):
        parse_json(data_type, given_value)


@pytest.mark.parametrize("data_type", DATA_TYPES)
@given(data=st.data())
def test_the_canonical_text_reads_back_to_the_same_value(data_type: DataType, data: st.DataObject) -> None:
    value = data.draw(values[data_type])

    text = format_value(data_type, value)

    assert same(parse_text(data_type, text), value)
    assert format_value(data_type, parse_text(data_type, text)) == text
    assert same(parse_json(data_type, value), value)


@pytest.mark.parametrize("data_type", DATA_TYPES)
@given(text=st.text() | st.from_regex(r"\A[+-]?[0-9._eExX]*\Z") | json_values.map(json.dumps))
@example("9" * 5000)
@example("[" * 5000)
@example("0" * 5000)
def test_text_is_a_value_or_a_sentence_and_nothing_else(data_type: DataType, text: str) -> None:
    try:
        value = parse_text(data_type, text)
    except InvalidValue:
        return
    assert same(parse_text(data_type, format_value(data_type, value)), value)


@pytest.mark.parametrize("data_type", DATA_TYPES)
@given(value=json_values | st.floats() | st.text() | st.integers().map(lambda n: n * 10**300))
def test_json_is_a_value_or_a_sentence_and_nothing_else(data_type: DataType, value: Value) -> None:
    try:
        read = parse_json(data_type, value)
    except InvalidValue:
        return
    assert type_of(read) == data_type or data_type == "json"


def type_of(value: Value) -> str:
    return type(value).__name__


SEPARATORS = ",.'’ _\u00a0\u2009\u202f٬٫·"


@pytest.mark.parametrize("data_type", ["int", "float"])
@given(
    sign=st.sampled_from(["", "-", "+", "\u2212"]),
    groups=st.lists(st.text("0123456789", min_size=1, max_size=4), min_size=1, max_size=4),
    separators=st.lists(st.sampled_from(SEPARATORS), min_size=3, max_size=3),
    around=st.tuples(*[st.text(" \t\u00a0\u202f", max_size=2)] * 2),
)
def test_no_separator_makes_another_number(
    data_type: DataType, sign: str, groups: list[str], separators: list[str], around: tuple[str, str]
) -> None:
    digits = groups[0] + "".join(one + other for one, other in zip(separators, groups[1:], strict=False))

    try:
        value = parse_text(data_type, around[0] + sign + digits + around[1])
    except InvalidValue:
        # A whole number without separators is never refused, nor one with a single point where decimals may be.
        assert len(groups) > 1
        assert data_type == "int" or len(groups) > 2 or separators[0] != "."
        return
    assert len(groups) == 1 or (data_type == "float" and len(groups) == 2 and separators[0] == ".")
    assert value == (int if data_type == "int" else float)(sign.replace("\u2212", "-") + digits)


json_numbers = st.from_regex(r"\A-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?\Z")


def read(read: Callable[[], Value]) -> tuple[str, Any]:
    """What a way of reading makes of something: a value, or that it is refused."""
    try:
        return "value", repr(read())
    except InvalidValue:
        return "refused", None


@pytest.mark.parametrize("data_type", ["int", "float", "json"])
@given(text=json_numbers)
@example("1e-400")
@example("1e400")
@example("-0")
@example("-0.0")
@example("9223372036854775808")
@example("9" * 400)
@example("9" * 5000)
def test_a_number_is_the_same_by_form_and_by_json(data_type: DataType, text: str) -> None:
    assert read(lambda: parse_text(data_type, text)) == read(lambda: parse_json(data_type, read_json(text)))


@given(text=st.text() | json_values.map(json.dumps) | st.text('{}[]",:01.-e\\ud8 \u00a0\ufeff'))
@example('{"a": 1, "a": 2}')
@example('[{"x": [1e-400]}]')
@example('{"\\ud800": 1}')
@example("\ufeff1")
@example("\u00a01")
@example("[" * 65 + "]" * 65)
def test_json_is_the_same_by_form_and_by_json(text: str) -> None:
    assert read(lambda: parse_text("json", text)) == read(lambda: parse_json("json", read_json(text)))


@given(text=st.text())
def test_text_is_the_same_by_form_and_by_json(text: str) -> None:
    assert read(lambda: parse_text("str", text)) == read(lambda: parse_json("str", read_json(json.dumps(text))))


@pytest.mark.parametrize("value", [{1: "a"}, {"a": [{None: 1}]}, {True: 1}, ({2.5: 1},)], ids=shown)
def test_names_that_are_no_text_are_refused_instead_of_written_as_text(value: Any) -> None:
    with pytest.raises(InvalidValue, match="is no text"):
        parse_json("json", value)


@pytest.mark.parametrize("value", [{1, 2}, object(), float("nan"), [math.inf], "\ud800", {"a": b"x"}])
def test_what_json_cannot_hold_is_not_formatted(value: Any) -> None:
    with pytest.raises(InvalidValue):
        format_value("json", value)


def test_a_structure_without_end_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(InvalidValue, match="cannot be written as JSON"):
        parse_json("json", endless)


def test_a_choice_is_compared_as_canonical_text() -> None:
    check_choice("3", ["1", "3"])
    check_choice("anything", [])
    with pytest.raises(InvalidValue, match='"4" is not one of the choices: pick one of "1", "3"'):
        check_choice("4", ["1", "3"])
    with pytest.raises(InvalidValue, match=r'pick one of "1" \("one"\), "3"\.'):
        check_choice("4", ["1", "3"], {"1": "one"})
    with pytest.raises(InvalidValue, match="and 2 more"):
        check_choice("x", [str(n) for n in range(10)])


@pytest.mark.parametrize(
    ("data_type", "name"),
    [
        *[(name, name) for name in DATA_TYPES],
        *[(int, "int"), (float, "float"), (bool, "bool"), (str, "str")],
        *[(json_type, "json") for json_type in (dict, list, dict[str, int], list[int], Any, type(None), None)],
    ],
)
def test_type_names(data_type: Any, name: str) -> None:
    assert type_name(data_type) == name


@pytest.mark.parametrize("data_type", [bytes, set, tuple, 5, int | None, object, lambda: 1, []])
def test_other_types_have_no_name(data_type: Any) -> None:
    with pytest.raises(NoJsonType, match="none of JSON's own"):
        type_name(data_type)


@pytest.mark.parametrize("data_type", ["integer", "", "int | str"])
def test_other_names_are_refused(data_type: str) -> None:
    with pytest.raises(InvalidRequest, match="is no type: use one of int, float, bool, str, json"):
        type_name(data_type)
