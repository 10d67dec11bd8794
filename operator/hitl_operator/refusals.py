"""Writes that the API server refuses, or fails at, again and again: when to give up trying quickly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hitl.cluster.replies import KindNotServed
from hitl.errors import ClusterConflict, ClusterError, ClusterForbidden, ClusterUnavailable
from hitl_operator import metrics
from hitl_operator.work_items import MirrorOutcome, MirrorRequest, WorkItem

# So often it is tried at least, at the pace of any failure; then it is told, and tried slowly.
QUICK_TRIES: Final = 3
SLOW_SECONDS: Final = 300.0
# For so long it is tried so at least: rights that somebody is changing are back by then.
REFUSED_SECONDS: Final = 30.0
# And what the API server fails at (a status of 500 or more), as a webhook that is restarted is back by then.
# That it takes other writes meanwhile is known: an operator that cannot renew its Lease works on nothing.
FAILED_SECONDS: Final = 120.0


def lasting(error: Exception) -> bool:
    """Tell whether an error of the API server will come again for the same write: it says no, and it is there."""
    return isinstance(error, ClusterError) and not isinstance(error, ClusterConflict | ClusterUnavailable)


def _patience(error: ClusterError) -> float | None:
    """Return for how many seconds an error is taken for one that passes; None: always."""
    if lasting(error):
        return REFUSED_SECONDS
    return FAILED_SECONDS if error.status >= 500 else None


@dataclass
class Refused:
    """How often one write was refused.

    Args:
        since: Since when, in seconds that only ever grow.
        tries: How often.
        rests_until: When it was last told, it was to rest until then; 0: it was never told.
        passes: Not what was to be written is the reason, but who writes it, or what the API server needs for it.
    """

    since: float = 0.0
    tries: int = 0
    rests_until: float = 0.0
    passes: bool = False

    def count(self, error: ClusterError, now: float) -> bool:
        """Count an error; tell whether it is to be told now, and tried again only after `SLOW_SECONDS`.

        Args:
            error: What the API server said.
            now: The present moment, in seconds that only ever grow.
        """
        if (seconds := _patience(error)) is None:
            return False
        self.since = self.since if self.tries else now
        self.tries += 1
        self.passes = isinstance(error, ClusterForbidden | ClusterUnavailable | KindNotServed)
        if self.tries < QUICK_TRIES or now - self.since < seconds:
            return False
        if not self.rests_until:
            metrics.REFUSED_WRITES.inc()
        self.rests_until = now + SLOW_SECONDS
        return True

    def end(self) -> None:
        """Count it no more, as it was written since or nobody wants it any more."""
        if self.rests_until:
            metrics.REFUSED_WRITES.dec()
        self.tries, self.rests_until = 0, 0.0


class Refusals:
    """Counts refused writes for each piece of work.

    Args:
        ticks: Seconds that only ever grow.
    """

    def __init__(self, ticks: Callable[[], float]) -> None:
        self._ticks = ticks
        self._refused: dict[WorkItem, Refused] = {}

    def count(self, work: WorkItem, error: ClusterError) -> bool:
        """Count an error; tell whether it is to be told now, and tried again only after `SLOW_SECONDS`."""
        if _patience(error) is None:
            return False
        return self._refused.setdefault(work, Refused()).count(error, self._ticks())

    def rests(self, work: WorkItem) -> float:
        """Return for how many seconds a piece of work is not to be tried; 0 when it may be tried now."""
        refused = self._refused.get(work)
        return 0.0 if refused is None else max(0.0, refused.rests_until - self._ticks())

    def rest(self, work: WorkItem, seconds: float) -> float:
        """Let a piece of work that was told rest no longer than so many seconds; return for how many it rests."""
        # Nobody may want it any more, since it was told.
        if (refused := self._refused.get(work)) is not None:
            refused.rests_until = min(refused.rests_until, self._ticks() + seconds)
        return self.rests(work)

    def forget(self, work: WorkItem) -> None:
        """Forget what was refused, as it was written since or nobody wants it any more."""
        if (refused := self._refused.pop(work, None)) is not None:
            refused.end()

    def left(self, leads: Callable[[str], bool]) -> None:
        """Forget the work that others do now.

        Args:
            leads: Tells whether this operator works on a namespace, or on a request by its id.
        """
        for work in list(self._refused):
            # The namespace of a request is not known before it was read.
            whose = work.request_id if isinstance(work, MirrorRequest | MirrorOutcome) else work.namespace
            if not leads(whose):
                self.forget(work)

    def seen_again(self, namespace: str) -> list[WorkItem]:
        """Forget what may have passed, as the API server shows a namespace again; return what is to be tried now.

        Args:
            namespace: The namespace; empty: all of them.
        """
        found = [
            work
            for work, refused in self._refused.items()
            # A request is known by its root alone: trying it once too often does no harm.
            if refused.passes
            and (isinstance(work, MirrorRequest | MirrorOutcome) or namespace in ("", work.namespace))
        ]
        for work in found:
            self.forget(work)
        return found
