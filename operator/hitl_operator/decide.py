"""What is due, and what a status should say: pure decisions over what was read."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, TypeAlias

from hitl.cluster.v1alpha1 import (
    CLI_MANAGER,
    COMMIT_ANNOTATION,
    Condition,
    ConditionStatus,
    HumanInput,
    HumanInputResponse,
    HumanInputResponseStatus,
    HumanInputStatus,
    Identity,
    Metadata,
)
from hitl.core.documents import OutcomeDocument, OutcomeKind, RequestDocument, Respondent, Via
from hitl.core.lifecycle import GRACE, phase_of
from hitl.records.outcomes import Submission

RefusalReason: TypeAlias = Literal["Superseded", "Invalid", "NotAllowed", "Expired"]
AcceptedReason: TypeAlias = Literal[
    "Accepted", "Superseded", "Invalid", "NotAllowed", "RequestNotFound", "StorageUnavailable", "ClockApart"
]
TroubleReason: TypeAlias = Literal[
    "StorageUnavailable",
    "ClockApart",
    "InvalidRequest",
    "DuplicateRequest",
    "RequestDamaged",
    "OutcomeDamaged",
    "RequestMissing",
    "ForeignNamespace",
]

_EVENTS: Final[dict[OutcomeKind, str]] = {
    "answered": "Answered",
    "rejected": "Rejected",
    "timed_out": "TimedOut",
    "cancelled": "Cancelled",
}
_PASSING: Final = ("StorageUnavailable", "ClockApart")
_GITOPS: Final = ("argocd", "argo-cd", "kustomize-controller", "helm", "flux")


@dataclass(frozen=True)
class Refusal:
    """Why a response was not recorded."""

    reason: RefusalReason
    message: str


@dataclass(frozen=True)
class Trouble:
    """Why a pending HumanInput cannot go on. It passes by itself when the storage is away, or a clock is wrong."""

    reason: TroubleReason
    message: str

    @property
    def passes(self) -> bool:
        """Whether it is expected to pass by itself."""
        return self.reason in _PASSING


@dataclass(frozen=True)
class Notice:
    """A Kubernetes Event about an object."""

    reason: str
    message: str
    warning: bool = False


def is_final(status: HumanInputStatus) -> bool:
    """Tell whether a status is one that never changes again."""
    return status.phase not in (None, "Pending")


def came_late(human_input: HumanInput) -> bool:
    """Tell whether there is a response that was given while the end was being written, and says something else."""
    status, response = human_input.status, human_input.spec.response
    if not is_final(status) or response is None or status.observed_generation == human_input.metadata.generation:
        return False
    return response.value != status.value or response.reject != (status.phase == "Rejected")


def due_in(human_input: HumanInput, now: datetime) -> float | None:
    """Return in how many seconds a HumanInput needs to be looked at, 0 for now, None for never.

    It is asked of every object at start, so it reads nothing but the object.
    """
    status, generation = human_input.status, human_input.metadata.generation
    if status.phase is None or status.observed_generation != generation:
        return 0.0
    if is_final(status):
        expiry = deletion_due(human_input)
        return None if expiry is None else max(0.0, (expiry - now).total_seconds())
    reconciling = status.condition("Reconciling")
    if reconciling is not None and reconciling.reason in _PASSING:
        return 0.0
    if human_input.spec.response is not None and status.condition("ResponseRefused") is None:
        return 0.0
    if status.expires_at is None:
        return None
    return max(0.0, (status.expires_at + GRACE - now).total_seconds())


def deletion_due(human_input: HumanInput) -> datetime | None:
    """Return when a settled HumanInput is to be deleted, if it is."""
    ttl, finished = human_input.spec.ttl_seconds_after_finished, human_input.status.answered_at
    return None if ttl is None or finished is None else finished + timedelta(seconds=ttl)


def status_for(
    human_input: HumanInput,
    *,
    request: RequestDocument | None,
    outcome: OutcomeDocument | None,
    refusal: Refusal | None,
    trouble: Trouble | None,
    form_url: str,
    now: datetime,
) -> HumanInputStatus:
    """Return what the status should be. A final one never changes, but for what it says about a response.

    Args:
        human_input: The object as it is.
        request: The question in storage, if it could be read.
        outcome: The outcome in storage, if there is one.
        refusal: What happened to `spec.response`, if it was refused just now.
        trouble: Why it cannot go on, if it cannot.
        form_url: Where the form is, or empty.
        now: The present moment.
    """
    old, generation = human_input.status, human_input.metadata.generation
    if is_final(old):
        conditions = [_again(each, generation) for each in old.conditions]
        if refusal is not None:
            told: _Wanted = ("ResponseRefused", "True", refusal.reason, refusal.message)
            others = [each for each in conditions if each.type != told[0]]
            conditions = others + _conditions(old.conditions, [told], generation, now)
        return old.model_copy(update={"observed_generation": generation, "conditions": conditions})
    wanted = _pending(trouble) if outcome is None else _settled(outcome)
    kept = old.condition("ResponseRefused")
    if human_input.spec.response is not None:
        if refusal is not None:
            wanted.append(("ResponseRefused", "True", refusal.reason, refusal.message))
        elif kept is not None and kept.observed_generation == generation and outcome is None:
            wanted.append(("ResponseRefused", "True", kept.reason, kept.message))
    return HumanInputStatus(
        phase=phase_of(outcome),
        value=outcome.value_text() if outcome else None,
        answered_by=outcome.respondent.name or None if outcome else None,
        answered_via=outcome.respondent.via if outcome else None,
        verified=outcome.respondent.verified if outcome else None,
        answered_at=_second(outcome.answered_at) if outcome else None,
        comment=outcome.comment or None if outcome else None,
        form_url=form_url or None if request else old.form_url,
        request_id=human_input.request_id if request else old.request_id,
        expires_at=_second(request.expires_at) if request else old.expires_at,
        observed_generation=generation,
        conditions=_conditions(old.conditions, wanted, generation, now),
    )


def notices_for(
    human_input: HumanInput, status: HumanInputStatus, outcome: OutcomeDocument | None
) -> list[Notice]:
    """Return the Kubernetes Events that go with a change of status."""
    old, notices = human_input.status, []
    if old.request_id is None and status.request_id is not None:
        until = f"{status.expires_at:%Y-%m-%d %H:%M:%S} UTC" if status.expires_at else "its deadline"
        notices.append(Notice("Requested", f"waits for an answer until {until}"))
    refused = status.condition("ResponseRefused")
    if refused is not None and refused != old.condition("ResponseRefused"):
        notices.append(Notice("SubmissionRefused", refused.message, warning=True))
    if outcome is not None and not is_final(old):
        good = outcome.outcome == "answered"
        notices.append(Notice(_EVENTS[outcome.outcome], outcome.summary(), warning=not good))
    return notices


def response_status(
    response: HumanInputResponse, accepted: bool, reason: AcceptedReason, message: str, now: datetime
) -> HumanInputResponseStatus:
    """Return what a HumanInputResponse's status should be."""
    generation = response.metadata.generation
    wanted: _Wanted = ("Accepted", "True" if accepted else "False", reason, message)
    return HumanInputResponseStatus(
        observed_generation=generation,
        conditions=_conditions(response.status.conditions, [wanted], generation, now),
    )


