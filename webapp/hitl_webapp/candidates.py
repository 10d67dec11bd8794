"""Which questions of a root may be worth reading for the inbox: by its index, or by listing everything."""

from __future__ import annotations

import asyncio
import heapq
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from hitl.core import keys
from hitl.core.keys import OpenRow, SettledRow
from hitl.errors import StorageError, StorageUnavailable
from hitl.records.index import open_rows, settled_days
from hitl.storage import Store

# The inbox shows the questions that were settled last. Rows of one day are ordered by id, so more are listed to
# find the last.
_MOST_SETTLED: Final = 500
_MOST_SETTLED_LISTED: Final = 5_000
_CLOCKS_APART: Final = timedelta(seconds=30)
_REQUEST: Final = keys.request_key("none").rpartition("/")[2]
_OUTCOME: Final = keys.response_key("none").rpartition("/")[2]


@dataclass
class Candidates:
    """The questions of a root by the names of objects: when they were asked, and when settled.

    Args:
        asked: By id, when the question, or its row, was written.
        settled: By id, when the outcome, or its row, was written.
        unknown: Folders of a question's name in which no question was listed: damaged, or deleted just now.
        whole: All were listed.
        indexed: They are rows of the index, which may be wrong.
        open_rows, settled_rows: The ids that have such a row.
    """

    asked: dict[str, datetime] = field(default_factory=dict)
    settled: dict[str, datetime] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    whole: bool = True
    indexed: bool = False
    open_rows: set[str] = field(default_factory=set)
    settled_rows: set[str] = field(default_factory=set)

    def add(self, key: str, changed: datetime) -> None:
        """Take an object as it was listed."""
        # A folder of an object's name counts as the object: its reader finds out what is wrong.
        request_id, _, rest = key.removeprefix(f"{keys.PREFIX}/").partition("/")
        name = rest.partition("/")[0]
        if name in (_REQUEST, _OUTCOME) and keys.is_request_id(request_id):
            (self.asked if name == _REQUEST else self.settled)[request_id] = changed
        elif (opened := OpenRow.of_key(key)) is not None:
            self.open_rows.add(opened.request_id)
        elif (settled := SettledRow.of_key(key)) is not None:
            self.settled_rows.add(settled.request_id)

    def to_read(self, most: int) -> list[str]:
        """Return the ids worth reading: waiting ones, asked last first; unknown ones; settled ones."""
        waiting = ((when, each) for each, when in self.asked.items() if each not in self.settled)
        found = [each for _, each in heapq.nlargest(most, waiting)]
        found += self.unknown[: most - len(found)]
        settled = ((when, each) for each, when in self.settled.items() if each in self.asked)
        return found + [each for _, each in heapq.nlargest(most - len(found), settled)]


async def list_everything(store: Store, most: int, seconds: float) -> Candidates:
    """List a root without an index: one storage request for a thousand objects that are kept.

    Args:
        store: The root.
        most: How many questions are counted at most.
        seconds: How long is waited at most.

    Raises:
        StorageUnavailable: the storage did not answer in time.
        StorageUnsuitable: it refuses to list.
    """
    listed = Candidates()
    try:
        # Only waiting is cut short: what a storage of this machine listed in one go is there already.
        async with asyncio.timeout(seconds):
            async for key, changed in store.list_keys(keys.PREFIX):
                listed.add(key, changed)
                if len(listed.asked) >= most:
                    listed.whole = False
                    return listed
    except TimeoutError as error:
        if not listed.asked:
            raise StorageUnavailable(f"{store.url} listed nothing within {seconds:g} s") from error
        listed.whole = False
        return listed
    except StorageError:
        # One folder that cannot be read may end the listing. The names below say whether it is more than that.
        pass
    listed.unknown = [each for each in await store.list_request_ids() if each not in listed.asked]
    return listed


async def list_index(store: Store, most: int, seconds: float) -> Candidates:
    """List the index of a root: one storage request for a thousand open questions, and few for the settled ones.

    Args:
        store: The root.
        most: How many open questions are counted at most.
        seconds: How long is waited at most.

    Raises:
        StorageUnavailable: the storage did not answer in time.
        StorageUnsuitable: it refuses to list.
    """
    listed = Candidates(indexed=True)
    try:
        async with asyncio.timeout(seconds):
            async for row, written_at in open_rows(store):
                listed.asked[row.request_id] = written_at
                listed.open_rows.add(row.request_id)
                if len(listed.asked) >= most:
                    listed.whole = False
                    return listed
            last = await last_settled(store, _MOST_SETTLED, _MOST_SETTLED_LISTED)
            for written_at, request_id in last.rows:
                listed.settled[request_id] = written_at
                listed.asked.setdefault(request_id, written_at)
                listed.settled_rows.add(request_id)
    except TimeoutError as error:
        if not listed.asked:
            raise StorageUnavailable(f"{store.url} listed nothing within {seconds:g} s") from error
        listed.whole = False
    return listed


@dataclass(frozen=True, slots=True)
class LastSettled:
    """The questions that were settled last.

    Args:
        rows: Each after the time at which its row was written.
        since: What ended from then on is among them; None: all that are kept are.
    """

    rows: list[tuple[datetime, str]]
    since: datetime | None


async def last_settled(store: Store, most: int, most_listed: int) -> LastSettled:
    """Return the questions that were settled last.

    Args:
        store: The root.
        most: How many are returned at most.
        most_listed: How many rows are listed at most. Within a day they are listed by their ids.

    Raises:
        StorageUnavailable: the storage did not answer in time.
    """
    listed: list[tuple[datetime, str]] = []
    since: datetime | None = None
    days = await settled_days(store)
    while days and since is None and len(listed) < most:
        day = days.pop()
        whole = await _list_day(store, day, listed, most_listed)
        if not whole:
            since = _start_of(day + timedelta(days=1))
        elif days and len(listed) >= most:
            since = _start_of(day)
    if len(listed) > most:
        # A row is written after its outcome, by another clock.
        left_out = heapq.nlargest(most + 1, listed)[-1][0] + _CLOCKS_APART
        since = left_out if since is None else max(since, left_out)
    return LastSettled(heapq.nlargest(most, listed), since)


async def _list_day(store: Store, day: date, listed: list[tuple[datetime, str]], most: int) -> bool:
    """List the rows of a day; tell whether these are all of it."""
    after, prefix = "", f"{keys.settled_prefix(day)}/"
    while len(listed) < most:
        page = await store.list_page(prefix, after)
        if not page:
            return True
        rows = ((SettledRow.of_key(key), written_at) for key, written_at in page)
        listed += [(written_at, row.request_id) for row, written_at in rows if row is not None]
        after = page[-1][0]
    return not await store.list_page(prefix, after)


def _start_of(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
