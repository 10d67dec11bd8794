"""Looking into the roots: markers every few seconds, and a full scan that finds requests without a marker."""

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
from hitl.records.retention import STALE, collect_one, drop_stale
from hitl_operator import metrics
from hitl_operator.index import Index
from hitl_operator.probes import Health
from hitl_operator.queues import Queues
from hitl_operator.roots import Root, Roots
from hitl_operator.settings import OperatorSettings
from hitl_operator.work_items import MirrorOutcome, MirrorRequest, ReconcileHumanInput, WorkItem

# A marker younger than this may precede its outcome by a moment, so it is looked at in every sweep.
_FRESH: Final = timedelta(seconds=90)
# A question younger than this is about to be shown.
_SETTLING: Final = timedelta(seconds=10)
_LOOK_AGAIN_SECONDS: Final = 60.0
_VERIFY_SECONDS: Final = 600.0
_STANDBY_SECONDS: Final = 0.2
_PATIENCE_SECONDS: Final = 5.0
_DELETED_SECONDS: Final = 3600.0
# A look into a root that takes longer is given up, and begun anew.
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
        leads: Whether this operator is the one that works.
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
        leads: Callable[[], bool] = lambda: True,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._kube = kube
        self._roots = roots
        self._index = index
        self._queue = queue
        self._settings = settings
        self._health = health
        self._leads = leads
        self._now = now
        self._looks = {root.name: _Look() for root in roots}

    def hint(self, request_id: str) -> None:
        """Look at a request now, as somebody says that something happened to it."""
        shown = self._index.shown_by(request_id)
        if shown is not None:
            self._queue.add(ReconcileHumanInput(shown.namespace, shown.name))
            return
        for root in self._roots:
            self._queue.add(MirrorRequest(root.name, request_id))

    async def sweep_forever(self, root: Root) -> None:
        """Look for the markers of one root every few seconds, until cancelled."""
        while True:
            leads = self._leads()
            if leads:
                await self._guarded(root, self.sweep(root))
                metrics.SWEEP_SECONDS.set_to_current_time()
                root.looked.set()
            self._health.sweep(root.name)
            await asyncio.sleep(self._settings.sweep_seconds if leads else _STANDBY_SECONDS)

    async def scan_forever(self, root: Root) -> None:
        """List all objects of a root, a page at a time, until cancelled."""
        while True:
            await asyncio.sleep(self._settings.audit_seconds)
            if self._leads():
                await self._guarded(root, self.scan(root))

    async def verify_forever(self) -> None:
        """Look every ten minutes for HumanInputs that went away unseen, until cancelled."""
        while True:
            await asyncio.sleep(_VERIFY_SECONDS)
            if self._leads():
                await self.verify()

    async def sweep(self, root: Root) -> None:
        """Look for the markers of one root.

        Raises:
            StorageError: when they cannot be listed now.
        """
        store, now, look = await root.reach(), self._now(), self._looks[root.name]
        current: set[WorkItem] = set()
        for marker in await store.list_markers(keys.NEW):
            asked = MirrorRequest(root.name, marker.request_id)
            current.add(asked)
            self._hand_over(look, asked, fresh=now - marker.written_at < _FRESH)
        for marker in await store.list_markers(keys.ANSWERED):
            work: WorkItem = MirrorOutcome(root.name, marker.request_id)
            if (shown := self._index.shown_by(marker.request_id)) is not None:
                if not shown.pending:
                    await store.delete(keys.answered_marker(marker.request_id))
                    continue
                work = ReconcileHumanInput(shown.namespace, shown.name)
            elif MirrorRequest(root.name, marker.request_id) in current:
                continue
            current.add(work)
            self._hand_over(look, work, fresh=now - marker.written_at < _FRESH)
        look.handed = {work: since for work, since in look.handed.items() if work in current}
        if time.monotonic() - look.dropped > STALE.total_seconds() / 3:
            look.dropped = time.monotonic()
            look.deleted = {
                each: since for each, since in look.deleted.items() if look.dropped - since < _DELETED_SECONDS
            }
            if await self._agrees(root, now):
                await drop_stale(store, now=now)

    async def scan(self, root: Root) -> None:
        """Look at the next thousand objects of one root.

        Raises:
            StorageError: when they cannot be listed now; the scan goes on from there the next time.
        """
        look, store = self._looks[root.name], root.store
        scan = look.scan
        page = await store.list_page(f"{keys.PREFIX}/", scan.after)
        for key, changed in page:
            request_id, _, name = key.removeprefix(f"{keys.PREFIX}/").partition("/")
            if request_id != scan.request_id:
                await self._visit(root, scan)
                scan.start(request_id)
            scan.note(name, changed)
            scan.after = key
        if not page:
            await self._visit(root, scan)
            look.scan = _Scan()

    async def verify(self) -> None:
        """Look for HumanInputs that went away without the watch telling of it."""
        before = {seen.key for seen in self._index}
        found = set()
        try:
            for namespace in self._settings.namespaces or (None,):
                async for each in self._kube.items(HUMAN_INPUTS, namespace, metadata_only=True):
                    found.add((each["metadata"]["namespace"], each["metadata"]["name"]))
        except ClusterError as error:
            _log.warning("HumanInputs cannot be counted: %s", error)
            return
        for namespace, name in before - found:
            self._queue.add(ReconcileHumanInput(namespace, name))

    async def _visit(self, root: Root, scan: _Scan) -> None:
        if not keys.is_request_id(scan.request_id):
            return
        now, shown = self._now(), self._index.shown_by(scan.request_id)
        if scan.settled_at is not None:
            if shown is not None and shown.pending:
                self._queue.add(ReconcileHumanInput(shown.namespace, shown.name))
            elif await self._collect(root, scan.request_id, scan.settled_at, now):
                metrics.COLLECTED.inc()
                _log.info("root %s: request %s was kept long enough and is deleted", root.name, scan.request_id)
        elif scan.asked_at is not None and now - scan.asked_at >= _SETTLING and shown is None:
            self._queue.add(MirrorRequest(root.name, scan.request_id))

    async def _collect(self, root: Root, request_id: str, settled_at: datetime, now: datetime) -> bool:
        """Delete a settled request whose time is over; tell whether that was done just now."""
        deleted = self._looks[root.name].deleted
        if now - settled_at < self._settings.retention or request_id in deleted:
            return False
        if not await self._agrees(root, now):
            return False
        done = await collect_one(root.store, request_id, now=now, retention=self._settings.retention)
        if done:
            # Its outcome goes later, by its marker: until then the full scan has nothing to do with it.
            deleted[request_id] = time.monotonic()
        return done

    async def _agrees(self, root: Root, now: datetime) -> bool:
        """Tell whether this machine's clock is the storage's too: by another one, nothing is deleted."""
        try:
            await root.require_clock(now)
        except ClockApart:
            return False
        return True

    def _hand_over(self, look: _Look, work: WorkItem, *, fresh: bool) -> None:
        handed = look.handed.get(work)
        if self._queue.busy(work):
            return
        if handed is None or fresh or time.monotonic() - handed > _LOOK_AGAIN_SECONDS:
            look.handed[work] = time.monotonic()
            self._queue.add(work)

    async def _guarded(self, root: Root, looking: Coroutine[None, None, None]) -> None:
        look = self._looks[root.name]
        try:
            async with asyncio.timeout(_DEADLINE_SECONDS):
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
        """Have every pending HumanInput of a root say whether its storage can be reached."""
        for seen in self._index:
            if seen.pending and self._roots.serving(seen.namespace) is root:
                self._queue.add(ReconcileHumanInput(seen.namespace, seen.name))


@dataclass
class _Scan:
    """Where the full scan of a root is, and what it saw of the request that it is at."""

    after: str = ""
    request_id: str = ""
    asked_at: datetime | None = None
    settled_at: datetime | None = None

    def start(self, request_id: str) -> None:
        self.request_id, self.asked_at, self.settled_at = request_id, None, None

    def note(self, name: str, changed: datetime) -> None:
        if name == "request.json":
            self.asked_at = changed
        if name == "response.json":
            self.settled_at = changed


@dataclass
class _Look:
    """How far the looks into one root are. Times are `time.monotonic()`'s."""

    handed: dict[WorkItem, float] = field(default_factory=dict)
    scan: _Scan = field(default_factory=_Scan)
    dropped: float = field(default_factory=time.monotonic)
    deleted: dict[str, float] = field(default_factory=dict)
    away_since: float | None = None
