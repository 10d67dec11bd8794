"""The workers of a queue: one namespace, where everything hangs, holds up no other."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from hitl.cluster.replies import KindNotServed
from hitl.errors import ClusterError, ClusterNotFound, ClusterUnavailable
from hitl_operator.work_items import MirrorRequest, ReconcileHumanInput, WorkItem
from hitl_operator.workers import Workers, reason_of
from hitl_operator.workqueue import WorkQueue
from tests.backends.processes import PATIENCE


async def _leading() -> None:
    """Lead."""


@asynccontextmanager
async def _working(
    queue: WorkQueue[WorkItem], do: Callable[[WorkItem], Awaitable[None]], at_once: int
) -> AsyncIterator[None]:
    running = asyncio.create_task(Workers(queue, do, at_once).run(_leading))
    yield
    running.cancel()


def _hanging(number: int) -> list[WorkItem]:
    return [ReconcileHumanInput("hangs", str(each)) for each in range(number)]


@pytest.mark.parametrize(("at_once", "of_one"), [(32, 28), (4, 3), (2, 1)])
async def test_one_namespace_leaves_workers_to_all_others(at_once: int, of_one: int) -> None:
    queue: WorkQueue[WorkItem] = WorkQueue()
    others: list[WorkItem] = [
        MirrorRequest("root", "id"),
        ReconcileHumanInput("other", "a"),
        ReconcileHumanInput("third", "b"),
    ]
    began: list[WorkItem] = []
    released, all_others = asyncio.Event(), asyncio.Event()

    async def do(work: WorkItem) -> None:
        began.append(work)
        if isinstance(work, ReconcileHumanInput) and work.namespace == "hangs":
            await released.wait()
        if set(others) <= set(began):
            all_others.set()

    for each in [*_hanging(100), *others]:
        queue.add(each)
    async with _working(queue, do, at_once):
        await asyncio.wait_for(all_others.wait(), PATIENCE)
        assert len(began) == of_one + len(others)
        assert len(queue) == 100 - of_one, "what is held still waits"
        released.set()
        async with asyncio.timeout(PATIENCE):
            while any(queue.busy(each) for each in _hanging(100)):
                await asyncio.sleep(0.001)
    assert Counter(began) == Counter([*_hanging(100), *others]), "each once"


async def test_what_is_held_is_looked_at_after_failures_and_once_when_it_changes_meanwhile() -> None:
    queue: WorkQueue[WorkItem] = WorkQueue()
    began: list[WorkItem] = []
    released = asyncio.Event()

    async def do(work: WorkItem) -> None:
        began.append(work)
        if not released.is_set():
            await released.wait()
            raise ClusterUnavailable("a webhook hangs")

    first, held = _hanging(2)
    for each in (first, held):
        queue.add(each)
    async with _working(queue, do, at_once=2):
        async with asyncio.timeout(PATIENCE):
            while not began:
                await asyncio.sleep(0.001)
            queue.add(held)
            released.set()
            while queue.busy(first) or queue.busy(held):
                await asyncio.sleep(0.001)
    assert began == [first, held, first]


@pytest.mark.parametrize("error", [ClusterNotFound("no such namespace"), KindNotServed("no definition")])
def test_what_is_not_there_is_counted_as_such(error: ClusterError) -> None:
    assert reason_of(error) == "not_found"
