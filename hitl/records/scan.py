"""The full scan of a root: it lists all objects, and writes the rows of the index that are missing.

It costs a storage request for a thousand objects that are kept, and two reads for each row that is missing.
When it is through, the marker ``_index/complete`` says so: from then on, the index is listed instead of the
root.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Final, Literal, TypeAlias

from hitl.core import keys, votekeys
from hitl.core.keys import OpenRow, SettledRow
from hitl.core.lifecycle import KEPT_AT_LEAST
from hitl.errors import DocumentDamaged, RequestNotFound, StorageError, StorageUnsuitable
from hitl.records.index import note_unreadable, open_rows, settled_days
from hitl.records.listing import Listed, Walk, settled_rows, sort_key
from hitl.records.requests import StoredRequest, read_outcome_of, read_request
from hitl.storage import Store, all_of

# A row may be listed although its question is not listed yet, if that was asked just now.
_SETTLING: Final = timedelta(minutes=15)

Need: TypeAlias = Literal["nothing", "read", "mark orphan"]
# The rows of open questions, by the id in their names: each key, and when it was written.
_OpenRows: TypeAlias = dict[str, list[tuple[str, datetime]]]


@dataclass(frozen=True, slots=True)
class Repair:
    """The work that the index needs for one question.

    Args:
        need: ``nothing``: no row is missing. ``read``: read question and outcome, and write the row that they
            should have. ``mark orphan``: mark what lies without its question, so that it is deleted later.
        stale: The keys of the rows to drop first.
    """

    need: Need
    stale: Sequence[str] = ()


def repair_of(listed: Listed, opened: Sequence[str], *, indexed: bool, now: datetime) -> Repair:
    """Return the work that the index needs for one question.

    Args:
        listed: What the storage lists of it.
        opened: The keys of its rows among those of the open questions.
        indexed: Whether it has a row among those of the settled questions.
        now: The present moment, with a time zone.
    """
    if listed.asked_at is None:
        if listed.settled_at is not None:
            # With a row, it is deleted by the retention.
            return Repair("nothing" if indexed else "mark orphan")
        # A program writes the evidence before the question, which may still come.
        old = bool(listed.objects) and now - max(listed.objects.values()) >= KEPT_AT_LEAST
        return Repair("mark orphan" if old else "nothing")
    if listed.settled_at is not None:
        return Repair("nothing", opened) if indexed else Repair("read")
    if len(opened) == 1 and opened[0] != OpenRow.unreadable(listed.request_id).key:
        return Repair("nothing")
    # Only the question says which of several rows is right. It is written again after all were dropped.
    return Repair("read", opened)


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
        self._opened: _OpenRows | None = None
        self._rows = _Rows(store)
        self._without_row = False
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
        # If the storage failed in the middle of a page, that page is looked at again.
        self._page = page = self._page or await self._walk.step()
        if page is None:
            await self._finish(self._opened, now)
            return False
        repairs = [(listed, await self._repair_of(listed, self._opened, now)) for listed in page]
        await self._drop([row for _, repair in repairs for row in repair.stale])
        needed = [(listed, repair.need) for listed, repair in repairs if repair.need != "nothing"]
        await all_of([partial(self._do, listed, need) for listed, need in needed])
        self._page = []
        return True

    async def _repair_of(self, listed: Listed, opened: _OpenRows, now: datetime) -> Repair:
        self._visited(listed)
        rows = [key for key, _ in opened.pop(listed.request_id, [])] if listed.asked_at else []
        return repair_of(listed, rows, indexed=await self._rows.have(listed.request_id, now), now=now)

    async def _finish(self, opened: _OpenRows, now: datetime) -> None:
        """Drop the rows that no question can have, and say that the index is complete, if it is.

        A question that was asked just now may not be listed yet.
        """
        await self._drop([key for rows in opened.values() for key, at in rows if now - at >= _SETTLING])
        await self._drop([row.key async for row, _ in settled_rows(self._store, self._rows.to_come)])
        if self._without_row:
            # Who lists the index would not see what has no row.
            self._left("the index", "rows are missing that could not be written")
            return
        try:
            await self._store.mark(keys.INDEX_COMPLETE)
        except DocumentDamaged as error:
            self._left("the index", str(error))

    async def _drop(self, rows: list[str]) -> None:
        try:
            await self._store.delete_many(rows)
        except StorageUnsuitable as error:
            self._left("the index", str(error))

    async def _do(self, listed: Listed, need: Need) -> None:
        if need == "mark orphan":
            await mark_orphan(self._store, listed)
            return
        try:
            await note_again(self._store, listed.request_id)
        except (DocumentDamaged, StorageUnsuitable) as error:
            self._left(listed.request_id, str(error))
            await self._note_unreadable(listed.request_id)
        except RequestNotFound:
            # It was deleted just now.
            return

    async def _note_unreadable(self, request_id: str) -> None:
        await note_unreadable(self._store, request_id)
        written = False
        with suppress(DocumentDamaged):
            written = await self._store.exists(OpenRow.unreadable(request_id).key)
        self._without_row = self._without_row or not written


async def mark_orphan(store: Store, listed: Listed) -> bool:
    """Mark objects without their question, so that they are deleted later; tell whether the mark is new.

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
    """The rows of settled questions, which are asked for in the order of the questions.

    Args:
        store: The root.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rows: AsyncIterator[tuple[SettledRow, datetime]] | None = None
        self._ahead: str | None = None
        self.to_come: list[date] = []

    async def have(self, request_id: str, now: datetime) -> bool:
        """Tell whether a question has a row of a day that has come. The retention reads no other."""
        try:
            if self._rows is None:
                # Clocks are less than a day apart.
                last = (now + timedelta(days=1)).astimezone(UTC).date()
                days = await settled_days(self._store)
                self.to_come = [day for day in days if day > last]
                self._rows = settled_rows(self._store, [day for day in days if day <= last])
                await self._take(self._rows)
            while self._ahead is not None and sort_key(self._ahead) < sort_key(request_id):
                await self._take(self._rows)
        except StorageError:
            # A failed listing cannot be continued. The next call starts a new one.
            self._rows = None
            raise
        return self._ahead == request_id

    async def _take(self, rows: AsyncIterator[tuple[SettledRow, datetime]]) -> None:
        found = await anext(rows, None)
        self._ahead = None if found is None else found[0].request_id
