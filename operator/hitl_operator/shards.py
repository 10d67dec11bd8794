"""The namespaces divided among operators: each part has a Lease, and each operator holds its share of them."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import math
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

from hitl.cluster.client import Kube
from hitl.errors import ClusterError
from hitl_operator.leader import RENEW_SECONDS, Lease
from hitl_operator.metrics import LEADING

# A Lease that nobody took for so long is taken by one who has its share already.
_LEFT_SECONDS: Final = 10.0

_log = logging.getLogger("hitl.operator.shards")


class Shards:
    """Which part of the work this operator does.

    Args:
        kube: The API server.
        lease: The Leases' name. Empty: no guard, this operator does all of it.
        count: Into how many parts the namespaces are divided.
        namespace: Where the Leases lie.
        deployment: The operator's own Deployment, which owns them; empty: nobody does.
        identity: Who holds them, different for each process.
        changed: Called with the parts that were gained and those that were lost.
        ticks: Seconds that only ever grow.

    Attributes:
        tried: Set once it was tried to get a Lease, with or without success.
    """

    def __init__(
        self,
        kube: Kube,
        lease: str,
        count: int,
        namespace: str,
        deployment: str,
        identity: str,
        changed: Callable[[set[int], set[int]], None],
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._count = count
        self._identity = identity
        self._changed = changed
        self._ticks = ticks
        self._leases = [
            Lease(kube, each, namespace, deployment, identity, ticks) for each in lease_names(lease, count)
        ]
        self._held: set[int] = set()
        self._any = asyncio.Event()
        self.tried = asyncio.Event()
        if not lease:
            self._hold(set(range(count)))
            self.tried.set()

    @property
    def leading(self) -> bool:
        """Whether this operator does any work."""
        return bool(self._held)

    def leads(self, what: str) -> bool:
        """Tell whether it does the work on a namespace, or on whatever else has this name."""
        return shard_of(what, self._count) in self._held

    async def wait(self) -> None:
        """Wait until this operator does any work."""
        await self._any.wait()

    async def run(self) -> None:
        """Get this operator's share of the Leases and keep it, until cancelled."""
        while self._leases:
            await self._round()
            self.tried.set()
            await asyncio.sleep(RENEW_SECONDS)

    async def release(self) -> None:
        """Give all Leases up, so that the next operator need not wait."""
        held = [each for each in self._leases if each.held]
        self._hold(set())
        found = await asyncio.gather(*(each.give_up() for each in held), return_exceptions=True)
        for error in found:
            if isinstance(error, ClusterError):
                _log.warning("a Lease could not be given up: %s", error)
            elif isinstance(error, BaseException):
                raise error

    async def _round(self) -> None:
        await asyncio.gather(*(each.look() for each in self._leases))
        mine = [each for each in self._leases if each.held]
        others = {each.holder for each in self._leases if each.free_since is None and not each.held} - {""}
        share = math.ceil(self._count / (len(others) + 1))
        if (given := _to_give_up(mine)) is not None:
            mine.remove(given)
            self._hold({number for number, each in enumerate(self._leases) if each in mine})
            try:
                await given.give_up()
            except ClusterError as error:
                _log.warning("Lease %s could not be given up: %s", given.name, error)
        await asyncio.gather(*(each.take() for each in mine))
        for each in self._to_take(len(mine), share):
            if each is not given:
                await each.take()
        self._hold({number for number, each in enumerate(self._leases) if each.held})
        if (wanted := _to_want(self._leases)) is not None:
            await wanted.want()

    def _to_take(self, held: int, share: int) -> list[Lease]:
        free = [each for each in self._leases if not each.held and each.free_since is not None]
        now = self._ticks()
        left = [each for each in free if now - (each.free_since or now) >= _LEFT_SECONDS]
        return list(dict.fromkeys([*free[: max(0, share - held)], *left]))

    def _hold(self, held: set[int]) -> None:
        gained, lost = held - self._held, self._held - held
        self._held = held
        LEADING.set(len(held))
        if held:
            self._any.set()
        else:
            self._any.clear()
        if gained:
            _log.info("leading %d of %d, as %s", len(held), self._count, self._identity)
        if lost:
            _log.warning("leading %d of %d, no longer %s", len(held), self._count, sorted(lost))
        if gained or lost:
            self._changed(gained, lost)


@lru_cache(maxsize=10_000)
def shard_of(what: str, count: int) -> int:
    """Return which of so many parts a name belongs to; the same in every process and every release."""
    if count == 1:
        return 0
    return int.from_bytes(hashlib.sha256(what.encode()).digest()[:8]) % count


def lease_names(lease: str, count: int) -> list[str]:
    """Return the names of the Leases; with their number, as parts of one number are not those of another."""
    if not lease:
        return []
    return [lease] if count == 1 else [f"{lease}-{number}-of-{count}" for number in range(count)]


def _to_give_up(mine: Sequence[Lease]) -> Lease | None:
    """Return what another operator asked of one that holds several."""
    return next((each for each in mine if each.wanted), None) if len(mine) > 1 else None


def _to_want(leases: Sequence[Lease]) -> Lease | None:
    """Return what to ask for: of the operator with the most Leases, if it has two more than this one."""
    if any(each.free_since is not None and not each.held for each in leases):
        return None
    mine = sum(each.held for each in leases)
    others: dict[str, list[Lease]] = {}
    for each in leases:
        if not each.held and each.holder:
            others.setdefault(each.holder, []).append(each)
    most = max(others.values(), key=len, default=[])
    # One at a time of the same operator.
    return most[-1] if len(most) > mine + 1 and not any(each.asked_by for each in most) else None
