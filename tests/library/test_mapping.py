"""What goes from storage to Kubernetes and back, or the other way round, is the same."""

import json
import math
import string
import tracemalloc
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitl.cluster.beside import edited_shown
from hitl.cluster.conditions import HumanInputCondition
from hitl.cluster.human_input_response import HumanInputResponse
from hitl.cluster.mapping import (
    event_name_of,
    given_by,
    given_in,
    human_input_of,
    origin_of,
    outcome_of,
    outcome_shown,
    question_of,
    shown_origin_of,
    value_of,
)
from hitl.cluster.shapes import Condition
from hitl.cluster.v1alpha1 import LEFT_OUT_ANNOTATION, MAX_EDITS, HumanInput, HumanInputStatus
from hitl.core.approval import Approval
from hitl.core.business_hours import BusinessHours
from hitl.core.documents import Origin, OutcomeDocument, RequestDocument, Respondent
from hitl.core.evidence import MAX_EVIDENCE, Evidence
from hitl.core.limits import MAX_SCHEMA_CHARS
from hitl.core.text import is_blank
from hitl.core.values import parse_text
from hitl.errors import InvalidRequest
from tests.library.samples import draft_request

NOW = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)

# All of Unicode but lone surrogates, which no JSON holds.
_TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40).filter(
    lambda text: not is_blank(text)
)
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


_SHA = st.text("0123456789abcdef", min_size=64, max_size=64)
_LINKS = st.builds(
    Evidence, name=_LABEL, kind=st.just("link"), url=_LABEL.map("https://example.org/{}".format), alt=_LABEL
)
_FILES = st.builds(
    Evidence,
    name=_TEXT,
    kind=st.sampled_from(["image", "table", "markdown", "diff", "html", "file"]),
    media_type=st.sampled_from(["", "image/png", "text/csv"]),
    size_bytes=st.integers(0, 2**40),
    sha256=_SHA,
    alt=st.just("") | _TEXT,
)

_SCHEMAS: list[dict[str, Any] | None] = [None, {"description": "any", "x": [None, 1]}]


_APPROVALS = st.builds(
    lambda groups, more, **fields: Approval(
        # An author leaves groups out: an empty dict is refused.
        required=sum(groups.values()) + more,
        **({"groups": groups} if groups else {}),
        **fields,
    ),
    groups=st.dictionaries(st.sampled_from(["sre", "security"]), st.integers(1, 3), max_size=2),
    more=st.integers(1, 3),
    rejections=st.integers(1, 3),
    exclude_requester=st.booleans(),
    comment_required=st.sampled_from(["Never", "OnReject", "Always"]),
)


