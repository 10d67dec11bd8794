"""What an exception means for a HumanInput: pure, but for the count of damaged objects."""

from __future__ import annotations

import logging

from hitl.cluster.conditions import TroubleReason
from hitl.errors import (
    ClockApart,
    DocumentDamaged,
    HITLError,
    InvalidRequest,
    RequestNotFound,
    StorageUnavailable,
    StorageUnsuitable,
)
from hitl_operator import metrics
from hitl_operator.decide import Trouble
from hitl_operator.policies import PolicyNotFound

_log = logging.getLogger("hitl.operator")


def trouble_of(error: HITLError, *, asked: bool, root: str) -> Trouble:
    """Return why a HumanInput cannot go on.

    Args:
        error: What was raised while it was looked at.
        asked: Whether its question had been read by then, so that only its outcome can be damaged.
        root: The name of its root, for the metric of damaged objects.

    Raises:
        HITLError: the error itself, when it is nothing that a HumanInput has to tell.
    """
    match error:
        case ClockApart():
            message = "the operator's clock is not the storage's or the API server's; it is retried automatically"
            return Trouble(TroubleReason.CLOCK_APART, message)
        case StorageUnavailable():
            return Trouble(
                TroubleReason.STORAGE_UNAVAILABLE, "the storage does not answer; it is retried automatically"
            )
        case StorageUnsuitable():
            # To be written, most likely: where creation is not exclusive, nothing is looked at.
            message = "the storage refuses what is due, see the operator's log; it is retried automatically"
            return Trouble(TroubleReason.STORAGE_UNAVAILABLE, message)
        case DocumentDamaged():
            note_damaged(root, error)
            if asked:
                return Trouble(TroubleReason.OUTCOME_DAMAGED, f"the stored outcome cannot be read: {error.why}")
            return Trouble(TroubleReason.REQUEST_DAMAGED, f"the stored question cannot be read: {error.why}")
        case RequestNotFound():
            return Trouble(TroubleReason.REQUEST_MISSING, "the question is not in storage (any more)")
        case PolicyNotFound():
            return Trouble(TroubleReason.POLICY_NOT_FOUND, str(error))
        case InvalidRequest():
            return Trouble(TroubleReason.INVALID_REQUEST, str(error))
    raise error


def note_damaged(root: str, error: DocumentDamaged) -> None:
    """Count a stored object that cannot be read, and name it in the log."""
    metrics.DAMAGED.labels(root=root).inc()
    _log.error("root %s: %s", root, error)
