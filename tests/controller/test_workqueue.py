"""The work queue: nothing twice side by side, nothing missed, failures later and later."""

import asyncio

from hitl_operator.workqueue import WorkQueue


async def _taken(queue: WorkQueue[str]) -> list[str]:
    """Take whatever waits, and say that it was looked at."""
    found = []
    while len(queue):
        key = await queue.get()
        queue.done(key)
        found.append(key)
    return found


async def test_a_key_that_is_added_twice_is_looked_at_once() -> None:
    queue: WorkQueue[str] = WorkQueue()
    for key in ("a", "b", "a"):
        queue.add(key)
    assert await _taken(queue) == ["a", "b"]


async def test_a_key_that_changes_while_it_is_looked_at_is_looked_at_again_afterwards() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    assert await queue.get() == "a"
    queue.add("a")
    assert len(queue) == 0, "nobody may look at it side by side"
    queue.done("a")
    assert await _taken(queue) == ["a"]


async def test_get_waits_for_a_key() -> None:
    queue: WorkQueue[str] = WorkQueue()
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add("a")
    assert await asyncio.wait_for(waiting, 5) == "a"


async def test_the_earliest_of_several_moments_counts() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add_after("a", 60)
    queue.add_after("a", 0.01)
    queue.add_after("a", 60)
    assert await asyncio.wait_for(queue.get(), 5) == "a"


async def test_failures_wait_longer_and_longer_and_are_forgotten() -> None:
    queue: WorkQueue[str] = WorkQueue()
    pauses = [queue.retry("a") for _ in range(12)]
    assert pauses[0] <= 0.2
    assert all(30 <= pause <= 60 for pause in pauses[-2:])
    assert (queue.failing, queue.busy("a")) == (1, True)
    queue.forget("a")
    assert queue.failing == 0
    assert queue.retry("a") <= 0.2


async def test_what_failed_together_does_not_come_back_together() -> None:
    queue: WorkQueue[int] = WorkQueue()
    assert len({round(queue.retry(key), 6) for key in range(50)}) > 40


async def test_a_key_that_is_cancelled_is_looked_at_no_more() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    queue.add_after("b", 0.01)
    for key in ("a", "b"):
        queue.cancel(key)
    await asyncio.sleep(0.05)
    assert len(queue) == 0


async def test_keys_that_anybody_may_name_are_bounded_until_they_are_done() -> None:
    queue: WorkQueue[str] = WorkQueue()
    assert [queue.hint(each, 2) for each in ("a", "b", "c")] == [True, True, False]
    # It waits anyway.
    queue.add("work")
    assert queue.hint("work", 2)
    assert len(queue) == 3

    first, failed = await queue.get(), await queue.get()
    assert not queue.hint("c", 2)
    # While it is looked at, so it is looked at again: that is the same one.
    assert queue.hint(first, 2)
    queue.done(first)
    queue.retry(failed)
    queue.done(failed)
    assert not queue.hint("c", 2)
    queue.forget(failed)
    queue.cancel(failed)
    assert queue.hint("c", 2)
    assert [await queue.get() for _ in range(3)] == ["work", first, "c"]
    queue.done(first)
    assert queue.hint("d", 2)


async def test_what_does_not_pass_is_tried_ten_minutes_apart_at_last() -> None:
    queue: WorkQueue[str] = WorkQueue()
    pauses = [queue.retry("a", "forbidden", passes=False) for _ in range(16)]
    assert pauses[0] <= 0.2
    assert all(300 <= pause <= 600 for pause in pauses[-2:])
    assert queue.failures("a") == 16


async def test_failures_are_counted_by_their_last_reason_and_from_none_after_a_change() -> None:
    queue: WorkQueue[str] = WorkQueue()
    for key, reason in (("a", "forbidden"), ("b", "forbidden"), ("a", "unavailable")):
        queue.retry(key, reason)
    assert queue.reasons == {"forbidden": 1, "unavailable": 1}
    queue.forget("a")
    assert (queue.failures("a"), queue.failures("b")) == (0, 1)
    assert queue.retry("a") <= 0.2
