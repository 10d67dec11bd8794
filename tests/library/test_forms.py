"""The form of any schema: no value is lost in it, no step loses what was typed, and nothing is guessed."""

from __future__ import annotations

import json
import types
from typing import Annotated, Any, Literal

import pytest
from annotated_types import MinLen
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, JsonValue

from hitl.core.forms import MISSING, PartFault, changed, filled, plan, read
from hitl.core.forms.hints import hint_of
from hitl.core.forms.parts import Group, Line, OneOf, Raw
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


def test_an_empty_number_is_asked_for_within_its_bounds() -> None:
    part = plan(
        {
            "type": "object",
            "properties": {
                "few": {"type": "integer", "minimum": 1, "maximum": 9},
                "any": {"type": "number"},
                "long": {"type": "string", "format": "duration"},
            },
            "required": ["few", "any", "long"],
        }
    )

    assert read(part, sent(**{"v/few": "", "v/any": "", "v/long": ""}))[1] == [
        PartFault("v/few", "Enter a whole number from 1 to 9."),
        PartFault("v/any", "Enter a number, such as 4.5."),
        PartFault("v/long", "Enter a duration: 3 days, 4 hours and 30 minutes are written P3DT4H30M."),
    ]


def field(schema: dict[str, Any], **sent_as: str) -> tuple[str, Any]:
    """Return the hint of an optional field, and what is recorded of it."""
    part = plan({"type": "object", "properties": {"field": schema}})
    assert isinstance(part, Group)
    [(_, line)] = part.fields
    assert isinstance(line, Line)
    return hint_of(line).partition("Left empty: ")[2], read(part, {"v~form": ["1"]} | sent(**sent_as))


@pytest.mark.parametrize(
    ("schema", "told", "recorded"),
    [
        ({"type": "integer", "default": 3}, "3", {}),
        ({"type": "string", "format": "date", "default": "2026-01-01"}, "2026-01-01", {}),
        ({"type": "string", "default": "x"}, "an empty text", {"field": ""}),
        ({"type": "string", "default": "x", "maxLength": 9}, "an empty text", {"field": ""}),
        ({"type": "string", "format": "duration", "default": "PT5M"}, "PT5M", {}),
        ({"type": "string", "pattern": "^[a-z]{3}$", "default": "abc"}, "abc", {}),
        ({"type": "string", "pattern": "^[a-z]*$", "default": "abc"}, "an empty text", {"field": ""}),
        ({"type": "string", "minLength": 1, "default": "x"}, "x", {}),
        ({"type": ["string", "null"], "default": "x"}, "no answer", {"field": None}),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}], "default": 5}, "no answer", {"field": None}),
        ({"type": "integer"}, "", {}),
    ],
)
def test_the_hint_says_what_is_recorded_of_a_field_that_is_emptied(
    schema: dict[str, Any], told: str, recorded: Any
) -> None:
    assert field(schema, **{"v/field": ""}) == (told, (recorded, []))
    # A program that leaves the field out says nothing of it.
    assert field(schema)[1] == ({}, [])


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "items": {"type": "integer"}, "default": [1]},
        {"type": ["object", "null"], "default": {"a": 1}},
    ],
)
def test_what_a_program_leaves_out_is_the_default_and_not_recorded_as_empty(schema: dict[str, Any]) -> None:
    assert read(plan({"type": "object", "properties": {"part": schema}}), {"v~form": ["1"]}) == ({}, [])


class Order(BaseModel):
    region: Literal["eu", "us"] | None = None
    tags: list[Literal["a", "b", "c"]] = []
    several: set[Literal["a", "b"]] = set()
    n: int = 1
    note: str = "x"
    ready: bool = False
    home: Task | None = None
    size: Short | Annotated[list[Short | list[str]], MinLen(1)] = Short()
    pair: tuple[int, int] | None = None
    many: Literal["q0", "q1", "q2", "q3", "q4", "q5", "q6", "q7", "q8"] | None = None
    odd: dict[str, int] = {}


NO_PLACE = "The field {} has no place in this form: nothing was recorded. Leave it out."
FROM_SHOWN = "Choose from the answers that are shown."
TITLE = {"v/home/title": "t"}


