"""What goes from storage to Kubernetes and back, or the other way round, is the same."""

import math
import string
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitl.cluster.conditions import HumanInputCondition
from hitl.cluster.mapping import (
    event_name_of,
    given_by,
    given_in,
    human_input_of,
    origin_of,
    outcome_of,
    outcome_shown,
    question_of,
    value_of,
)
from hitl.cluster.v1alpha1 import Condition, HumanInput, HumanInputResponse, HumanInputStatus
from hitl.core.documents import Origin, OutcomeDocument, RequestDocument, Respondent
from hitl.core.values import parse_text
from hitl.errors import InvalidRequest
from tests.library.samples import draft_request

NOW = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)

# All of Unicode but lone surrogates, which no JSON holds.
_TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40).filter(str.strip)
_LABEL = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=20)
_NAMES = st.lists(_LABEL, max_size=3, unique=True)
_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "int": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(allow_nan=False, allow_infinity=False),
    "bool": st.booleans(),
    "str": _TEXT,
    "json": st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | _TEXT,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
        max_leaves=8,
    ),
}


_SCHEMAS: list[dict[str, Any] | None] = [None, {"description": "any", "x": [None, 1]}]


@st.composite
def questions(draw: st.DrawFn) -> RequestDocument:
    kind = draw(st.sampled_from(sorted(_VALUES)))
    choices = None
    if kind in ("int", "float", "str"):
        choices = draw(st.none() | st.lists(_VALUES[kind], min_size=1, max_size=4, unique_by=str))
    default = draw(st.none() | (st.sampled_from(choices) if choices else _VALUES[kind]))
    respondents = {"users": draw(_NAMES), "groups": draw(_NAMES)}
    named = {kind: names for kind, names in respondents.items() if names}
    return draft_request(
        request_id=draw(_LABEL),
        event_name=draw(_LABEL),
        data_type=kind,
        prompt=draw(_TEXT),
        timeout_seconds=draw(st.integers(1, 366 * 24 * 3600)),
        now=NOW + timedelta(microseconds=draw(st.integers(0, 10**6))),
        json_schema=draw(st.sampled_from(_SCHEMAS)),
        choices=choices,
        default=default,
        on_timeout=draw(st.none() | st.sampled_from(["fail", "default"] if default is not None else ["fail"])),
        respondents=named or None,
        prompt_format=draw(st.sampled_from(["markdown", "plain"])),
        origin=Origin(namespace="team", project=draw(_LABEL), run=draw(_LABEL)),
    )


@st.composite
def outcomes(draw: st.DrawFn) -> tuple[RequestDocument, OutcomeDocument]:
    request = draw(questions())
    kind = draw(st.sampled_from(["answered", "rejected", "timed_out", "cancelled"]))
    value = draw(_VALUES[request.data_type]) if kind == "answered" else None
    if kind == "answered" and request.data_type == "str":
        value = parse_text("str", str(value))
    name = draw(st.just("") | _LABEL)
    outcome = OutcomeDocument.model_validate(
        {
            "request_id": request.request_id,
            "data_type": request.data_type,
            "status": "completed" if kind == "answered" else kind,
            "value": value,
            "outcome": kind,
            "reason": draw(st.sampled_from(["Answered", "DefaultUsed", "Rejected"])),
            "submission_id": "one",
            "answered_at": NOW + timedelta(microseconds=draw(st.integers(0, 10**9))),
            "respondent": Respondent(
                name=name,
                via=draw(st.sampled_from(["web", "api", "cli", "kubectl", "gitops", "timeout"])),
                verified=bool(name) and draw(st.booleans()),
                commit=draw(st.just("") | _LABEL),
            ),
            "comment": draw(st.just("") | _TEXT),
            "request_sha256": "0" * 64,
            "expires_at": request.expires_at,
        }
    )
    return request, outcome


def through_the_api_server(human_input: HumanInput) -> HumanInput:
    """Return an object as it is read after it was written."""
    return HumanInput.from_object(human_input.to_object())


def stored(human_input: HumanInput, moment: datetime) -> RequestDocument:
    """Return what storage holds of the question that a HumanInput asks."""
    return RequestDocument.asking(
        question_of(human_input),
        request_id=human_input.request_id,
        asked_at=moment,
        origin=origin_of(human_input),
    )


@given(questions())
def test_a_question_that_is_shown_and_read_back_asks_the_same(request: RequestDocument) -> None:
    shown = through_the_api_server(human_input_of(request, 60))
    again = stored(shown, request.created_at)
    assert again.question_digest() == request.question_digest()
    assert (again.request_id, again.event_name) == (request.request_id, request.event_name)
    assert (again.on_timeout, again.default) == (request.on_timeout, request.default)
    assert again.prompt_format == request.prompt_format
    assert again.expires_at - request.expires_at < timedelta(seconds=1)
    assert again.origin.namespace == request.origin.namespace


