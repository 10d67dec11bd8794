"""The index of a root: which questions are open, by deadline, and which were settled, by day.

A row is an empty object, whose name says all: ``_open/{deadline}-{id}`` from when a question was asked until it
has an outcome, then ``_settled/{yyyy-mm-dd}/{id}``. Rows are hints. One may be missing, stale or doubled, since
its writer may be killed, may lack the right, or be an older release. So a reader of a row looks at the
question itself before it shows or deletes anything, and `hitl.records.scan` repairs the rows.

The row of a settled question is written before that of the open one is deleted: a question that was ever in the
index stays in it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from datetime import date, datetime

from hitl.core import keys
from hitl.core.documents import OutcomeDocument, RequestDocument
from hitl.core.keys import OpenRow, SettledRow
from hitl.errors import HITLError
from hitl.records.records import Records
from hitl.storage import Store

_log = logging.getLogger(__name__)


async def note_open(records: Records, document: RequestDocument) -> None:
    """Write the row of a question that was asked. Trouble with the storage is left to the next scan."""
    await _written(records.store, keys.OpenRow(document.request_id, document.expires_at).key)


async def note_unreadable(store: Store, request_id: str) -> None:
    """Write a row for a question that cannot be read, so that everyone who lists the index names it.

    Its deadline is not known: the row lies before all others, as it needs somebody's help.
    """
    await _written(store, keys.OpenRow.unreadable(request_id).key)


async def note_settled(records: Records, document: RequestDocument, outcome: OutcomeDocument) -> None:
    """Write the row of a question that has an outcome, and delete that of the open one.

    Trouble with the storage is left to the next scan. Where `Records.later` is set, it is done later.
    """
    settled = SettledRow.of(document.request_id, outcome.answered_at, document.expires_at).key
    opened = OpenRow(document.request_id, document.expires_at).key
    if records.later is not None:
        records.later(settled, opened)
    else:
        await write_settled(records.store, [(settled, opened)])


async def write_settled(store: Store, rows: Sequence[tuple[str, str]]) -> None:
    """Write rows of settled questions, then delete those of the open ones.

    Args:
        store: The root.
        rows: For each question the key to write and the key to delete.
    """
    try:
        await store.mark_many([settled for settled, _ in rows])
        await store.delete_many([opened for _, opened in rows])
    except HITLError as error:
        # Without the right to delete, or if a write failed, the next scan does the rest.
        _log.debug("rows of settled questions are left: %s", error)


async def is_complete(store: Store) -> bool:
    """Tell whether a full scan of the root wrote the rows that were missing, so that listing rows is enough.

    Raises:
        StorageUnavailable: when the storage did not answer in time.
    """
    # By the listing, as something else may have its name, such as a folder on local files.
    return await completed_at(store) is not None


async def completed_at(store: Store) -> datetime | None:
    """Return when the last full scan of the root ended, by the storage's own clock.

    Raises:
        StorageUnavailable: when the storage did not answer in time.
    """
    listed = store.list_keys(keys.INDEX_COMPLETE.rpartition("/")[0])
    return max([at async for key, at in listed if key == keys.INDEX_COMPLETE], default=None)


async def open_rows(store: Store) -> AsyncIterator[tuple[OpenRow, datetime]]:
    """Yield the rows of open questions, and when each was written.

    Raises:
        StorageUnavailable: when the storage did not answer in time.
    """
    async for key, written_at in store.list_keys(keys.OPEN):
        row = OpenRow.of_key(key)
        if row is not None:
            yield row, written_at


async def settled_days(store: Store) -> list[date]:
    """Return the days on which questions were settled, the first one first.

    Raises:
        StorageUnavailable: when the storage did not answer in time.
    """
    found = (keys.day_of(name) for name in await store.list_folders(keys.SETTLED))
    return sorted(day for day in found if day is not None)


class Later:
    """Writes rows of settled questions a moment later, many at once: respondents do not wait for them.

    Args:
        store: The root.
        seconds: How long rows are collected.
    """

    def __init__(self, store: Store, seconds: float = 0.25) -> None:
        self._store = store
        self._seconds = seconds
        self._rows: list[tuple[str, str]] = []
        self._writing: asyncio.Task[None] | None = None

    def add(self, settled: str, opened: str) -> None:
        """Take the keys of the row to write and of the one to delete."""
        self._rows.append((settled, opened))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())

    async def close(self, seconds: float = 2.0) -> None:
        """Write what is left, for at most so many seconds."""
        if self._writing is not None:
            self._seconds = 0
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._writing

    async def _write(self) -> None:
        while self._rows:
            await asyncio.sleep(self._seconds)
            rows, self._rows = self._rows, []
            await write_settled(self._store, rows)


async def _written(store: Store, key: str) -> bool:
    try:
        await store.mark(key)
    except HITLError as error:
        _log.debug("no row in the index: %s", error)
        return False
    return True
