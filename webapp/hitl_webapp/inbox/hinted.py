"""Questions that hints name: each is read before anything is believed, and a flood of hints is bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from hitl.core import keys
from hitl.errors import HITLError

# Anybody may send hints. Beyond these, listing finds what is new with fewer requests.
_MOST: Final = 200
_A_SECOND: Final = 10.0
_AT_ONCE: Final = 16
# Storage that did not answer is asked again after each of these, before it is left to the next listing.
_PAUSES_SECONDS: Final = (1.0, 5.0, 15.0)


class Hinted:
    """The questions that are looked at, or wait for it.

    Args:
        look: Reads questions again.
        clock: Seconds that only ever grow.
    """

    def __init__(self, look: Callable[[Sequence[str]], Awaitable[None]], clock: Callable[[], float]) -> None:
        self._look = look
        self._clock = clock
        self._room, self._at = float(_MOST), clock()
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._waiting: set[str] = set()

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._waiting)

    def take(self, request_id: str) -> bool:
        """Tell whether a question is to be looked at. It is not if it waits for that already, or too many came."""
        now = self._clock()
        self._room, self._at = min(_MOST, self._room + (now - self._at) * _A_SECOND), now
        if self._room < 1 or request_id in self._waiting or not keys.is_request_id(request_id):
            return False
        self._room -= 1
        self._waiting.add(request_id)
        return True

    async def look(self, request_id: str) -> None:
        """Look at a question, when it is its turn; again, if it could not be read."""
        for pause in (*_PAUSES_SECONDS, None):
            async with self._turns:
                # From now on another hint may announce what this look does not see.
                self._waiting.discard(request_id)
                try:
                    await self._look([request_id])
                except HITLError:
                    if pause is None:
                        # Listing finds it without the hint.
                        return
                else:
                    return
            await asyncio.sleep(pause)
