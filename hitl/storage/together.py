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
    limit = asyncio.Semaphore(_AT_ONCE)
    errors: list[BaseException] = []

    async def one(call: Callable[[], Awaitable[_T]]) -> list[_T]:
        async with limit:
            if errors:
                return []
            try:
                return [await call()]
            except BaseException as error:
                errors.append(error)
                raise

    results = await asyncio.gather(*map(one, calls), return_exceptions=True)
    if errors:
        raise errors[0]
    return [each for result in results if not isinstance(result, BaseException) for each in result]
