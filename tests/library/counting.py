"""Memory that lists a few objects a page, as buckets list a thousand, and counts what is asked of it."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Sequence
from datetime import datetime
from itertools import islice, takewhile
from typing import TypeVar

from hitl.records.requests import StoredRequest
from hitl.records.retention import scan_all
from tests.library.samples import NOW, Timed, answer, asked, settle

_T = TypeVar("_T")


class Counting(Timed):
    """Counts requests as a bucket does: one for each page of a listing, and for each page of keys deleted at once.

    Args:
        url: The root.
        page: How many objects there are on a page.
    """

    def __init__(self, url: str, page: int = 100) -> None:
        super().__init__(url)
        self.page = page
        self.asked: Counter[str] = Counter()
        self.deleted = 0
        self._there: set[str] = set()
        self._sorted: list[str] = []

    async def create_once(self, key: str, data: bytes) -> bool:
        self.asked["create"] += 1
        self._there.add(key)
        return await super().create_once(key, data)

    async def mark(self, key: str) -> None:
        self.asked["mark"] += 1
        self._there.add(key)
        await super().mark(key)

    async def read(self, key: str) -> bytes | None:
        self.asked["read"] += 1
        return await super().read(key)

    async def exists(self, key: str) -> bool:
        self.asked["exists"] += 1
        return await super().exists(key)

    async def delete(self, key: str) -> None:
        self.asked["delete"] += 1
        self.deleted += key in self._there
        self._there.discard(key)
        await super().delete(key)

    async def delete_many(self, several: Sequence[str]) -> int:
        self.asked["delete"] += -(-len(several) // self.page)
        self.deleted += len(self._there.intersection(several))
        self._there.difference_update(several)
        return await super().delete_many(several)

    async def list_page(self, prefix: str, after: str = "", most: int | None = None) -> list[tuple[str, datetime]]:
        self.asked["list"] += 1
        # Memory would list all that comes after a key, each time.
        if len(self._sorted) != len(self._there) or not self._there.issuperset(self._sorted):
            self._sorted = sorted(self._there)
        first = bisect_right(self._sorted, max(prefix, after))
        page = takewhile(
            lambda key: key.startswith(prefix),
            islice(self._sorted, first, first + min(self.page, most or self.page)),
        )
        return [(key, self._written[key]) for key in page]

    async def list_keys(self, prefix: str) -> AsyncIterator[tuple[str, datetime]]:
        number = 0
        async for each in super().list_keys(prefix):
            self.asked["list"] += number % self.page == 0
            number += 1
            yield each
        self.asked["list"] += number == 0

    async def list_folders(self, prefix: str) -> list[str]:
        found = await super().list_folders(prefix)
        self.asked["list"] += max(1, -(-len(found) // self.page))
        return found

    async def cost(self, work: Awaitable[_T]) -> int:
        """Return how many requests something takes."""
        self.asked.clear()
        await work
        return self.asked.total()


async def filled(store: Counting, *, settled: int, pending: int) -> list[StoredRequest]:
    """Ask questions and answer some of them, and complete the index; return those that wait."""
    waiting = []
    for number in range(settled + pending):
        request = await asked(store, f"q-{number:06}", timeout_seconds=86_400)
        if number < settled:
            await settle(store, request, answer("7"), now=NOW, markers=False)
        else:
            waiting.append(request)
    await scan_all(store, now=store.time)
    return waiting
