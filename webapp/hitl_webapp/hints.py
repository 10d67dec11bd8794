"""Hints to the operator, so that it shows an outcome at once. Its sweep finds the outcome without them."""

from __future__ import annotations

import asyncio

from hitl.records.hints import HINT_SECONDS, send_hint


class Hints:
    """Sends hints while nobody waits for them.

    Args:
        url: The operator's address; empty: nobody is told.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._under_way: set[asyncio.Task[None]] = set()

    def send(self, request_id: str) -> None:
        """Tell the operator that a question has an outcome."""
        if not self._url:
            return
        task = asyncio.create_task(send_hint(self._url, request_id))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def close(self) -> None:
        """Wait for the hints that are under way."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=HINT_SECONDS)
