"""The inbox of one web app: its index, when it is read again, and what a visitor gets to see of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from cachetools import LRUCache

from hitl.core import keys
from hitl.core.documents import OutcomeDocument, RequestDocument
from hitl.errors import HITLError, NotAllowed, StorageUnavailable
from hitl.records.records import utc_now
from hitl.storage import Store
from hitl_webapp.auth import Principal
from hitl_webapp.inbox.desk import Background, Desk
from hitl_webapp.inbox.filling import Filler, Progress
from hitl_webapp.inbox.finding import Counts, Found, find, namespaces
from hitl_webapp.inbox.index import Index, Settled
from hitl_webapp.inbox.queries import PAGE, Key, Query
from hitl_webapp.inbox.rights import rights_of
from hitl_webapp.inbox.rows import Row, ended_of, tie_of

ROWS: Final = 100_000
SHOWN_SETTLED: Final = 10
SHOWN_UNREADABLE: Final = 50
# How long the first visitor waits at most. A storage that hangs in the operating system has no other bound.
_PATIENCE_SECONDS: Final = 20.0
# With what was read by then, the first page is shown.
_USEFUL_SECONDS: Final = 1.0
# What is older than this is read again before it is shown, if that takes no longer than a moment.
_STALE_SECONDS: Final = 60.0
_MOMENT_SECONDS: Final = 1.0
# Listing takes less than 120 requests a minute, however many questions are open.
_SECONDS_A_PAGE: Final = 0.57
# What took a second to read is shown for ten, so that reading takes a tenth of the time at most.
_KEPT_FACTOR: Final = 10.0
_KEPT_SECONDS: Final = 600.0
# From this age on, the page says how old it is.
_AGED_SECONDS: Final = 5.0
# For so long a question is believed to wait, once its outcome was looked for.
_BELIEVED_SECONDS: Final = 30.0
_CHECK_SECONDS: Final = 0.25
_MOST_NOTED: Final = 2_000
_MOST_HINTS: Final = 200
_POLL_SECONDS: Final = 0.02
_NONE: Final = Counts()
_UNREAD: Final = Progress()


@dataclass(frozen=True, slots=True)
class Listing:
    """What the inbox of one visitor shows.

    Args:
        query: What was asked for.
        now: The present moment, by the storage's clock.
        rows: A page of it.
        counts: How many match, in each view.
        next, previous: The queries of the pages after and before; empty: there is none.
        settled: The questions that ended last, where the page shows some beside those that wait.
        unreadable: Ids of questions that cannot be read, for a visitor who may see every question.
        more_unreadable: How many more of them there are.
        progress: How much of the root was read.
        as_of: When all of this was read, unless that was just now.
        away: The storage does not answer, so that this may be old.
        nowhere: The visitor has no right in any namespace that has questions.
    """

    query: Query
    now: datetime
    rows: tuple[Row, ...] = ()
    counts: Counts = _NONE
    next: str = ""
    previous: str = ""
    settled: tuple[Row, ...] = ()
    unreadable: tuple[str, ...] = ()
    more_unreadable: int = 0
    progress: Progress = _UNREAD
    as_of: datetime | None = None
    away: bool = False
    nowhere: bool = False

    @property
    def total(self) -> int:
        """How many match, on all pages."""
        number: int = getattr(self.counts, self.query.view)
        return number


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
        self._read_at = self._fresh_until = clock()
        self._took = 0.0
        self._began = time.monotonic()
        # Outcomes are applied until a reading that began after them is through.
        self._notes: dict[str, Settled] = {}
        self._older: dict[str, Settled] = {}
        self._checked: LRUCache[str, float] = LRUCache(20_000)
        self._hinted: set[str] = set()

    def note(self, request: RequestDocument, outcome: OutcomeDocument) -> None:
        """Take an outcome that this process has seen, to be shown at once."""
        if len(self._notes) < _MOST_NOTED:
            self._notes[outcome.request_id] = Settled(
                outcome.request_id, outcome.request_sha256, ended_of(outcome, request)
            )

    def hint(self, request_id: str) -> None:
        """Look at a question soon: somebody says that it is new, or settled. A forged hint costs one read."""
        if self._ever and keys.is_request_id(request_id) and len(self._hinted) < _MOST_HINTS:
            self._hinted.add(request_id)
            self._background.start(self._look_hinted(request_id))

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
        await self._desk.ask(Index.settle, [*self._older.values(), *self._notes.values()])
        rights = await rights_of(principal, await self._desk.ask(namespaces))
        found = await self._desk.ask(find, rights, query, now)
        if await self._settled_among(found):
            found = await self._desk.ask(find, rights, query, now)
        settled: tuple[Row, ...] = ()
        if query.plain:
            ended = Query(state="settled", sort="ended")
            settled = (await self._desk.ask(find, rights, ended, now, SHOWN_SETTLED)).rows
        unreadable: list[str] = []
        if query.plain and await _may_see_all(principal):
            unreadable = await self._desk.ask(Index.all_unreadable)
        age = self._clock() - self._read_at
        return Listing(
            query=query,
            now=now,
            rows=found.rows,
            counts=found.counts,
            next=replace(query, before="", after=found.next.text()).url() if found.next else "",
            previous=replace(query, after="", before=found.previous.text()).url() if found.previous else "",
            settled=settled,
            unreadable=tuple(unreadable[:SHOWN_UNREADABLE]),
            more_unreadable=max(0, len(unreadable) - SHOWN_UNREADABLE),
            progress=self._filler.progress,
            as_of=now - timedelta(seconds=age) if self._ever and age > _AGED_SECONDS else None,
            away=self._failed is not None,
            nowhere=rights.namespaces == (),
        )

    async def next(self, principal: Principal, request_id: str, now: datetime) -> str:
        """Return the id of the open question with the next deadline; empty: there is none but this one.

        Args:
            principal: The visitor.
            request_id: After which question; if they may not see it, or it is the last one, from the first one on.
            now: The present moment, by the storage's clock.
        """
        await self._freshen()
        await self._desk.ask(Index.settle, [*self._older.values(), *self._notes.values()])
        rights = await rights_of(principal, await self._desk.ask(namespaces))
        queries, here = [Query()], Found()
        if keys.is_request_id(request_id):
            here = await self._desk.ask(find, rights, Query(state="any", text=request_id), now, 1)
        for row in here.rows:
            if row.request_id == request_id:
                place = Key(row.expires_at.timestamp(), tie_of(request_id))
                queries.insert(0, Query(after=place.text()))
        for query in queries:
            found = await self._desk.ask(find, rights, query, now, 2)
            for row in found.rows:
                if row.request_id != request_id:
                    return row.request_id
        return ""

    async def known(self) -> int:
        """Return how many questions the index knows."""
        return await self._desk.ask(Index.count)

    def close(self) -> None:
        """End what is under way."""
        self._background.close()
        self._desk.close()

    async def _freshen(self) -> None:
        """Begin to read the storage again if it is time, and wait as long as a visitor should."""
        began, age = self._clock(), self._clock() - self._read_at
        if self._ever and self._failed is None and began < self._fresh_until:
            return
        under_way = self._running
        if under_way is None or under_way.done():
            self._older, self._notes, self._began = self._notes, {}, time.monotonic()
            under_way = self._running = self._background.start(self._refresh())
        running = asyncio.wrap_future(under_way)
        if not self._ever:
            await self._wait_for_the_first(running)
        elif self._took < _MOMENT_SECONDS / 2 or age > _STALE_SECONDS or self._failed is not None:
            await asyncio.wait([running], timeout=min(_MOMENT_SECONDS, _PATIENCE_SECONDS))

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

    async def _refresh(self) -> HITLError | None:
        began = self._clock()
        try:
            await self._filler.refresh()
        except HITLError as error:
            self._failed = error
            return error
        now = self._clock()
        self._ever, self._failed, self._read_at, self._took = True, None, began, now - began
        pause = max(
            min(_KEPT_SECONDS, _KEPT_FACTOR * self._took), _SECONDS_A_PAGE * (self._filler.progress.pages - 1)
        )
        self._fresh_until = now + min(pause, _STALE_SECONDS) if self._filler.progress.indexed else now + pause
        return None

    async def _settled_among(self, found: Found) -> bool:
        """Look for outcomes of what is about to be shown as open, unless that was done a moment ago."""
        now = self._clock()
        waiting = [each.request_id for each in found.rows if each.ended is None]
        unsure = [
            each for each in waiting if now - self._checked.get(each, -_BELIEVED_SECONDS) >= _BELIEVED_SECONDS
        ]
        if not unsure or not self._filler.progress.indexed or self._failed is not None:
            return False
        checking = asyncio.wrap_future(self._background.start(self._check(unsure)))
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

    async def _look_hinted(self, request_id: str) -> None:
        self._hinted.discard(request_id)
        try:
            await self._filler.look([request_id])
        except HITLError:
            # Listing finds it without the hint.
            return


async def _may_see_all(principal: Principal) -> bool:
    try:
        await principal.require_may_see(None)
    except NotAllowed:
        return False
    return True
