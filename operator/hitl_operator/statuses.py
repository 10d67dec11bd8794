"""What a status should say, and which Kubernetes Events go with a change: pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any, Final, TypeAlias

from hitl.cluster.agreeing import agreement, policy_shown
from hitl.cluster.beside import edited_shown
from hitl.cluster.conditions import (
    ACCEPTED,
    AWAITING_ANSWER,
    DEADLINE_PASSED,
    NOTICE_GIVEN_UP,
    PENDING,
    RUN_ABORTED,
    TOO_FEW_LEFT,
    AcceptedReason,
    HumanInputCondition,
    LinkReason,
    MissingReason,
)
from hitl.cluster.human_input_response import HumanInputResponse, HumanInputResponseStatus
from hitl.cluster.mapping import outcome_shown, whole_second
from hitl.cluster.shapes import Condition, ConditionStatus
from hitl.cluster.v1alpha1 import MISSING_OUTCOME_ANNOTATION, HumanInput, HumanInputStatus, Response
from hitl.core.documents import OutcomeDocument, OutcomeKind, format_time
from hitl.core.escalation import steps_of
from hitl.core.tally import Standing
from hitl_operator.decide import (
    Findings,
    Notice,
    Refusal,
    Stored,
    Trouble,
    ends_unasked,
    is_final,
    own_deadline,
)

Wanted: TypeAlias = tuple[str, ConditionStatus, str, str]

_EVENTS: Final[dict[OutcomeKind, str]] = {
    "answered": "Answered",
    "rejected": "Rejected",
    "timed_out": "TimedOut",
    "cancelled": "Cancelled",
}
_OURS: Final = frozenset(str(each) for each in HumanInputCondition)
# What a final status may say: the rest is about one that waits, or was written by somebody else.
_OF_ENDS: Final = frozenset(
    {
        HumanInputCondition.SETTLED,
        HumanInputCondition.ANSWERED,
        HumanInputCondition.READY,
        HumanInputCondition.STALLED,
        HumanInputCondition.RESPONSE_REFUSED,
        HumanInputCondition.OUTCOME_MISSING,
    }
)
_MISSING: Final[dict[Stored, tuple[MissingReason, str]]] = {
    Stored.MISSING: (
        MissingReason.NOT_STORED,
        "storage does not hold this outcome any more, so another one could be recorded: annotate the HumanInput "
        f"with {MISSING_OUTCOME_ANNOTATION}=restore to have it stored again, or delete the HumanInput to have the "
        "question asked again",
    ),
    Stored.ANOTHER: (
        MissingReason.ANOTHER_STORED,
        "storage holds another outcome, which is what programs get: see the operator's docs on OutcomeMissing",
    ),
}


def status_for(human_input: HumanInput, found: Findings, *, form_url: str, now: datetime) -> HumanInputStatus:
    """Return what the status should be. The outcome in a final one never changes.

    Args:
        human_input: The object as it is.
        found: What the look at it found.
        form_url: Where the form is, or empty.
        now: The present moment.
    """
    old, generation = human_input.status, human_input.metadata.generation
    if is_final(old):
        return _final(human_input, found, now)
    shown: dict[str, Any] = outcome_shown(found.outcome)
    if found.outcome is not None:
        wanted = _settled(found.outcome)
        shown |= edited_shown(found.request, found.outcome) if found.request is not None else {}
    elif found.trouble is not None and ends_unasked(human_input, found.trouble, now):
        wanted = _unasked(human_input, found.trouble)
        shown = {"phase": "TimedOut", "answered_via": "timeout", "answered_at": whole_second(now)}
    else:
        wanted = pending_conditions(found.trouble, found.standing)
    wanted += _response_refused(human_input, found)
    if shown["phase"] == "Pending":
        # Nobody needs a link any more, or to be told that it waits.
        wanted += link_conditions(human_input, found) + _not_told(human_input, found)
    if found.standing is not None:
        shown["approval"] = agreement(found.standing, found.outcome)
    request = found.request
    policy = policy_shown(request) if request else old.policy
    deadline = request.expires_at if request else old.expires_at or own_deadline(human_input)
    return HumanInputStatus(
        **{"approval": old.approval, **shown},
        policy=policy,
        form_url=form_url or None if request else old.form_url,
        link_secret=found.link.secret if found.link else old.link_secret,
        request_id=human_input.request_id if request else old.request_id,
        expires_at=whole_second(deadline) if deadline else None,
        escalates_at=[whole_second(at) for at, _ in steps_of(request)] or None if request else old.escalates_at,
        observed_generation=generation,
        conditions=conditions_of(old.conditions, wanted, generation, now),
    )


def says_the_same(status: HumanInputStatus, shown: HumanInputStatus) -> bool:
    """Tell whether a status is shown already. Conditions of types that are not ours are others', in any order."""
    if status == shown:
        return True
    # Hardly ever there are any of others.
    return any(each.type not in _OURS for each in shown.conditions) and _ours(status) == _ours(shown)