@given(questions())
def test_a_humaninput_that_is_asked_and_shown_again_is_the_same(request: RequestDocument) -> None:
    first = human_input_of(request, 60)
    born = first.model_copy(
        update={
            "spec": first.spec.model_copy(update={"request": None}),
            "metadata": first.metadata.model_copy(update={"uid": request.request_id}),
        }
    )
    asked = stored(born, request.created_at)
    second = human_input_of(asked, 60)
    assert second.spec == first.spec
    assert math.ceil((asked.expires_at - asked.created_at).total_seconds()) == born.spec.timeout_seconds
    assert asked.event_name == event_name_of(born) == born.metadata.name


@given(outcomes())
def test_an_outcome_that_is_shown_and_read_back_says_the_same(
    made: tuple[RequestDocument, OutcomeDocument],
) -> None:
    request, outcome = made
    settled = Condition(
        type=HumanInputCondition.SETTLED, status="True", reason=outcome.reason, last_transition_time=NOW
    )
    status = HumanInputStatus(**outcome_shown(outcome), conditions=[settled])
    shown = human_input_of(request, 60).model_copy(update={"status": status})
    again = outcome_of(through_the_api_server(shown), request, outcome.request_sha256)
    assert again.value_text() == outcome.value_text()
    kept = {"submission_id": "", "answered_at": NOW, "value": None}
    assert again.model_copy(update=kept) == outcome.model_copy(update=kept)
    assert timedelta() <= outcome.answered_at - again.answered_at < timedelta(seconds=1)


@pytest.mark.parametrize(
    ("kind", "default", "text"),
    [("json", '{"a": 1}', '{"a":1}'), ("json", '"a"', '"a"'), ("str", '"a"', '"a"'), ("int", "+7", "7")],
)
def test_a_default_is_read_as_the_text_of_a_value(kind: str, default: str, text: str) -> None:
    asked = HumanInput.from_object(
        {"metadata": {"name": "a", "uid": "u"}, "spec": {"prompt": "?", "dataType": kind, "default": default}}
    )
    request = stored(asked, NOW)
    assert (request.default, request.on_timeout) == (text, "default")


@pytest.mark.parametrize("default", ["{", "null"])
def test_a_default_that_is_no_json_value_is_refused(default: str) -> None:
    asked = HumanInput.from_object(
        {"metadata": {"name": "a"}, "spec": {"prompt": "?", "dataType": "json", "default": default}}
    )
    with pytest.raises(InvalidRequest, match="default: "):
        question_of(asked)


def test_a_pending_status_shows_no_outcome() -> None:
    pending = HumanInput.from_object(
        {"metadata": {"name": "a"}, "spec": {"prompt": "?", "dataType": "int"}, "status": outcome_shown(None)}
    )
    assert value_of(pending) is None
    request = draft_request(request_id="a", event_name="a", data_type=int, prompt="?", timeout_seconds=1, now=NOW)
    with pytest.raises(InvalidRequest, match="shows no outcome"):
        outcome_of(pending, request, "0")


@pytest.mark.parametrize("reject", [False, True])
def test_a_response_makes_the_same_submission_in_either_object(reject: bool) -> None:
    stamped = {"username": "ada", "groups": ["sre"]}
    response = {"comment": "ok", "respondent": stamped, **({"reject": True} if reject else {"value": "1"})}
    metadata = {"name": "a", "namespace": "team", "uid": "uid-1"}
    human_input = HumanInput.from_object(
        {"metadata": metadata, "spec": {"prompt": "?", "dataType": "int", "response": response}}
    )
    separate = HumanInputResponse.from_object(
        {"metadata": metadata, "spec": {"requestRef": {"name": "a"}, **response}}
    )
    given = given_by(human_input, believed=True)
    assert given == given_in(separate, believed=True)
    assert given is not None
    assert (given.outcome, given.value) == (("rejected", None) if reject else ("answered", "1"))
    assert (given.respondent.name, given.respondent.verified, given.respondent.groups) == ("ada", True, ["sre"])
    unstamped = given_by(human_input, believed=False)
    assert unstamped is not None
    assert not unstamped.respondent.verified


def test_a_humaninput_without_a_response_submits_nothing() -> None:
    asked = HumanInput.from_object({"metadata": {"name": "a"}, "spec": {"prompt": "?", "dataType": "int"}})
    assert given_by(asked, believed=True) is None
