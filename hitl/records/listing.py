"""The objects under a root, question by question, as the storage lists them: a thousand objects a request."""

from __future__ import annotations

import heapq
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final

from hitl.core import keys
from hitl.core.keys import SettledRow
from hitl.storage import Store

_FOLDER: Final = f"{keys.PREFIX}/"
_REQUEST: Final = keys.request_key("x").rpartition("/")[2]
_OUTCOME: Final = keys.response_key("x").rpartition("/")[2]
_AUDIT: Final = f"{keys.AUDIT}/"
_AFTER_AUDIT: Final = f"{keys.AUDIT}{chr(ord('/') + 1)}"
# It sorts before the name of every object in a folder.
_BEFORE_ALL: Final = "!"


@dataclass
class Listed:
    """The objects of one question, and when each was written, by the storage's own clock.

    Args:
        request_id: The question.
        objects: By their names under the question's folder, such as ``request.json`` and ``links/….json``.
    """

    request_id: str
    objects: dict[str, datetime] = field(default_factory=dict)

    @property
    def asked_at(self) -> datetime | None:
        """When the question was written, if it is there."""
        return self.objects.get(_REQUEST)

    @property
    def settled_at(self) -> datetime | None:
        """When the outcome was written, if there is one."""
        return self.objects.get(_OUTCOME)

    def add(self, name: str, written_at: datetime) -> None:
        """Take an object as it was listed, unless it has no name: some tools write one for a folder itself."""
        if name:
            self.objects[name] = written_at

    def all_keys(self) -> list[str]:
        """Return the keys of all its objects."""
        return [f"{_FOLDER}{self.request_id}/{name}" for name in self.objects]

    def first_step(self) -> list[str]:
        """Return the keys that go in the first step of its deletion: all but the outcome."""
        return [key for key in self.all_keys() if not key.endswith(f"/{self.request_id}/{_OUTCOME}")]


class Walk:
    """Goes through all questions of a root, in the order in which the storage lists them.

    Args:
        store: The root.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._after = ""
        self._held: Listed | None = None

    async def step(self) -> list[Listed] | None:
        """Return the questions of the next page, its last one with the page after it; None: there are no more.

        Raises:
            StorageUnavailable: when the storage did not answer in time; the listing continues there the next time.
        """
        page = await self._store.list_page(_FOLDER, self._after)
        done: list[Listed] = []
        for key, written_at in page:
            request_id, _, name = key.removeprefix(_FOLDER).partition("/")
            if self._held is None or self._held.request_id != request_id:
                done += self._given_up()
                self._held = Listed(request_id)
            self._held.add(name, written_at)
        if page:
            self._after = page[-1][0]
            if self._after.startswith(_AUDIT):
                # It is kept for ever, and may hold more objects than all questions.
                self._after = _AFTER_AUDIT
            return done
        return self._given_up() or None

    def _given_up(self) -> list[Listed]:
        held, self._held = self._held, None
        return [held] if held is not None and keys.is_request_id(held.request_id) else []


async def look_up(store: Store, request_ids: Sequence[str]) -> AsyncIterator[Listed]:
    """Yield the objects of each of some questions, also of those that have none.

    It lists from one question to the next. So many questions cost one request for each thousand objects, and few
    questions cost one request each.

    Args:
        store: The root.
        request_ids: In the order of `sort_key`.

    Raises:
        StorageUnavailable: when the storage did not answer in time.
    """
    found: dict[str, Listed] = {}
    known_below = ""
    for request_id in request_ids:
        if request_id not in found and sort_key(request_id) >= known_below:
            found = {}
            after = f"{_FOLDER}{request_id}/{_BEFORE_ALL}"
            last = request_id
            # A page may end in the middle of a question.
            while last == request_id:
                page = await store.list_page(_FOLDER, after)
                if not page:
                    last = ""
                    break
                for key, written_at in page:
                    last, _, name = key.removeprefix(_FOLDER).partition("/")
                    found.setdefault(last, Listed(last)).add(name, written_at)
                after = page[-1][0]
            if last:
                del found[last]
            known_below = sort_key(last) if last else "~"
        yield found.get(request_id) or Listed(request_id)


def sort_key(request_id: str) -> str:
    """Return by what the storage sorts the objects of a question."""
    return f"{request_id}/"


async def settled_rows(store: Store, days: Sequence[date]) -> AsyncIterator[tuple[SettledRow, datetime]]:
    """Yield the rows of the questions that were settled on some days, and when each was written.

    They come in the order of `sort_key`, whatever their days.

    Raises:
        StorageUnavailable: when the storage did not answer in time.
    """
    heap: list[tuple[str, int, SettledRow, datetime]] = []
    streams = [_rows_of(store, day) for day in days]

    async def take(number: int) -> None:
        async for row, written_at in streams[number]:
            heapq.heappush(heap, (sort_key(row.request_id), number, row, written_at))
            return

    for number in range(len(streams)):
        await take(number)
    while heap:
        _, number, row, written_at = heapq.heappop(heap)
        yield row, written_at
        await take(number)


async def _rows_of(store: Store, day: date) -> AsyncIterator[tuple[SettledRow, datetime]]:
    # A storage may list in another order than ours, so each page is sorted.
    after, prefix = "", f"{keys.settled_prefix(day)}/"
    while page := await store.list_page(prefix, after):
        rows = [(row, at) for key, at in page if (row := SettledRow.of_key(key)) is not None]
        for each in sorted(rows, key=lambda found: sort_key(found[0].request_id)):
            yield each
        after = page[-1][0]
