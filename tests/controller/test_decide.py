"""What is due and what a status says, without any cluster."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitl.cluster.conditions import PASSING, RefusalReason, TroubleReason
from hitl.cluster.mapping import given_by
from hitl.cluster.v1alpha1 import HumanInput, HumanInputStatus
from hitl.cluster.via import commit_of, via_of
from hitl.core.documents import OutcomeDocument, OutcomeKind, RequestDocument, Respondent
from hitl.core.escalation import Step
from hitl.core.lifecycle import GRACE
from hitl.core.respondents import Respondents
from hitl_operator.decide import Findings, Link, Refusal, Stored, Trouble, came_late, due_in, is_final, wakes_in
from hitl_operator.short_statuses import short_end, short_status
from hitl_operator.statuses import notices_for, status_for
from hitl_operator.webapp_scaler import Scale, decide

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


def human_input(generation: int = 1, status: dict[str, Any] | None = None, **spec: Any) -> HumanInput:
    metadata = {"name": "asked", "namespace": "here", "uid": "uid-1", "generation": generation}
    metadata["creationTimestamp"] = NOW.isoformat()
    content = {"metadata": metadata, "spec": {"prompt": "?", "dataType": "int", **spec}, "status": status or {}}
    return HumanInput.from_object(content)


def request() -> RequestDocument:
    return RequestDocument(
        request_id="uid-1",
        event_name="asked",
        prompt="?",
        data_type="int",
        created_at=NOW,
        expires_at=NOW + timedelta(seconds=60),
    )


def outcome(kind: OutcomeKind = "answered", value: int = 42) -> OutcomeDocument:
    return OutcomeDocument(
        request_id="uid-1",
        data_type="int",
        status="completed",
        value=value if kind == "answered" else None,
        outcome=kind,
        reason="Answered",
        submission_id="s",
        answered_at=NOW + timedelta(seconds=30),
        respondent=Respondent(name="ada", via="web"),
        request_sha256="0",
    )


def status(of: HumanInput, *, now: datetime = NOW, **found: Any) -> HumanInputStatus:
    return status_for(of, Findings(**{"request": request(), **found}), form_url="", now=now)


def test_a_status_says_from_when_on_others_may_answer() -> None:
    steps = [Step(after_seconds=after, respondents=Respondents(groups=["oncall"])) for after in (10, 30)]
    escalating = request().model_copy(update={"escalation": steps, "created_at": NOW + timedelta(microseconds=7)})
    whole = [NOW + timedelta(seconds=10), NOW + timedelta(seconds=30)]

    first = status(human_input(), request=escalating)
    assert first.escalates_at == whole
    # What it said stays while the storage does not answer, and once there is an outcome.
    before = human_input(status=first.model_dump(mode="json", by_alias=True, exclude_none=True))
    assert (
        status(before, request=None, trouble=Trouble(TroubleReason.STORAGE_UNAVAILABLE, "away")).escalates_at
        == whole
    )
    assert status(before, request=escalating, outcome=outcome()).escalates_at == whole
    assert status(human_input()).escalates_at is None


def after(of: HumanInput, **what: Any) -> HumanInput:
    return of.model_copy(update={"status": status(of, **what)})


def test_a_pending_question_in_step_is_due_at_its_deadline_and_no_sooner() -> None:
    pending = after(human_input())
    assert due_in(pending, NOW) == 60 + GRACE.total_seconds()
    assert due_in(pending, NOW + timedelta(hours=1)) == 0


def test_whatever_is_new_is_due_now() -> None:
    assert due_in(human_input(), NOW) == 0
    pending = after(human_input())
    changed = pending.model_copy(update={"metadata": pending.metadata.model_copy(update={"generation": 2})})
    assert due_in(changed, NOW) == 0
    away = after(human_input(), trouble=Trouble(TroubleReason.STORAGE_UNAVAILABLE, "away"))
    assert due_in(away, NOW) == 0


@pytest.mark.parametrize("reason", [each for each in TroubleReason if each not in PASSING])
def test_a_question_that_stalled_is_looked_at_by_an_operator_that_just_started(reason: TroubleReason) -> None:
    stalled = after(human_input(), request=None, trouble=Trouble(reason, "nobody repaired it yet"))
    assert stalled.status.condition("Stalled") is not None
    assert due_in(stalled, NOW) == 0
    # What is settled is stalled too, for good.
    ended = status(stalled, outcome=outcome("rejected"))
    assert due_in(stalled.model_copy(update={"status": ended}), NOW) is None


def test_a_settled_question_in_step_is_never_due_but_for_its_deletion() -> None:
    assert due_in(after(human_input(), outcome=outcome()), NOW) is None
    kept = after(human_input(ttlSecondsAfterFinished=100), outcome=outcome())
    assert due_in(kept, NOW + timedelta(seconds=40)) == 90


def test_a_response_is_due_until_it_was_refused() -> None:
    given = human_input(response={"value": "1"})
    assert due_in(after(given), NOW) == 0
    refused = after(given, refusal=Refusal(RefusalReason.INVALID, "no"))
    assert due_in(refused, NOW) == 60 + GRACE.total_seconds()


def test_writing_the_same_status_again_changes_nothing() -> None:
    once = after(human_input(), outcome=outcome())
    assert status(once, outcome=outcome(), now=NOW + timedelta(hours=1)) == once.status
    pending = after(human_input())
    assert status(pending, now=NOW + timedelta(seconds=9)) == pending.status


def test_a_refusal_stays_until_the_response_changes() -> None:
    refused = after(human_input(response={"value": "1"}), refusal=Refusal(RefusalReason.INVALID, "no"))
    assert status(refused).condition("ResponseRefused") == refused.status.condition("ResponseRefused")
    changed = HumanInput.from_object(
        {
            "metadata": {"name": "asked", "uid": "uid-1", "generation": 2},
            "spec": {"prompt": "?", "dataType": "int"},
            "status": refused.status.model_dump(by_alias=True, mode="json"),
        }
    )
    assert status(changed).condition("ResponseRefused") is None


@pytest.mark.parametrize("end", [outcome("timed_out"), outcome("rejected"), outcome("cancelled"), outcome()])
def test_a_refusal_stays_beside_an_outcome_that_is_another(end: OutcomeDocument) -> None:
    refused = after(human_input(response={"value": "1"}), refusal=Refusal(RefusalReason.EXPIRED, "too late"))
    settled = status(refused, outcome=end)
    assert settled.condition("ResponseRefused") == refused.status.condition("ResponseRefused")


@pytest.mark.parametrize(
    ("response", "end"), [({"value": "42"}, outcome()), ({"reject": True}, outcome("rejected"))]
)
def test_a_refusal_goes_when_the_outcome_is_what_the_response_says(
    response: dict[str, Any], end: OutcomeDocument
) -> None:
    refused = after(human_input(response=response), refusal=Refusal(RefusalReason.NOT_ALLOWED, "no"))
    assert status(refused, outcome=end).condition("ResponseRefused") is None


def test_a_response_given_while_the_end_was_written_is_told_so() -> None:
    settled = after(human_input(), outcome=outcome()).status.model_dump(by_alias=True, mode="json")
    late = human_input(generation=2, status=settled, response={"value": "7"})
    assert came_late(late)
    told = status(late, refusal=Refusal(RefusalReason.SUPERSEDED, "no"))
    refused = told.condition("ResponseRefused")
    assert (told.phase, told.value) == ("Answered", "42")
    assert refused is not None
    assert refused.reason == "Superseded"
    assert [each.reason for each in notices_for(late, told, None)] == ["SubmissionRefused"]
    assert not came_late(late.model_copy(update={"status": told}))
    # Git may bring back what was recorded.
    assert not came_late(human_input(generation=2, status=settled, response={"value": "42"}))


def test_each_event_is_posted_for_the_change_that_it_tells_of() -> None:
    new = human_input()
    pending = status(new)
    assert [each.reason for each in notices_for(new, pending, None)] == ["Requested"]
    shown = new.model_copy(update={"status": pending})
    settled = status(shown, outcome=outcome("rejected"))
    assert [each.reason for each in notices_for(shown, settled, outcome("rejected"))] == ["Rejected"]
    assert notices_for(shown.model_copy(update={"status": settled}), settled, outcome("rejected")) == []


_OUTCOMES = st.sampled_from([None, outcome(), outcome(value=7), outcome("rejected"), outcome("timed_out")])
_TROUBLES = st.sampled_from(
    [None, Trouble(TroubleReason.STORAGE_UNAVAILABLE, "away"), Trouble(TroubleReason.REQUEST_MISSING, "gone")]
)
_REFUSALS = st.sampled_from(
    [None, Refusal(RefusalReason.INVALID, "no"), Refusal(RefusalReason.SUPERSEDED, "late")]
)


@given(st.lists(st.tuples(_OUTCOMES, _TROUBLES, _REFUSALS, st.integers(1, 9)), max_size=12))
def test_no_sequence_of_looks_ever_takes_a_final_status_back(
    looks: list[tuple[OutcomeDocument | None, Trouble | None, Refusal | None, int]],
) -> None:
    shown, final = human_input(response={"value": "1"}), None
    for number, (stored, trouble, refusal, generation) in enumerate(looks):
        metadata = shown.metadata.model_copy(update={"generation": generation})
        shown = shown.model_copy(update={"metadata": metadata})
        wanted = status(
            shown,
            outcome=None if trouble else stored,
            trouble=trouble,
            refusal=refusal,
            now=NOW + timedelta(seconds=number),
        )
        shown = shown.model_copy(update={"status": wanted})
        if final is not None:
            assert (wanted.phase, wanted.value, wanted.answered_at) == final
        if is_final(wanted):
            final = (wanted.phase, wanted.value, wanted.answered_at)
        kinds = [each.type for each in wanted.conditions]
        assert len(kinds) == len(set(kinds))
        assert {"Reconciling", "Stalled"} - set(kinds), "kstatus would not know which"
        assert all(each.observed_generation == generation for each in wanted.conditions)


@pytest.mark.parametrize(
    ("manager", "operation", "via"),
    [
        ("kubectl-patch", "Update", "kubectl"),
        ("kubectl-edit", "Update", "kubectl"),
        ("kubectl", "Apply", "kubectl"),
        ("hitl", "Update", "cli"),
        ("argocd-controller", "Apply", "gitops"),
        ("argocd-application-controller", "Update", "gitops"),
        ("kustomize-controller", "Apply", "gitops"),
        ("helm", "Update", "gitops"),
        ("helm-controller", "Apply", "gitops"),
        # Whose pipeline that is, nobody can know.
        ("my-pipeline", "Apply", "api"),
        ("python-requests", "Update", "api"),
    ],
)
def test_the_channel_is_told_by_the_field_manager(manager: str, operation: str, via: str) -> None:
    fields: dict[str, Any] = {"f:spec": {"f:response": {}}}
    entries = [
        {"manager": "creator", "operation": "Update", "fieldsV1": {"f:spec": {"f:prompt": {}}}},
        {"manager": "operator", "operation": "Apply", "subresource": "status", "fieldsV1": fields},
        {"manager": manager, "operation": operation, "fieldsV1": fields},
    ]
    assert via_of(entries, "response") == via


@pytest.mark.parametrize(
    ("writer", "commit"),
    [
        ({"f:response": {}}, ""),
        ({"f:prompt": {}, "f:response": {}}, "4f1d2ab"),
    ],
)
def test_the_commit_is_that_of_whoever_wrote_the_response(writer: dict[str, Any], commit: str) -> None:
    annotated: dict[str, Any] = {"f:annotations": {"f:hitl.flyte.org/commit": {}}}
    manifest = {"f:metadata": annotated, "f:spec": writer if "f:prompt" in writer else {"f:prompt": {}}}
    metadata = human_input().metadata.model_copy(
        update={
            "annotations": {"hitl.flyte.org/commit": "4f1d2ab"},
            "managed_fields": [
                {"manager": "kustomize-controller", "operation": "Apply", "fieldsV1": manifest},
                {"manager": "kubectl-edit", "operation": "Update", "fieldsV1": {"f:spec": {"f:response": {}}}},
            ],
        }
    )
    assert commit_of(metadata, "response") == commit


def test_the_same_response_makes_the_same_submission() -> None:
    def submission(value: str) -> str:
        given = given_by(human_input(response={"value": value}), believed=False)
        assert given is not None
        return given.submission_id

    assert submission("1") == submission("1") != submission("2")


def test_the_web_app_goes_up_with_the_first_question_and_down_when_none_was_for_long() -> None:
    assert not decide(0, Scale(False, NOW), NOW, 100).running
    up = decide(3, Scale(False, NOW), NOW, 100)
    assert up == Scale(True, None)
    idle = decide(0, up, NOW, 100)
    assert idle == Scale(True, NOW)
    assert decide(0, idle, NOW + timedelta(seconds=99), 100).running
    down = decide(0, idle, NOW + timedelta(seconds=100), 100)
    assert not down.running
    assert not decide(0, down, NOW + timedelta(seconds=200), 100).running
    assert decide(1, down, NOW + timedelta(seconds=200), 100).running


def test_a_question_that_cannot_be_asked_ends_at_its_deadline() -> None:
    broken = human_input(timeoutSeconds=60)
    trouble = Trouble(TroubleReason.INVALID_REQUEST, "schema: no such type")
    stalled = after(broken, request=None, trouble=trouble)
    assert wakes_in(stalled, NOW) == 60 + GRACE.total_seconds()
    over = status(stalled, request=None, trouble=trouble, now=NOW + timedelta(seconds=60) + GRACE)
    settled = over.condition("Settled")
    assert over.phase == "TimedOut"
    assert settled is not None
    assert (settled.status, settled.reason) == ("True", "DeadlinePassed")
    assert "schema: no such type" in settled.message


_STORED: list[dict[str, Any]] = [
    {"request": {"id": "uid-9"}},
    {"status": {"requestID": "uid-1", "phase": "Pending", "expiresAt": (NOW + timedelta(seconds=60)).isoformat()}},
]
_NEVER_STORED = (TroubleReason.INVALID_REQUEST, TroubleReason.POLICY_NOT_FOUND, TroubleReason.FOREIGN_NAMESPACE)


@pytest.mark.parametrize("asked", _STORED)
@pytest.mark.parametrize("reason", TroubleReason)
def test_one_that_may_lie_in_storage_never_ends_without_it(reason: TroubleReason, asked: dict[str, Any]) -> None:
    known, trouble = human_input(timeoutSeconds=60, **asked), Trouble(reason, "see the log")
    late = status(known, request=None, trouble=trouble, now=NOW + timedelta(days=1))
    assert late.phase == "Pending"


def test_an_end_in_short_has_its_outcome_and_says_what_the_api_server_said() -> None:
    whole = status(human_input(), outcome=outcome())
    short = short_end(whole.model_copy(update={"comment": "as agreed"}), "no comments here")
    settled = short.condition("Settled")
    assert settled is not None
    assert (short.phase, short.value, short.comment, settled.status) == ("Answered", "42", None, "True")
    assert "no comments here" in settled.message


@pytest.mark.parametrize("reason", _NEVER_STORED)
def test_whatever_keeps_it_from_being_asked_it_ends_at_its_deadline(reason: TroubleReason) -> None:
    trouble, over = Trouble(reason, "see the log"), NOW + timedelta(seconds=60) + GRACE
    stalled = after(human_input(timeoutSeconds=60), request=None, trouble=trouble)
    before = status(stalled, request=None, trouble=trouble, now=over - timedelta(seconds=1))
    assert before.phase == "Pending"
    assert due_in(stalled, over) == 0
    late = status(stalled, request=None, trouble=trouble, now=over)
    settled = late.condition("Settled")
    assert late.phase == "TimedOut"
    assert settled is not None
    assert (settled.status, settled.reason) == ("True", "DeadlinePassed")
    assert "see the log" in settled.message
    assert "never asked" in settled.message


def test_a_secret_that_is_refused_is_told_beside_the_question_that_goes_on() -> None:
    told = after(human_input(), link=Link(refused="secrets is forbidden"))
    condition = told.status.condition("LinkIssued")
    assert told.status.phase == "Pending"
    assert condition is not None
    assert (condition.status, condition.reason) == ("False", "SecretRefused")
    assert "secrets is forbidden" in condition.message
    assert due_in(told, NOW) == 0
    # Said once; gone with the Secret, and with the outcome.
    assert [each.reason for each in notices_for(human_input(), told.status, None)] == ["Requested", "LinkRefused"]
    assert notices_for(told, status(told), None) == []
    assert status(told).condition("LinkIssued") == condition
    issued = status(told, link=Link(secret="asked-link-1"))
    assert (issued.condition("LinkIssued"), issued.link_secret) == (None, "asked-link-1")
    assert status(told, outcome=outcome()).condition("LinkIssued") is None


def test_a_question_that_nobody_could_be_told_of_says_so_until_it_ends() -> None:
    asked = human_input()
    lost = status(asked, lost="shop/ops could not be told (asked): it answered 410")
    told = lost.condition("Told")
    assert told is not None
    assert (told.status, told.reason) == ("False", "NoticeGivenUp")
    assert [each.reason for each in notices_for(asked, lost, None)] == ["Requested", "NotTold"]
    # Another look knows nothing of it.
    again = status(asked.model_copy(update={"status": lost}))
    assert again.condition("Told") == told
    assert status(asked.model_copy(update={"status": again}), outcome=outcome()).condition("Told") is None


@pytest.mark.parametrize(("stored", "reason"), [(Stored.MISSING, "NotStored"), (Stored.ANOTHER, "AnotherStored")])
def test_an_outcome_that_storage_does_not_hold_is_told_and_nothing_else_changes(
    stored: Stored, reason: str
) -> None:
    shown = after(human_input(ttlSecondsAfterFinished=1), outcome=outcome())
    told = shown.model_copy(update={"status": status(shown, request=None, stored=stored)})
    missing = told.status.condition("OutcomeMissing")
    assert missing is not None
    assert (missing.status, missing.reason) == ("True", reason)
    assert (told.status.phase, told.status.value) == ("Answered", "42")
    assert [each.reason for each in notices_for(shown, told.status, None)] == ["OutcomeMissing"]
    # Looked at again after a restart, and not deleted before somebody decided.
    assert due_in(told, NOW + timedelta(days=1)) == 0
    assert status(told, request=None).condition("OutcomeMissing") == missing
    assert status(told, request=None, stored=Stored.SAME).condition("OutcomeMissing") is None


def test_the_short_status_keeps_the_deadline_and_says_what_the_api_server_said() -> None:
    pending = after(human_input())
    short = short_status(pending, "admission webhook denied it" + "x" * 5_000, NOW)
    stalled = short.condition("Stalled")
    assert (short.phase, short.expires_at) == ("Pending", pending.status.expires_at)
    assert stalled is not None
    assert stalled.reason == "WriteRefused"
    assert "admission webhook denied it" in stalled.message
    assert len(stalled.message) <= 1024


def test_the_short_status_says_when_it_ends_even_where_no_other_ever_did() -> None:
    short = short_status(human_input(timeoutSeconds=60), "no addresses here", NOW)
    assert short.expires_at == NOW + timedelta(seconds=60)


def test_the_short_status_keeps_what_says_whether_there_is_a_link() -> None:
    linked = after(human_input(), link=Link(secret="ship-link"))
    assert short_status(linked, "too large", NOW).link_secret == "ship-link"
    refused = after(human_input(), link=Link(refused="no Secrets here"))
    kept = short_status(refused, "too large", NOW).condition("LinkIssued")
    assert kept == refused.status.condition("LinkIssued")
