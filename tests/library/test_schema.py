"""JSON Schema: what is refused, with which sentences; nothing is fetched. Its bounds are in test_schema_bounds."""

import json
import socket
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from hitl.core.limits import MAX_SCHEMA_CHARS
from hitl.core.schema import check_schema, check_value
from hitl.core.values import MAX_VALUE_CHARS
from hitl.errors import InvalidRequest, InvalidValue
from tests.library.test_values import json_values


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def nested(depth: int) -> Any:
    content: dict[str, Any] = {}
    for _ in range(depth):
        content = {"properties": {"a": content}}
    return content


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "object", "properties": {"a": {"type": "integer", "minimum": 0}}, "required": ["a"]},
        {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "https://example.com/x"},
        {"$defs": {"n": {"type": "integer"}}, "items": {"$ref": "#/$defs/n"}},
        {"$ref": "#"},
        {"$dynamicAnchor": "node", "properties": {"child": {"$dynamicRef": "#node"}}},
        {"$defs": {"a": {"$anchor": "here"}}, "$ref": "#here"},
        {"pattern": r"^[A-Z]{2}\d+$"},
        {"properties": {"$ref": {}, "$schema": {}, "$id": {}, "pattern": {"type": "string"}}},
        {"format": "email", "description": "unknown words are fine", "x-widget": 1},
        nested(40),
    ],
    ids=lambda schema: json.dumps(schema)[:40],
)
def test_schemas_that_are_served(schema: Mapping[str, Any]) -> None:
    check_schema(schema)


@pytest.mark.parametrize(
    ("schema", "sentence"),
    [
        ({"type": "whole"}, "at .type: 'whole'"),
        ({"properties": {"a": {"minimum": "1"}}}, "at .properties.a.minimum"),
        ({"properties": []}, "at .properties"),
        ({"$ref": "http://127.0.0.1:9/x"}, "nothing is fetched"),
        ({"$ref": "file:///etc/passwd"}, "nothing is fetched"),
        ({"$ref": "other.json#/a"}, "nothing is fetched"),
        ({"$ref": "https://json-schema.org/draft/2020-12/schema"}, "nothing is fetched"),
        ({"$defs": {"a": {"$dynamicRef": "http://x/"}}}, "nothing is fetched"),
        ({"$ref": "#/$defs/a"}, "which it does not hold"),
        ({"$ref": "#nowhere"}, "which it does not hold"),
        ({"$ref": "#/title", "title": "no schema"}, "no JSON Schema"),
        ({"$ref": "#/default", "default": {"type": "whole"}}, "no JSON Schema"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "write it for https"),
        ({"$schema": "https://example.com/own"}, "write it for https"),
        ({"$schema": 5}, "write it for https"),
        ({"$defs": {"a": {"$schema": "http://json-schema.org/draft-07/schema#"}}}, "has \\$schema"),
        ({"default": {"$schema": "http://json-schema.org/draft-07/schema#"}}, "has \\$schema"),
        ({"$defs": {"a": {"$id": "http://x/"}}}, "has \\$id"),
        ({"patternProperties": {"^(a+)+$": {}}}, "use propertyNames"),
        ({"pattern": "("}, "cannot be used: unclosed group"),
        ({"pattern": "(?=a)"}, "look-around"),
        ({"pattern": r"(a)\1"}, "backreferences are not supported"),
        ({"pattern": "a{99999999999}"}, "cannot be used"),
        ({"pattern": "((a{1000}){1000}){10}"}, "size limit"),
        ({"pattern": "a" * 1_025}, "at most 1,024"),
        ({"default": float("nan")}, "cannot be written as JSON"),
        ({"enum": {1, 2}}, "cannot be written as JSON"),
        ({"description": "x" * MAX_SCHEMA_CHARS}, "at most 65,536"),
        (nested(400), "nested too deeply"),
        (nested(3000), "nested too deeply"),
    ],
    ids=lambda part: part[:30] if isinstance(part, str) else "",
)
def test_schemas_that_are_refused(schema: Mapping[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidRequest, match=sentence):
        check_schema(schema)
    with pytest.raises(InvalidRequest, match=sentence):
        check_value(schema, 1)


PERSON: dict[str, Any] = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "ages": {"items": {"type": "integer", "minimum": 0}}},
    "required": ["name"],
    "additionalProperties": False,
}


def test_every_fault_has_its_place() -> None:
    with pytest.raises(InvalidValue) as refused:
        check_value(PERSON, {"name": 5, "ages": [1, -2, "x"], "b": 1})

    assert set(refused.value.details) == {
        "the value: Additional properties are not allowed ('b' was unexpected)",
        ".ages[1]: -2 is less than the minimum of 0",
        ".ages[2]: 'x' is not of type 'integer'",
        ".name: 5 is not of type 'string'",
    }
    assert str(refused.value).startswith("The value does not fit: ")


@pytest.mark.parametrize("keyword", ["oneOf", "anyOf"])
def test_a_value_that_is_none_of_some_constants_is_told_which_there_are(keyword: str) -> None:
    schema: dict[str, Any] = {"items": {keyword: [{"const": "a", "title": "Alpha"}, {"const": "b"}]}}

    with pytest.raises(InvalidValue) as refused:
        check_value(schema, ["a", "c"])

    assert refused.value.details == ("[1]: 'c' is not one of ['a', 'b']",)


