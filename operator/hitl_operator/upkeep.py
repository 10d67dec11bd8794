"""What is looked after in one root besides its markers: the index, the full scan, and the retention."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from hitl.core import keys
from hitl.errors import DocumentDamaged, RequestNotFound, StorageUnsuitable
from hitl.records import retention
from hitl.records.deletion import DeletesAlready
from hitl.records.listing import Listed
from hitl.records.scan import Scan, note_again
from hitl.storage import all_of
from hitl_operator import metrics
from hitl_operator.index import Index
from hitl_operator.queues import Queues
from hitl_operator.roots import Root, Roots
from hitl_operator.settings import OperatorSettings
from hitl_operator.work_items import CheckOutcome, MirrorRequest, ReconcileHumanInput

# A question younger than this is about to be shown.
_SETTLING: Final = timedelta(seconds=10)
# Rows that are repaired after one page; the others have their turn in the next round.
_REPAIRED: Final = 100
# From so many questions on, a pass lists most of a root: it is worth its cost only when much is due.
_MANY: Final = 100_000
_PASSES_FOR_MANY: Final = 6

_log = logging.getLogger("hitl.operator.mirror")


class Upkeep:
    """Looks after one root, a page at a time.

    Args:
        root: The root.
        roots: All roots.
        index: What was seen of the cluster.
        queue: Where the work goes.
        settings: The operator's settings.
    """

    def __init__(self, root: Root, roots: Roots, index: Index, queue: Queues, settings: OperatorSettings) -> None:
        self._root = root
        self._roots = roots
        self._index = index
        self._queue = queue
        self._settings = settings
        self._open = _OpenRound()
        self._open_rounds = 0
        self._opened_at = -settings.open_seconds
        self._scan: Scan | None = None
        self._scanned_at = 0.0
        self._rounds = 0
        self._deletes_at = 0.0
        self._now = datetime.min.replace(tzinfo=UTC)

    async def look_at_open(self, now: datetime) -> None:
        """Look at the next page of open questions, if that is due: each has a pending HumanInput and a row.

        The first round is done at once: the cluster may be empty, and the root full.

        Raises:
            StorageError: when the storage does not answer.
        """
        if time.monotonic() - self._opened_at < self._settings.open_seconds:
            return
        self._opened_at = time.monotonic()
        last = await self._open_page(now)
        while not self._open_rounds and not last:
            last = await self._open_page(now)
        self._open_rounds += last

    async def _open_page(self, now: datetime) -> bool:
        """Look at a page of open questions; tell whether it was the round's last one."""
        store, round_ = self._root.store, self._open
        if not round_.after:
            round_.expected = self._pending()
        page = await store.list_page(f"{keys.OPEN}/", round_.after)
        if not page:
            missing = round_.expected & self._pending() - round_.seen
            self._open = _OpenRound()
            await self._repair(missing)
            return True
        stale: set[str] = set()
        for key, written_at in page:
            row = keys.OpenRow.of_key(key)
            if row is None:
                continue
            shown = self._index.shown_by(row.request_id)
            round_.seen.add(row.request_id)
            if shown is not None and not shown.pending:
                stale.add(row.request_id)
            elif shown is None and now - written_at >= _SETTLING:
                self._queue.add(MirrorRequest(self._root.name, row.request_id))
        round_.after = page[-1][0]
        await self._repair(stale)
        return False

    async def look_at_all(self, now: datetime) -> None:
        """Look at the next page of everything, if that is due.

        Raises:
            StorageError: when the storage does not answer.
        """
        # What is missing in the index is soon known after a start.
        if self._rounds and time.monotonic() - self._scanned_at < self._settings.audit_seconds:
            return
        self._scanned_at, self._now = time.monotonic(), now
        self._scan = self._scan or Scan(self._root.store, self._visit, self._left)
        if not await self._scan.step(now):
            self._scan = None
            self._rounds += 1
            if self._rounds == 1:
                # Who restored the storage waits for it: what is missing is told now.
                _log.info("root %s: the first full scan since the start is complete", self._root.name)

    def deletes_now(self) -> bool:
        """Tell whether it is time to delete what was kept long enough."""
        return bool(self._rounds) and time.monotonic() >= self._deletes_at

    async def delete(self, now: datetime) -> None:
        """Delete what was kept long enough.

        Args:
            now: The present moment, by a clock that is the storage's too.

        Raises:
            StorageError: when the storage does not answer; the next pass goes on from there.
        """
        looked: list[int] = []
        kept = self._settings.retention
        # Whatever the result of this pass, the next one is not begun at once.
        self._deletes_at = time.monotonic() + 4 * retention.STALE.total_seconds()
        try:
            deleted = await retention.run_pass(self._root.store, now=now, retention=kept, looked=looked.append)
        except DeletesAlready as error:
            _log.info("root %s: %s", self._root.name, error)
            deleted = []
        metrics.COLLECTED.inc(len(deleted))
        for request_id in deleted:
            _log.info("root %s: request %s was kept long enough and is deleted", self._root.name, request_id)
        self._deletes_at = time.monotonic() + pause_after(sum(looked), kept, retention.STALE).total_seconds()

    def _visit(self, listed: Listed) -> None:
        shown = self._index.shown_by(listed.request_id)
        if listed.settled_at is not None:
            if shown is not None and shown.pending:
                self._queue.add(ReconcileHumanInput(shown.namespace, shown.name))
            elif shown is not None and shown.missing:
                # There is one again: the same, or another one.
                self._queue.add(CheckOutcome(shown.namespace, shown.name))
        elif listed.asked_at is not None and self._now - listed.asked_at >= _SETTLING and shown is None:
            self._queue.add(MirrorRequest(self._root.name, listed.request_id))
        elif listed.asked_at is not None and shown is not None and not shown.pending:
            self._queue.add(CheckOutcome(shown.namespace, shown.name))

    def _pending(self) -> set[str]:
        return {
            seen.request_id
            for seen in self._index
            if seen.pending and self._roots.serving(seen.namespace) is self._root
        }

    async def _repair(self, request_ids: set[str]) -> None:
        await all_of([partial(self._note_again, each) for each in sorted(request_ids)[:_REPAIRED]])

    async def _note_again(self, request_id: str) -> None:
        try:
            await note_again(self._root.store, request_id)
        except (RequestNotFound, DocumentDamaged) as error:
            _log.debug("no row for request %s: %s", request_id, error)
            if (shown := self._index.shown_by(request_id)) is not None and shown.pending:
                # It waits for nobody's answer: that is for its HumanInput to say.
                self._queue.add(ReconcileHumanInput(shown.namespace, shown.name))
        except StorageUnsuitable as error:
            _log.debug("no row for request %s: %s", request_id, error)

    def _left(self, what: str, why: str) -> None:
        _log.warning("root %s: %s is left as it is: %s", self._root.name, what, why)


@dataclass
class _OpenRound:
    """How far one look through all open questions is."""

    after: str = ""
    seen: set[str] = field(default_factory=set)
    expected: set[str] = field(default_factory=set)


def pause_after(looked: int, kept: timedelta, stale: timedelta) -> timedelta:
    """Return how long the retention rests after a pass.

    Args:
        looked: How many questions the pass looked up.
        kept: How long a question is kept.
        stale: How long the steps of a deletion are apart.
    """
    if looked > _MANY:
        return max(4 * stale, kept / _PASSES_FOR_MANY)
    return stale if looked else 4 * stale
