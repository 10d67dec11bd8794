"""A question is valid from the moment that it exists, and ids, digests and documents are made of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hitl.core.asked import Asked
from hitl.core.documents import RequestDocument
from hitl.core.evidence import Evidence
from hitl.core.keys import path_under, request_key, response_key
from hitl.core.question import Question, parse_answer
from hitl.core.text import is_blank
from hitl.errors import InvalidRequest, InvalidValue, RequestNotFound
from hitl.records.requests import read_request
from hitl.storage import Store
from tests.library.samples import DEADLINE, NOW, asked, number_question


@pytest.mark.parametrize(
    "change",
    [
        {"default": "7"},
        {"default": "02"},
        {"on_timeout": "default", "default": None},
        {"choices": ["1", "x"]},
        {"json_schema": {"type": "whole"}},
        {"prompt": ""},
        {"prompt": "\u200b \n\u2800"},
        {"event_name": " \u3164"},
        {"no_such_field": 1},
    ],
    ids=str,
)
def test_no_question_exists_that_is_not_valid(change: dict[str, Any]) -> None:
    valid = number_question(choices=[1, 2], default=1, on_timeout="fail").model_dump()
    assert Question(**valid) == number_question(choices=[1, 2], default=1, on_timeout="fail")

    with pytest.raises(ValidationError):
        Question(**{**valid, **change})


@pytest.mark.parametrize("unseen", ["  ", "\u200b", "\n\t", "\u2800\u3164"])
def test_a_question_of_which_nobody_sees_anything_is_not_asked(unseen: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^prompt: nothing can be seen in it: give some text$"):
        Question.of("size", int, unseen, 60)
    with pytest.raises(InvalidRequest, match=r"^name: nothing can be seen in it: give some text$"):
        Question.of(unseen, int, "How many?", 60)


async def test_such_a_question_of_an_earlier_release_is_still_read(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    whole = (await asked(store)).document
    before = whole.model_copy(update={"request_id": "before", "prompt": "\u200b", "event_name": " "})
    await store.create_once(request_key("before"), before.to_bytes())

    assert (await read_request(store, "before")).document == before


def test_a_question_never_changes() -> None:
    question = number_question()

    with pytest.raises(ValidationError):
        question.prompt = "How few?"  # type: ignore[misc]  # that it is refused is what is tried


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20).filter(
    lambda text: not is_blank(text)
)
questions = st.one_of(
    st.builds(
        lambda choices, pick, **more: number_question(
            choices=choices, default=choices[0] if pick else None, **more
        ),
        choices=st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=8, unique=True),
        pick=st.booleans(),
        name=texts,
        prompt=texts,
        timeout_seconds=st.floats(0.001, 366 * 86_400),
    ),
    st.builds(
        lambda **more: number_question(**more),
        data_type=st.sampled_from([str, dict, list[int], dict[str, float], "json", None]),
        schema=st.sampled_from([None, {"title": "t"}, {"description": "d"}]),
        respondents=st.sampled_from([None, {"users": ["ann"]}, {"groups": ["a", "b"], "users": ["ann"]}]),
    ),
)


@given(questions)
def test_the_document_asks_what_the_question_asks(question: Question) -> None:
    document = RequestDocument.asking(question, request_id="a", asked_at=NOW, root="s3://b/r")
    read = RequestDocument.from_bytes(document.to_bytes(), "a")

    assert read == document
    assert {name: getattr(read, name) for name in Asked.model_fields} == {
        name: getattr(question, name) for name in Asked.model_fields
    }
    assert question.asks_the_same_as(read)
    assert read.question_digest() == question.question_digest()
    assert abs((read.expires_at - read.created_at).total_seconds() - question.timeout_seconds) < 1e-5


@given(questions, questions)
def test_two_questions_are_the_same_when_what_is_asked_of_whom_is(one: Question, other: Question) -> None:
    compared = {"json_schema" if name == "schema" else name for name in Question.COMPARED}
    alike = one.model_dump(include=compared) == other.model_dump(include=compared)

    assert (one.question_digest() == other.question_digest()) == alike
    assert one.asks_the_same_as(other) or not alike


def test_a_document_says_where_it_lies_and_until_when_it_waits() -> None:
    document = RequestDocument.asking(number_question(), request_id="a", asked_at=NOW, root="s3://b/r/")

    assert document.request_path == path_under("s3://b/r", request_key("a"))
    assert document.response_path == path_under("s3://b/r", response_key("a"))
    assert (document.created_at, document.expires_at) == (NOW, DEADLINE)
    with pytest.raises(RequestNotFound, match="not a question's id"):
        RequestDocument.asking(number_question(), request_id="Not/an id", asked_at=NOW)


def test_the_schema_of_a_data_type_is_no_part_of_the_id() -> None:
    # Release 0.1.0 stored none, and a task that it began finds its question.
    typed, untyped = number_question(data_type=list[int]), number_question(data_type="json")

    assert typed.question_digest() != untyped.question_digest()
    assert typed.untyped_digest() == untyped.untyped_digest() == untyped.question_digest()
    assert typed.asks_the_same_as(untyped)
    assert not untyped.asks_the_same_as(typed)


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: number_question(name="x" * 129), r"\Aname: "),
        (lambda: number_question(prompt="half \ud800"), r"\Aprompt: "),
        (lambda: number_question(on_timeout="later"), r"\Aon_timeout: "),
        (lambda: number_question(default=3, choices=[1, 2]), r"\Athe default '3' does not fit its own question: "),
        (lambda: number_question(on_timeout="default"), r"\Aon_timeout='default' needs a default\Z"),
        (lambda: number_question(schema={"type": "whole"}), r"\A[^:]*no JSON Schema|\Aschema"),
    ],
)
def test_a_refusal_names_the_argument_and_nothing_of_pydantic(build: Callable[[], object], sentence: str) -> None:
    with pytest.raises(InvalidRequest, match=sentence) as refused:
        build()

    assert "Value error" not in str(refused.value)
    assert "pydantic" not in str(refused.value)


def test_an_answer_is_read_by_the_question_itself() -> None:
    question = number_question(choices=[1, 2])

    assert parse_answer(question, " 02 ", text=True) == 2
    with pytest.raises(InvalidValue, match="not one of the choices"):
        parse_answer(question, 3, text=False)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"proposed": "x"}, "proposed"),
        ({"choices": [1, 2], "proposed": 3}, "proposed value '3' does not fit"),
        ({"choices": {1: "one", 2: ""}}, "the label of .2. is .*: give some text"),
        ({"choices": {1: "one", 2: "x" * 257}}, "choice_labels"),
        ({"choices": {1: "one", 2: "\u200b"}}, "the label of .2. is .*: give some text"),
        ({"choices": {1: 7}}, "the label of .1. is 7: give some text"),
        ({"choices": {}}, "choices is empty"),
    ],
)
def test_a_proposal_or_a_label_that_does_not_fit_is_refused(given: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidRequest, match=why):
        Question.of("size", int, "How many?", 60, **given)


def test_a_mapping_gives_each_choice_its_label() -> None:
    question = Question.of("size", int, "How many?", 60, choices={10: "ten", 1: "one"})
    assert question.choices == ["10", "1"]
    assert question.choice_labels == {"10": "ten", "1": "one"}


def test_what_is_shown_and_proposed_belongs_to_the_question() -> None:
    plain = Question.of("size", int, "How many?", 60, choices=[1, 2])
    others = [
        Question.of("size", int, "How many?", 60, choices={1: "one", 2: "two"}),
        Question.of("size", int, "How many?", 60, choices=[1, 2], proposed=2),
        Question.of("size", int, "How many?", 60, choices=[1, 2], refused=["too big"]),
        Question.of(
            "size",
            int,
            "How many?",
            60,
            choices=[1, 2],
            evidence=[Evidence(name="plan", kind="link", url="https://example.com")],
        ),
    ]
    digests = {each.question_digest() for each in [plain, *others]}
    assert len(digests) == 5
    assert plain.question_digest() == plain.model_copy(update={"prompt_format": "markdown"}).question_digest()


@pytest.mark.parametrize(
    "given",
    [
        {"kind": "link"},
        {"kind": "link", "url": "javascript:alert(1)"},
        {"kind": "link", "url": "https://example.com", "sha256": "0" * 64},
        {"kind": "image"},
        {"kind": "image", "sha256": "../x"},
        {"kind": "image", "sha256": "0" * 64, "url": "https://example.com"},
        {"kind": "image", "sha256": "0" * 64, "size_bytes": -1},
        {"kind": "film", "sha256": "0" * 64},
    ],
)
def test_evidence_is_bytes_or_an_address(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Evidence(name="plan", **given)


def test_nothing_at_all_is_a_text_where_the_default_is_one() -> None:
    asked = Question.of("note", str, "Anything to add?", 60, default="")
    assert (asked.default, asked.on_timeout) == ("", "default")
    assert parse_answer(asked, "", text=True) == parse_answer(asked, "", text=False) == ""
    for blank in (" ", "\n"):
        with pytest.raises(InvalidValue):
            parse_answer(asked, blank, text=True)
    with pytest.raises(InvalidValue):
        parse_answer(Question.of("note", str, "Anything to add?", 60, default="none"), "", text=True)
    with pytest.raises(InvalidRequest):
        Question.of("number", int, "How many?", 60, default="")
