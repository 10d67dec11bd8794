"""What a request's state is and what is due: pure decisions, no I/O, time comes in.

::

    Pending ──answer──▶ Answered
       │ ───reject───▶ Rejected
       │ ───deadline─▶ TimedOut   (or Answered with the default)
       └────withdraw─▶ Cancelled

Every state but Pending is final. Storage decides which one it is (see `hitl.records.outcomes`), never this
module.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias

from hitl.core.documents import OutcomeDocument, OutcomeKind, RequestDocument

Phase: TypeAlias = Literal["Pending", "Answered", "Rejected", "TimedOut", "Cancelled"]

# A program that waits may have been stopped for long. What it waits for is kept for this time at least.
KEPT_AT_LEAST: Final = timedelta(days=1)

# Clocks of different machines may be this far apart before an answer could be taken away by a timeout.
GRACE: Final = timedelta(seconds=10)

_PHASES: Final[dict[OutcomeKind, Phase]] = {
    "answered": "Answered",
    "rejected": "Rejected",
    "timed_out": "TimedOut",
    "cancelled": "Cancelled",
}


def phase_of(outcome: OutcomeDocument | None) -> Phase:
    """Return the phase of a request, given its outcome if it has one."""
    return "Pending" if outcome is None else _PHASES[outcome.outcome]


def accepts_submissions(request: RequestDocument, outcome: OutcomeDocument | None, now: datetime) -> bool:
    """Tell whether an answer given now may become the outcome."""
    return outcome is None and now < request.expires_at


def expiry_due(request: RequestDocument, outcome: OutcomeDocument | None, now: datetime) -> bool:
    """Tell whether the deadline may be settled now: only once clocks a few seconds apart agree that it passed."""
    return outcome is None and now - request.expires_at >= GRACE


def may_end_by_itself(request: RequestDocument, now: datetime) -> bool:
    """Tell whether a look at a pending request may settle it: by its deadline, or by the votes there."""
    return request.approval is not None or expiry_due(request, None, now)


def collectable(
    request: RequestDocument | None, outcome: OutcomeDocument | None, now: datetime, retention: timedelta
) -> bool:
    """Tell whether a request is settled for so long that its objects may be deleted.

    Never within a day after its deadline, or after its outcome, whatever `retention` says: until then, somebody
    may still wait for it.

    Args:
        request: The question, or None when it cannot be read, so that its deadline is not known.
        outcome: The outcome, if there is one.
        now: The present moment, with a time zone.
        retention: How long a settled request is kept after its outcome.
    """
    if outcome is None or now - outcome.answered_at < max(retention, KEPT_AT_LEAST):
        return False
    return request is None or now - request.expires_at >= KEPT_AT_LEAST
