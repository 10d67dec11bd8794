"""Kubernetes Events, posted beside the work: the same one once, and never too many about one object.

Many that are no warnings, of one namespace at once, are summed up: each costs the API server a write, and the
conditions of their objects say the same.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple, TypeAlias

from hitl.cluster.client import EVENTS, Kube, Object, Resource
from hitl.cluster.resources import cut_name
from hitl.cluster.shapes import Metadata
from hitl.cluster.v1alpha1 import API_VERSION, OPERATOR_MANAGER
from hitl.errors import ClusterConflict, ClusterError, ClusterUnavailable
from hitl_operator.decide import Notice
from hitl_operator.metrics import EVENTS_LOST

_WAITING: Final = 10_000
_AT_ONCE: Final = 4
# Of those, so many of one namespace: one whose admission webhook hangs holds up no other.
_OF_EACH: Final = 3
_TRIES: Final = 5
_PAUSE_SECONDS: Final = 2.0
_REMEMBERED: Final = 10_000
# As client-go has it: so many at once about one object, and then one in five minutes.
_OF_AN_OBJECT: Final = (25, 300.0)
# So many at once in one namespace that are no warnings, and then two a second.
_OF_A_NAMESPACE: Final = (50, 0.5)
_SUM_SECONDS: Final = 10.0

# What makes two Events the same one, also if two processes post them.
_Identity: TypeAlias = tuple[object, ...]

_log = logging.getLogger("hitl.operator.events")


@dataclass
class _Waiting:
    identity: _Identity
    content: Object
    tries: int = 0

    @property
    def namespace(self) -> str:
        return str(self.content["metadata"]["namespace"])

    @property
    def name(self) -> str:
        return str(self.content["metadata"]["name"])


class _Lines:
    """What waits to be posted: a line for each namespace, and each has its turn."""

    def __init__(self) -> None:
        self._lines: OrderedDict[str, OrderedDict[_Identity, _Waiting]] = OrderedDict()
        self._posted: Counter[str] = Counter()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def get(self, namespace: str, identity: _Identity) -> _Waiting | None:
        line = self._lines.get(namespace)
        return None if line is None else line.get(identity)

    def put(self, waiting: _Waiting) -> None:
        """Have it wait, unless the same one waits already."""
        line = self._lines.setdefault(waiting.namespace, OrderedDict())
        self._count += waiting.identity not in line
        line.setdefault(waiting.identity, waiting)

    def drop(self) -> None:
        """Drop what waits longest in the longest line."""
        self._pop(max(self._lines, key=lambda each: len(self._lines[each])))

    def take(self) -> _Waiting | None:
        """Return what is to be posted next, if there is any; call `done` with it afterwards."""
        namespace = next((each for each in self._lines if self._posted[each] < _OF_EACH), None)
        if namespace is None:
            return None
        self._posted[namespace] += 1
        self._lines.move_to_end(namespace)
        return self._pop(namespace)

    def done(self, waiting: _Waiting) -> None:
        self._posted[waiting.namespace] -= 1
        if not self._posted[waiting.namespace]:
            del self._posted[waiting.namespace]

    def _pop(self, namespace: str) -> _Waiting:
        line = self._lines[namespace]
        _, waiting = line.popitem(last=False)
        self._count -= 1
        if not line:
            del self._lines[namespace]
        return waiting


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
        self._waiting = _Lines()
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
        identity = (metadata.uid, notice.reason, notice.message)
        if (waiting := self._waiting.get(metadata.namespace, identity)) is not None:
            waiting.content |= {"count": waiting.content["count"] + 1, "lastTimestamp": _moment(now)}
        elif not self._objects.take(metadata.uid):
            EVENTS_LOST.labels(reason="too_many").inc()
        elif notice.warning or self._namespaces.take(metadata.namespace):
            self._wait(identity, _event(_name(metadata.name, identity), resource.kind, metadata, notice, now))
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
            while (waiting := self._waiting.take()) is not None:
                await self._post(waiting)
                self._waiting.done(waiting)

    def _wait(self, identity: _Identity, content: Object) -> None:
        if len(self._waiting) >= _WAITING:
            self._waiting.drop()
            EVENTS_LOST.labels(reason="full").inc()
        self._waiting.put(_Waiting(identity, content))
        self._ready.set()

    def _sum_up(self, of: _Of, now: datetime) -> None:
        found = self._sums.setdefault(of, _Sum(0, now, now))
        found.count, found.last = found.count + 1, now

    def _post_sums(self) -> None:
        sums, self._sums = self._sums, {}
        for of, found in sums.items():
            identity = (of, found.first, found.count)
            self._wait(identity, _sum_of(_name(of.namespace, identity), of, found))

    async def _post_sums_forever(self) -> None:
        while True:
            await asyncio.sleep(_SUM_SECONDS)
            self._post_sums()

    async def _post_forever(self) -> None:
        while True:
            while (waiting := self._waiting.take()) is None:
                self._ready.clear()
                await self._ready.wait()
            try:
                if not await self._post(waiting):
                    await asyncio.sleep(_PAUSE_SECONDS)
            finally:
                self._waiting.done(waiting)
                self._ready.set()

    async def _post(self, waiting: _Waiting) -> bool:
        waiting.tries += 1
        try:
            await self._kube.post(EVENTS, waiting.content, manager=OPERATOR_MANAGER)
        except ClusterConflict:
            pass
        except ClusterUnavailable as error:
            if waiting.tries < _TRIES:
                self._waiting.put(waiting)
            else:
                self._lost(waiting, error)
            return False
        except ClusterError as error:
            self._lost(waiting, error)
        return True

    def _lost(self, waiting: _Waiting, error: ClusterError) -> None:
        EVENTS_LOST.labels(reason="refused").inc()
        _log.warning("no Event %s/%s: %s", waiting.namespace, waiting.name, error)


def _event(name: str, kind: str, metadata: Metadata, notice: Notice, now: datetime) -> Object:
    involved = {
        "apiVersion": API_VERSION,
        "kind": kind,
        "name": metadata.name,
        "namespace": metadata.namespace,
        "uid": metadata.uid,
    }
    return _said(name, involved, notice, _Sum(1, now, now))


def _sum_of(name: str, of: _Of, found: _Sum) -> Object:
    involved = {"apiVersion": "v1", "kind": "Namespace", "name": of.namespace, "namespace": of.namespace}
    notice = Notice(of.reason, f"{found.count:,} more of kind {of.kind}: the conditions of each say the same")
    return _said(name, involved, notice, found)


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


def _name(about: str, identity: _Identity) -> str:
    return f"{cut_name(about, 230)}.{hashlib.sha256(repr(identity).encode()).hexdigest()[:16]}"


def _moment(now: datetime) -> str:
    return now.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
