"""The proof that a root creates exclusively, and the reading of its clock.

What is found counts for all stores of this process on the same root with the same options.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import datetime

from hitl.core import keys
from hitl.errors import ClockApart, StorageError, StorageUnavailable, StorageUnsuitable
from hitl.storage.known import CLOCK_LIMIT_SECONDS, Known, Reading, ticks
from hitl.storage.operations import CreationRefused, Operations


class Proof:
    """Proves a root, and reads its clock.

    Args:
        operations: The root's operations.
        known: What this process knows of the root.
    """

    def __init__(self, operations: Operations, known: Known) -> None:
        self._do = operations
        self._known = known
        self._url = operations.url

    async def require(self) -> None:
        """Prove the root, unless this process did so already. See `Store.probe`."""
        if not self._known.proven:
            await self.make()

    async def make(self) -> None:
        """Prove the root. See `Store.probe`."""
        if self._known.refused:
            raise StorageUnsuitable(self._known.refused)
        await self._known.proving.share(self._prove)

    async def clock_difference(self, now: datetime) -> float:
        """See `Store.clock_difference`."""
        at = ticks()
        reading = self._known.reading
        if reading is None or reading.is_old(at):
            reading = await self._read_clock()
        return reading.difference(now, at)

    async def require_clock(self, now: datetime) -> float:
        """See `Store.require_clock`."""
        at = ticks()
        difference = await self.clock_difference(now)
        if abs(difference) <= CLOCK_LIMIT_SECONDS:
            return difference
        reading = self._known.reading
        if reading is None or not reading.may_refuse(at):
            difference = (await self._read_clock()).difference(now, at)
        if abs(difference) > CLOCK_LIMIT_SECONDS:
            raise ClockApart(self._url, difference)
        return difference

    async def _prove(self) -> None:
        for _ in range(self._do.objects.rounds):
            await self._prove_once()
        self._known.proven = True

    async def _prove_once(self) -> None:
        key = keys.probe_key()
        try:
            await self._contest(key)
        except CreationRefused as error:
            # Not remembered, as it records nothing at least.
            raise StorageUnsuitable(
                f"{self._url} refuses to create objects (what was created did not last): "
                "use storage that honours If-None-Match"
            ) from error
        except StorageUnsuitable:
            await self._drop(key)
            raise
        # When the storage does not answer, callers need not wait for a deletion as well.
        await self._drop(key)

    async def _drop(self, key: str) -> None:
        # Programs that only ask and answer need no right to delete; what stays is deleted later.
        with suppress(StorageError):
            await self._do.delete(key)

    async def _contest(self, key: str) -> None:
        racers = self._do.objects.racers
        contents = [b"racer %d\n" % number for number in range(racers)]
        began = ticks()
        told = await asyncio.gather(
            *(self._do.create(key, each, durable=False) for each in contents), return_exceptions=True
        )
        ended = ticks()
        winners = [each for each, won in zip(contents, told, strict=True) if won is True]
        if len(winners) > 1:
            raise self._not_exclusive(f"of {racers} creations of one key at once {len(winners)} succeeded")
        failed = [each for each in told if isinstance(each, BaseException)]
        if failed and not winners:
            raise failed[0]
        stored = await self._do.read(key)
        # Nobody may have been told that they won: a reply can be lost on the way.
        if stored is None or stored.data not in (winners or contents):
            raise self._not_exclusive("of several creations of one key the first did not last")
        if await self._do.create(key, b"late\n", durable=False):
            raise self._not_exclusive("of two creations of one key both succeeded")
        self._known.reading = Reading.of_object(stored.written_at, began, ended)

    def _not_exclusive(self, why: str) -> StorageUnsuitable:
        self._known.refused = (
            f"{self._url} does not create objects exclusively ({why}), so two answers could both be recorded: "
            "use storage that honours If-None-Match"
        )
        return StorageUnsuitable(self._known.refused)

    async def _read_clock(self) -> Reading:
        await self._known.reading_clock.share(self._measure)
        assert self._known.reading is not None
        return self._known.reading

    async def _measure(self) -> None:
        key = keys.probe_key()
        began = ticks()
        await self._do.mark(key)
        ended = ticks()
        found = await self._do.read(key)
        await self._drop(key)
        if found is None:
            raise StorageUnavailable(f"{self._url}: {key} was written and is not there: try again")
        self._known.reading = Reading.of_object(found.written_at, began, ended)
