"""Kubernetes Events, posted beside the work: the same one once, and never too many about one object."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from hitl.cluster.client import EVENTS, Kube, Object, Resource
from hitl.cluster.v1alpha1 import API_VERSION, OPERATOR_MANAGER, Metadata
from hitl.errors import ClusterConflict, ClusterError, ClusterUnavailable
from hitl_operator.decide import Notice
from hitl_operator.metrics import EVENTS_LOST

_WAITING: Final = 10_000
_AT_ONCE: Final = 4
_TRIES: Final = 5
_PAUSE_SECONDS: Final = 2.0
_OBJECTS: Final = 10_000
# As client-go has it: so many at once about one object, and then one in five minutes.
_BURST: Final = 25
_REFILL_SECONDS: Final = 300.0

_log = logging.getLogger("hitl.operator.events")


@dataclass
class _Waiting:
    content: Object
    tries: int = 0


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
        self._ticks = ticks
        self._allowance: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        """Return how many wait to be posted."""
        return len(self._waiting)

    def emit(self, resource: Resource, metadata: Metadata, notice: Notice, now: datetime) -> None:
        """Have an Event posted soon. What waits already is counted once more, and posted once."""
        content = _event(resource, metadata, notice, now)
        name = f"{metadata.namespace}/{content['metadata']['name']}"
        if (waiting := self._waiting.get(name)) is not None:
            waiting.content |= {"count": waiting.content["count"] + 1, "lastTimestamp": content["lastTimestamp"]}
            return
        if not self._allowed(metadata.uid):
            EVENTS_LOST.labels(reason="too_many").inc()
            return
        if len(self._waiting) >= _WAITING:
            self._waiting.popitem(last=False)
            EVENTS_LOST.labels(reason="full").inc()
        self._waiting[name] = _Waiting(content)
        self._ready.set()

    async def run(self) -> None:
        """Post until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(_AT_ONCE):
                tasks.create_task(self._post_forever())

    async def flush(self, seconds: float) -> None:
        """Post what waits, for at most so many seconds."""
        async with asyncio.timeout(seconds):
            while self._waiting:
                name, waiting = self._waiting.popitem(last=False)
                await self._post(name, waiting)

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

    def _allowed(self, uid: str) -> bool:
        now = self._ticks()
        left, at = self._allowance.pop(uid, (float(_BURST), now))
        left = min(float(_BURST), left + (now - at) / _REFILL_SECONDS)
        allowed = left >= 1
        self._allowance[uid] = (left - allowed, now)
        if len(self._allowance) > _OBJECTS:
            self._allowance.popitem(last=False)
        return allowed


def _event(resource: Resource, metadata: Metadata, notice: Notice, now: datetime) -> Object:
    identity = repr((metadata.uid, notice.reason, notice.message))
    moment = now.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            # Told again, also by another process, it is the same.
            "name": f"{metadata.name[:230]}.{hashlib.sha256(identity.encode()).hexdigest()[:16]}",
            "namespace": metadata.namespace,
        },
        "involvedObject": {
            "apiVersion": API_VERSION,
            "kind": resource.kind,
            "name": metadata.name,
            "namespace": metadata.namespace,
            "uid": metadata.uid,
        },
        "type": "Warning" if notice.warning else "Normal",
        "reason": notice.reason,
        "message": notice.message[:1024],
        "source": {"component": OPERATOR_MANAGER},
        "reportingComponent": OPERATOR_MANAGER,
        "reportingInstance": OPERATOR_MANAGER,
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": 1,
    }