@pytest.mark.parametrize(
    ("fields", "place", "why"),
    [
        ({"v/region": "us"}, "v/region", "Choose one."),
        ({"v/region": "2"}, "v/region", "Choose one."),
        ({"v/region": ["1", "0"]}, "v/region", 'The field "v/region" was sent 2 times: send it once.'),
        ({"v/regin": "1"}, "v", NO_PLACE.format('"v/regin"')),
        ({"v/Region": "1"}, "v", NO_PLACE.format('"v/Region"')),
        ({"v/region/0": "1"}, "v", NO_PLACE.format('"v/region/0"')),
        ({"v": "1"}, "v", NO_PLACE.format('"v"')),
        ({"v~rows": "1"}, "v", NO_PLACE.format('"v~rows"')),
        ({"v/n": ["5", "50"]}, "v/n", 'The field "v/n" was sent 2 times: send it once.'),
        ({"v/n": ["5", "5"]}, "v/n", 'The field "v/n" was sent 2 times: send it once.'),
        ({"v/n~empty": "0"}, "v/n", 'The field "v/n~empty" is 1, or is left out.'),
        ({"v/note": ["a", "b"]}, "v/note", 'The field "v/note" was sent 2 times: send it once.'),
        ({"v/ready": "true"}, "v/ready", "Choose one."),
        ({"v/ready": ["0", "1"]}, "v/ready", 'The field "v/ready" was sent 2 times: send it once.'),
        ({"v/many": ["q1", "q2"]}, "v/many", 'The field "v/many" was sent 2 times: send it once.'),
        ({"v/odd": ["{}", '{"a": 1}']}, "v/odd", 'The field "v/odd" was sent 2 times: send it once.'),
        ({"v/tags/0": "0"}, "v", NO_PLACE.format('"v/tags/0"')),
        ({"v/tags~rows": "1", "v/tags/0": "0", "v/tags/1": "1"}, "v", NO_PLACE.format('"v/tags/1"')),
        ({"v/tags~rows": "1", "v/tags/0": "a"}, "v/tags/0", "Choose one."),
        (
            {"v/tags~rows": "abc", "v/tags/0": "0"},
            "v/tags",
            'The number of rows is "abc", and no number from 0 to 64.',
        ),
        ({"v/tags~rows": "-1"}, "v/tags", 'The number of rows is "-1", and no number from 0 to 64.'),
        ({"v/tags~rows": "65"}, "v/tags", "At most 64 rows can be filled in here."),
        ({"v/tags~rows": "1000"}, "v/tags", 'The number of rows is "1000", and no number from 0 to 64.'),
        ({"v/tags~rows": ["1", "2"]}, "v/tags", 'The field "v/tags~rows" was sent 2 times: send it once.'),
        ({"v/tags~empty": "no"}, "v/tags", 'The field "v/tags~empty" is 1, or is left out.'),
        ({"v/tags": "0"}, "v", NO_PLACE.format('"v/tags"')),
        ({"v/several": ["0", "9"]}, "v/several", FROM_SHOWN),
        ({"v/several": "b"}, "v/several", FROM_SHOWN),
        (TITLE, "v", NO_PLACE.format('"v/home/title"')),
        (TITLE | {"v/home~on": "0"}, "v/home", 'The field "v/home~on" is 1, or is left out.'),
        (TITLE | {"v/home~on": ""}, "v/home", 'The field "v/home~on" is 1, or is left out.'),
        (TITLE | {"v/home~on": ["1", "1"]}, "v/home", 'The field "v/home~on" was sent 2 times: send it once.'),
        ({"v/hom~on": "1"}, "v", NO_PLACE.format('"v/hom~on"')),
        ({"v/pair/0": "1", "v/pair/1": "2"}, "v", NO_PLACE.format('"v/pair/0"')),
        (
            {"v/pair~on": "1", "v/pair/0": "1", "v/pair/1": "2", "v/pair/2": "3"},
            "v",
            NO_PLACE.format('"v/pair/2"'),
        ),
        ({"v/size~of": "A list", "v/size~0/size": ""}, "v/size", "Choose one."),
        ({"v/size~of": ["0", "1"]}, "v/size", 'The field "v/size~of" was sent 2 times: send it once.'),
        ({"v/size~2/size": "1"}, "v", NO_PLACE.format('"v/size~2/size"')),
        ({"v/size~1/0": "3"}, "v/size", "You filled in A list: choose it, or clear its fields."),
        ({"v/size~1/0~0/size": "3"}, "v/size", "You filled in A list: choose it, or clear its fields."),
    ],
)
def test_what_is_sent_and_would_not_be_read_is_a_fault(fields: dict[str, Any], place: str, why: str) -> None:
    part = plan(Question.of("typed", Order, "Which?", 60).json_schema or {})
    form = filled(part)
    assert read(part, form)[1] == []

    _, faults = read(part, form | sent(**fields))

    assert faults == [PartFault(place, why)]


def test_what_a_browser_sends_of_an_alternative_that_is_not_chosen_is_no_fault() -> None:
    part = plan(Question.of("typed", Order, "Which?", 60).json_schema or {})
    left = {"v/size~1~rows": "1", "v/size~1~empty": "1", "v/size~1/0~of": "1", "v/size~1/0~1~rows": "0"}
    blank = {"v/size~1/0~0/size": "", "v/tags/7": " ", "v/regin": ""}

    assert read(part, filled(part) | sent(**left, **blank, **{"v~form": "1"}))[1] == []


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


class Consent(BaseModel):
    i_agree: Literal[True]
    note: str = ""


class Done(BaseModel):
    ok: Literal[True]
    kind: Literal["done"]
    count: int = 0


class Failed(BaseModel):
    ok: Literal[False]
    kind: Literal["failed"]
    why: str = ""


BESIDE = {"type": "object", "properties": {"n": {"type": "integer"}, "sure": {"const": True}}}
SEVERAL = {"type": "array", "items": {"const": True}, "uniqueItems": True}


