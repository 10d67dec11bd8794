"""Kubernetes Events, posted beside the work: the same one once, and never too many about one object.

Many that are no warnings, of one namespace at once, are summed up: each costs the API server a write, and the
conditions of their objects say the same.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple

from hitl.cluster.client import EVENTS, Kube, Object, Resource
from hitl.cluster.resources import cut_name
from hitl.cluster.shapes import Metadata
from hitl.cluster.v1alpha1 import API_VERSION, OPERATOR_MANAGER
from hitl.errors import ClusterConflict, ClusterError, ClusterUnavailable
from hitl_operator.decide import Notice
from hitl_operator.metrics import EVENTS_LOST

_WAITING: Final = 10_000
_AT_ONCE: Final = 4
_TRIES: Final = 5
_PAUSE_SECONDS: Final = 2.0
_REMEMBERED: Final = 10_000
# As client-go has it: so many at once about one object, and then one in five minutes.
_OF_AN_OBJECT: Final = (25, 300.0)
# So many at once in one namespace that are no warnings, and then ten a second.
_OF_A_NAMESPACE: Final = (100, 0.1)
_SUM_SECONDS: Final = 10.0

_log = logging.getLogger("hitl.operator.events")


@dataclass
class _Waiting:
    content: Object
    tries: int = 0


class _Of(NamedTuple):
    """Of what Events are summed up."""

    namespace: str
    kind: str
    reason: str


@dataclass
class _Sum:
    count: int
    first: datetime
    last: datetime


class _Allowance:
    """So many at once for each key, and then one after so many seconds: a token bucket for each.

    Args:
        burst: How many at once.
        refill_seconds: After how many seconds there may be one more.
        ticks: Seconds that only ever grow.
    """

    def __init__(self, burst: int, refill_seconds: float, ticks: Callable[[], float]) -> None:
        self._burst = float(burst)
        self._refill_seconds = refill_seconds
        self._ticks = ticks
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str) -> bool:
        """Take one of a key, if there is one left; tell whether there was."""
        now = self._ticks()
        left, at = self._left.pop(key, (self._burst, now))
        left = min(self._burst, left + (now - at) / self._refill_seconds)
        allowed = left >= 1
        self._left[key] = (left - allowed, now)
        if len(self._left) > _REMEMBERED:
            self._left.popitem(last=False)
        return allowed


class Events:
    """Posts Events. One that is lost, as nobody takes it in time, stops nobody: conditions say the same.

    Args:
        kube: The API server.
        ticks: Seconds that only ever grow.
    """

    def __init__(self, kube: Kube, ticks: Callable[[], float]) -> None:
        self._kube = kube
        self._waiting: OrderedDict[str, _Waiting] = OrderedDict()
        self._ready = asyncio.Event()
        self._objects = _Allowance(*_OF_AN_OBJECT, ticks)
        self._namespaces = _Allowance(*_OF_A_NAMESPACE, ticks)
        self._sums: dict[_Of, _Sum] = {}

    def __len__(self) -> int:
        """Return how many wait to be posted, beside those that are summed up."""
        return len(self._waiting)

    def emit(self, resource: Resource, metadata: Metadata, notice: Notice, now: datetime) -> None:
        """Have an Event posted soon. What waits already is counted once more, and posted once."""
        # Told again, also by another process, it is the same.
        name = _name(metadata.name, (metadata.uid, notice.reason, notice.message))
        if (waiting := self._waiting.get(f"{metadata.namespace}/{name}")) is not None:
            waiting.content |= {"count": waiting.content["count"] + 1, "lastTimestamp": _moment(now)}
        elif not self._objects.take(metadata.uid):
            EVENTS_LOST.labels(reason="too_many").inc()
        elif notice.warning or self._namespaces.take(metadata.namespace):
            self._wait(_event(name, resource.kind, metadata, notice, now))
        else:
            self._sum_up(_Of(metadata.namespace, resource.kind, notice.reason), now)

    async def run(self) -> None:
        """Post until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._post_sums_forever())
            for _ in range(_AT_ONCE):
                tasks.create_task(self._post_forever())

    async def flush(self, seconds: float) -> None:
        """Post what waits, for at most so many seconds."""
        self._post_sums()
        async with asyncio.timeout(seconds):
            while self._waiting:
                name, waiting = self._waiting.popitem(last=False)
                await self._post(name, waiting)

    def _wait(self, content: Object) -> None:
        if len(self._waiting) >= _WAITING:
            self._waiting.popitem(last=False)
            EVENTS_LOST.labels(reason="full").inc()
        self._waiting[f"{content['metadata']['namespace']}/{content['metadata']['name']}"] = _Waiting(content)
        self._ready.set()

    def _sum_up(self, of: _Of, now: datetime) -> None:
        found = self._sums.setdefault(of, _Sum(0, now, now))
        found.count, found.last = found.count + 1, now

    def _post_sums(self) -> None:
        sums, self._sums = self._sums, {}
        for of, found in sums.items():
            self._wait(_sum_of(of, found))

    async def _post_sums_forever(self) -> None:
        while True:
            await asyncio.sleep(_SUM_SECONDS)
            self._post_sums()

    async def _post_forever(self) -> None:
        while True:
            while not self._waiting:
                self._ready.clear()
                await self._ready.wait()
            name, waiting = self._waiting.popitem(last=False)
            if not await self._post(name, waiting):
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _post(self, name: str, waiting: _Waiting) -> bool:
        waiting.tries += 1
        try:
            await self._kube.post(EVENTS, waiting.content, manager=OPERATOR_MANAGER)
        except ClusterConflict:
            pass
        except ClusterUnavailable as error:
            if waiting.tries < _TRIES:
                self._waiting.setdefault(name, waiting)
            else:
                self._lost(name, error)
            return False
        except ClusterError as error:
            self._lost(name, error)
        return True

    def _lost(self, name: str, error: ClusterError) -> None:
        EVENTS_LOST.labels(reason="refused").inc()
        _log.warning("no Event %s: %s", name, error)


def _event(name: str, kind: str, metadata: Metadata, notice: Notice, now: datetime) -> Object:
    involved = {
        "apiVersion": API_VERSION,
        "kind": kind,
        "name": metadata.name,
        "namespace": metadata.namespace,
        "uid": metadata.uid,
    }
    return _said(name, involved, notice, _Sum(1, now, now))


def _sum_of(of: _Of, found: _Sum) -> Object:
    involved = {"apiVersion": "v1", "kind": "Namespace", "name": of.namespace, "namespace": of.namespace}
    notice = Notice(of.reason, f"{found.count:,} more of kind {of.kind}: the conditions of each say the same")
    return _said(_name(of.namespace, (of, found.first, found.count)), involved, notice, found)


def _said(name: str, involved: Object, notice: Notice, times: _Sum) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": involved["namespace"]},
        "involvedObject": involved,
        "type": "Warning" if notice.warning else "Normal",
        "reason": notice.reason,
        "message": notice.message[:1024],
        "source": {"component": OPERATOR_MANAGER},
        "reportingComponent": OPERATOR_MANAGER,
        "reportingInstance": OPERATOR_MANAGER,
        "firstTimestamp": _moment(times.first),
        "lastTimestamp": _moment(times.last),
        "count": times.count,
    }


def _name(about: str, identity: tuple[object, ...]) -> str:
    return f"{cut_name(about, 230)}.{hashlib.sha256(repr(identity).encode()).hexdigest()[:16]}"


def _moment(now: datetime) -> str:
    return now.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