def response_done(response: HumanInputResponse) -> bool:
    """Tell whether it was decided what became of a HumanInputResponse."""
    accepted = response.status.condition("Accepted")
    return accepted is not None and accepted.reason not in ("RequestNotFound", *_PASSING)


def submission_of(
    metadata: Metadata,
    field: str,
    *,
    value: str | None,
    reject: bool,
    comment: str,
    identity: Identity | None,
    believed: bool,
) -> Submission:
    """Return the submission that an object makes: the same for the same content, however often it is read.

    Args:
        metadata: The object's.
        field: The field of `spec` that makes it, which tells by whom it was written.
        value: The answer, or None.
        reject: Whether it refuses to answer.
        comment: The remark.
        identity: Who the object says it was.
        believed: Whether admission stamps that.
    """
    content = repr((metadata.uid, value, reject, comment))
    who = identity or Identity()
    return Submission(
        outcome="rejected" if reject else "answered",
        respondent=Respondent(
            name=who.username,
            groups=list(who.groups),
            via=via_of(metadata.managed_fields, field),
            verified=believed and bool(who.username),
            commit=metadata.annotations.get(COMMIT_ANNOTATION, "")[:256],
        ),
        value=None if reject else value,
        comment=comment,
        submission_id=hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()[:32],
    )


def via_of(managed_fields: Sequence[dict[str, Any]], field: str) -> Via:
    """Return over which channel a field of `spec` was written, as the API server recorded it."""
    for entry in managed_fields:
        if entry.get("subresource") or f"f:{field}" not in entry.get("fieldsV1", {}).get("f:spec", {}):
            continue
        manager = entry.get("manager", "")
        if manager == CLI_MANAGER:
            return "cli"
        if manager.startswith("kubectl"):
            return "kubectl"
        if manager.startswith(_GITOPS) or entry.get("operation") == "Apply":
            return "gitops"
        return "api"
    return "kubectl"


_Wanted: TypeAlias = tuple[str, ConditionStatus, str, str]


def _pending(trouble: Trouble | None) -> list[_Wanted]:
    if trouble is None:
        return [
            ("Settled", "False", "Pending", "nobody has answered yet"),
            ("Ready", "False", "Pending", "nobody has answered yet"),
            ("Reconciling", "True", "AwaitingAnswer", "waits for somebody to answer"),
        ]
    what: _Wanted = ("Reconciling" if trouble.passes else "Stalled", "True", trouble.reason, trouble.message)
    return [
        ("Settled", "False", trouble.reason, trouble.message),
        ("Ready", "False", trouble.reason, trouble.message),
        what,
    ]


def _settled(outcome: OutcomeDocument) -> list[_Wanted]:
    reason, message = outcome.reason, outcome.summary()
    if outcome.outcome == "answered":
        return [
            ("Settled", "True", reason, message),
            ("Answered", "True", reason, message),
            ("Ready", "True", reason, message),
        ]
    return [
        ("Settled", "True", reason, message),
        ("Answered", "False", reason, message),
        ("Ready", "False", reason, message),
        ("Stalled", "True", reason, message),
    ]


def _conditions(
    old: Sequence[Condition], wanted: Sequence[_Wanted], generation: int, now: datetime
) -> list[Condition]:
    before = {each.type: each for each in old}
    result = []
    for kind, status, reason, message in wanted:
        known = before.get(kind)
        since = known.last_transition_time if known is not None and known.status == status else _second(now)
        result.append(
            Condition(
                type=kind,
                status=status,
                reason=reason,
                message=message[:32_768],
                last_transition_time=since,
                observed_generation=generation,
            )
        )
    return result


def _again(condition: Condition, generation: int) -> Condition:
    return condition.model_copy(update={"observed_generation": generation})


def _second(moment: datetime) -> datetime:
    # What the API server's own times are good for.
    return moment.astimezone(UTC).replace(microsecond=0)
