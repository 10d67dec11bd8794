"""The form of any schema: no value is lost in it, no step loses what was typed, and nothing is guessed."""

from __future__ import annotations

import json
import types
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, JsonValue

from hitl.core.forms import MISSING, PartFault, changed, filled, plan, read
from hitl.core.forms.parts import Group, Raw
from hitl.core.pythontypes import as_json, typed
from hitl.core.question import Question
from tests.library.hostile_schemas import CASES
from tests.library.test_pythontypes import TYPES, Deploy
from tests.library.typed_samples import Shape

ADDRESS = {
    "type": "object",
    "properties": {"street": {"type": "string"}, "number": {"type": ["integer", "null"]}},
    "required": ["street"],
}
PLACES = {"type": "object", "properties": {"places": {"type": "array", "items": ADDRESS}}, "required": ["places"]}


def schema_of(data_type: Any) -> dict[str, Any]:
    return Question.of("typed", list[data_type], "Which ones?", 60).json_schema or {}


def sent(**texts: Any) -> dict[str, list[str]]:
    return {name: text if isinstance(text, list) else [text] for name, text in texts.items()}


@pytest.mark.parametrize("name", TYPES)
@given(data=st.data())
@settings(max_examples=40)
def test_what_a_form_shows_of_a_value_comes_back_as_the_value(name: str, data: st.DataObject) -> None:
    data_type, values = TYPES[name]
    some = [data.draw(values) for _ in range(2)]
    # In a list, as scalars have a form of their own.
    part = plan(schema_of(data_type))
    value = json.loads(json.dumps([as_json(data_type, each) for each in some]))

    again, faults = read(part, filled(part, value))

    assert faults == []
    assert again is not MISSING
    assert typed(types.GenericAlias(list, (data_type,)), again) == some


def test_rows_are_added_and_removed_and_the_others_keep_what_was_typed() -> None:
    part = plan(PLACES)
    form = filled(part, {"places": [{"street": "A"}, {"street": "B", "number": 2}]})
    form["v/places/1/street"] = ["typed"]

    more = changed(part, form, "add v/places")
    assert more is not None
    less = changed(part, more, "remove v/places/0")
    assert less is not None
    assert less["v/places/0/street"] == ["typed"]
    less["v/places/1/street"] = ["C"]

    assert read(part, less) == (
        {"places": [{"street": "typed", "number": 2}, {"street": "C", "number": None}]},
        [],
    )


class Task(BaseModel):
    title: str
    size: Literal["small", "large"] = "small"
    urgent: bool = False
    minutes: int = 10


class Week(BaseModel):
    tasks: list[Task] = Field(min_length=1)
    spare: Task | None = None


def test_what_a_step_adds_holds_its_defaults() -> None:
    part = plan(Question.of("typed", Week, "Which?", 60).json_schema or {})
    first = filled(part) | {"v/tasks/0/title": ["one"]}
    added = changed(part, first, "add v/tasks")
    assert added is not None
    spare = changed(part, added | {"v/tasks/1/title": ["two"]}, "fill v/spare")
    assert spare is not None
    value, faults = read(part, spare | {"v/spare/title": ["three"]})
    assert not faults
    usual = {"size": "small", "urgent": False, "minutes": 10}
    assert value == {
        "tasks": [{"title": "one", **usual}, {"title": "two", **usual}],
        "spare": {"title": "three", **usual},
    }


def test_the_last_row_that_is_removed_leaves_an_empty_list_even_where_there_is_a_default() -> None:
    part = plan(
        {
            "type": "object",
            "properties": {"tags": {"type": "array", "items": {"type": "string"}, "default": ["a"]}},
        }
    )
    form = changed(part, filled(part), "remove v/tags/0")
    assert form is not None
    assert read(part, form) == ({"tags": []}, [])


def test_an_optional_part_is_there_or_not_and_never_half() -> None:
    part = plan(
        {"type": "object", "properties": {"home": {"anyOf": [ADDRESS, {"type": "null"}], "default": None}}}
    )
    form = filled(part)
    assert read(part, form) == ({"home": None}, [])

    there = changed(part, form, "fill v/home")
    assert there is not None
    assert read(part, there)[1] == [PartFault("v/home/street", "Enter some text.")]
    there["v/home/street"] = ["Main Street"]
    assert read(part, there)[0] == {"home": {"street": "Main Street", "number": None}}

    gone = changed(part, there, "clear v/home")
    assert gone is not None
    assert read(part, gone) == ({"home": None}, [])


@pytest.mark.parametrize("most", [1, 1.0])
def test_a_count_may_be_written_as_any_whole_number_of_json(most: float) -> None:
    part = plan({"type": "array", "items": {"type": "integer"}, "maxItems": most})
    form = sent(**{"v~rows": "2", "v/0": "1", "v/1": "2"})

    assert read(part, form)[1] == [PartFault("v", "Remove 1: at most 1 may be there, and there are 2.")]


