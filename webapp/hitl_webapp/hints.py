"""Hints to the operator, so that it shows an outcome at once. Its sweep finds the outcome without them."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

_log = logging.getLogger("hitl.web")
_SECONDS: Final = 2.0


class Hints:
    """Sends hints while nobody waits for them.

    Args:
        url: The operator's address; empty: nobody is told.
    """

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._under_way: set[asyncio.Task[None]] = set()

    def send(self, request_id: str) -> None:
        """Tell the operator that a question has an outcome."""
        if not self._url:
            return
        task = asyncio.create_task(self._send(request_id))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def close(self) -> None:
        """Wait for the hints that are under way."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=_SECONDS)

    async def _send(self, request_id: str) -> None:
        # httpx is loaded here because most web apps never need it, and start sooner and smaller without.
        import httpx

        try:
            async with httpx.AsyncClient(timeout=_SECONDS) as client:
                await client.post(f"{self._url}/hints/{request_id}")
        except httpx.HTTPError as error:
            _log.debug("no hint to the operator: %s", error)