def notices_for(
    human_input: HumanInput, status: HumanInputStatus, outcome: OutcomeDocument | None
) -> list[Notice]:
    """Return the Kubernetes Events that go with a change of status."""
    old, notices = human_input.status, []
    if old.request_id is None and status.request_id is not None:
        until = f"{status.expires_at:%Y-%m-%d %H:%M:%S} UTC" if status.expires_at else "its deadline"
        notices.append(Notice("Requested", f"waits for an answer until {until}"))
    for kind, reason in (
        (HumanInputCondition.RESPONSE_REFUSED, "SubmissionRefused"),
        (HumanInputCondition.LINK_ISSUED, "LinkRefused"),
        (HumanInputCondition.OUTCOME_MISSING, "OutcomeMissing"),
        (HumanInputCondition.QUORUM_UNREACHABLE, "QuorumUnreachable"),
        (HumanInputCondition.TOLD, "NotTold"),
    ):
        condition, before = status.condition(kind), old.condition(kind)
        if condition is not None and condition != before:
            again = before is not None and before.message == condition.message
            if not again or kind == HumanInputCondition.RESPONSE_REFUSED:
                notices.append(Notice(reason, condition.message, warning=True))
    if is_final(status) and not is_final(old):
        settled = status.condition(HumanInputCondition.SETTLED)
        good = status.phase == "Answered"
        kind_of = _event_of(outcome) if outcome else str(status.phase)
        notices.append(Notice(kind_of, settled.message if settled else "", warning=not good))
    return notices


def _event_of(outcome: OutcomeDocument) -> str:
    return RUN_ABORTED if outcome.reason == RUN_ABORTED else _EVENTS[outcome.outcome]


def response_status(
    response: HumanInputResponse, accepted: bool, reason: AcceptedReason, message: str, now: datetime
) -> HumanInputResponseStatus:
    """Return what a HumanInputResponse's status should be."""
    generation = response.metadata.generation
    wanted: Wanted = (ACCEPTED, "True" if accepted else "False", reason, message)
    return HumanInputResponseStatus(
        observed_generation=generation,
        conditions=conditions_of(response.status.conditions, [wanted], generation, now),
    )


def _final(human_input: HumanInput, found: Findings, now: datetime) -> HumanInputStatus:
    old, generation = human_input.status, human_input.metadata.generation
    changing: list[Wanted] = []
    replaced: set[str] = set()
    if found.refusal is not None:
        changing.append(_refused(found.refusal))
        replaced.add(HumanInputCondition.RESPONSE_REFUSED)
    if found.stored != Stored.NOT_LOOKED:
        replaced.add(HumanInputCondition.OUTCOME_MISSING)
        if found.stored in _MISSING:
            reason, message = _MISSING[found.stored]
            changing.append((HumanInputCondition.OUTCOME_MISSING, "True", reason, message))
    kept = [
        each.model_copy(update={"observed_generation": generation})
        for each in old.conditions
        if each.type in _OF_ENDS - replaced and (each.type, old.phase) != (HumanInputCondition.STALLED, "Answered")
    ]
    conditions = kept + conditions_of(old.conditions, changing, generation, now)
    return old.model_copy(update={"observed_generation": generation, "conditions": conditions})


def _ours(status: HumanInputStatus) -> HumanInputStatus:
    ours = [each for each in status.conditions if each.type in _OURS]
    return status.model_copy(update={"conditions": sorted(ours, key=attrgetter("type"))})


def _refused(refusal: Refusal) -> Wanted:
    return HumanInputCondition.RESPONSE_REFUSED, "True", refusal.reason, refusal.message


def _response_refused(human_input: HumanInput, found: Findings) -> list[Wanted]:
    if human_input.spec.response is None:
        return []
    if found.refusal is not None:
        return [_refused(found.refusal)]
    kept = human_input.status.condition(HumanInputCondition.RESPONSE_REFUSED)
    same = kept is not None and kept.observed_generation == human_input.metadata.generation
    if kept is not None and same and not _records(human_input.spec.response, found.outcome):
        return [(HumanInputCondition.RESPONSE_REFUSED, "True", kept.reason, kept.message)]
    return []


