"""Several calls at once, within a limit."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, TypeVar

_AT_ONCE: Final = 16
_T = TypeVar("_T")


async def all_of(calls: Iterable[Callable[[], Awaitable[_T]]]) -> list[_T]:
    """Make calls, some at once, and return their results in order.

    After an error, no more calls are begun. Those under way come to an end before it is raised, so that nothing
    goes on in the background.
    """
    calls = list(calls)
    if len(calls) < 2:
        # Nothing is to be done side by side.
        return [await call() for call in calls]
    results: dict[int, _T] = {}
    errors: list[BaseException] = []
    left = iter(enumerate(calls))

    async def take_turns() -> None:
        for number, call in left:
            if errors:
                return
            try:
                results[number] = await call()
            except BaseException as error:
                errors.append(error)
                raise

    await asyncio.gather(*(take_turns() for _ in calls[:_AT_ONCE]), return_exceptions=True)
    if errors:
        raise errors[0]
    return [results[number] for number in range(len(calls))]
