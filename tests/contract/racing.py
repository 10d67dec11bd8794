"""Many processes, or threads, settle the same requests at once, and report what they were told."""

import asyncio
import multiprocessing
import threading
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol, cast

from hitl.core import keys
from hitl.core.documents import OutcomeDocument
from hitl.errors import AlreadySettled, StorageUnavailable
from hitl.records.requests import StoredRequest
from hitl.storage import Store
from tests.library.samples import NOW, answer, settle


class Barrier(Protocol):
    def wait(self, timeout: float | None = None) -> int: ...


@dataclass(frozen=True)
class Race:
    """What every racer is given.

    Args:
        url: The root.
        options: The store's options.
        requests: The requests to settle, one after another.
        at_once: How many of them a racer settles at once. All racers wait for one another before each such
            group. A storage that lets losers wait for seconds lets them wait together.
        act: What a racer does with a request; returns what it was told. None: it answers.
    """

    url: str
    options: dict[str, Any]
    requests: Sequence[StoredRequest]
    at_once: int = 1
    act: Callable[[Store, StoredRequest, str], Awaitable[str]] | None = None


@dataclass(frozen=True)
class Told:
    """What one racer was told about one request, such as who won, and whether it had to try to know."""

    request_id: str
    racer: str
    winner: str
    attempted: bool


class _Watched(Store):
    """A store that knows whether it was to create a request's outcome."""

    def __init__(self, url: str, options: dict[str, Any]) -> None:
        super().__init__(url, options)
        self.attempted: set[str] = set()

    async def create_once(self, key: str, data: bytes) -> bool:
        self.attempted.add(key)
        return await super().create_once(key, data)


async def submit(store: Store, request: StoredRequest, racer: str) -> str:
    """Answer a request, again while the storage is too slow to say what became of it, and return who won."""
    submission = answer(racer.rpartition("-")[2], by=racer)
    while True:
        try:
            # Without markers nobody looks before creating: all of them lose, or win, where it is decided.
            outcome = await settle(store, request, submission, now=NOW, markers=False)
        except AlreadySettled as lost:
            outcome = cast("OutcomeDocument", lost.outcome)
        except StorageUnavailable:
            continue
        return outcome.respondent.name


def race_processes(race: Race, count: int) -> list[Told]:
    """Let processes race, and return what each was told about each request."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "adlfs"])
    with context.Pool(count, _begin, (context.Barrier(count),)) as pool:
        runs = pool.starmap(_run, [(race, f"racer-{n}") for n in range(count)], chunksize=1)
    return [told for run in runs for told in run]


def race_threads(race: Race, count: int) -> list[Told]:
    """Let threads of this process race, each with an event loop of its own."""
    with ThreadPoolExecutor(count, initializer=_begin, initargs=(threading.Barrier(count),)) as pool:
        runs = [pool.submit(_run, race, f"racer-{n}") for n in range(count)]
        return [told for run in runs for told in run.result()]


_barrier: Barrier


def _begin(barrier: Barrier) -> None:
    global _barrier  # the only way to hand a barrier to a pool's processes is when they begin
    _barrier = barrier


def _run(race: Race, racer: str) -> list[Told]:
    return asyncio.run(_submit_all(race, racer))


async def _submit_all(race: Race, racer: str) -> list[Told]:
    store, act = _Watched(race.url, race.options), race.act or submit
    told: list[Told] = []
    for start in range(0, len(race.requests), race.at_once):
        # The loop has nothing else to do while everybody comes to the line.
        _barrier.wait(120)
        group = race.requests[start : start + race.at_once]
        winners = await asyncio.gather(*(act(store, request, racer) for request in group))
        told += [
            Told(request.request_id, racer, winner, keys.response_key(request.request_id) in store.attempted)
            for request, winner in zip(group, winners, strict=True)
        ]
    return told