@st.composite
def questions(draw: st.DrawFn, evidence: st.SearchStrategy[Evidence] = _LINKS | _FILES) -> RequestDocument:
    kind = draw(st.sampled_from(sorted(_VALUES)))
    choices = None
    if kind in ("int", "float", "str"):
        choices = draw(st.none() | st.lists(_VALUES[kind], min_size=1, max_size=4, unique_by=str))
    fitting = st.none() | (st.sampled_from(choices) if choices else _VALUES[kind])
    default, proposed = draw(fitting), draw(fitting)
    labelled = choices is not None and draw(st.booleans())
    respondents = {"users": draw(_NAMES), "groups": draw(_NAMES)}
    named = {kind: names for kind, names in respondents.items() if names}
    seconds = draw(st.integers(3, 366 * 24 * 3600))
    steps = draw(st.lists(st.integers(1, seconds - 1), max_size=3, unique=True)) if named else []
    # Of those who are named, too few could agree.
    approval = None if named else draw(st.none() | _APPROVALS)
    return draft_request(
        request_id=draw(_LABEL),
        event_name=draw(_LABEL),
        data_type=kind,
        prompt=draw(_TEXT),
        timeout_seconds=seconds,
        now=NOW + timedelta(microseconds=draw(st.integers(0, 10**6))),
        json_schema=draw(st.sampled_from(_SCHEMAS)),
        choices={each: draw(_LABEL) for each in choices or ()} if labelled else choices,
        default=default,
        proposed=proposed,
        evidence=draw(st.lists(evidence, max_size=3)),
        refused=draw(st.lists(_TEXT, max_size=2)),
        on_timeout=draw(st.none() | st.sampled_from(["fail", "default"] if default is not None else ["fail"])),
        respondents=named or None,
        prompt_format=draw(st.sampled_from(["markdown", "plain"])),
        approval=approval,
        requester="ruth" if approval is not None and (approval.exclude_requester or draw(st.booleans())) else "",
        escalate=[(after, {"groups": [draw(_LABEL)]}) for after in sorted(steps)],
        reminders=draw(st.none() | st.lists(st.integers(1, 9_000), max_size=3)),
        business_hours=draw(
            st.sampled_from([None, BusinessHours(time_zone="Asia/Tokyo", days=["Sun"], end="09:01")])
        ),
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
    origin = shown_origin_of(shown)
    assert (origin.project, origin.run) == (request.origin.project, request.origin.run)


@given(questions(_LINKS))
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


def proposing(data_type: Any, proposed: Any, **more: Any) -> RequestDocument:
    return draft_request(
        request_id="a",
        event_name="a",
        data_type=data_type,
        prompt="?",
        timeout_seconds=60,
        now=NOW,
        proposed=proposed,
        **more,
    )


def answered(request: RequestDocument, value: Any, reason: str = "Answered") -> OutcomeDocument:
    return OutcomeDocument(
        request_id=request.request_id,
        data_type=request.data_type,
        status="completed",
        value=value,
        outcome="answered",
        reason=reason,
        submission_id="one",
        answered_at=NOW,
        respondent=Respondent(via="web"),
        request_sha256="0" * 64,
    )


def edited(request: RequestDocument, outcome: OutcomeDocument) -> dict[str, Any]:
    status = HumanInputStatus(**edited_shown(request, outcome))
    return status.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"conditions"})


def test_a_status_says_what_an_answer_changed_of_what_was_proposed() -> None:
    request = proposing(dict, {"image": "a:1", "replicas": 3, "note": "x"})
    assert edited(request, answered(request, {"image": "a:2", "replicas": 3, "dry": True})) == {
        "edited": [
            {"path": "/image", "proposed": '"a:1"', "answered": '"a:2"'},
            {"path": "/note", "proposed": '"x"'},
            {"path": "/dry", "answered": "true"},
        ]
    }
    assert edited(request, answered(request, {"image": "a:1", "replicas": 3, "note": "x"})) == {"edited": []}
    number = proposing(int, 3)
    assert edited(number, answered(number, 4)) == {"edited": [{"path": "", "proposed": "3", "answered": "4"}]}


def test_a_status_says_nothing_of_changes_where_nothing_was_proposed_or_nobody_answered() -> None:
    request = proposing(int, None)
    assert edited(request, answered(request, 4)) == {}
    defaulted = proposing(int, 3, default=4)
    assert edited(defaulted, answered(defaulted, 4, "DefaultUsed")) == {}


@pytest.mark.parametrize(("count", "chars"), [(MAX_EDITS + 8, 1), (16, 1_000), (150, 4), (8, 60_000)])
def test_a_status_holds_so_many_changes_as_fit_and_counts_the_others(count: int, chars: int) -> None:
    before = {f"{number}-😀": "a" * chars for number in range(count)}
    if chars == 60_000:
        before = {"n" * 600: "b", **{str(number): "b" for number in range(count - 1)}}
    request = proposing(dict, before)
    after = dict.fromkeys(before, "😀" * 400)
    shown = edited(request, answered(request, after))

    assert len(shown["edited"]) <= MAX_EDITS
    assert len(shown["edited"]) + shown.get("editsLeftOut", 0) == count
    assert len(json.dumps(shown, ensure_ascii=False).encode()) < 32 * 1024


_MANY = [f"{number}{chr(0x1F600) * 250}" for number in range(64)]


