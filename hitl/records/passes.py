"""One pass of the retention over a root: it looks up and deletes the questions that are due by the index."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Final, TypeAlias, assert_never

from hitl.core import keys, votekeys
from hitl.core.lifecycle import KEPT_AT_LEAST
from hitl.errors import DocumentDamaged, StorageUnsuitable
from hitl.records.deletion import Claim
from hitl.records.due import TOO_LATELY, Left, Row, is_due, logged, surely_kept, verdict
from hitl.records.index import settled_days
from hitl.records.listing import Listed, look_up, settled_rows
from hitl.records.scan import mark_orphan, markers_of
from hitl.storage import Store, all_of

# The most keys that some storages delete by one request.
_AT_ONCE: Final = 1_000
_LOOKED_UP: Final = 2_000
_MOST_ENDING: Final = 200_000

Question: TypeAlias = tuple[Listed, list[Row]]
"""The listed objects of a question, and its rows."""


class Pass:
    """One pass.

    Args:
        store: The root.
        held: The claim to delete there; None: delete nothing.
        now: The present moment, with a time zone.
        retention: How long a question is kept after its outcome; less than a day counts as a day.
        quiet: Whether nobody deleted a question for 15 minutes; None: nobody ever did.
        deleted: Told of each question that was deleted, or would be.
        looked: Told how many questions were looked up.
        left: Told of each question that is kept longer than `retention`, and why; else the log shows trouble.
    """

    def __init__(
        self,
        store: Store,
        held: Claim | None,
        *,
        now: datetime,
        retention: timedelta,
        quiet: bool | None,
        deleted: Callable[[str], None],
        looked: Callable[[int], None] = lambda _: None,
        left: Left | None = None,
    ) -> None:
        self._store = store
        self._held = held
        self._now = now
        self._retention = retention
        self._quiet = quiet
        self._deleted = deleted
        self._looked = looked
        self._left = left
        self._going = _Batch(lambda listed: len(self._first_step(listed)), self._delete)
        self._ending: list[Question] = []
        self._stale: list[str] = []
        self._markers: set[str] = set()
        self.deleted_any = False

    async def run(self) -> None:
        """Look at all that may be due.

        Raises:
            StorageUnavailable: when the storage did not answer in time, or another process took over.
        """
        window: dict[str, list[Row]] = {}
        for prefix in (keys.NEW, keys.ANSWERED, votekeys.HANDED):
            self._markers.update([key async for key, _ in self._store.list_keys(prefix)])
        async for rows in _by_question(settled_rows(self._store, await self._days())):
            request_id = rows[0][0].request_id
            if all(surely_kept(row, at, now=self._now, retention=self._retention) for row, at in rows):
                self._tell_kept(request_id, min(at for _, at in rows))
                continue
            if len(window) == _LOOKED_UP:
                await self._look_up(window)
                window = {}
            window[request_id] = rows
        await self._look_up(window)
        await self._going.flush()
        await self._finish(self._ending)
        await self._drop_rows()

    async def _days(self) -> list[date]:
        shortest = self._retention if self._left is not None else max(self._retention, KEPT_AT_LEAST)
        try:
            last = (self._now - shortest).astimezone(UTC).date()
        except OverflowError:
            return []
        return [day for day in await settled_days(self._store) if day <= last]

    async def _look_up(self, window: dict[str, list[Row]]) -> None:
        if not window:
            return
        # The process of an older release finishes the deletions that it began.
        theirs = {each.request_id for each in await self._store.list_markers(keys.DELETED)}
        unsure: list[Listed] = []
        async for listed in look_up(self._store, list(window)):
            rows = window[listed.request_id]
            found = verdict(listed, rows, now=self._now, retention=self._retention, quiet=self._quiet)
            match found:
                case "drop row":
                    self._stale += [row.key for row, _ in rows]
                case "delete":
                    await self._going.add(listed, rows)
                case "finish":
                    # If this pass would need too much memory, the next pass does the rest.
                    if listed.request_id not in theirs and len(self._ending) < _MOST_ENDING:
                        self._ending.append((listed, rows))
                case "orphan":
                    await self._orphan(listed)
                case "read":
                    unsure.append(listed)
                case "keep":
                    if listed.settled_at is not None and listed.asked_at is not None:
                        self._tell_kept(listed.request_id, listed.settled_at)
                case _:
                    assert_never(found)
        await self._read(unsure, window)
        self._looked(len(window))
        if len(self._stale) >= _AT_ONCE:
            await self._drop_rows()

    async def _read(self, unsure: Sequence[Listed], window: dict[str, list[Row]]) -> None:
        read = await all_of([partial(self._is_due, each) for each in unsure])
        for listed, (due, right) in zip(unsure, read, strict=True):
            rows = window[listed.request_id]
            if due:
                await self._going.add(listed, rows)
            elif right is not None:
                wrong = [row.key for row, _ in rows if row.key != right.key]
                if len(wrong) == len(rows) and self._held is not None:
                    await self._store.mark(right.key)
                self._stale += wrong

    async def _is_due(self, listed: Listed) -> tuple[bool, keys.SettledRow | None]:
        return await is_due(self._store, listed.request_id, self._now, self._retention, self._left)

    async def _orphan(self, listed: Listed) -> None:
        if self._held is None or await mark_orphan(self._store, listed):
            self._deleted(listed.request_id)

    def _first_step(self, listed: Listed) -> list[str]:
        # Few questions still have markers. To delete markers that are not there would double the cost.
        return [*self._markers.intersection(markers_of(listed.request_id)), *listed.first_step()]

    async def _delete(self, batch: list[Question]) -> None:
        """Do the first step: delete all but the outcome."""
        self.deleted_any = True
        for listed in await self._gone([(listed, self._first_step(listed)) for listed, _ in batch]):
            self._deleted(listed.request_id)

    async def _finish(self, ending: list[Question]) -> None:
        """Do the second step: write the lists of ids, delete the outcomes, and then the rows."""
        if self._held is None or not ending:
            return
        lists: dict[str, list[Question]] = {}
        for listed, rows in ending:
            lists.setdefault(keys.gone_key(listed.request_id), []).append((listed, rows))
        # A list that exists belongs to another pass. Once that list is gone, a later pass deletes these.
        taken = {key async for key, _ in self._store.list_keys(keys.DELETED)}
        new = [each for each in lists if each not in taken]
        await self._held.hold()
        created = await all_of([partial(self._store.create_once, each, _list_of(lists[each])) for each in new])
        batch = _Batch(lambda listed: len(listed.objects), self._end)
        for each, is_new in zip(new, created, strict=True):
            for listed, rows in lists[each] if is_new else ():
                await batch.add(listed, rows)
        await batch.flush()

    async def _end(self, batch: list[Question]) -> None:
        rows = {listed.request_id: [row.key for row, _ in rows] for listed, rows in batch}
        for listed in await self._gone([(listed, listed.all_keys()) for listed, _ in batch]):
            self._stale += rows[listed.request_id]
        if len(self._stale) >= _AT_ONCE:
            await self._drop_rows()

    async def _gone(self, batch: Sequence[tuple[Listed, list[str]]]) -> list[Listed]:
        if self._held is None:
            return [listed for listed, _ in batch]
        await self._held.hold()
        try:
            await self._store.delete_many([key for _, its_keys in batch for key in its_keys])
        except (DocumentDamaged, StorageUnsuitable):
            # One question that cannot be deleted must not stop the others.
            return [listed for listed, its_keys in batch if await self._is_gone(listed, its_keys)]
        return [listed for listed, _ in batch]

    async def _is_gone(self, listed: Listed, its_keys: Sequence[str]) -> bool:
        assert self._held is not None
        await self._held.hold()
        try:
            await self._store.delete_many(its_keys)
        except (DocumentDamaged, StorageUnsuitable) as error:
            (self._left or logged)(listed.request_id, str(error))
            return False
        return True

    async def _drop_rows(self) -> None:
        stale, self._stale = self._stale, []
        if self._held is None:
            return
        try:
            await self._store.delete_many(stale)
        except (DocumentDamaged, StorageUnsuitable) as error:
            (self._left or logged)("the index", str(error))

    def _tell_kept(self, request_id: str, settled_at: datetime) -> None:
        if self._left is not None and self._now - settled_at >= self._retention:
            self._left(request_id, TOO_LATELY)


class _Batch:
    """Collects questions until they have as many objects as one request deletes.

    Args:
        size_of: How many objects of a question are deleted.
        full: Deletes them.
    """

    def __init__(
        self, size_of: Callable[[Listed], int], full: Callable[[list[Question]], Awaitable[None]]
    ) -> None:
        self._size_of = size_of
        self._full = full
        self._questions: list[Question] = []
        self._size = 0

    async def add(self, listed: Listed, rows: list[Row]) -> None:
        """Take one more question."""
        size = self._size_of(listed)
        if self._size + size > _AT_ONCE:
            await self.flush()
        self._questions.append((listed, rows))
        self._size += size

    async def flush(self) -> None:
        """Delete what was collected."""
        questions, self._questions, self._size = self._questions, [], 0
        if questions:
            await self._full(questions)


async def _by_question(rows: AsyncIterator[Row]) -> AsyncIterator[list[Row]]:
    """Yield the rows of each question together. They come one after another."""
    together: list[Row] = []
    async for row in rows:
        if together and row[0].request_id != together[0][0].request_id:
            yield together
            together = []
        together.append(row)
    if together:
        yield together


def _list_of(questions: Sequence[Question]) -> bytes:
    return "".join(f"{listed.request_id}\n" for listed, _ in questions).encode()
