"""Filling the index from the storage, and keeping it like the storage.

Where the root's own index is complete, its rows are listed in the order of the deadlines. Each question is read
once, since it never changes; whether it was settled is told by its row, which is gone then. Else everything is
listed, as `hitl_webapp.survey` does.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Final, TypeVar

from cachetools import LRUCache

from hitl.core import keys
from hitl.core.documents import OutcomeDocument, RequestDocument, sha256_hex
from hitl.core.keys import OpenRow
from hitl.errors import StorageError, StorageUnavailable
from hitl.records.records import Records, utc_now
from hitl.records.requests import StoredRequest, read_outcome_of
from hitl.storage import Store, all_of
from hitl_webapp.candidates import LastSettled, last_settled
from hitl_webapp.inbox.ballots import read_ballot, vote_keys
from hitl_webapp.inbox.desk import Desk
from hitl_webapp.inbox.handed import HandedOver
from hitl_webapp.inbox.index import Index, Listed
from hitl_webapp.inbox.rows import Ballot, Row, row_of
from hitl_webapp.survey import Survey, lists_everything, note_row, read_question, survey

MOST_SETTLED: Final = 5_000
# For the inbox some of the last are enough. Statistics are made of more: with how many rows they may be listed.
_SOME_SETTLED: Final = (500, 5_000)
_MANY_SETTLED: Final = (MOST_SETTLED, 50_000)
# The first ones are shown as soon as they are there.
_FIRST: Final = 200
_AT_ONCE: Final = 400
_PAGE: Final = 1_000
# Files of this machine come all at once, and each listing of them lists all: few listings, and few rows held.
_LISTED_AT_ONCE: Final = 30_000
# If more were settled than one page lists, they are listed rarely: most are known by their open row.
_FEW_SETTLED: Final = 400
_SETTLED_SECONDS: Final = 600.0
_FOREVER: Final = float(2**32)
# Beyond this many open questions with votes, only those that are shown are read again.
_MOST_VOTED: Final = 20_000

_T = TypeVar("_T")
_log = logging.getLogger("hitl.web")


@dataclass(frozen=True, slots=True)
class Progress:
    """How much of the root was read.

    Args:
        looked_at: How many questions were read, or could not be.
        there: How many there are, as far as they were counted.
        counted: All of them were counted.
        indexed: They were listed by the root's index, in the order of the deadlines.
        pages: How many requests listing the open ones took.
    """

    looked_at: int = 0
    there: int = 0
    counted: bool = True
    indexed: bool = False
    pages: int = 1

    @property
    def whole(self) -> bool:
        """Whether all that there are were looked at."""
        return self.counted and self.looked_at >= self.there


@dataclass(frozen=True, slots=True)
class Reach:
    """Which settled questions the index knows.

    Args:
        since: All that ended from then on and are kept; None: all that are kept.
        whole: Unless that is false: then some of them were not read.
        at: When they were listed, by the clock that only ever grows.
    """

    since: datetime | None
    whole: bool
    at: float


class Filler:
    """Reads the storage into the index.

    Args:
        store: The root.
        desk: The index.
        rows: How many open questions are read at most.
        tends: Whether to write what is missing in the root's index, since no operator does.
        clock: Seconds that only ever grow.
        now: The present moment, with a time zone.

    Attributes:
        progress: How far it is.
        reach: Which settled questions were read; None: too few were, until `reach_far` is called.
    """

    def __init__(
        self,
        store: Store,
        desk: Desk,
        *,
        rows: int,
        tends: bool,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._store = store
        self._desk = desk
        self._rows = rows
        self._tends = tends
        self._clock = clock
        self._now = now
        self._handed = HandedOver(store, desk, now)
        self._pass = 0
        self._survey: Survey | None = None
        self._settled_after = clock()
        self._settled = _SOME_SETTLED
        self._unlisted_after = clock()
        # The keys of the votes, as they were when they were last read.
        self._votes: LRUCache[str, frozenset[str]] = LRUCache(_MOST_VOTED)
        self.reach: Reach | None = None
        self.progress = Progress()

    async def refresh(self) -> None:
        """Make the index like the storage.

        Raises:
            StorageUnavailable: the storage did not answer in time.
            StorageUnsuitable: it refuses to list.
        """
        self._pass += 1
        if await lists_everything(self._store, self._tends, self._now):
            await self._take_everything()
            await self._handed.refresh(self._pass)
            return
        self._survey = None
        last = await self._take_open()
        await self._handed.refresh(self._pass)
        for some in _chunks(await self._desk.ask(Index.vanished, self._pass, last)):
            await self._look(some, tends=self._tends)
        await self._take_settled()
        await self._desk.ask(Index.drop_beyond, self._pass, last, MOST_SETTLED)

    def reach_far(self) -> None:
        """Read as many settled questions as statistics are made of, with the next refresh and from then on."""
        if self._settled != _MANY_SETTLED:
            self._settled, self._settled_after = _MANY_SETTLED, self._clock()

    async def look(self, request_ids: Sequence[str]) -> None:
        """Read some questions and their outcomes again.

        Raises:
            StorageUnavailable: the storage did not answer in time, or not for one of them.
        """
        looked = await self._look(request_ids)
        rows = [each for each in looked if isinstance(each, Row)]
        # A question that names respondents may have been handed over.
        named = [each.request_id for each in rows if each.respondents and each.ended is None]
        await self._handed.look(named, self._pass)
        for each in looked:
            if isinstance(each, StorageUnavailable):
                raise each

    async def settled_among(self, request_ids: Sequence[str]) -> bool:
        """Take the outcomes of open questions that have one, and votes that came since; tell whether any did.

        Raises:
            StorageUnavailable: the storage did not answer in time.
        """
        exist = await all_of([partial(self._store.exists, keys.response_key(each)) for each in request_ids])
        ended = [each for each, there in zip(request_ids, exist, strict=True) if there]
        waiting = [
            each for each, there in zip(request_ids, exist, strict=True) if not there and each in self._votes
        ]
        keys_now = await all_of([partial(vote_keys, self._store, each) for each in waiting])
        voted = [each for each, now in zip(waiting, keys_now, strict=True) if now != self._votes.get(each)]
        await self._look(ended + voted, tends=self._tends)
        return bool(ended or voted)

    async def _take_everything(self) -> None:
        began = self._clock()
        found = self._survey = await survey(
            self._store, self._survey, tends=self._tends, clock=self._clock, now=self._now
        )
        for some in _chunks(list(found.entries.values())):
            votes = await all_of([partial(self._ballot, each.request, each.outcome, each.sha256) for each in some])
            rows = [
                (row_of(each.request, each.outcome, each.sha256, each.value, ballot=ballot), 0.0)
                for each, ballot in zip(some, votes, strict=True)
            ]
            await self._desk.ask(Index.put, rows, self._pass)
        await self._tell_unreadable(found.unreadable)
        await self._desk.ask(Index.drop_others, self._pass)
        self.progress = Progress(found.looked_at, found.there, found.counted)
        self.reach = Reach(None, self.progress.whole, began)

    async def _take_open(self) -> float:
        """Read what is new among the open questions; return up to which deadline all were listed."""
        after, there, pages, last = "", 0, 0, _FOREVER
        while last == _FOREVER:
            page = await self._store.list_page(f"{keys.OPEN}/", after, _LISTED_AT_ONCE)
            pages += 1
            expected = max(min(there + len(page), self._rows), self.progress.there)
            self.progress = replace(self.progress, there=expected, counted=False, indexed=True)
            after, whole = page[-1][0] if page else "", _PAGE < len(page) < _LISTED_AT_ONCE
            # A part is looked at before the rest, and let go of.
            for some in _taken(page):
                rows = [(row, at.timestamp()) for key, at in some if (row := OpenRow.of_key(key)) is not None]
                room = self._rows - there
                if len(rows) > room:
                    rows, last = rows[:room], rows[room][0].expires_at.timestamp()
                there += len(rows)
                listed = [Listed(row.request_id, at) for row, at in rows]
                await self._take(await self._desk.ask(Index.compare, listed, self._pass))
                if last != _FOREVER:
                    break
            if not after or whole:
                break
        self.progress = Progress(there, there, counted=last == _FOREVER, indexed=True, pages=pages)
        return last

    async def _take(self, listed: Sequence[Listed]) -> None:
        """Read questions that were listed as open."""
        found = await all_of([partial(self._read, each.request_id) for each in listed])
        rows = [(row, each.at) for each, row in zip(listed, found, strict=True) if isinstance(row, Row)]
        await self._desk.ask(Index.put, rows, self._pass)
        await self._note_unreadable([each.request_id for each in listed], found)
        self.progress = replace(self.progress, looked_at=self.progress.looked_at + len(listed))

    async def _take_settled(self) -> None:
        if self._clock() < self._settled_after:
            return
        wanted, began = self._settled, self._clock()
        last = await last_settled(self._store, *wanted)
        known = await self._desk.ask(Index.settled)
        for some in _chunks([each for _, each in last.rows if each not in known]):
            await self._look(some)
        if wanted == _MANY_SETTLED:
            await self._drop_deleted(known - {each for _, each in last.rows}, last)
            self.reach = Reach(last.since, True, began)
        if len(last.rows) > _FEW_SETTLED and wanted == self._settled:
            self._settled_after = self._clock() + _SETTLED_SECONDS

    async def _drop_deleted(self, unlisted: set[str], last: LastSettled) -> None:
        """Look at settled questions without a row, and let go of those that were deleted since."""
        # A row may be lost too, so this is done seldom. If not all were listed, those are older that were not.
        if last.since is None and self._clock() >= self._unlisted_after:
            for some in _chunks(sorted(unlisted)):
                await self._look(some)
            self._unlisted_after = self._clock() + _SETTLED_SECONDS

    async def _look(
        self, request_ids: Sequence[str], *, tends: bool = False
    ) -> Sequence[Row | StorageError | None]:
        read = partial(self._read, with_outcome=True, tends=tends)
        found = await all_of([partial(read, each) for each in request_ids])
        rows = [row for row in found if isinstance(row, Row)]
        await self._desk.ask(Index.put, [(row, 0.0) for row in rows], self._pass)
        gone = [each for each, row in zip(request_ids, found, strict=True) if row is None]
        await self._desk.ask(Index.drop, gone)
        await self._note_unreadable(request_ids, found)
        return found

    async def _note_unreadable(
        self, request_ids: Sequence[str], found: Sequence[Row | StorageError | None]
    ) -> None:
        bad = [each for each, row in zip(request_ids, found, strict=True) if isinstance(row, StorageError)]
        if bad:
            await self._tell_unreadable(bad)

    async def _tell_unreadable(self, request_ids: Sequence[str]) -> None:
        for each in await self._desk.ask(Index.unreadable, request_ids, self._pass):
            _log.warning("left out of the inbox: the question %s is damaged, or may not be read", each)

    async def _read(
        self, request_id: str, *, with_outcome: bool = False, tends: bool = False
    ) -> Row | StorageError | None:
        """Return a question, or why it cannot be read; None: it is not there."""
        try:
            found = await read_question(self._store, request_id)
            if found is None:
                return None
            document, data = found
            sha256, outcome = sha256_hex(data), None
            if with_outcome:
                outcome = await read_outcome_of(self._store, StoredRequest(document, sha256))
            ballot = await self._ballot(document, outcome, sha256)
        except StorageUnavailable as error:
            # Either nothing answers, which ends all of this, or this object alone does not.
            await self._store.exists(keys.request_key("none"))
            return error
        except StorageError as error:
            return error
        if tends:
            await note_row(Records(self._store), document, outcome)
        return row_of(document, outcome, sha256, ballot=ballot)

    async def _ballot(
        self, document: RequestDocument, outcome: OutcomeDocument | None, sha256: str
    ) -> Ballot | None:
        """Return how far the votes on a question are; None: one person decides, or it has an outcome."""
        request_id = document.request_id
        if document.approval is None or outcome is not None:
            self._votes.pop(request_id, None)
            return None
        ballot, self._votes[request_id] = await read_ballot(self._store, StoredRequest(document, sha256))
        return ballot


def _chunks(several: Sequence[_T]) -> Iterator[Sequence[_T]]:
    start, size = 0, _FIRST
    while start < len(several):
        yield several[start : start + size]
        start, size = start + size, _AT_ONCE


def _taken(several: list[_T]) -> Iterator[list[_T]]:
    """Yield what `_chunks` does, and take it out of the list, so that no more is held than is needed."""
    several.reverse()
    size = _FIRST
    while several:
        some = several[-size:]
        del several[-size:]
        yield some[::-1]
        size = _AT_ONCE