class Short(BaseModel):
    size: int = 1


class Long(BaseModel):
    size: int = 1
    name: str = "x"


def test_the_alternative_of_a_value_is_that_which_holds_all_of_it() -> None:
    part = plan(Question.of("typed", Short | Long, "Which?", 60).json_schema or {})

    values: list[JsonValue] = [{"size": 2.0}, {}, {"name": "y"}, {"size": 2, "name": "y"}, {"other": 1}]

    assert [filled(part, value)["v~of"] for value in values] == [["0"], ["0"], ["1"], ["1"], []]


def test_what_is_typed_for_an_alternative_that_is_not_chosen_is_a_fault() -> None:
    part = plan(schema_of(Shape)["items"] | {"$defs": schema_of(Shape)["$defs"]})
    form = filled(part, {"kind": "circle", "radius": 2.5})
    form["v~1/side"] = ["3"]

    assert read(part, form)[1] == [PartFault("v", "You filled in Square: choose it, or clear its fields.")]
    form["v~of"] = ["1"]
    form["v~0/radius"] = [""]
    assert read(part, form) == ({"kind": "square", "side": 3}, [])


def test_each_fault_is_at_its_field() -> None:
    part = plan(Question.of("typed", Deploy, "Which?", 60).json_schema or {})
    form = filled(part, {"region": "eu", "addresses": [{"street": "x" * 41}]})
    form |= sent(**{"v/region": "7", "v/replicas": "12", "v/cost": "1,50", "v/at": "tomorrow"})

    faults = dict(read(part, form)[1])

    assert set(faults) == {"v/region", "v/replicas", "v/cost", "v/at", "v/addresses/0/street"}
    assert faults["v/region"] == "Choose one."
    assert "1,50 is not a number" in faults["v/cost"].replace('"', "")


def test_what_is_left_empty_is_what_the_form_says() -> None:
    part = plan(
        {
            "type": "object",
            "properties": {
                "needed": {"type": "integer"},
                "usual": {"type": "integer", "default": 3},
                "text": {"type": "string", "default": "x"},
                "nothing": {"type": ["string", "null"]},
            },
            "required": ["needed", "nothing"],
        }
    )
    form = sent(**{"v/needed": "", "v/usual": "", "v/text": "", "v/nothing": ""})

    value, faults = read(part, form)

    assert value == {"text": "", "nothing": None}
    assert faults == [PartFault("v/needed", "Enter a whole number, such as 42.")]


@pytest.mark.parametrize("schema", [schema for schema, _ in CASES.values()], ids=list(CASES))
def test_a_hostile_schema_has_a_form_of_few_parts(schema: Any) -> None:
    part = plan(schema)
    assert len(filled(part)) < 2_000


def test_a_schema_that_holds_itself_has_a_form_as_deep_as_it_is_filled_in() -> None:
    part = plan({"type": "object", "properties": {"name": {"type": "string"}, "next": {"$ref": "#"}}})
    form = changed(part, filled(part), "fill v/next")
    assert form is not None
    assert read(part, form | sent(**{"v/name": "a", "v/next/name": "b"}))[0] == {
        "name": "a",
        "next": {"name": "b"},
    }


@given(st.text(max_size=30), st.dictionaries(st.text(max_size=30), st.lists(st.text(max_size=10), max_size=3)))
@settings(max_examples=300)
def test_no_form_that_is_sent_ends_in_an_error(step: str, form: dict[str, list[str]]) -> None:
    part = plan(Question.of("typed", Deploy, "Which?", 60).json_schema or {})
    for each in (
        form,
        changed(part, form, step) or {},
        changed(part, form, f"remove {step}") or {},
        changed(part, form, f"add {step}"),
    ):
        read(part, each or {})


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {"type": "object", "additionalProperties": {"type": "integer"}},
        {"if": {"type": "string"}, "then": {"minLength": 3}},
        {"not": {"type": "string"}},
        {},
    ],
)
def test_what_has_no_form_is_json_as_text(schema: dict[str, Any]) -> None:
    assert isinstance(plan(schema), Raw)
    whole = plan({"type": "object", "properties": {"odd": schema, "even": {"type": "integer"}}})
    assert isinstance(whole, Group)
    assert read(whole, sent(**{"v/odd": '{"a": [1]}', "v/even": "2"})) == ({"odd": {"a": [1]}, "even": 2}, [])


def test_two_fields_of_one_model_have_labels_of_their_own() -> None:
    class Place(BaseModel):
        street: str

    class Trip(BaseModel):
        start: Place
        end: Place = Field(title="Where it ends")

    part = plan(Question.of("typed", Trip, "Where?", 60).json_schema or {})

    assert isinstance(part, Group)
    assert [inside.label for _, inside in part.fields] == ["Start", "Where it ends"]
