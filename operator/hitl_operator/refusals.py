"""Writes that the API server refuses for a reason that does not pass by itself: when to give up trying quickly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hitl.errors import ClusterConflict, ClusterError, ClusterUnavailable
from hitl_operator import metrics
from hitl_operator.work_items import WorkItem

# So often it is tried at the pace of any failure; then it is told, and tried slowly.
QUICK_TRIES: Final = 3
SLOW_SECONDS: Final = 300.0


def lasting(error: Exception) -> bool:
    """Tell whether an error of the API server will come again for the same write: it says no, and it is there."""
    return isinstance(error, ClusterError) and not isinstance(error, ClusterConflict | ClusterUnavailable)


@dataclass
class _Refused:
    tries: int = 0
    rests_until: float = 0.0


class Refusals:
    """Counts refused writes for each piece of work.

    Args:
        ticks: Seconds that only ever grow.
    """

    def __init__(self, ticks: Callable[[], float]) -> None:
        self._ticks = ticks
        self._refused: dict[WorkItem, _Refused] = {}
        self._lasting = 0

    def count(self, work: WorkItem) -> bool:
        """Count a refusal; tell whether it is to be told now, and tried again only after `SLOW_SECONDS`."""
        refused = self._refused.setdefault(work, _Refused())
        refused.tries += 1
        if refused.tries < QUICK_TRIES:
            return False
        refused.rests_until = self._ticks() + SLOW_SECONDS
        self._lasting += refused.tries == QUICK_TRIES
        metrics.REFUSED_WRITES.set(self._lasting)
        return True

    def rests(self, work: WorkItem) -> float:
        """Return for how many seconds a piece of work is not to be tried; 0 when it may be tried now."""
        refused = self._refused.get(work)
        return 0.0 if refused is None else max(0.0, refused.rests_until - self._ticks())

    def forget(self, work: WorkItem) -> None:
        """Forget what was refused, as it was written since or nobody wants it any more."""
        refused = self._refused.pop(work, None)
        if refused is not None and refused.tries >= QUICK_TRIES:
            self._lasting -= 1
            metrics.REFUSED_WRITES.set(self._lasting)
