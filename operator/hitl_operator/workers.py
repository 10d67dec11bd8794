"""Doing what waits in one root's queue: many at a time, each on its own, and each with a deadline."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Hashable
from typing import Final, Generic

from hitl.cluster.replies import KindNotServed
from hitl.errors import (
    ClockApart,
    ClusterConflict,
    ClusterForbidden,
    ClusterNotFound,
    ClusterUnavailable,
    HITLError,
    StorageUnavailable,
    StorageUnsuitable,
)
from hitl_operator.workqueue import K, WorkQueue

_SLOW_SECONDS: Final = 5.0
# Of so many workers one is left to all namespaces but the busiest.
_LEFT_OF: Final = 8
# Each request has a bound of its own; this is for all of one piece of work together.
_DEADLINE_SECONDS: Final = 120.0
_REASONS: Final[dict[type[BaseException], str]] = {
    StorageUnavailable: "storage_unavailable",
    StorageUnsuitable: "storage_unsuitable",
    ClockApart: "clock_apart",
    ClusterUnavailable: "api_unavailable",
    ClusterConflict: "conflict",
    ClusterForbidden: "forbidden",
    ClusterNotFound: "not_found",
    KindNotServed: "not_found",
    TimeoutError: "too_slow",
    HITLError: "refused",
}
_PASSING: Final = (
    "storage_unavailable",
    "storage_unsuitable",
    "clock_apart",
    "api_unavailable",
    "conflict",
    "too_slow",
)

_log = logging.getLogger("hitl.operator")


class Workers(Generic[K]):
    """Does the work of one queue.

    Args:
        queue: The queue.
        do: Does one piece of work.
        at_once: How many pieces are worked on side by side. Those of one namespace take a part of it, so that one
            whose admission webhook hangs holds up no other.
    """

    def __init__(self, queue: WorkQueue[K], do: Callable[[K], Awaitable[None]], at_once: int) -> None:
        self._queue = queue
        self._do = do
        self._free = asyncio.Semaphore(at_once)
        self._of_each = max(at_once - max(at_once // _LEFT_OF, 1), 1)
        self._busy: Counter[str] = Counter()

    async def run(self, leading: Callable[[], Awaitable[None]]) -> None:
        """Work until cancelled.

        Args:
            leading: Waits until this operator may work.
        """
        async with asyncio.TaskGroup() as tasks:
            while True:
                await leading()
                await self._free.acquire()
                tasks.create_task(self._one(await self._next()))

    async def _next(self) -> K:
        while True:
            work = await self._queue.get()
            namespace = _namespace(work)
            if self._busy[namespace] < self._of_each:
                self._busy[namespace] += 1
                return work
            self._queue.hold(work, namespace)

    async def _one(self, work: K) -> None:
        try:
            async with asyncio.timeout(_DEADLINE_SECONDS):
                await self._do(work)
        except (HITLError, TimeoutError) as error:
            first = self._queue.failures(work) == 0
            reason = reason_of(error)
            pause = self._queue.retry(work, reason, passes=reason in _PASSING)
            if first or pause > _SLOW_SECONDS:
                level = logging.INFO if isinstance(error, StorageUnavailable) else logging.WARNING
                _log.log(level, "%s: %s; again in %.1f s", work, str(error) or "it took too long", pause)
        except Exception:  # noqa: BLE001 - a fault of ours with one object must not stop the work on all others
            pause = self._queue.retry(work, "fault", passes=False)
            _log.exception("%s failed; again in %.1f s", work, pause)
        else:
            self._queue.forget(work)
        finally:
            self._queue.done(work)
            namespace = _namespace(work)
            self._busy[namespace] -= 1
            if not self._busy[namespace]:
                del self._busy[namespace]
            self._queue.release(namespace)
            self._free.release()


def _namespace(work: Hashable) -> str:
    # A request of which only the id is known says none: all of them count as of one.
    return str(getattr(work, "namespace", ""))


def reason_of(error: BaseException) -> str:
    """Return in a word why a piece of work failed."""
    return next((_REASONS[kind] for kind in type(error).__mro__ if kind in _REASONS), "fault")
