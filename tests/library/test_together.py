"""Several calls at once, within a limit."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from hitl.storage import all_of


async def test_results_come_in_the_order_of_the_calls() -> None:
    async def after(number: int) -> int:
        await asyncio.sleep(0.01 * (5 - number))
        return number

    assert await all_of([partial(after, number) for number in range(5)]) == [0, 1, 2, 3, 4]
    assert await all_of([]) == []


async def test_after_an_error_nothing_else_begins_and_nothing_goes_on() -> None:
    begun, ended = [], []

    async def call(number: int) -> None:
        begun.append(number)
        await asyncio.sleep(0)
        if number == 3:
            raise ValueError("the third")
        await asyncio.sleep(0.02)
        ended.append(number)

    with pytest.raises(ValueError, match="the third"):
        await all_of([partial(call, number) for number in range(100)])

    assert len(begun) < 50
    assert sorted([*ended, 3]) == sorted(begun)
