"""The operator put together: what runs side by side, and how it ends."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

from hitl.cluster.client import HUMAN_INPUTS, Kube, Object
from hitl.cluster.v1alpha1 import HumanInput, HumanInputResponse
from hitl.errors import ClusterError, HITLError, InvalidRequest, StorageUnavailable
from hitl_operator import metrics
from hitl_operator.cluster import Cluster
from hitl_operator.context import Context
from hitl_operator.index import Index
from hitl_operator.leader import Leader
from hitl_operator.probes import Health, http_app, serving
from hitl_operator.reconcile import Reconciler
from hitl_operator.roots import Roots
from hitl_operator.scanner import Scanner
from hitl_operator.settings import OperatorSettings
from hitl_operator.watcher import Watching
from hitl_operator.webapp_scaler import WebApps
from hitl_operator.work_items import WorkItem
from hitl_operator.workqueue import WorkQueue

_SLOW_SECONDS: Final = 5.0
_TEND_SECONDS: Final = 5.0
_LOOK_AGAIN_SECONDS: Final = 300.0
_MEASURE_SECONDS: Final = 5.0

_log = logging.getLogger("hitl.operator")


async def run(settings: OperatorSettings) -> None:
    """Run the operator until SIGTERM or SIGINT.

    Raises:
        ClusterError: when there are no credentials.
        StorageUnsuitable: when a root cannot hold outcomes safely.
    """
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with await Kube.connect(
        kubeconfig=settings.kubeconfig, context=settings.context, watcher=_count_request
    ) as kube:
        operator = Operator(kube, settings)
        ended = asyncio.create_task(stop.wait())
        running = asyncio.create_task(operator.run())
        await asyncio.wait([ended, running], return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        running.cancel()
        try:
            await running
        except asyncio.CancelledError:
            _log.info("ended")
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None
        finally:
            await operator.close()


class Operator:
    """All parts of the operator on one event loop.

    Args:
        kube: The API server.
        settings: The operator's settings.
    """

    def __init__(self, kube: Kube, settings: OperatorSettings) -> None:
        self._settings = settings
        self._queue: WorkQueue[WorkItem] = WorkQueue()
        self._index = Index()
        self._roots = Roots(settings.all_roots())
        self._health = Health(settings.sweep_seconds)
        own = settings.operator_namespace or kube.namespace
        self._leader = Leader(
            kube,
            settings.lease,
            own,
            settings.operator_deployment,
            identity=f"{os.uname().nodename}-{os.getpid()}-{time.time_ns()}",
        )
        self._reconciler = Reconciler(Context(Cluster(kube), self._roots, self._index, self._queue, settings))
        self._mirror = Scanner(
            kube, self._roots, self._index, self._queue, settings, self._health, lambda: self._leader.leading
        )
        managed = settings.webapp_mode == "managed"
        self._webapps = WebApps(
            kube,
            settings.webapp_templates if managed else None,
            own,
            settings.operator_deployment,
            settings.idle_seconds,
        )
        self._watching = Watching(kube, settings.namespaces, self._changed)
        self._failed: set[WorkItem] = set()
        self._wanted = asyncio.Event()

    async def run(self) -> None:
        """Run until cancelled."""
        app = http_app(self._health, self._mirror.hint)
        async with serving(app, self._settings.host, self._settings.port), asyncio.TaskGroup() as tasks:
            tasks.create_task(self._health.run())
            tasks.create_task(self._leader.run())
            tasks.create_task(self._watching.run(self._watched))
            tasks.create_task(self._mirror.sweep_forever())
            tasks.create_task(self._mirror.scan_forever())
            tasks.create_task(self._tend())
            tasks.create_task(self._measure())
            for _ in range(self._settings.workers):
                tasks.create_task(self._work())

    def _watched(self) -> None:
        self._health.watching = True

    def _changed(self, kind: str, change: str, content: Object) -> None:
        try:
            if kind != HUMAN_INPUTS.kind:
                if change != "DELETED":
                    self._reconciler.saw_response(HumanInputResponse.from_object(content))
                return
            human_input = HumanInput.from_object(content)
        except InvalidRequest as error:
            metadata = content["metadata"]
            _log.error("%s %s/%s cannot be read: %s", kind, metadata["namespace"], metadata["name"], error)
            return
        if change == "DELETED":
            self._reconciler.saw_deleted(human_input)
        else:
            self._reconciler.saw(human_input)
            if human_input.status.phase is None:
                self._wanted.set()

    async def _work(self) -> None:
        # Before, every root would seem not to answer.
        await self._mirror.looked.wait()
        while True:
            await self._leader.wait()
            work = await self._queue.get()
            try:
                await self._reconciler.do(work)
            except HITLError as error:
                pause = self._queue.retry(work)
                if work not in self._failed or pause > _SLOW_SECONDS:
                    level = logging.INFO if isinstance(error, StorageUnavailable) else logging.WARNING
                    _log.log(level, "%s: %s; again in %.1f s", work, error, pause)
                self._failed.add(work)
            except Exception:  # noqa: BLE001 - a fault of ours with one object must not stop the work on all others
                pause = self._queue.retry(work)
                _log.exception("%s failed; again in %.1f s", work, pause)
            else:
                self._queue.forget(work)
                self._failed.discard(work)
            finally:
                self._queue.done(work)

    async def _tend(self) -> None:
        checked = time.monotonic()
        while True:
            if self._leader.leading:
                pending = self._index.pending()
                by_root = Counter({root.name: 0 for root in self._roots})
                for namespace, count in pending.items():
                    if (root := self._roots.serving(namespace)) is not None:
                        by_root[root.name] += count
                try:
                    if time.monotonic() - checked > _LOOK_AGAIN_SECONDS:
                        checked = time.monotonic()
                        self._webapps.look_again()
                    await self._webapps.tend(by_root)
                except ClusterError as error:
                    _log.warning("the web app: %s", error)
            self._wanted.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wanted.wait(), _TEND_SECONDS)

    async def _measure(self) -> None:
        while True:
            seen = [each for each in self._index if each.pending]
            created = [each.created_at for each in seen if each.created_at is not None]
            now = datetime.now(UTC)
            metrics.PENDING.set(len(seen))
            metrics.OLDEST_PENDING.set((now - min(created)).total_seconds() if created else 0)
            metrics.QUEUE_DEPTH.set(len(self._queue))
            metrics.FAILING.set(self._queue.failing)
            await asyncio.sleep(_MEASURE_SECONDS)

    async def close(self) -> None:
        """Let the next operator take over at once."""
        try:
            await self._leader.release()
        except ClusterError as error:
            _log.warning("the Lease could not be given up: %s", error)


def _count_request(verb: str, status: int) -> None:
    metrics.API_REQUESTS.labels(verb=verb, status=str(status or "none")).inc()
