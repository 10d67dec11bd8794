"""The retention: how many objects a request to the storage deletes, and how fast that is on S3."""

from __future__ import annotations

import asyncio
import shutil
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hitl.core import keys
from hitl.core.keys import SettledRow
from hitl.records.retention import STALE, drop_stale, run_pass
from hitl.storage import Store
from tests.backends.seaweed import BUCKET, Seaweed
from tests.bench.budgets import Row
from tests.library.counting import Counting
from tests.library.samples import NOW

DUE = 10_000
# A large root is passed over six times in its retention, see `hitl_operator.upkeep.pause_after`.
PASSES = 6
EACH_PASS = 5_000
OBJECTS = 4
_AT_ONCE = 64
_MONTH = timedelta(days=30)
_LATER = _MONTH + timedelta(days=3)


def measure(build: Path) -> list[Row]:
    """Measure and return the rows of the retention's budget table."""
    home = build / "bench-retention"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    sparse = asyncio.run(_among_many())
    s3 = Seaweed(home)
    try:
        s3.start()
        dense, seconds = asyncio.run(_on_s3(s3.options))
    finally:
        s3.kill()
    return [
        Row(f"objects deleted for each request, {DUE:,} questions due, S3", dense, 1, least=100),
        Row(f"the same in the steady state, a {PASSES}th of what is kept due, counted", sparse, 1, least=100),
        Row("questions deleted on S3, 1/s", DUE / seconds, 1),
    ]


class _Counted(Store):
    """A bucket at another time: what was written just now was written a month ago."""

    def __init__(self, url: str, options: Mapping[str, Any]) -> None:
        super().__init__(url, options, watcher=self._count)
        self.requests = 0

    def _count(self, _operation: str, _result: str) -> None:
        self.requests += 1

    async def require_clock(self, now: datetime) -> float:
        return 0.0


async def _on_s3(options: Mapping[str, Any]) -> tuple[float, float]:
    """Return how many objects a request deleted, and how many seconds all of it took."""
    store, now = _Counted(f"s3://{BUCKET}/bench", options), datetime.now(UTC)
    limit = asyncio.Semaphore(_AT_ONCE)

    async def settled(number: int) -> None:
        async with limit:
            await _settled(store, f"q-{uuid.uuid4().hex}-{number}", now)

    await asyncio.gather(*(settled(number) for number in range(DUE)))
    store.requests, began = 0, time.perf_counter()
    for step in range(3):
        at = now + _LATER + step * STALE
        await run_pass(store, now=at, retention=_MONTH)
        await drop_stale(store, now=at)
    seconds, requests = time.perf_counter() - began, store.requests
    left = [key async for key, _ in store.list_keys(keys.PREFIX) if "/q-" in key]
    if left:
        raise RuntimeError(f"{len(left)} objects were not deleted, such as {left[0]}")
    return DUE * OBJECTS / requests, seconds


async def _among_many() -> float:
    """Return how many objects a request deletes in the steady state of a large root.

    Of what is kept a sixth comes due between two passes. Each pass does the first step for these, and the second
    for those of the pass before.
    """
    store = Counting(f"memory://{uuid.uuid4().hex}", page=1_000)
    pause, requests = _MONTH / PASSES, 0
    for number in range(PASSES + 4):
        store.time = NOW + number * pause
        for each in range(EACH_PASS):
            await _settled(store, f"q-{each:05}-{number}", store.time)
        # The first passes have nothing to finish yet.
        store.deleted = 0
        requests = await store.cost(run_pass(store, now=store.time, retention=_MONTH))
        requests += await store.cost(drop_stale(store, now=store.time))
    return store.deleted / requests


async def _settled(store: Store, request_id: str, at: datetime) -> None:
    """Write what a settled question leaves. What is in it is not read."""
    await store.create_once(keys.request_key(request_id), b"?")
    await store.create_once(keys.link_key(request_id, "0" * 64), b"?")
    await store.create_once(keys.response_key(request_id), b"?")
    await store.mark(SettledRow.of(request_id, at, at).key)
