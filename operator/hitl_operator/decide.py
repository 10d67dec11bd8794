"""What is due for an object, and what was found out about it: pure decisions over what was read."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Literal, NamedTuple

from hitl.cluster.conditions import (
    ACCEPTED,
    PASSING,
    AcceptedReason,
    HumanInputCondition,
    RefusalReason,
    TroubleReason,
)
from hitl.cluster.human_input_response import HumanInputResponse
from hitl.cluster.v1alpha1 import HumanInput, HumanInputStatus
from hitl.core.documents import OutcomeDocument, RequestDocument
from hitl.core.lifecycle import GRACE
from hitl.core.tally import Standing

# Of these a question that was never stored cannot be rid, so it ends at its deadline without storage.
_NEVER_STORED: Final = (
    TroubleReason.INVALID_REQUEST,
    TroubleReason.POLICY_NOT_FOUND,
    TroubleReason.FOREIGN_NAMESPACE,
)
# Reasons of `Accepted` that are not the last word.
_ACCEPTED_LATER: Final = (
    AcceptedReason.REQUEST_NOT_FOUND,
    AcceptedReason.OUTCOME_MISSING,
    AcceptedReason.STORAGE_UNAVAILABLE,
    AcceptedReason.CLOCK_APART,
)


class Refusal(NamedTuple):
    """Why a response was not recorded. Only a HumanInputResponse can vote, so only its reasons name votes."""

    reason: RefusalReason | Literal[AcceptedReason.VOTED_BEFORE, AcceptedReason.WITHDRAWN]
    message: str


class Trouble(NamedTuple):
    """Why a pending HumanInput cannot continue. It resolves automatically if storage or clock cause it."""

    reason: TroubleReason
    message: str

    @property
    def passes(self) -> bool:
        """Whether it is expected to resolve automatically."""
        return self.reason in PASSING


class Link(NamedTuple):
    """The result for the Secret with a link: its name, or why the API server refused it."""

    secret: str | None = None
    refused: str | None = None


class Stored(StrEnum):
    """What storage holds of an outcome that a status shows."""

    NOT_LOOKED = "not looked"
    SAME = "same"
    MISSING = "missing"
    ANOTHER = "another"


class Findings(NamedTuple):
    """What a look at a HumanInput found.

    Args:
        request: The question in storage, if it could be read.
        outcome: The outcome in storage, if there is one.
        refusal: What happened to `spec.response`, if it was refused just now.
        trouble: Why it cannot go on, if it cannot.
        link: The result for the Secret with a link, if one was due.
        stored: What storage holds of the outcome that the status shows, for one that is settled.
        standing: How far the votes are, where several people must agree.
        lost: Why a target could not be told of it; empty: that is not known.
    """

    request: RequestDocument | None = None
    outcome: OutcomeDocument | None = None
    refusal: Refusal | None = None
    trouble: Trouble | None = None
    link: Link | None = None
    stored: Stored = Stored.NOT_LOOKED
    standing: Standing | None = None
    lost: str = ""


class Notice(NamedTuple):
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


def awaits_response(human_input: HumanInput) -> bool:
    """Tell whether there is a `spec.response` of which the status does not say yet that it was refused."""
    refused = human_input.status.condition(HumanInputCondition.RESPONSE_REFUSED)
    told = refused is not None and refused.observed_generation == human_input.metadata.generation
    return human_input.spec.response is not None and not told


def lacks_link(human_input: HumanInput) -> bool:
    """Tell whether a HumanInput that asks has no Secret with a link yet, where links count."""
    refused = human_input.status.condition(HumanInputCondition.LINK_ISSUED) is not None
    return unasked(human_input) or (human_input.spec.request is None and refused)


def outcome_is_missing(human_input: HumanInput) -> bool:
    """Tell whether it was found before that storage does not hold the outcome that the status shows."""
    return human_input.status.condition(HumanInputCondition.OUTCOME_MISSING) is not None


def due_in(human_input: HumanInput, now: datetime) -> float | None:
    """Return in how many seconds a HumanInput needs to be looked at, 0 for now, None for never.

    It is asked of every object at start, so it reads nothing but the object.
    """
    status, generation = human_input.status, human_input.metadata.generation
    if status.phase is None or status.observed_generation != generation:
        return 0.0
    if is_final(status):
        return 0.0 if outcome_is_missing(human_input) else wakes_in(human_input, now)
    if unasked(human_input):
        return 0.0
    reconciling = status.condition(HumanInputCondition.RECONCILING)
    if reconciling is not None and reconciling.reason in PASSING:
        return 0.0
    if status.condition(HumanInputCondition.ANSWERED) is not None:
        # Somebody else wrote it, and tools wait for it.
        return 0.0
    if status.condition(HumanInputCondition.STALLED) is not None:
        # A repair may change no HumanInput, but a policy or the storage. Looks set the timers for the next ones.
        return 0.0
    if status.condition(HumanInputCondition.LINK_ISSUED) is not None or awaits_response(human_input):
        return 0.0
    return wakes_in(human_input, now)


def wakes_in(human_input: HumanInput, now: datetime) -> float | None:
    """Return in how many seconds the deadline or the deletion of a HumanInput is due; None for never."""
    status = human_input.status
    if is_final(status):
        moment = deletion_due(human_input)
    else:
        moment = None if status.expires_at is None else status.expires_at + GRACE
    return None if moment is None else max(0.0, (moment - now).total_seconds())


def deletion_due(human_input: HumanInput) -> datetime | None:
    """Return when a settled HumanInput is to be deleted, if it is."""
    ttl, finished = human_input.spec.ttl_seconds_after_finished, human_input.status.answered_at
    return None if ttl is None or finished is None else finished + timedelta(seconds=ttl)


def own_deadline(human_input: HumanInput) -> datetime | None:
    """Return the deadline that a HumanInput names by itself; None where the API server has not dated it."""
    created = human_input.metadata.creation_timestamp
    return None if created is None else created + timedelta(seconds=human_input.spec.timeout_seconds)


def ends_unasked(human_input: HumanInput, trouble: Trouble | None, now: datetime) -> bool:
    """Tell whether a question that never reached storage, and never can, is over: its deadline has passed.

    Nobody can have answered it, so no outcome is missing. A waiting tool sees the end.
    """
    if trouble is None or trouble.reason not in _NEVER_STORED or not unasked(human_input):
        return False
    seconds = ends_in(human_input, now)
    return seconds is not None and seconds <= 0


def ends_in(human_input: HumanInput, now: datetime) -> float | None:
    """Return in how many seconds a HumanInput is over that cannot ask storage for its deadline; None: unknown."""
    # A status may say anything, but nothing delays the end.
    known = [each for each in (human_input.status.expires_at, own_deadline(human_input)) if each is not None]
    return (min(known) + GRACE - now).total_seconds() if known else None


def unasked(human_input: HumanInput) -> bool:
    """Tell whether a question that is asked in Kubernetes was not stored yet, as far as its own status says.

    A status may be another object's, as after a restore of the cluster: that one names another request.
    """
    return human_input.spec.request is None and human_input.status.request_id != human_input.request_id


def response_done(response: HumanInputResponse) -> bool:
    """Tell whether a HumanInputResponse has its final result."""
    accepted = response.status.condition(ACCEPTED)
    return accepted is not None and accepted.reason not in _ACCEPTED_LATER
