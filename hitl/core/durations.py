"""How long people take to answer: what counts as an answer of theirs, and the buckets of histograms of it."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from hitl.core.documents import OutcomeDocument, OutcomeKind

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
# In seconds, up to four weeks.
BUCKETS: Final = (
    *(10, 30, _MINUTE, 5 * _MINUTE, 15 * _MINUTE, 30 * _MINUTE),
    *(_HOUR, 2 * _HOUR, 4 * _HOUR, 8 * _HOUR, _DAY, 2 * _DAY, 7 * _DAY, 14 * _DAY, 28 * _DAY),
)


def by_people(kind: OutcomeKind, *, default_used: bool) -> bool:
    """Tell whether somebody answered, or declined to.

    Args:
        kind: The kind of the outcome.
        default_used: Nobody answered, so the default was used.
    """
    return kind in ("answered", "rejected") and not default_used


def seconds_to_answer(asked_at: datetime, outcome: OutcomeDocument) -> float | None:
    """Return the seconds from asking to an answer or a rejection; None: nobody gave one.

    Args:
        asked_at: When the question was asked. Another machine's clock may say that it was after the outcome: 0.
        outcome: Its outcome.
    """
    if not by_people(outcome.outcome, default_used=outcome.default_used):
        return None
    return max(0.0, (outcome.answered_at - asked_at).total_seconds())