@pytest.mark.parametrize(
    ("asked", "fields", "value"),
    [
        (Consent, {"v/note": "hm"}, None),
        (Consent, {"v/note": "hm", "v/i_agree": "0"}, {"i_agree": True, "note": "hm"}),
        (BESIDE, {"v/n": "1"}, {"n": 1}),
        (BESIDE, {"v/n": "1", "v/sure": "0"}, {"n": 1, "sure": True}),
        (BESIDE | {"required": ["sure"]}, {"v/n": "1"}, None),
        ({"type": "object", "properties": {"a": {"const": "x"}}}, {}, {}),
        ({"type": "object", "properties": {"a": {"const": "x"}}}, {"v/a": "0"}, {"a": "x"}),
        ({"type": "object", "properties": {"a": {"const": [1]}}}, {}, {}),
        ({"const": True}, {}, None),
        ({"const": True}, {"v": "0"}, True),
        (SEVERAL, {}, []),
        ({"type": "array", "items": {"const": True}}, {"v~rows": "1"}, None),
        ({"type": "array", "prefixItems": [{"const": False}], "items": False}, {}, None),
        ({"type": "object", "properties": {"a": {"anyOf": [{"const": True}, {"type": "null"}]}}}, {}, {"a": None}),
    ],
)
def test_what_is_always_true_is_recorded_only_if_somebody_says_so(
    asked: Any, fields: dict[str, str], value: JsonValue
) -> None:
    part = plan(asked if isinstance(asked, dict) else Question.of("typed", asked, "?", 60).json_schema or {})

    read_value, faults = read(part, sent(**fields))

    if value is None:
        assert [each.why for each in faults] == ["Choose one."]
    else:
        assert (read_value, faults) == (value, [])


@pytest.mark.parametrize(
    "properties",
    [
        {"kind": {"const": "circle"}},
        {"kind": {"const": "circle", "default": "circle"}},
        {"kind": {"const": True, "default": True}},
        {"kind": {"const": 2}},
        {"kind": {"const": None}},
    ],
)
def test_what_goes_without_saying_is_not_asked(properties: dict[str, Any]) -> None:
    needed = [] if "default" in properties["kind"] else ["kind"]
    part = plan({"type": "object", "properties": properties, "required": needed})

    assert read(part, {}) == ({"kind": properties["kind"]["const"]}, [])


def test_whoever_chooses_an_alternative_says_all_that_tells_it_apart() -> None:
    part = plan(Question.of("typed", Done | Failed, "Which?", 60).json_schema or {})
    alone = plan({"anyOf": [{"const": True}, {"type": "integer"}]})

    assert read(part, sent(**{"v~of": "1"}))[0] == {"ok": False, "kind": "failed"}
    assert read(part, sent(**{"v~of": "0", "v~0/count": "2"}))[0] == {"ok": True, "kind": "done", "count": 2}
    assert read(alone, sent(**{"v~of": "0"})) == (True, [])
    assert [part.branches[number][0] for number in (0, 1) if isinstance(part, OneOf)] == ["Done", "Failed"]


def test_a_box_in_every_alternative_is_ticked_by_whoever_agrees() -> None:
    agree: dict[str, Any] = {"agree": {"const": True}}
    branches = [{"properties": agree | {name: {"const": name}}, "required": ["agree"]} for name in ("a", "b")]
    part = plan({"type": "object", "anyOf": branches})

    assert [each.why for each in read(part, sent(**{"v~of": "1"}))[1]] == ["Choose one."]
    assert read(part, sent(**{"v~of": "1", "v~1/agree": "0"}))[0] == {"agree": True}


@pytest.mark.parametrize("name", ["a\nb", "a\rb", "a\x00b"])
def test_a_name_that_a_browser_would_change_has_no_field(name: str) -> None:
    part = plan({"type": "object", "properties": {name: {"type": "integer"}, "c": {"type": "integer"}}})

    assert isinstance(part, Raw)


def test_two_fields_of_one_model_have_labels_of_their_own() -> None:
    class Place(BaseModel):
        street: str

    class Trip(BaseModel):
        start: Place
        end: Place = Field(title="Where it ends")

    part = plan(Question.of("typed", Trip, "Where?", 60).json_schema or {})

    assert isinstance(part, Group)
    assert [inside.label for _, inside in part.fields] == ["Start", "Where it ends"]


def test_alternatives_that_are_texts_are_told_apart_by_what_they_are() -> None:
    texts = [{"type": "string", "format": name} for name in ("date-time", "date", "time", "email", "ipv4")]
    part = plan({"type": "object", "properties": {"field": {"anyOf": texts}}})

    assert isinstance(part, Group)
    [(_, one)] = part.fields
    assert isinstance(one, OneOf)
    named = {label: hint_of(inside) for label, inside in one.branches if isinstance(inside, Line)}
    assert list(named) == ["A date and a time", "A date", "A time", "An e-mail address", "A text"]
    assert named["A text"] == "An IPv4 address such as 192.0.2.1"