def test_what_etcd_cannot_hold_is_left_out_and_an_annotation_says_so() -> None:
    wide = "😀" * 65_000
    link = Evidence(name="a", kind="link", url=f"https://{wide[:2_040]}", alt=wide[:1_024])
    links = [link] * MAX_EVIDENCE
    small = human_input_of(proposing(str, "x", evidence=links), 60)
    assert LEFT_OUT_ANNOTATION not in small.metadata.annotations
    assert len(small.spec.evidence) == MAX_EVIDENCE

    large = human_input_of(proposing(str, wide, default=wide, evidence=links), 60)
    assert large.metadata.annotations[LEFT_OUT_ANNOTATION] == "evidence"
    assert (large.spec.evidence, large.spec.proposed) == ([], wide)

    named = {"users": _MANY, "groups": _MANY}
    asked = proposing(str, wide, default=wide, evidence=links, respondents=named, json_schema={"x": "y" * 60_000})
    larger = human_input_of(asked, 60)
    assert larger.metadata.annotations[LEFT_OUT_ANNOTATION] == "evidence proposed"
    assert (larger.spec.proposed, larger.spec.default) == (None, wide)


@pytest.mark.parametrize(
    ("spec", "fault"),
    [
        ({"dataType": "int", "proposed": "two"}, "proposed: .*is not a whole number"),
        (
            {"dataType": "int", "reminders": {"businessHours": {"timeZone": "Nowhere"}}},
            "'Nowhere' is not known here",
        ),
        (
            {
                "dataType": "int",
                "respondents": {"users": ["a"]},
                "escalation": [{"afterSeconds": 9, "respondents": {}}],
            },
            "respondents names nobody",
        ),
        ({"dataType": "int", "evidence": [{"name": "a"}]}, "evidence: .*a link has an address"),
        ({"dataType": "int", "choices": ["1"], "choiceLabels": {"2": "Two"}}, "choiceLabels: '2' is none"),
    ],
)
def test_a_humaninput_that_no_rule_has_seen_is_refused_all_the_same(spec: dict[str, Any], fault: str) -> None:
    asked = HumanInput.from_object({"metadata": {"name": "a", "uid": "u"}, "spec": {"prompt": "?", **spec}})
    with pytest.raises(InvalidRequest, match=fault):
        question_of(asked)


def test_a_schema_that_no_question_may_have_takes_no_memory() -> None:
    listed: list[Any] = [{"a": {}}] * 100_000
    spec = {"prompt": "?", "dataType": "json", "schema": {"enum": listed}}
    content = {"metadata": {"name": "a", "uid": "u"}, "spec": spec}
    tracemalloc.start()
    asked = HumanInput.from_object(content)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 2**20
    with pytest.raises(InvalidRequest, match="schema: it is too large: at most 65,536 characters"):
        question_of(asked)


def test_a_schema_of_all_that_a_question_may_have_is_read_as_it_is() -> None:
    schema = {"description": "x" * (MAX_SCHEMA_CHARS - len('{"description": ""}'))}
    content = {"prompt": "?", "dataType": "json", "schema": schema}
    asked = HumanInput.from_object({"metadata": {"name": "a", "uid": "u"}, "spec": content})
    assert question_of(asked).json_schema == schema


def test_a_choice_without_a_label_is_its_own() -> None:
    spec = {"prompt": "?", "dataType": "float", "choices": ["1.50", "2"], "choiceLabels": {"1.50": "Half more"}}
    asked = stored(HumanInput.from_object({"metadata": {"name": "a", "uid": "u"}, "spec": spec}), NOW)
    assert asked.choice_labels == {"1.5": "Half more", "2.0": "2"}


@pytest.mark.parametrize("wrong", [{"answeredVia": None}, {"answeredVia": "pigeon"}, {"value": None}])
def test_what_somebody_else_wrote_into_a_status_is_no_outcome(wrong: dict[str, Any]) -> None:
    request = draft_request(request_id="a", event_name="a", data_type=int, prompt="?", timeout_seconds=1, now=NOW)
    moment = datetime.now(UTC).isoformat()
    settled = {"type": "Settled", "status": "True", "reason": "Answered", "lastTransitionTime": moment}
    status = {
        "phase": "Answered",
        "value": "4",
        "answeredVia": "web",
        "answeredAt": moment,
        "conditions": [settled],
    }
    content = human_input_of(request, 60).to_object() | {"status": status | wrong}
    with pytest.raises(InvalidRequest, match="no outcome"):
        outcome_of(HumanInput.from_object(content), request, "0" * 64)


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
