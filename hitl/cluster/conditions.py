"""Types and reasons of the conditions in a status, by name: programs compare these words, so they never change.

`docs/tools/spec.py` explains each of them, and fails when one is not explained.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class HumanInputCondition(StrEnum):
    """The types of conditions that a HumanInput has."""

    SETTLED = "Settled"
    ANSWERED = "Answered"
    READY = "Ready"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"
    RESPONSE_REFUSED = "ResponseRefused"
    LINK_ISSUED = "LinkIssued"
    OUTCOME_MISSING = "OutcomeMissing"
    QUORUM_UNREACHABLE = "QuorumUnreachable"
    TOLD = "Told"


ACCEPTED: Final = "Accepted"
"""The type of the one condition that a HumanInputResponse has."""

PENDING: Final = "Pending"
AWAITING_ANSWER: Final = "AwaitingAnswer"
TOO_FEW_LEFT: Final = "TooFewLeft"
"""Why a quorum cannot be reached any more: the reason of `QuorumUnreachable`."""
NOTICE_GIVEN_UP: Final = "NoticeGivenUp"
"""Why people may not know of a question: the reason of `Told`."""
DEADLINE_PASSED: Final = "DeadlinePassed"
DEFAULT_USED: Final = "DefaultUsed"
RUN_ABORTED: Final = "RunAborted"
"""Why a question was cancelled whose workflow has ended: the reason of its outcome."""


class TroubleReason(StrEnum):
    """Why a pending HumanInput cannot go on: a reason of `Reconciling` or `Stalled`."""

    STORAGE_UNAVAILABLE = "StorageUnavailable"
    CLOCK_APART = "ClockApart"
    INVALID_REQUEST = "InvalidRequest"
    POLICY_NOT_FOUND = "PolicyNotFound"
    DUPLICATE_REQUEST = "DuplicateRequest"
    REQUEST_DAMAGED = "RequestDamaged"
    OUTCOME_DAMAGED = "OutcomeDamaged"
    REQUEST_MISSING = "RequestMissing"
    FOREIGN_NAMESPACE = "ForeignNamespace"
    WRITE_REFUSED = "WriteRefused"


class RefusalReason(StrEnum):
    """Why `spec.response` was not recorded: a reason of `ResponseRefused`."""

    SUPERSEDED = "Superseded"
    INVALID = "Invalid"
    NOT_ALLOWED = "NotAllowed"
    EXPIRED = "Expired"
    EVIDENCE_CHANGED = "EvidenceChanged"


class AcceptedReason(StrEnum):
    """The result of a HumanInputResponse: a reason of `Accepted`."""

    ACCEPTED = "Accepted"
    VOTED = "Voted"
    VOTED_BEFORE = "VotedBefore"
    WITHDRAWN = "Withdrawn"
    DELEGATED = "Delegated"
    SUPERSEDED = "Superseded"
    INVALID = "Invalid"
    NOT_ALLOWED = "NotAllowed"
    EVIDENCE_CHANGED = "EvidenceChanged"
    REQUEST_NOT_FOUND = "RequestNotFound"
    STORAGE_UNAVAILABLE = "StorageUnavailable"
    CLOCK_APART = "ClockApart"
    OUTCOME_MISSING = "OutcomeMissing"


class LinkReason(StrEnum):
    """Why there is no Secret with a link: a reason of `LinkIssued`."""

    SECRET_REFUSED = "SecretRefused"  # noqa: S105 - a reason, no password


class MissingReason(StrEnum):
    """What storage holds of an outcome that the status shows: a reason of `OutcomeMissing`."""

    NOT_STORED = "NotStored"
    ANOTHER_STORED = "AnotherStored"


class TargetCondition(StrEnum):
    """The types of conditions that a NotificationTarget has."""

    READY = "Ready"
    DELIVERING = "Delivering"


class ReadyReason(StrEnum):
    """Whether a NotificationTarget can be told: a reason of its `Ready`."""

    USABLE = "Usable"
    SECRET_MISSING = "SecretMissing"  # noqa: S105 - a reason, no password
    SECRET_REFUSED = "SecretRefused"  # noqa: S105 - a reason, no password
    INVALID = "Invalid"


class DeliveringReason(StrEnum):
    """Whether a NotificationTarget takes what it is told: a reason of its `Delivering`."""

    NOTHING_SENT = "NothingSent"
    DELIVERED = "Delivered"
    RETRYING = "Retrying"
    GIVEN_UP = "GivenUp"


PASSING: Final = frozenset({TroubleReason.STORAGE_UNAVAILABLE, TroubleReason.CLOCK_APART})
"""Reasons that are expected to pass by themselves."""
