"""What the inbox is made of: some questions of a root, read within bounds that are stated here.

Listing tells which questions have an outcome and when each was asked, so only those that may be shown are read:
first the ones that wait, asked last first, then the ones settled last. Nothing is ever written.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from hitl.core import keys
from hitl.core.documents import OutcomeDocument, RequestDocument, sha256_hex
from hitl.errors import DocumentDamaged, StorageError, StorageUnavailable
from hitl.records.requests import StoredRequest, read_outcome_of
from hitl.storage import Store

MOST_READ: Final = 2_000
MOST_COUNTED: Final = 200_000
MOST_BYTES: Final = 32 * 1024 * 1024
LIST_SECONDS: Final = 6.0
READ_SECONDS: Final = 6.0
# Enough for the line that the inbox shows, and little enough to be kept two thousand times.
_PROMPT_CHARS: Final = 1_000
_COMMENT_CHARS: Final = 200
_AT_ONCE: Final = 16
_REQUEST: Final = keys.request_key("none").rpartition("/")[2]
_OUTCOME: Final = keys.response_key("none").rpartition("/")[2]


@dataclass(frozen=True)
class Entry:
    """One question as the inbox shows it: without schema, choices and value, the prompt cut off.

    Args:
        request: The question.
        outcome: Its outcome, if it was found.
        sha256: The digest of the question's very bytes, to which an outcome must belong.
        listed: When its objects were written, as the storage listed them: the question's, the outcome's.
    """

    request: RequestDocument
    outcome: OutcomeDocument | None
    sha256: str = ""
    listed: tuple[datetime | None, datetime | None] = (None, None)


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


@dataclass
class _Listed:
    """The questions of a root by what their objects are called: when they were asked, and when settled."""

    asked: dict[str, datetime] = field(default_factory=dict)
    settled: dict[str, datetime] = field(default_factory=dict)
    # Folders of a question's name in which no question was listed: damaged, or deleted just now.
    unknown: list[str] = field(default_factory=list)
    whole: bool = True

    def add(self, key: str, changed: datetime) -> None:
        # A folder of an object's name counts as the object: whoever reads it finds out what is wrong.
        request_id, _, rest = key.removeprefix(f"{keys.PREFIX}/").partition("/")
        name = rest.partition("/")[0]
        if name in (_REQUEST, _OUTCOME) and keys.is_request_id(request_id):
            (self.asked if name == _REQUEST else self.settled)[request_id] = changed

    def to_read(self, most: int) -> list[str]:
        """Return the ids worth reading: waiting ones, asked last first; unknown ones; settled ones."""
        waiting = ((when, each) for each, when in self.asked.items() if each not in self.settled)
        found = [each for _, each in heapq.nlargest(most, waiting)]
        found += self.unknown[: most - len(found)]
        settled = ((when, each) for each, when in self.settled.items() if each in self.asked)
        return found + [each for _, each in heapq.nlargest(most - len(found), settled)]


async def survey(
    store: Store, before: Survey | None = None, *, clock: Callable[[], float] = time.monotonic
) -> Survey:
    """Read what the inbox needs of a root.

    Local files are listed and read without giving way to others: call this where nobody else waits.

    Args:
        store: The root's store.
        before: What was found last time: what cannot have changed since is not read again.
        clock: Seconds that only ever grow.

    Raises:
        StorageUnavailable: the storage did not answer in time.
        StorageUnsuitable: it refuses to list.
    """
    listed = await _list(store)
    reading = _Reading(store, listed, before or Survey(), clock, clock() + READ_SECONDS)
    queue = iter(listed.to_read(MOST_READ))
    await asyncio.gather(*(reading.work(queue) for _ in range(_AT_ONCE)))
    return Survey(
        entries=reading.entries,
        unreadable=tuple(sorted(reading.unreadable)),
        looked_at=reading.looked_at,
        there=len(listed.asked) + len(listed.unknown) - reading.gone,
        counted=listed.whole,
    )


async def _list(store: Store) -> _Listed:
    listed = _Listed()
    try:
        # Only waiting is cut short: what a storage of this machine listed in one go is there already.
        async with asyncio.timeout(LIST_SECONDS):
            async for key, changed in store.list_keys(keys.PREFIX):
                listed.add(key, changed)
                if len(listed.asked) >= MOST_COUNTED:
                    listed.whole = False
                    return listed
    except TimeoutError as error:
        if not listed.asked:
            raise StorageUnavailable(f"{store.url} listed nothing within {LIST_SECONDS:g} s") from error
        listed.whole = False
        return listed
    except StorageError:
        # One folder that cannot be read may end the listing. The names below say whether it is more than that.
        pass
    listed.unknown = [each for each in await store.list_request_ids() if each not in listed.asked]
    return listed


class _Reading:
    """Reads questions until there are no more, or time or memory for them is used up."""

    def __init__(
        self, store: Store, listed: _Listed, before: Survey, clock: Callable[[], float], until: float
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
        pending = listed[0] is not None and listed[1] is None
        outcome = None if pending else await read_outcome_of(self._store, request)
        if outcome is not None:
            self._bytes += len(outcome.value_text() or "")
            comment = outcome.comment[:_COMMENT_CHARS]
            outcome = outcome.model_copy(update={"value": None, "comment": comment})
        return Entry(request.document, outcome, request.sha256, listed)

    async def _request(self, request_id: str) -> StoredRequest | None:
        # Whether the question is valid is for its own page to find: checking a schema takes long.
        key = keys.request_key(request_id)
        data = await self._store.read(key)
        if data is None:
            return None
        self._bytes += len(data)
        document = RequestDocument.from_bytes(data, key)
        if document.request_id != request_id:
            raise DocumentDamaged(key, f"it belongs to request {document.request_id!r}")
        prompt = document.prompt[:_PROMPT_CHARS]
        shown = document.model_copy(update={"prompt": prompt, "json_schema": None, "choices": [], "default": None})
        return StoredRequest(shown, sha256_hex(data))
