"""Looking into the roots: for markers every few seconds, into the index now and then, at everything rarely."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from hitl.cluster.client import HUMAN_INPUTS, Kube
from hitl.core import keys
from hitl.errors import ClockApart, ClusterError, HITLError, StorageUnavailable, StorageUnsuitable
from hitl.records.retention import STALE, drop_stale
from hitl_operator import metrics
from hitl_operator.index import Index
from hitl_operator.probes import Health
from hitl_operator.queues import Queues
from hitl_operator.roots import CLOCK_LIMIT_SECONDS, Root, Roots
from hitl_operator.settings import OperatorSettings
from hitl_operator.shards import Shards
from hitl_operator.upkeep import Upkeep
from hitl_operator.work_items import CheckOutcome, MirrorOutcome, MirrorRequest, ReconcileHumanInput, WorkItem

# A marker younger than this may precede its outcome by a moment, so it is looked at again soon: each time after
# as long as it has been there, so that what came late is seen when it is twice as late.
_FRESH: Final = timedelta(seconds=90)
_LOOK_AGAIN_SECONDS: Final = 60.0
# The marker of a vote stays while the question is open, and each vote writes it again.
_VOTED_SECONDS: Final = 300.0
# So many hints at once, to each root, name questions that nobody has seen yet.
_HINTED: Final = 1_000
_VERIFY_SECONDS: Final = 600.0
_STANDBY_SECONDS: Final = 0.2
_PATIENCE_SECONDS: Final = 5.0
# A look into a root that takes longer is given up, and begun again.
_DEADLINE_SECONDS: Final = 40.0

_log = logging.getLogger("hitl.operator.mirror")


class Scanner:
    """Turns what lies in the roots into work.

    Args:
        kube: The API server.
        roots: The roots.
        index: What was seen of the cluster.
        queue: Where the work goes.
        settings: The operator's settings.
        health: Told of each sweep.
        shards: Which part of the work this operator does.
        complete: Whether the index has all HumanInputs. Before, those that were not listed yet would seem missing.
        now: The present moment.
    """

    def __init__(
        self,
        kube: Kube,
        roots: Roots,
        index: Index,
        queue: Queues,
        settings: OperatorSettings,
        health: Health,
        shards: Shards,
        complete: Callable[[], bool],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._kube = kube
        self._roots = roots
        self._index = index
        self._queue = queue
        self._settings = settings
        self._health = health
        self._shards = shards
        self._complete = complete
        self._now = now
        self._looks = {root.name: _Look() for root in roots}
        self._upkeep = {root.name: Upkeep(root, roots, index, queue, settings) for root in roots}

    def hint(self, request_id: str) -> bool:
        """Look at a request now, as somebody says that something happened to it; tell whether that is done."""
        if not self._shards.leading:
            return False
        shown = self._index.shown_by(request_id)
        if shown is not None:
            self._queue.add(ReconcileHumanInput(shown.namespace, shown.name))
            return True
        # Anybody may name any id: what does not fit is found by its marker.
        taken = [self._queue.hint(MirrorRequest(root.name, request_id), _HINTED) for root in self._roots]
        return all(taken)

    async def sweep_forever(self, root: Root) -> None:
        """Look for the markers of one root every few seconds, until cancelled."""
        while True:
            leads = self._shards.leading
            if leads:
                await self._guarded(root, self.sweep(root))
                metrics.SWEEP_SECONDS.set_to_current_time()
                root.looked.set()
            else:
                root.stand_by()
            self._health.sweep(root.name)
            await asyncio.sleep(self._settings.sweep_seconds if leads else _STANDBY_SECONDS)

    async def scan_forever(self, root: Root) -> None:
        """Look after a root's index, its full scan and its retention, until cancelled."""
        pause = min(self._settings.open_seconds, self._settings.audit_seconds)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._delete_forever(root, pause))
            while True:
                await asyncio.sleep(pause)
                if self._shards.leads(root.name) and self._complete():
                    await self._guarded(root, self.scan(root))

    async def _delete_forever(self, root: Root, pause: float) -> None:
        while True:
            await asyncio.sleep(pause)
            if self._shards.leads(root.name) and self._upkeep[root.name].deletes_now():
                # Each of its requests has a limit; how many there are depends on what is due.
                await self._guarded(root, self.delete(root), None)

    async def verify_forever(self) -> None:
        """Look every ten minutes for HumanInputs that went away unseen, until cancelled."""
        while True:
            await asyncio.sleep(_VERIFY_SECONDS)
            if self._shards.leading:
                await self.verify()

    async def sweep(self, root: Root) -> None:
        """Look for the markers of one root.

        Raises:
            StorageError: when they cannot be listed now.
        """
        store, now, look = await root.reach(), self._now(), self._looks[root.name]
        if look.clock_was_set(now):
            # Timers run until a deadline by the clock as it was.
            self._look_at_pending(root)
        current: set[WorkItem] = set()
        for marker in await store.list_markers(keys.NEW):
            asked = MirrorRequest(root.name, marker.request_id)
            current.add(asked)
            self._hand_over(look, asked, marker.written_at, fresh=now - marker.written_at < _FRESH)
        for marker in await store.list_markers(keys.ANSWERED):
            work: WorkItem = MirrorOutcome(root.name, marker.request_id)
            if (shown := self._index.shown_by(marker.request_id)) is not None:
                work = ReconcileHumanInput(shown.namespace, shown.name)
                if not shown.pending:
                    # Most often it was shown just now. Else somebody recorded what the status does not show.
                    work = CheckOutcome(shown.namespace, shown.name)
                    current.add(work)
                    self._hand_over(look, work, marker.written_at, fresh=False)
                    continue
            elif MirrorRequest(root.name, marker.request_id) in current:
                continue
            current.add(work)
            self._hand_over(look, work, marker.written_at, fresh=now - marker.written_at < _FRESH)
        look.handed = {work: handed for work, handed in look.handed.items() if work in current}

    async def scan(self, root: Root) -> None:
        """Do what is due of the index and the full scan of one root.

        Raises:
            StorageError: when the storage does not answer; it goes on from there the next time.
        """
        now, upkeep = self._now(), self._upkeep[root.name]
        await upkeep.look_at_open(now)
        await upkeep.look_at_all(now)
        # Not in a sweep: there may be thousands of markers of nobody, and answers are found by sweeps.
        look = self._looks[root.name]
        if time.monotonic() - look.dropped > STALE.total_seconds() / 3:
            look.dropped = time.monotonic()
            if await self._agrees(root, now):
                await drop_stale(root.store, now=now)

    async def delete(self, root: Root) -> None:
        """Delete what one root has kept for long enough.

        Raises:
            StorageError: when the storage does not answer; the next pass goes on from there.
        """
        now = self._now()
        if await self._agrees(root, now):
            await self._upkeep[root.name].delete(now)

    async def verify(self) -> None:
        """Look for HumanInputs that went away without the watch telling of it."""
        for namespace in self._settings.namespaces or (None,):
            before = {seen.key for seen in self._index if namespace in (None, seen.namespace)}
            found = set()
            try:
                async for each in self._kube.items(HUMAN_INPUTS, namespace, metadata_only=True):
                    found.add((each["metadata"]["namespace"], each["metadata"]["name"]))
            except ClusterError as error:
                # The other namespaces are none the worse for it.
                _log.warning("HumanInputs cannot be counted: %s", error)
                continue
            for key in before - found:
                self._queue.add(ReconcileHumanInput(*key))

    async def _agrees(self, root: Root, now: datetime) -> bool:
        """Tell whether this machine's clock is the storage's too: by another one, nothing is deleted."""
        try:
            await root.require_clock(now)
        except ClockApart:
            return False
        return True

    def _hand_over(self, look: _Look, work: WorkItem, written_at: datetime, *, fresh: bool) -> None:
        # A marker says nothing of the namespace: its request's id says who looks.
        whose = work.request_id if isinstance(work, MirrorRequest | MirrorOutcome) else work.namespace
        if self._queue.busy(work) or not self._shards.leads(whose):
            return
        ticks, handed = time.monotonic(), look.handed.get(work)
        if handed is None or handed.written_at != written_at:
            look.handed[work] = _Handed(written_at, ticks, ticks)
        elif ticks - handed.last >= _pause(handed, fresh=fresh, voted=isinstance(work, ReconcileHumanInput)):
            handed.last = ticks
        else:
            return
        self._queue.add(work)

    async def _guarded(
        self, root: Root, looking: Coroutine[None, None, None], seconds: float | None = _DEADLINE_SECONDS
    ) -> None:
        look = self._looks[root.name]
        try:
            async with asyncio.timeout(seconds):
                await looking
        except (StorageUnavailable, StorageUnsuitable, TimeoutError) as error:
            look.away_since = look.away_since or time.monotonic()
            if time.monotonic() - look.away_since >= _PATIENCE_SECONDS:
                away = StorageUnavailable("it is too slow") if isinstance(error, TimeoutError) else error
                if root.out(away):
                    self._look_at_pending(root)
        except HITLError as error:
            _log.error("root %s: %s", root.name, error)
        except Exception:  # noqa: BLE001 - a fault of ours with one root must not end the others
            _log.exception("root %s", root.name)
        else:
            look.away_since = None
            if root.back():
                self._look_at_pending(root)

    def _look_at_pending(self, root: Root) -> None:
        """Look at every pending HumanInput of a root: its storage, or the time, is another one than before."""
        for seen in self._index:
            mine = seen.pending and self._shards.leads(seen.namespace)
            if mine and self._roots.serving(seen.namespace) is root:
                self._queue.add(ReconcileHumanInput(seen.namespace, seen.name))


@dataclass
class _Handed:
    """A marker that somebody looks at: when it was written, and when it was handed over, first and last."""

    written_at: datetime
    first: float
    last: float


def _pause(handed: _Handed, *, fresh: bool, voted: bool) -> float:
    """Return how many seconds after the last look a marker is looked at again."""
    longest = _VOTED_SECONDS if voted else _LOOK_AGAIN_SECONDS
    return min(longest, max(handed.last - handed.first, 0 if fresh else _LOOK_AGAIN_SECONDS))


@dataclass
class _Look:
    """How far the looks into one root are. Times are `time.monotonic()`'s."""

    handed: dict[WorkItem, _Handed] = field(default_factory=dict)
    dropped: float = field(default_factory=time.monotonic)
    away_since: float | None = None
    clock: float | None = None

    def clock_was_set(self, now: datetime) -> bool:
        """Tell whether this machine's clock was set since the last sweep, or the machine was paused."""
        before, self.clock = self.clock, now.timestamp() - time.monotonic()
        return before is not None and abs(self.clock - before) > CLOCK_LIMIT_SECONDS
