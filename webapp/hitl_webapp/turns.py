"""How many files arrive at once, and how long each may take."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from starlette.requests import ClientDisconnect

from hitl_webapp.places import Places
from hitl_webapp.problems import BadInput, TooMany, TooSlow

# Slow senders of one question must not keep out those of all others.
_MOST_EACH: Final = 2


class Turns:
    """Bounds how many files arrive at once.

    Args:
        most: How many.
    """

    def __init__(self, most: int) -> None:
        self._places = Places(most, _MOST_EACH)

    @asynccontextmanager
    async def one(self, request_id: str, seconds: float) -> AsyncIterator[None]:
        """Let one file arrive while the block runs. Only for senders who were authorized.

        Args:
            request_id: The question, for which only two arrive at once.
            seconds: How long it may take.

        Raises:
            TooMany, TooSlow, BadInput: instead.
        """
        if not self._places.free_for(request_id):
            raise TooMany("Too many files arrive at the same time: nothing was recorded, try again.")
        with self._places.one(request_id):
            async with arriving(seconds):
                yield


@asynccontextmanager
async def arriving(seconds: float) -> AsyncIterator[None]:
    """Bound how long a sender takes for what the block reads.

    Args:
        seconds: How long it may take.

    Raises:
        TooSlow: it took longer.
        BadInput: the connection ended.
    """
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise TooSlow(f"The file did not arrive within {seconds:g} s: nothing was recorded.") from error
    except ClientDisconnect as error:
        raise BadInput("The connection ended before the whole file had arrived: nothing was recorded.") from error
