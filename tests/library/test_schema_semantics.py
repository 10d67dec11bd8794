"""A schema means what JSON Schema says: compared with jsonschema, which passes the published tests."""

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.validators import SPECIFICATIONS  # type: ignore[attr-defined]  # its stubs leave it out

from hitl.core.schema import check_schema, check_value
from hitl.core.schema.metaschema import METASCHEMA
from hitl.errors import InvalidRequest, InvalidValue
from tests.library.test_values import json_values

names = st.sampled_from(["a", "b", "c", ""])
numbers = st.integers(-3, 5) | st.sampled_from([1.0, 2.5, -0.0, 0.5, 1e300, 2**70])
small_values = st.recursive(
    st.none() | st.booleans() | numbers | st.sampled_from(["", "a", "ab", "abc", "1"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=8,
)
counts = st.integers(0, 3)
types = st.sampled_from(["array", "boolean", "integer", "null", "number", "object", "string"])
references = st.sampled_from(["#/$defs/a", "#/$defs/b", "#here"])


VOCABULARIES = ["core", "applicator", "unevaluated", "validation", "meta-data", "format-annotation", "content"]


def keywords(inner: st.SearchStrategy[Any], **more: Any) -> st.SearchStrategy[dict[str, Any]]:
    by_name = st.dictionaries(names, inner, max_size=3)
    several = st.lists(inner, min_size=1, max_size=3)
    known = {
        **dict.fromkeys(
            ["additionalProperties", "contains", "else", "if", "items", "not", "propertyNames"], inner
        ),
        **dict.fromkeys(["then", "unevaluatedItems", "unevaluatedProperties"], inner),
        **dict.fromkeys(["allOf", "anyOf", "oneOf", "prefixItems"], several),
        **dict.fromkeys(["properties", "dependentSchemas"], by_name),
        **dict.fromkeys(["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"], numbers),
        **dict.fromkeys(["minLength", "maxLength", "minItems", "maxItems", "minContains", "maxContains"], counts),
        **dict.fromkeys(["minProperties", "maxProperties"], counts),
        "const": small_values,
        "enum": st.lists(small_values, max_size=3),
        "multipleOf": st.sampled_from([1, 2, 0.5, 3.0]),
        "pattern": st.sampled_from(["a", "^a", "b$", "^[a-c]*$"]),
        "required": st.lists(names, max_size=2, unique=True),
        "dependentRequired": st.dictionaries(names, st.lists(names, max_size=2, unique=True), max_size=2),
        "type": types | st.lists(types, min_size=1, max_size=3, unique=True),
        "uniqueItems": st.booleans(),
        **more,
    }
    some = st.lists(st.sampled_from(sorted(known)), max_size=4, unique=True)
    return some.flatmap(lambda chosen: st.fixed_dictionaries({name: known[name] for name in chosen}))


parts = st.recursive(st.booleans() | keywords(st.booleans()), keywords, max_leaves=8)


@st.composite
def schemas(draw: st.DrawFn) -> dict[str, Any]:
    # Only the outer parts have references: circles have no meaning, and jsonschema panics in some.
    referring = keywords(parts, **{"$ref": references, "$dynamicRef": references})
    schema = draw(keywords(parts | referring, **{"$ref": references, "$dynamicRef": references}))
    anchored = draw(keywords(parts))
    defined = {"a": draw(parts), "b": draw(parts), "c": {**anchored, "$anchor": "here"}}
    return {**schema, "$defs": defined}


@settings(max_examples=300)
@given(schema=schemas(), value=small_values)
@example(
    schema={
        "allOf": [{"properties": {"a": True}}, {"unevaluatedProperties": False}],
        "unevaluatedProperties": True,
    },
    value={"a": 1},
)
@example(
    schema={"unevaluatedItems": False, "prefixItems": [True], "contains": {"type": "string"}}, value=[1, "a", 2]
)
@example(
    schema={"unevaluatedProperties": False, "if": {"required": ["a"], "properties": {"a": {}}}}, value={"a": 1}
)
@example(schema={"enum": [1, "1", [True]]}, value=[1])
@example(schema={"const": {"a": [1.0]}}, value={"a": [1]})
@example(schema={"const": "true"}, value=True)
def test_a_value_fits_when_it_fits_by_the_standard(schema: dict[str, Any], value: Any) -> None:
    standard = Draft202012Validator(schema).is_valid(value)
    try:
        check_value(schema, value)
        fits = True
    except InvalidValue:
        fits = False

    assert fits == standard, json.dumps([schema, value])


def test_the_metaschema_knows_each_keyword_of_the_published_one() -> None:
    published: set[str] = set()
    for part in ("schema", *(f"meta/{each}" for each in VOCABULARIES)):
        contents: Any = SPECIFICATIONS.contents(f"https://json-schema.org/draft/2020-12/{part}")
        published |= set(contents["properties"])

    assert set(METASCHEMA["properties"]) == published


@settings(max_examples=300)
@given(
    name=st.sampled_from(sorted(set(METASCHEMA["properties"]) - {"$schema", "$id", "patternProperties"})),
    argument=json_values | small_values | keywords(json_values) | st.lists(types, max_size=2),
)
@example(name="required", argument=["a", "a"])
@example(name="type", argument=[])
@example(name="enum", argument=[])
@example(name="multipleOf", argument=0)
@example(name="minLength", argument=2.0)
@example(name="dependencies", argument={"a": ["b"], "c": False})
@example(name="$anchor", argument="1")
@example(name="$vocabulary", argument={"a": 1})
@example(name="deprecated", argument=1)
def test_a_schema_is_one_when_it_is_by_the_standard(name: str, argument: Any) -> None:
    schema = {name: argument}
    try:
        Draft202012Validator.check_schema(schema, format_checker=FormatChecker(formats=()))
        standard = True
    except (SchemaError, ValidationError):
        standard = False
    said = ""
    try:
        check_schema(schema)
    except InvalidRequest as refused:
        said = str(refused)

    # What else it may say are the bounds of this product.
    assert ("no JSON Schema" in said) != standard


@pytest.mark.parametrize(
    ("reference", "holds"),
    [
        ("#/$defs/a~1b", True),
        ("#/$defs/a%2Fb", False),
        ("#/$defs/%7E0", True),
        ("#/$defs/~0", True),
        ("#/$defs/%25", True),
        ("#/allOf/1", True),
        ("#/allOf/2", False),
        ("#/allOf/x", False),
        ("#/title/0", False),
        ("#/$defs/", True),
    ],
)
def test_references_are_pointers(reference: str, holds: bool) -> None:
    only_five = {"const": 5}
    schema: dict[str, Any] = {
        "title": "ab",
        "allOf": [True, only_five],
        "$defs": {"a/b": only_five, "~": only_five, "%": only_five, "": only_five},
        "not": {"not": {"$ref": reference}},
    }
    if not holds:
        with pytest.raises(InvalidRequest, match="does not hold"):
            check_schema(schema)
        return
    check_value(schema, 5)
    with pytest.raises(InvalidValue):
        check_value(schema, 6)


def test_data_in_a_schema_are_no_schemas() -> None:
    check_schema({"default": {"pattern": "(", "$ref": "elsewhere"}, "const": {"patternProperties": {}}})
    check_schema({"properties": {"patternProperties": {"type": "object"}}})


def test_a_reference_leads_to_where_no_schema_is_expected() -> None:
    schema: dict[str, Any] = {"default": {"items": {"type": "integer"}}, "$ref": "#/default", "x": {"not": False}}

    check_value(schema, [1])
    with pytest.raises(InvalidValue, match=r"\[0\]: 'a' is not of type 'integer'"):
        check_value(schema, ["a"])
    assert json.dumps(schema).startswith('{"default"'), "the author's own mapping stays as it was"
