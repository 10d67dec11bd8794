"""The thread on which long checks are made: at once what is short, and never a thread of another process."""

from __future__ import annotations

import asyncio
import multiprocessing
import threading
from collections.abc import Callable

import pytest

from hitl.core.schema.work import Work
from hitl.errors import InvalidValue
from hitl.records.aside import Thread, unhurried


def spending(units: int, found: Callable[[], str]) -> Callable[[Work | None], str]:
    def check(work: Work | None) -> str:
        if work is not None:
            work.left -= units
        return found()

    return check


async def test_what_is_short_is_done_at_once_and_what_is_long_on_a_thread() -> None:
    here = threading.current_thread().name

    assert await unhurried(spending(100, lambda: threading.current_thread().name)) == here
    assert (await unhurried(spending(10**6, lambda: threading.current_thread().name))).startswith("hitl-checks")


@pytest.mark.parametrize("units", [100, 10**6])
async def test_what_a_check_raises_is_raised(units: int) -> None:
    def refused() -> str:
        raise InvalidValue("no")

    with pytest.raises(InvalidValue, match="no"):
        await unhurried(spending(units, refused))


def _works(thread: Thread) -> None:
    assert asyncio.run(asyncio.wait_for(thread.run(lambda: 2), 20)) == 2


def test_a_forked_child_has_a_thread_of_its_own() -> None:
    thread = Thread("a-test")
    assert asyncio.run(thread.run(lambda: 1)) == 1

    child = multiprocessing.get_context("fork").Process(target=_works, args=(thread,))
    child.start()
    child.join(30)

    assert child.exitcode == 0
