"""The targets that the operator tells: each NotificationTarget, and what `HITL_NOTIFY` names."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from weakref import WeakValueDictionary

from hitl.cluster.client import NOTIFICATION_TARGETS, SECRETS
from hitl.cluster.conditions import ReadyReason
from hitl.cluster.notification_target import NotificationTarget
from hitl.core.noticekeys import NoticeBox
from hitl.core.notices import NotDelivered, NoticeEvent
from hitl.core.pacing import Pace
from hitl.errors import ClusterError, ClusterForbidden, InvalidRequest
from hitl.notify.channels import Channel
from hitl.notify.named import channel_to, decoded
from hitl.notify.sender import Sender
from hitl.records.records import Records
from hitl.records.requests import StoredRequest
from hitl_operator import metrics
from hitl_operator.cluster import Cluster
from hitl_operator.decide import Notice
from hitl_operator.refusals import SLOW_SECONDS, Refused
from hitl_operator.request_sync import Requests
from hitl_operator.roots import Root
from hitl_operator.target_status import Deliveries, Readiness, status_of

# A Secret that was changed is used after so many seconds, and at once after a failure.
_SECRET_SECONDS: Final = 60.0
# Seconds between two looks at what cannot be used, or does not take what it is told.
_LOOK_AGAIN_SECONDS: Final = 60.0
# So many results within it are one write of the status.
_GATHER_SECONDS: Final = 2.0
# It takes the targets of so many namespaces, which do not answer, to hold up the others.
_NAMESPACES_AT_ONCE: Final = 4

_RESULTS: Final = ("delivered", "failed", "given_up")

_log = logging.getLogger("hitl.operator.notices")


class Slots:
    """Bounds how much is sent at once, so that targets that do not answer hold up those of no other namespace.

    Args:
        in_all: How much is sent at once to all targets of a root. Those of one namespace take a part of it.
    """

    def __init__(self, in_all: int) -> None:
        self.all = asyncio.Semaphore(in_all)
        self._of_each = max(in_all // _NAMESPACES_AT_ONCE, 1)
        self._of: WeakValueDictionary[str, Shared] = WeakValueDictionary()

    def of(self, namespace: str) -> Shared:
        """Return what all targets of a namespace share."""
        return self._of.setdefault(namespace, Shared(asyncio.Semaphore(self._of_each), self.all))


class Shared(AbstractAsyncContextManager[None]):
    """Several bounds together, the narrowest first: who waits for it takes no place in the wider one."""

    def __init__(self, *bounds: asyncio.Semaphore) -> None:
        self._bounds = bounds

    async def __aenter__(self) -> None:
        """Take a place in each; none of them if this is cancelled."""
        async with AsyncExitStack() as taken:
            for each in self._bounds:
                await taken.enter_async_context(each)
            taken.pop_all()

    async def __aexit__(self, *_: object) -> None:
        """Give the places back."""
        for each in self._bounds:
            each.release()


@dataclass(frozen=True)
class Telling:
    """What every target is told with.

    Args:
        cluster: The API server.
        root: Where the questions lie.
        requests: The questions.
        slots: Bounds how much is sent at once.
        private: Whether http, and addresses that are not public, are allowed.
        lost: Called with a question and a sentence when a target could not be told of it.
        now: The present moment, with a time zone.
    """

    cluster: Cluster
    root: Root
    requests: Requests
    slots: Slots
    private: bool
    lost: Callable[[str, str], None]
    now: Callable[[], datetime]


class FixedTarget:
    """A target that the operator's settings name.

    Args:
        telling: What it is told with.
        channel: The target.
        name: Its name in keys.
        shown: Its name in metrics.
        slots: Bounds how much is sent at once; None: only what bounds all targets does.
    """

    def __init__(
        self, telling: Telling, channel: Channel | None, name: str, shown: str, slots: Shared | None = None
    ) -> None:
        self.name = name
        self.shown = shown
        self.sender = Sender(name, Pace(), self, slots or telling.slots.all, self._note)
        self._telling = telling
        self._channel = channel

    def wants(self, event: NoticeEvent) -> bool:
        """Tell whether it wants to be told of something."""
        return self._channel is not None and event in self._channel.events

    async def run(self) -> None:
        """Tell it, until cancelled. A fault of ours with one target ends no other."""
        while True:
            try:
                await self._run()
            except Exception:  # noqa: BLE001 - see above
                _log.exception("notices to %s", self.shown)
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)

    def measure(self) -> None:
        """Show how much waits."""
        oldest = self.sender.oldest_failed
        seconds = (self.now() - oldest).total_seconds() if oldest is not None else 0.0
        metrics.NOTICES_WAITING.labels(target=self.shown).set(self.sender.waiting)
        metrics.NOTICES_OLDEST.labels(target=self.shown).set(max(seconds, 0.0))

    def forget(self) -> None:
        """Show no more of it, as it is gone."""
        for each in (metrics.NOTICES_WAITING, metrics.NOTICES_OLDEST):
            with suppress(KeyError):
                each.remove(self.shown)
        for result in _RESULTS:
            with suppress(KeyError):
                metrics.NOTICES.remove(self.shown, result)

    def now(self) -> datetime:
        """See `hitl.notify.sender.Source`."""
        return self._telling.now()

    def records(self) -> Records:
        """See `hitl.notify.sender.Source`."""
        return self._telling.requests.records(self._telling.root)

    async def request(self, request_id: str) -> StoredRequest:
        """See `hitl.notify.sender.Source`."""
        return await self._telling.requests.read(self._telling.root, request_id)

    async def channel(self) -> Channel:
        """See `hitl.notify.sender.Source`."""
        if self._channel is None:
            raise NotDelivered("the target cannot be used")
        return self._channel

    async def _run(self) -> None:
        await self.sender.run()

    def _note(self, failure: NotDelivered | None, delivered: int, lost: Sequence[NoticeBox]) -> None:
        count = metrics.NOTICES
        if delivered:
            count.labels(target=self.shown, result="delivered").inc(delivered)
        if failure is None:
            return
        if lost:
            count.labels(target=self.shown, result="given_up").inc(len(lost))
        else:
            count.labels(target=self.shown, result="failed").inc()
        for box in lost:
            self._telling.lost(box.request_id, f"{self.shown} could not be told ({box.notice}): {failure.why}")


class NamedTarget(FixedTarget):
    """A NotificationTarget. Its Secret is read when it is used, and its status says what the result was.

    Args:
        telling: What it is told with.
        target: The target.
    """

    def __init__(self, telling: Telling, target: NotificationTarget) -> None:
        metadata = target.metadata
        slots = telling.slots.of(metadata.namespace)
        super().__init__(telling, None, target.key_name, f"{metadata.namespace}/{metadata.name}", slots)
        self.target = target
        with suppress(InvalidRequest):
            self.sender.pace = target.spec.pace()
        self._readiness = Readiness()
        self._deliveries = Deliveries()
        self._opened_at: float | None = None
        self._changed = asyncio.Event()
        # Whether its status is to be written, and that is not known to have succeeded.
        self._unwritten = False
        self._refused = Refused()

    def change(self, target: NotificationTarget) -> None:
        """Take the target as it is now."""
        if target.metadata.generation != self.target.metadata.generation:
            self._opened_at = None
            self._changed.set()
            # At once: the channel is opened later.
            with suppress(InvalidRequest):
                self.sender.pace = target.spec.pace()
            self.sender.wake()
        if self._unwritten:
            self._changed.set()
        self.target = target

    def forget(self) -> None:
        """Show no more of it, as it is gone."""
        super().forget()
        self._refused.end()

    def wants(self, event: NoticeEvent) -> bool:
        """Tell whether it wants to be told of something."""
        return self.target.spec.events is None or event in self.target.spec.events

    async def channel(self) -> Channel:
        """Return the target with what its Secret holds now, or a minute ago."""
        if self._opened_at is None or time.monotonic() - self._opened_at > _SECRET_SECONDS:
            await self._open()
        if self._channel is None:
            raise NotDelivered(self._readiness.message or "the API server does not answer, and holds its Secret")
        return self._channel

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.sender.run())
            tasks.create_task(self._tend())

    async def _tend(self) -> None:
        """Look whether it can be used, and write its status."""
        while True:
            self._changed.clear()
            if self._opened_at is None or not self._readiness.ready:
                was_ready = self._readiness.ready
                await self._open()
                if self._readiness.ready and not was_ready:
                    self.sender.wake()
            await self._write()
            well = self._channel is not None and self._deliveries.failing_since is None and not self._unwritten
            with suppress(TimeoutError):
                rest = SLOW_SECONDS if self._refused.rests_until else _LOOK_AGAIN_SECONDS
                async with asyncio.timeout(None if well else rest):
                    await self._changed.wait()
            await asyncio.sleep(_GATHER_SECONDS)

    async def _open(self) -> None:
        spec, namespace = self.target.spec, self.target.metadata.namespace
        try:
            secret: dict[str, str] = {}
            if spec.secret_ref is not None:
                found = await self._telling.cluster.kube.get(SECRETS, spec.secret_ref.name, namespace)
                if found is None:
                    message = f"there is no Secret {spec.secret_ref.name} in namespace {namespace}: create it"
                    self._refuse(ReadyReason.SECRET_MISSING, message)
                    return
                secret = decoded(found)
            self.sender.pace = spec.pace()
            self._channel = channel_to(self.target, secret, private=self._telling.private)
        except ClusterForbidden:
            self._refuse(ReadyReason.SECRET_REFUSED, _how_to_allow(self.target))
        except InvalidRequest as error:
            self._refuse(ReadyReason.INVALID, str(error))
        except ClusterError as error:
            # What is known is used on.
            _log.info("the Secret of %s cannot be read now: %s", self.shown, error)
        else:
            self._opened_at, self._readiness = time.monotonic(), Readiness()

    def _refuse(self, reason: ReadyReason, message: str) -> None:
        if self._readiness.reason is not reason:
            _log.warning("NotificationTarget %s cannot be told: %s", self.shown, message)
        self._channel, self._opened_at, self._readiness = None, time.monotonic(), Readiness(reason, message)

    async def _write(self) -> None:
        target = self.target
        if self._channel is None and self._readiness.ready:
            # Nobody knows yet.
            return
        status = status_of(target, self._readiness, self._deliveries, self.sender.waiting, self.now())
        self._unwritten = status != target.status
        if not self._unwritten:
            self._refused.end()
            return
        try:
            # If it was changed meanwhile, the watch reports it, and it is written then.
            written = await self._telling.cluster.write_status(NOTIFICATION_TARGETS, target.metadata, status)
            self._unwritten = not written
            self._refused.end()
        except ClusterError as error:
            _log.warning("the status of NotificationTarget %s cannot be written: %s", self.shown, error)
            told = bool(self._refused.rests_until)
            if self._refused.count(error, time.monotonic()) and not told:
                # Its conditions cannot say it.
                refused = Notice("WriteRefused", f"the API server refuses its status: {error}", warning=True)
                cluster = self._telling.cluster
                await cluster.emit_event(NOTIFICATION_TARGETS, target.metadata, refused, self.now())

    def _note(self, failure: NotDelivered | None, delivered: int, lost: Sequence[NoticeBox]) -> None:
        super()._note(failure, delivered, lost)
        before, self._deliveries = self._deliveries, self._deliveries.after(failure, len(lost), self.now())
        if failure is not None:
            # Its Secret may have been changed.
            self._opened_at = None
        if before != self._deliveries:
            self._changed.set()


def _how_to_allow(target: NotificationTarget) -> str:
    namespace, secret = target.metadata.namespace, target.spec.secret_ref.name if target.spec.secret_ref else ""
    return (
        f"the operator may not read Secret {secret}: allow it by `kubectl create role hitl-{secret} -n {namespace}"
        f" --verb=get --resource=secrets --resource-name={secret}`, and bind that role to the operator's service "
        "account"
    )