def _records(response: Response, outcome: OutcomeDocument | None) -> bool:
    """Tell whether an outcome is what a response says."""
    if outcome is None:
        return False
    if response.reject:
        return outcome.outcome == "rejected"
    return outcome.outcome == "answered" and outcome.value_text() == response.value


def link_conditions(human_input: HumanInput, found: Findings) -> list[Wanted]:
    """Return the condition that says that a HumanInput has no link, if there is one."""
    if found.link is not None:
        if found.link.refused is None:
            return []
        message = f"the API server refuses the Secret with the link: {found.link.refused}"[:1024]
        return [(HumanInputCondition.LINK_ISSUED, "False", LinkReason.SECRET_REFUSED, message)]
    kept = human_input.status.condition(HumanInputCondition.LINK_ISSUED)
    return [(kept.type, kept.status, kept.reason, kept.message)] if kept is not None else []


def _not_told(human_input: HumanInput, found: Findings) -> list[Wanted]:
    if found.lost:
        return [(HumanInputCondition.TOLD, "False", NOTICE_GIVEN_UP, found.lost)]
    kept = human_input.status.condition(HumanInputCondition.TOLD)
    return [(kept.type, kept.status, kept.reason, kept.message)] if kept is not None else []


def pending_conditions(trouble: Trouble | None, standing: Standing | None = None) -> list[Wanted]:
    """Return the conditions of a question that waits, or that cannot go on."""
    kind = HumanInputCondition
    if trouble is None and standing is not None:
        told = standing.sentence()
        wanted: list[Wanted] = [
            (kind.SETTLED, "False", PENDING, told),
            (kind.READY, "False", PENDING, told),
            (kind.RECONCILING, "True", AWAITING_ANSWER, told),
        ]
        if standing.decision is None and standing.unreachable:
            wanted.append((kind.QUORUM_UNREACHABLE, "True", TOO_FEW_LEFT, told))
        return wanted
    if trouble is None:
        return [
            (kind.SETTLED, "False", PENDING, "nobody has answered yet"),
            (kind.READY, "False", PENDING, "nobody has answered yet"),
            (kind.RECONCILING, "True", AWAITING_ANSWER, "waits for somebody to answer"),
        ]
    return [
        (kind.SETTLED, "False", trouble.reason, trouble.message),
        (kind.READY, "False", trouble.reason, trouble.message),
        (kind.RECONCILING if trouble.passes else kind.STALLED, "True", trouble.reason, trouble.message),
    ]


def _settled(outcome: OutcomeDocument) -> list[Wanted]:
    good = outcome.outcome == "answered"
    return _ended(good, outcome.reason, outcome.summary())


def _unasked(human_input: HumanInput, trouble: Trouble) -> list[Wanted]:
    deadline = own_deadline(human_input)
    when = f" ({format_time(deadline)})" if deadline else ""
    message = f"nobody could answer before the deadline{when}, as it was never asked: {trouble.message}"
    return _ended(False, DEADLINE_PASSED, message)


def _ended(good: bool, reason: str, message: str) -> list[Wanted]:
    kind = HumanInputCondition
    state: ConditionStatus = "True" if good else "False"
    told: list[Wanted] = [
        (kind.SETTLED, "True", reason, message),
        (kind.ANSWERED, state, reason, message),
        (kind.READY, state, reason, message),
    ]
    return told if good else [*told, (kind.STALLED, "True", reason, message)]


def conditions_of(
    old: Sequence[Condition], wanted: Sequence[Wanted], generation: int, now: datetime
) -> list[Condition]:
    """Return the conditions of a status, each since when its status is what it is.

    Args:
        old: Those that there were.
        wanted: Type, status, reason and message of each.
        generation: The metadata.generation that they were found for.
        now: The present moment, with a time zone.
    """
    before, present = {each.type: each for each in old}, whole_second(now)
    result = []
    for kind, status, reason, message in wanted:
        known = before.get(kind)
        since = known.last_transition_time if known is not None and known.status == status else present
        result.append(
            Condition(
                type=str(kind),
                status=status,
                reason=str(reason),
                message=message[:32_768],
                last_transition_time=since,
                observed_generation=generation,
            )
        )
    return result
