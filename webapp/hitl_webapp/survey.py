"""What the inbox is made of: some questions of a root, read within bounds that are stated here.

Listing tells which questions have an outcome and when each was asked, so only those that may be shown are read:
first the ones that wait, asked last first, then the ones settled last. Where a full scan completed the index of
the root, the index is listed, else everything is. A row of the index is a hint: what it says is read before it is
shown, and again from time to time while a question waits.

Where no operator serves the root, the survey writes the rows that it finds missing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from hitl.core import keys
from hitl.core.documents import OutcomeDocument, RequestDocument, sha256_hex
from hitl.errors import DocumentDamaged, StorageError, StorageUnavailable
from hitl.records.index import completed_at, note_open, note_settled, note_unreadable
from hitl.records.records import Records, utc_now
from hitl.records.requests import StoredRequest, read_outcome_of
from hitl.storage import Store, all_of
from hitl_webapp.candidates import Candidates, list_everything, list_index

MOST_READ: Final = 2_000
MOST_COUNTED: Final = 200_000
MOST_BYTES: Final = 32 * 1024 * 1024
LIST_SECONDS: Final = 6.0
READ_SECONDS: Final = 6.0
# Enough for the line that the inbox shows, and little enough to be kept two thousand times.
_PROMPT_CHARS: Final = 1_000
_COMMENT_CHARS: Final = 200
_VALUE_CHARS: Final = 200
_AT_ONCE: Final = 16
# For so long a row is believed to be that of an open question, once question and outcome were looked for.
_BELIEVED_SECONDS: Final = 30.0
_LISTED_EVERY: Final = timedelta(days=1)


@dataclass(frozen=True)
class Entry:
    """One question as the inbox shows it: without schema, choices and value, the prompt cut off.

    Args:
        request: The question.
        outcome: Its outcome, if it was found.
        sha256: The digest of the question's very bytes, to which an outcome must belong.
        listed: When its objects were written, as the storage listed them: the question's, the outcome's.
        read_at: When it was last known that it has no other outcome, by the clock of the survey.
        value: The beginning of the outcome's value, as text.
    """

    request: RequestDocument
    outcome: OutcomeDocument | None
    sha256: str = ""
    listed: tuple[datetime | None, datetime | None] = (None, None)
    read_at: float = field(default=0.0, compare=False)
    value: str = ""


@dataclass(frozen=True)
class Survey:
    """What was found under a root.

    Args:
        entries: What could be read, by request id.
        unreadable: The ids of questions that cannot be read.
        looked_at: How many questions were read, or could not be.
        there: How many there are, as far as they were counted.
        counted: All of them were counted.
    """

    entries: Mapping[str, Entry] = field(default_factory=dict)
    unreadable: tuple[str, ...] = ()
    looked_at: int = 0
    there: int = 0
    counted: bool = True


async def survey(
    store: Store,
    before: Survey | None = None,
    *,
    clock: Callable[[], float] = time.monotonic,
    tends: bool = False,
    now: Callable[[], datetime] = utc_now,
) -> Survey:
    """Read what the inbox needs of a root.

    Local files are listed and read without giving way to others: call this where nobody else waits.

    Args:
        store: The root's store.
        before: What was found last time: what cannot have changed since is not read again.
        clock: Seconds that only ever grow.
        tends: Whether to write what is missing in the index, since no operator does.
        now: The present moment, with a time zone.

    Raises:
        StorageUnavailable: the storage did not answer in time.
        StorageUnsuitable: it refuses to list.
    """
    before = before or Survey()
    listed = await _list(store, before, tends, now)
    reading = _Reading(store, listed, before, clock, clock() + READ_SECONDS)
    queue = iter(listed.to_read(MOST_READ))
    await asyncio.gather(*(reading.work(queue) for _ in range(_AT_ONCE)))
    if tends:
        await tend(store, listed, reading.entries, set(reading.unreadable))
    return Survey(
        entries=reading.entries,
        unreadable=tuple(sorted(reading.unreadable)),
        looked_at=reading.looked_at,
        there=len(listed.asked) + len(listed.unknown) - reading.gone,
        counted=listed.whole,
    )


async def lists_everything(store: Store, tends: bool, now: Callable[[], datetime]) -> bool:
    """Tell whether a root is listed whole, as its index is not complete, or was not looked after for a day.

    Args:
        store: The root's store.
        tends: Whether no operator looks after the index.
        now: The present moment, with a time zone.

    Raises:
        StorageUnavailable: the storage did not answer in time.
    """
    completed = await completed_at(store)
    # Programs of an older release write no rows: where no operator finds that, everything is listed once a day.
    return completed is None or (tends and now() - completed >= _LISTED_EVERY)


async def _list(store: Store, before: Survey, tends: bool, now: Callable[[], datetime]) -> Candidates:
    if await lists_everything(store, tends, now):
        return await list_everything(store, MOST_COUNTED, LIST_SECONDS)
    listed = await list_index(store, MOST_COUNTED, LIST_SECONDS)
    for request_id, entry in before.entries.items():
        # Either it was settled long ago by the clock of its row, or its row was lost.
        if entry.outcome is None and request_id not in listed.asked and entry.listed[0] is not None:
            listed.asked[request_id] = entry.listed[0]
    return listed


class _Reading:
    """Reads questions until there are no more, or time or memory for them is used up."""

    def __init__(
        self, store: Store, listed: Candidates, before: Survey, clock: Callable[[], float], until: float
    ) -> None:
        self.entries: dict[str, Entry] = {}
        self.unreadable: list[str] = []
        self.looked_at = 0
        self.gone = 0
        self._store = store
        self._listed = listed
        self._before = before
        self._clock = clock
        self._until = until
        self._bytes = 0

    async def work(self, queue: Iterator[str]) -> None:
        for request_id in queue:
            if self._clock() > self._until or self._bytes > MOST_BYTES:
                return
            self.looked_at += 1
            try:
                entry = await self._entry(request_id)
            except StorageUnavailable:
                # Either nothing answers, which ends all of this, or this object alone does not.
                await self._store.exists(keys.request_key("none"))
                self.unreadable.append(request_id)
            except StorageError:
                self.unreadable.append(request_id)
            else:
                if entry is None:
                    self.looked_at -= 1
                    self.gone += 1
                else:
                    self.entries[request_id] = entry

    async def _entry(self, request_id: str) -> Entry | None:
        listed = (self._listed.asked.get(request_id), self._listed.settled.get(request_id))
        known = self._before.entries.get(request_id)
        if known is not None and known.outcome is not None and known.listed == listed:
            return known
        # After a deletion another question may have the same id.
        same = known is not None and listed[0] is not None and known.listed[0] == listed[0]
        request = StoredRequest(known.request, known.sha256) if known and same else await self._request(request_id)
        if request is None:
            return None
        waits = listed[0] is not None and listed[1] is None
        read_at = self._clock()
        if waits and self._listed.indexed:
            # The row may have outlived the question's outcome.
            waits = known is not None and same and read_at - known.read_at < _BELIEVED_SECONDS
            waits = waits and request_id in self._listed.open_rows
            read_at = known.read_at if waits and known is not None else read_at
        outcome = None if waits else await read_outcome_of(self._store, request)
        value = ""
        if outcome is not None:
            value = outcome.value_text() or ""
            self._bytes += len(value)
            comment = outcome.comment[:_COMMENT_CHARS]
            outcome = outcome.model_copy(update={"value": None, "comment": comment})
        return Entry(request.document, outcome, request.sha256, listed, read_at, value[:_VALUE_CHARS])

    async def _request(self, request_id: str) -> StoredRequest | None:
        found = await read_question(self._store, request_id)
        if found is None:
            return None
        document, data = found
        self._bytes += len(data)
        prompt = document.prompt[:_PROMPT_CHARS]
        shown = document.model_copy(update={"prompt": prompt, "json_schema": None, "choices": [], "default": None})
        return StoredRequest(shown, sha256_hex(data))


async def read_question(store: Store, request_id: str) -> tuple[RequestDocument, bytes] | None:
    """Return a question and its bytes; None: there is none of this id.

    Whether it is valid is for its own page to find: checking a schema takes long.

    Raises:
        DocumentDamaged: when it cannot be read.
        StorageUnavailable: when the storage did not answer in time.
    """
    key = keys.request_key(request_id)
    data = await store.read(key)
    if data is None:
        return None
    document = RequestDocument.from_bytes(data, key)
    if document.request_id != request_id:
        raise DocumentDamaged(key, f"it belongs to request {document.request_id!r}")
    return document, data


async def tend(store: Store, listed: Candidates, entries: Mapping[str, Entry], unreadable: set[str]) -> None:
    """Write the rows that are missing of what was read, and say so once none is missing.

    Args:
        store: The root's store.
        listed: What was listed.
        entries: What was read.
        unreadable: What cannot be read. It gets a row as well, so that it is named from then on.
    """
    records = Records(store)
    wrong = [each for request_id, each in entries.items() if not _has_its_rows(listed, request_id, each)]
    await all_of([partial(note_row, records, each.request, each.outcome) for each in wrong])
    await all_of([partial(note_unreadable, store, each) for each in unreadable - listed.open_rows])
    if not listed.indexed and listed.whole and not listed.asked.keys() - _noted(listed, entries) - unreadable:
        with suppress(StorageError):
            await store.mark(keys.INDEX_COMPLETE)


def _has_its_rows(listed: Candidates, request_id: str, entry: Entry) -> bool:
    is_open, is_settled = request_id in listed.open_rows, request_id in listed.settled_rows
    return is_open if entry.outcome is None else is_settled and not is_open


async def note_row(records: Records, request: RequestDocument, outcome: OutcomeDocument | None) -> None:
    """Write the row of a question that was read, with its outcome, if it has one."""
    if outcome is None:
        await note_open(records, request)
    else:
        await note_settled(records, request, outcome)


def _noted(listed: Candidates, entries: Mapping[str, Entry]) -> set[str]:
    waiting = {each for each in listed.open_rows if each not in listed.settled}
    return waiting | listed.settled_rows | entries.keys()
