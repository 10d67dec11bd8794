"""The full scan of a root: it looks at all that is there, and writes the rows of the index that are missing.

It costs a storage request for a thousand objects that are kept, and two reads for each row that is missing.
When it is through, the marker ``_index/complete`` says so: from then on, the index is listed instead of the
root.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from hitl.core import keys, votekeys
from hitl.core.keys import OpenRow, SettledRow
from hitl.core.lifecycle import KEPT_AT_LEAST
from hitl.errors import DocumentDamaged, RequestNotFound, StorageError, StorageUnsuitable
from hitl.records.index import note_unreadable, open_rows, settled_days
from hitl.records.listing import Listed, Walk, settled_rows, sort_key
from hitl.records.requests import StoredRequest, read_outcome_of, read_request
from hitl.storage import Store, all_of

# A row whose question is not there may precede it in the listing by a moment.
_SETTLING: Final = timedelta(minutes=15)


async def note_again(store: Store, request_id: str) -> StoredRequest:
    """Read a question, write the row that it should have, and delete the one that it should not.

    Raises:
        RequestNotFound: when there is none of this id.
        DocumentDamaged: when question or outcome cannot be read.
        StorageUnavailable: when the storage did not answer in time.
        StorageUnsuitable: when rows may not be written.
    """
    request = await read_request(store, request_id)
    outcome = await read_outcome_of(store, request)
    opened = OpenRow(request_id, request.document.expires_at).key
    if outcome is None:
        await store.mark(opened)
    else:
        await store.mark(SettledRow.of(request_id, outcome.answered_at, request.document.expires_at).key)
        await store.delete(opened)
    return request


class Scan:
    """One full scan of a root, a page at a time.

    Args:
        store: The root.
        visited: Told of each question that is there.
        left: Told of each question that cannot be read, by its id, and why.
    """

    def __init__(self, store: Store, visited: Callable[[Listed], None], left: Callable[[str, str], None]) -> None:
        self._store = store
        self._visited = visited
        self._left = left
        self._walk = Walk(store)
        self._opened: dict[str, list[tuple[str, datetime]]] | None = None
        self._rows = _Rows(store)
        self._page: list[Listed] | None = []

    async def step(self, now: datetime) -> bool:
        """Look at the next page; tell whether there may be more.

        Args:
            now: The present moment, with a time zone.

        Raises:
            StorageUnavailable: when the storage did not answer in time; the scan goes on from there the next time.
        """
        if self._opened is None:
            self._opened = {}
            async for row, written_at in open_rows(self._store):
                self._opened.setdefault(row.request_id, []).append((row.key, written_at))
        # What was not looked at when the storage went away last time is looked at again.
        self._page = page = self._page or await self._walk.step()
        if page is None:
            # No question has these, unless it was asked just now.
            stale = [key for rows in self._opened.values() for key, at in rows if now - at >= _SETTLING]
            await self._drop(stale)
            await self._store.mark(keys.INDEX_COMPLETE)
            return False
        missing: list[Listed] = []
        stale = []
        for listed in page:
            self._visited(listed)
            opened = [key for key, _ in self._opened.pop(listed.request_id, [])] if listed.asked_at else []
            indexed = await self._rows.have(listed.request_id)
            if listed.settled_at is None and listed.asked_at is None:
                if listed.objects and now - max(listed.objects.values()) >= KEPT_AT_LEAST:
                    missing.append(listed)
            elif listed.settled_at is None:
                damaged = OpenRow.unreadable(listed.request_id).key in opened
                if damaged or len(opened) != 1:
                    missing.append(listed)
                    # Of several rows, reading tells which one is right, and writes it again.
                    stale += opened
            elif listed.asked_at is None:
                if not indexed:
                    missing.append(listed)
            elif indexed:
                stale += opened
            else:
                missing.append(listed)
        await self._drop(stale)
        await all_of([partial(self._repair, listed) for listed in missing])
        self._page = []
        return True

    async def _drop(self, rows: list[str]) -> None:
        try:
            await self._store.delete_many(rows)
        except StorageUnsuitable as error:
            self._left("the index", str(error))

    async def _repair(self, listed: Listed) -> None:
        if listed.asked_at is None:
            await mark_orphan(self._store, listed)
            return
        try:
            await note_again(self._store, listed.request_id)
        except (DocumentDamaged, StorageUnsuitable) as error:
            self._left(listed.request_id, str(error))
            await note_unreadable(self._store, listed.request_id)
        except RequestNotFound:
            # It was deleted just now.
            return


async def mark_orphan(store: Store, listed: Listed) -> bool:
    """Mark what lies without its question, so that it is deleted later; tell whether it was not marked yet.

    A deletion by an older release may have been interrupted, or a writer that was held up recorded an outcome for
    a question that was deleted. A program that died before it asked may have left evidence.

    Raises:
        StorageUnavailable: when the storage did not answer in time.
    """
    marker = keys.deleted_marker(listed.request_id)
    if await store.exists(marker):
        return False
    if listed.settled_at is not None:
        await store.delete_many([*markers_of(listed.request_id), *listed.first_step()])
    await store.mark(marker)
    return True


def markers_of(request_id: str) -> list[str]:
    """Return the keys of the markers that a question may have."""
    return [keys.new_marker(request_id), keys.answered_marker(request_id), votekeys.handed_marker(request_id)]


class _Rows:
    """The rows of settled questions, which are asked for in the order of the questions."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rows: AsyncIterator[tuple[SettledRow, datetime]] | None = None
        self._ahead: str | None = None

    async def have(self, request_id: str) -> bool:
        """Tell whether a question has a row."""
        try:
            if self._rows is None:
                self._rows = settled_rows(self._store, await settled_days(self._store))
                await self._take(self._rows)
            while self._ahead is not None and sort_key(self._ahead) < sort_key(request_id):
                await self._take(self._rows)
        except StorageError:
            # A listing that failed does not go on: the next call begins another one.
            self._rows = None
            raise
        return self._ahead == request_id

    async def _take(self, rows: AsyncIterator[tuple[SettledRow, datetime]]) -> None:
        found = await anext(rows, None)
        self._ahead = None if found is None else found[0].request_id
