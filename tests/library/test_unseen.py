"""A text inside an answer of which nobody sees anything is refused where it has a field, as a whole answer is."""

import time
from typing import Any, Literal

import pytest
from pydantic import BaseModel
from pydantic.fields import Field

from hitl.core.question import Question, parse_answer, require_whole
from hitl.core.values import format_value
from hitl.errors import InvalidValue


class Near(BaseModel):
    kind: Literal["near"]
    mark: str


class Far(BaseModel):
    kind: Literal["far"]
    mark: Literal[" ", "-"]


class Order(BaseModel):
    note: str
    extra: str | None = None
    pad: str = "  "
    tags: list[str] = []
    pair: tuple[str, int] | None = None
    place: Near | Far | None = None
    names: dict[str, str] = {}
    line: str = Field("x", max_length=20)


UNSEEN = [" ", "\u200b", "\n\t", "\u00a0\u2003", "\u2800\u3164"]


def question(data_type: Any = Order, **more: Any) -> Question:
    return Question.of("order", data_type, "Which?", 60, **more)


def value(asked: Question, given: Any, *, text: bool = False) -> Any:
    return parse_answer(asked, format_value("json", given) if text else given, text=text)


@pytest.mark.parametrize("unseen", UNSEEN)
@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize(
    ("inside", "place"),
    [
        (lambda text: {"note": text}, ".note"),
        (lambda text: {"note": "a", "extra": text}, ".extra"),
        (lambda text: {"note": "a", "line": text}, ".line"),
        (lambda text: {"note": "a", "tags": ["b", text]}, ".tags[1]"),
        (lambda text: {"note": "a", "pair": [text, 1]}, ".pair[0]"),
        (lambda text: {"note": "a", "place": {"kind": "near", "mark": text}}, ".place.mark"),
    ],
)
def test_it_is_refused_at_its_place(inside: Any, place: str, text: bool, unseen: str) -> None:
    with pytest.raises(InvalidValue, match="nothing can be seen in this text") as refused:
        value(question(), inside(unseen), text=text)

    assert refused.value.details == (f"{place}: nothing can be seen in this text",)


@pytest.mark.parametrize("data_type", [list[str], list[str] | None, str | None])
def test_a_list_and_a_text_that_may_be_none_are_no_exception(data_type: Any) -> None:
    given: Any = "\u200b" if data_type == str | None else ["a", "\u200b"]
    with pytest.raises(InvalidValue, match="nothing can be seen in this text"):
        value(question(data_type), given)


def test_all_of_them_are_named() -> None:
    with pytest.raises(InvalidValue) as refused:
        value(question(), {"note": " ", "tags": ["a", "\u200b"]})

    assert refused.value.places == (("note",), ("tags", 1))


@pytest.mark.parametrize(
    "given",
    [
        {"note": ""},
        {"note": "a", "tags": [""], "extra": ""},
        {"note": "a", "pad": "  "},
        {"note": "a", "place": {"kind": "far", "mark": " "}},
        {"note": "a", "names": {"sep": " "}},
    ],
)
def test_what_is_empty_what_is_offered_and_what_has_no_field_is_taken(given: dict[str, Any]) -> None:
    assert value(question(), given) == given
    assert value(question("json"), given) == given


def test_what_the_author_wrote_is_taken() -> None:
    given = {"note": "\u200b", "tags": [" "]}
    for asked in (question(proposed=given), question(default=given)):
        require_whole(asked, formats=False)
        assert value(asked, given) == given
        with pytest.raises(InvalidValue, match=r"\.extra"):
            value(asked, {**given, "extra": "\u3164"})


def test_looking_for_it_has_the_budget_of_every_check() -> None:
    rows = [{"type": "object", "required": [f"a{n}"], "properties": {f"a{n}": {}}} for n in range(7)]
    schema = {
        "type": "array",
        "items": {"anyOf": [*rows, {"type": "string"}]},
        "$defs": {f"long-{n}": {"description": "x" * 7_000} for n in range(3)},
    }
    asked = question(list, schema=schema)

    began = time.process_time()
    with pytest.raises(InvalidValue):
        value(asked, [" "] * 16_000)
    assert time.process_time() - began < 3