def test_a_fitting_value_passes() -> None:
    check_value(PERSON, {"name": "Ann", "ages": [1, 2]})


def test_faults_are_at_most_twenty_short_sentences() -> None:
    with pytest.raises(InvalidValue) as refused:
        check_value({"items": {"type": "string", "maxLength": 3}}, ["x" * 1000] * 60)

    assert len(refused.value.details) == 20
    assert all(len(fault) < 320 for fault in refused.value.details)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"additionalProperties": False}, {"\x1b[2J\u202e\n": 1}),
        ({"additionalProperties": {"type": "string"}}, {"\x1b[2J\u202e\n" * 2_000: 1}),
        ({"type": "string"}, {"\u202e": ["\x9b" * 60_000]}),
        ({"const": "\u2066\ud800"}, ""),
        ({"enum": [["x" * 1_000] * 50]}, [["y" * 1_000] * 50]),
        ({"maxLength": 1}, "\x1b" * 60_000),
        ({"maximum": 1}, 10**4_000),
        ({"not": {}}, [[["x" * 1_000] * 50] * 50]),
        ({"uniqueItems": True}, ["x" * 30_000] * 2),
        ({"required": ["\u202e" * 1_000]}, {}),
        ({"pattern": "\u202e" + "a" * 1_000}, "b" * 1_000),
        ({"oneOf": [{"description": "x" * 30_000}] * 2}, 1),
    ],
)
def test_sentences_are_short_and_printable(schema: Mapping[str, Any], value: Any) -> None:
    with pytest.raises(InvalidValue) as refused:
        check_value(schema, value)

    for sentence in (str(refused.value), *refused.value.details):
        assert len(sentence) < 900
        assert sentence.isprintable()


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "\x1b[2J\u202e" * 1_000},
        {"$schema": "\x1b\n" * 1_000},
        {"$id": "http://x/", "properties": {"\u202e" * 1_000: {"type": "\x1b" * 1_000}}},
        {"not": {"$id": "\u202e" * 1_000}},
        {"pattern": "\u202e("},
    ],
)
def test_refusals_of_a_schema_are_short_and_printable(schema: Mapping[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_schema(schema)

    assert len(str(refused.value)) < 900
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    ("pattern", "value", "fits"),
    [
        ("^a+$", "aaa", True),
        ("^a+$", "aab", False),
        ("b", "abc", True),
        (r"^\d{3}$", "123", True),
        (r"\.csv$", "x.csv", True),
        (r"\u00e9", "café", True),
        ("^a", 5, True),
    ],
)
def test_patterns_are_searched_for(pattern: str, value: Any, fits: bool) -> None:
    if fits:
        check_value({"pattern": pattern}, value)
    else:
        with pytest.raises(InvalidValue, match="does not match"):
            check_value({"pattern": pattern}, value)


@pytest.mark.parametrize(
    ("value", "fits"),
    [
        ([], True),
        ([1, True, "1", [1], [True], None, 0, False, {"a": 1}], True),
        ([1, 1.0], False),
        ([{"a": 1, "b": 2}, {"b": 2.0, "a": 1}], False),
        (["x", "y", "x"], False),
        ("xx", True),
    ],
)
def test_unique_items(value: Any, fits: bool) -> None:
    check_value({"uniqueItems": False}, value)
    if fits:
        check_value({"uniqueItems": True}, value)
    else:
        with pytest.raises(InvalidValue, match="is there twice"):
            check_value({"uniqueItems": True}, value)


def test_an_ordinary_answer_of_the_largest_size_is_checked() -> None:
    row: dict[str, Any] = {"id": 12345, "name": "Ann Example", "tags": ["a", "b"], "ok": True}
    table: list[Any] = [row] * (MAX_VALUE_CHARS // len(json.dumps(row)))
    schema: dict[str, Any] = {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "id": {"type": "integer", "minimum": 1},
                "name": {"type": "string", "minLength": 1, "pattern": "^[A-Z]"},
                "tags": {"type": "array", "items": {"enum": ["a", "b", "c"]}, "uniqueItems": True},
                "ok": {"type": "boolean"},
            },
            "required": ["id", "name"],
            "additionalProperties": False,
        },
    }

    check_value(schema, table)
    with pytest.raises(InvalidValue, match=r"\[3\]\.id"):
        check_value(schema, [*table[:3], {**row, "id": 0}])


words = st.sampled_from(["$ref", "$dynamicRef", "$anchor", "$defs", "a", "b", *Draft202012Validator.VALIDATORS])
arguments = json_values | st.sampled_from(["integer", "string", "#", "#/a", "#/$defs/a", "#b", "^a", "("])
schemas = st.dictionaries(
    words,
    st.recursive(arguments, lambda inner: st.dictionaries(words, inner, max_size=3) | st.lists(inner, max_size=3)),
    max_size=4,
)


@given(schema=schemas, value=json_values)
@example(schema={"$ref": "#/a", "a": {"not": {"$ref": "#"}}}, value=1)
@example(schema={"a": [{"$ref": "#/a"}]}, value={})
def test_any_schema_and_value_end_in_a_decision(schema: dict[str, Any], value: Any) -> None:
    try:
        check_value(schema, value)
    except (InvalidRequest, InvalidValue):
        return
    check_schema(schema)
