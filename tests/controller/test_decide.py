"""What is due and what a status says, without any cluster."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitl.cluster.v1alpha1 import HumanInput, HumanInputStatus
from hitl.core.documents import OutcomeDocument, OutcomeKind, RequestDocument, Respondent
from hitl.core.lifecycle import GRACE
from hitl_operator.decide import (
    Refusal,
    Trouble,
    came_late,
    due_in,
    is_final,
    notices_for,
    status_for,
    submission_of,
    via_of,
)
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


def status(of: HumanInput, **what: Any) -> HumanInputStatus:
    given: dict[str, Any] = {
        "request": request(),
        "outcome": None,
        "refusal": None,
        "trouble": None,
        "form_url": "",
        "now": NOW,
        **what,
    }
    return status_for(of, **given)


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
    away = after(human_input(), trouble=Trouble("StorageUnavailable", "away"))
    assert due_in(away, NOW) == 0


def test_a_settled_question_in_step_is_never_due_but_for_its_deletion() -> None:
    assert due_in(after(human_input(), outcome=outcome()), NOW) is None
    kept = after(human_input(ttlSecondsAfterFinished=100), outcome=outcome())
    assert due_in(kept, NOW + timedelta(seconds=40)) == 90


def test_a_response_is_due_until_it_was_refused() -> None:
    given = human_input(response={"value": "1"})
    assert due_in(after(given), NOW) == 0
    refused = after(given, refusal=Refusal("Invalid", "no"))
    assert due_in(refused, NOW) == 60 + GRACE.total_seconds()


def test_writing_the_same_status_again_changes_nothing() -> None:
    once = after(human_input(), outcome=outcome())
    assert status(once, outcome=outcome(), now=NOW + timedelta(hours=1)) == once.status
    pending = after(human_input())
    assert status(pending, now=NOW + timedelta(seconds=9)) == pending.status


def test_a_refusal_stays_until_the_response_changes() -> None:
    refused = after(human_input(response={"value": "1"}), refusal=Refusal("Invalid", "no"))
    assert status(refused).condition("ResponseRefused") == refused.status.condition("ResponseRefused")
    changed = HumanInput.from_object(
        {
            "metadata": {"name": "asked", "uid": "uid-1", "generation": 2},
            "spec": {"prompt": "?", "dataType": "int"},
            "status": refused.status.model_dump(by_alias=True, mode="json"),
        }
    )
    assert status(changed).condition("ResponseRefused") is None


def test_a_response_given_while_the_end_was_written_is_told_so() -> None:
    settled = after(human_input(), outcome=outcome()).status.model_dump(by_alias=True, mode="json")
    late = human_input(generation=2, status=settled, response={"value": "7"})
    assert came_late(late)
    told = status(late, refusal=Refusal("Superseded", "no"))
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
_TROUBLES = st.sampled_from([None, Trouble("StorageUnavailable", "away"), Trouble("RequestMissing", "gone")])
_REFUSALS = st.sampled_from([None, Refusal("Invalid", "no"), Refusal("Superseded", "late")])


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
        ("my-pipeline", "Apply", "gitops"),
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


def test_the_same_response_makes_the_same_submission() -> None:
    of = human_input(response={"value": "1"})

    def submission(value: str) -> str:
        return submission_of(
            of.metadata, "response", value=value, reject=False, comment="", identity=None, believed=False
        ).submission_id

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
