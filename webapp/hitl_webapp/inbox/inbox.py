"""The inbox of one web app: its index, when it is read again, and what a visitor gets to see of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from datetime import datetime, timedelta
from typing import Final, TypeVar

from cachetools import LRUCache

from hitl.core import keys
from hitl.core.documents import OutcomeDocument, RequestDocument
from hitl.errors import HITLError, StorageUnavailable
from hitl.records.records import utc_now
from hitl.storage import Store
from hitl_webapp.auth import Principal
from hitl_webapp.inbox.desk import Background, Desk
from hitl_webapp.inbox.filling import Filler
from hitl_webapp.inbox.finding import Found, find, namespaces
from hitl_webapp.inbox.hinted import Hinted
from hitl_webapp.inbox.index import Index
from hitl_webapp.inbox.listing import Listing, Overview
from hitl_webapp.inbox.notes import Notes
from hitl_webapp.inbox.queries import PAGE, Key, Query
from hitl_webapp.inbox.rights import Rights, may_see_damaged, nowhere, rights_of
from hitl_webapp.inbox.rows import Row, tie_of

ROWS: Final = 100_000
SHOWN_SETTLED: Final = 10
SHOWN_UNREADABLE: Final = 50
# Longest wait of the first visitor. Nothing else limits a storage that hangs in the operating system.
_PATIENCE_SECONDS: Final = 20.0
# With what was read by then, the first page is shown.
_USEFUL_SECONDS: Final = 0.4
_FULL_SECONDS: Final = 1.0
# Older content is read again before it is shown, if that takes at most a moment.
_STALE_SECONDS: Final = 60.0
_MOMENT_SECONDS: Final = 1.0
# For statistics more is read, once: somebody who wants them waits longer.
_REACH_SECONDS: Final = 5.0
# Listing takes less than 120 requests a minute, however many questions are open.
_SECONDS_A_PAGE: Final = 0.57
# What took a second to read is shown for ten, so that reading takes a tenth of the time at most. Where listing
# takes long, what it gave is shown as long as may be: meanwhile others wait for the interpreter.
_KEPT_FACTOR: Final = 10.0
_KEPT_SECONDS: Final = 600.0
_LONG_SECONDS: Final = 0.2
_LONG_FACTOR: Final = 100.0
# From this age on, the page says how old it is.
_AGED_SECONDS: Final = 5.0
# For so long a question is believed to wait, once its outcome was looked for. In a large root, few are looked at
# between two readings: its rows are seldom wrong, and the requests would be too many.
_BELIEVED_SECONDS: Final = 30.0
_CHECK_SECONDS: Final = 0.25
_LARGE_PAGES: Final = 4
_CHECKED_IN_LARGE: Final = 8
_POLL_SECONDS: Final = 0.02
# A storage that does not answer is asked again after so long, while pages are open.
_AGAIN_SECONDS: Final = 5.0

_T = TypeVar("_T")


class Inbox:
    """The inbox of one web app. Nothing is read before the first visitor comes, and nothing while nobody does.

    Args:
        store: The root.
        rows: How many open questions are kept at most.
        tends: Whether to write what is missing in the root's index, since no operator does.
        clock: Seconds that only ever grow.
        now: The present moment, with a time zone.
    """

    def __init__(
        self,
        store: Store,
        *,
        rows: int = ROWS,
        tends: bool = False,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._clock = clock
        self._desk = Desk()
        self._background = Background()
        self._filler = Filler(store, self._desk, rows=rows, tends=tends, clock=clock, now=now)
        self._running: Future[HITLError | None] | None = None
        self._ever = False
        self._failed: HITLError | None = None
        self._again_at = 0.0
        self._read_at = self._fresh_until = clock()
        self._took = 0.0
        self._began = time.monotonic()
        self._notes = Notes()
        self._checked: LRUCache[str, float] = LRUCache(20_000)
        self._checks = 0
        self._hinted = Hinted(lambda ids: self._filler.look(ids), clock)

    def note(self, request: RequestDocument, outcome: OutcomeDocument) -> None:
        """Take an outcome that this process has seen, to be shown at once."""
        self._notes.take(request, outcome)

    def hint(self, request_id: str) -> None:
        """Look at a question soon: somebody says that it is new, or settled. A forged hint costs one read."""
        if self._ever and self._hinted.take(request_id):
            self._background.start(self._hinted.look(request_id))

    async def listing(self, principal: Principal, query: Query, now: datetime) -> Listing:
        """Return what a visitor asks for, as far as they may see it.

        Args:
            principal: The visitor.
            query: What they ask for.
            now: The present moment, by the storage's clock.

        Raises:
            BadInput: the query's place is none of its order.
            StorageUnavailable: the storage did not answer, and nothing is known yet.
            ClusterError: nobody can say what this visitor may see.
        """
        await self._freshen()
        rights = await self._rights(principal)
        found = await self._desk.ask(find, rights, query, now)
        while len(found.rows) < PAGE and self._filling():
            await asyncio.sleep(_POLL_SECONDS)
            rights = await rights_of(principal, await self._desk.ask(namespaces))
            found = await self._desk.ask(find, rights, query, now)
        if await self._settled_among(found):
            found = await self._desk.ask(find, rights, query, now)
        settled: tuple[Row, ...] = ()
        if query.plain:
            ended = Query(state="settled", sort="ended")
            settled = (await self._desk.ask(find, rights, ended, now, SHOWN_SETTLED)).rows
        unreadable: list[str] = []
        if query.plain and await may_see_damaged(principal):
            unreadable = await self._desk.ask(Index.all_unreadable)
        age = self._clock() - self._read_at
        return Listing(
            query=query,
            now=now,
            rows=found.rows,
            counts=found.counts,
            next=query._replace(before="", after=found.next.text()).url() if found.next else "",
            previous=query._replace(after="", before=found.previous.text()).url() if found.previous else "",
            settled=settled,
            unreadable=tuple(unreadable[:SHOWN_UNREADABLE]),
            more_unreadable=max(0, len(unreadable) - SHOWN_UNREADABLE),
            progress=self._filler.progress,
            as_of=now - timedelta(seconds=age) if self._ever and age > _AGED_SECONDS else None,
            away=self._failed is not None,
            nowhere=await nowhere(principal, rights),
        )

    async def overview(
        self, principal: Principal, look: Callable[[Index, Rights, datetime | None], _T]
    ) -> Overview[_T]:
        """Return what is made of all questions that a visitor may see, as far as they are known.

        Args:
            principal: The visitor.
            look: Makes it, in the index's own thread, of the index, of what the visitor may see, and of the moment
                from which on all settled questions are known; None: all that are kept are.

        Raises:
            StorageUnavailable: the storage did not answer, and nothing is known yet.
            ClusterError: nobody can say what this visitor may see.
        """
        await self._freshen()
        await self._reach_far()
        rights = await self._rights(principal)
        # Before it is looked: what is read meanwhile only adds to it.
        reach, progress, away = self._filler.reach, self._filler.progress, self._failed is not None
        read_at = self._read_at if reach is None else min(self._read_at, reach.at)
        return Overview(
            found=await self._desk.ask(look, rights, None if reach is None else reach.since),
            age=timedelta(seconds=max(0.0, self._clock() - read_at)),
            whole=progress.whole and reach is not None and reach.whole and not away,
            away=away,
            nowhere=await nowhere(principal, rights),
        )

    async def next(self, principal: Principal, request_id: str, now: datetime) -> str:
        """Return the id of the open question with the next deadline; empty: there is none but this one.

        Args:
            principal: The visitor.
            request_id: After which question; if they may not see it, or it is the last one, from the first one on.
            now: The present moment, by the storage's clock.
        """
        await self._freshen()
        rights = await self._rights(principal)
        # A question waits for others if the visitor has voted or may not vote.
        queries, here = [Query(voted="no")], Found()
        if keys.is_request_id(request_id):
            here = await self._desk.ask(find, rights, Query(state="any", text=request_id), now, 1)
        for row in here.rows:
            if row.request_id == request_id:
                place = Key(row.expires_at.timestamp(), tie_of(request_id))
                queries.insert(0, Query(voted="no", after=place.text()))
        for query in queries:
            found = await self._desk.ask(find, rights, query, now, 2)
            for row in found.rows:
                if row.request_id != request_id:
                    return row.request_id
        return ""

    @property
    def version(self) -> int:
        """A number that grows with each change that a visitor may see."""
        return self._desk.version + self._notes.taken

    def touch(self) -> None:
        """Begin to read the storage again, if it is time for that."""
        if self._failed is None or self._clock() >= self._again_at:
            self._begin()

    async def known(self) -> int:
        """Return how many questions the index knows."""
        return await self._desk.ask(Index.count)

    def close(self) -> None:
        """End what is under way."""
        self._background.close()
        self._desk.close()

    async def _rights(self, principal: Principal) -> Rights:
        await self._desk.ask(Index.settle, self._notes.all())
        return await rights_of(principal, await self._desk.ask(namespaces))

    async def _reach_far(self) -> None:
        """Have as many settled questions read as statistics need, and wait for it as long as a visitor should."""
        self._filler.reach_far()
        until = time.monotonic() + _REACH_SECONDS
        while self._filler.reach is None and self._failed is None and time.monotonic() < until:
            self._fresh_until = self._clock()
            if (under_way := self._begin()) is not None:
                await asyncio.wait([asyncio.wrap_future(under_way)], timeout=until - time.monotonic())

    async def _freshen(self) -> None:
        """Begin to read the storage again if it is time, and wait as long as a visitor should."""
        age = self._clock() - self._read_at
        under_way = self._begin()
        if under_way is None:
            return
        running = asyncio.wrap_future(under_way)
        if not self._ever:
            await self._wait_for_the_first(running)
        elif self._took < _MOMENT_SECONDS / 2 or age > _STALE_SECONDS or self._failed is not None:
            await asyncio.wait([running], timeout=min(_MOMENT_SECONDS, _PATIENCE_SECONDS))

    def _begin(self) -> Future[HITLError | None] | None:
        """Begin to read the storage again if it is time, unless that is under way; return what is under way."""
        if self._ever and self._failed is None and self._clock() < self._fresh_until:
            return None
        under_way = self._running
        if under_way is None or under_way.done():
            self._notes.begin_reading()
            self._began = time.monotonic()
            under_way = self._running = self._background.start(self._refresh())
        return under_way

    async def _wait_for_the_first(self, running: asyncio.Future[HITLError | None]) -> None:
        until = time.monotonic() + _PATIENCE_SECONDS
        while not running.done():
            if time.monotonic() - self._began > _USEFUL_SECONDS and self._filler.progress.looked_at >= PAGE:
                return
            if time.monotonic() > until:
                raise StorageUnavailable(f"the questions were not read within {_PATIENCE_SECONDS:g} s")
            await asyncio.wait([running], timeout=_POLL_SECONDS)
        if (error := running.result()) is not None and not self._ever:
            raise error

    def _filling(self) -> bool:
        """Tell whether the first reading goes on, and began so short a time ago that a page may still get full."""
        under_way = self._running is not None and not self._running.done()
        return not self._ever and under_way and time.monotonic() - self._began < _FULL_SECONDS

    async def _refresh(self) -> HITLError | None:
        began = self._clock()
        try:
            await self._filler.refresh()
        except HITLError as error:
            self._failed, self._again_at = error, self._clock() + _AGAIN_SECONDS
            return error
        now = self._clock()
        ever, self._ever = self._ever, True
        self._failed, self._read_at, self._took = None, began, now - began
        # The first one takes long because each question is read, and says nothing of the next one.
        self._fresh_until = now + (self._pause() if ever else min(self._pause(), _AGED_SECONDS))
        self._checks = _CHECKED_IN_LARGE if self._filler.progress.pages > _LARGE_PAGES else ROWS
        return None

    def _pause(self) -> float:
        """Return for how many seconds what was read is shown."""
        progress = self._filler.progress
        if not progress.indexed:
            return min(_KEPT_SECONDS, _KEPT_FACTOR * self._took)
        factor = _KEPT_FACTOR if self._took < _LONG_SECONDS else _LONG_FACTOR
        longest = _STALE_SECONDS - min(self._took, _STALE_SECONDS / 2)
        return min(longest, max(factor * self._took, _SECONDS_A_PAGE * (progress.pages - 1)))

    async def _settled_among(self, found: Found) -> bool:
        """Look for outcomes of what is about to be shown as open, unless that was done a moment ago."""
        now = self._clock()
        waiting = [each.request_id for each in found.rows if each.ended is None]
        unsure = [
            each for each in waiting if now - self._checked.get(each, -_BELIEVED_SECONDS) >= _BELIEVED_SECONDS
        ]
        unsure = unsure[: self._checks]
        if not unsure or not self._filler.progress.indexed or self._failed is not None:
            return False
        self._checks -= len(unsure)
        checking = asyncio.wrap_future(self._background.start(self._check(unsure)))
        if self._filler.progress.pages > _LARGE_PAGES:
            return False
        done, _ = await asyncio.wait([checking], timeout=_CHECK_SECONDS)
        return bool(done) and checking.result()

    async def _check(self, request_ids: Sequence[str]) -> bool:
        try:
            changed = await self._filler.settled_among(request_ids)
        except HITLError:
            # The next reading of the storage says so.
            return False
        self._checked.update(dict.fromkeys(request_ids, self._clock()))
        return changed
