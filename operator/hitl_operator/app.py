"""The operator put together: what runs side by side."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

from hitl.cluster.client import HUMAN_INPUTS, NOTIFICATION_TARGETS, RESPONSES, TASK_ACTIONS, Kube, Object
from hitl.cluster.human_input_response import HumanInputResponse
from hitl.cluster.v1alpha1 import HumanInput
from hitl.errors import InvalidRequest
from hitl_operator import metrics
from hitl_operator.anchors import Anchors
from hitl_operator.cluster import Cluster
from hitl_operator.context import Context
from hitl_operator.events import Events
from hitl_operator.index import Deleted, Index
from hitl_operator.notices import Notices
from hitl_operator.probes import Health, http_app, serving
from hitl_operator.queues import Queues
from hitl_operator.reconcile import Reconciler
from hitl_operator.request_sync import Requests
from hitl_operator.roots import Root, Roots
from hitl_operator.scanner import Scanner
from hitl_operator.settings import OperatorSettings
from hitl_operator.shards import Shards
from hitl_operator.task_actions import TaskActions
from hitl_operator.watcher import Watching
from hitl_operator.webapp_hints import WebAppHints
from hitl_operator.webapp_scaler import WebApps
from hitl_operator.work_items import HandleResponse, ReconcileHumanInput, WorkItem
from hitl_operator.workers import Workers

_TEND_SECONDS: Final = 5.0
_LOOK_AGAIN_SECONDS: Final = 300.0
_MEASURE_SECONDS: Final = 5.0
_ENDED_SECONDS: Final = 60.0
_FLUSH_SECONDS: Final = 2.0
# Deletions in namespaces of others, which are remembered as long as it takes to find that their operator died.
_DELETED_SECONDS: Final = 60.0
# Who tends to the web apps is found like who does the work on a namespace.
_WEB_APPS: Final = "web apps"

_log = logging.getLogger("hitl.operator")


class Operator:
    """All parts of the operator on one event loop.

    Args:
        kube: The API server.
        settings: The operator's settings.
    """

    def __init__(self, kube: Kube, settings: OperatorSettings) -> None:
        self._settings = settings
        ended = settings.flyte_task_actions
        self._index = Index(askers=ended)
        self._roots = Roots(settings.all_roots(), kube.clock_difference)
        self._queues = Queues(self._roots)
        own = settings.operator_namespace or kube.namespace
        self._watching = Watching(kube, settings.namespaces, self._changed, self._listed, task_actions=ended)
        self._shards = Shards(
            kube,
            settings.lease,
            settings.shards,
            own,
            settings.operator_deployment,
            f"{os.uname().nodename}-{os.getpid()}-{time.time_ns()}",
            self._divided,
        )
        self._events = Events(kube, time.monotonic)
        self._actions = TaskActions(self._index, self._queues, self._shards.leads)
        self._actions.watched_by(self._watching.sights)
        cluster = Cluster(kube, self._events)
        actions = self._actions if ended else None
        self._hints = WebAppHints(settings.all_roots())
        context = Context(
            cluster, self._roots, self._index, self._queues, settings, actions, tell_web_apps=self._hints.tell
        )
        requests = Requests(context)
        self._reconciler = Reconciler(context, requests)
        for sight in self._watching.sights:
            sight.seen_again = self._reconciler.seen_again
        self._notices = Notices(context, requests, self._shards.leads)
        self._health = Health(settings.sweep_seconds, self._watching.sights, self._roots)
        self._mirror = Scanner(
            kube,
            self._roots,
            self._index,
            self._queues,
            settings,
            self._health,
            self._shards,
            lambda: self._watching.complete,
        )
        self._anchors = Anchors(kube, settings.audit_anchor, own, settings.anchor_seconds, self._shards.leads)
        managed = settings.webapp_mode == "managed"
        self._webapps = WebApps(
            kube,
            settings.webapp_templates if managed else None,
            own,
            settings.operator_deployment,
            settings.idle_seconds,
        )
        self._wanted = asyncio.Event()

    async def run(self) -> None:
        """Run until cancelled."""
        app = http_app(self._health, self._mirror.hint)
        async with serving(app, self._settings.host, self._settings.port), asyncio.TaskGroup() as tasks:
            tasks.create_task(self._health.run())
            tasks.create_task(self._shards.run())
            tasks.create_task(self._watch())
            tasks.create_task(self._events.run())
            tasks.create_task(self._hints.run())
            tasks.create_task(self._mirror.verify_forever())
            tasks.create_task(self._notices.run(self._shards.wait))
            tasks.create_task(self._tend())
            tasks.create_task(self._look_for_ended())
            tasks.create_task(self._measure())
            for root, queue in self._queues:
                if root is not None:
                    tasks.create_task(self._mirror.sweep_forever(root))
                    tasks.create_task(self._mirror.scan_forever(root))
                    tasks.create_task(self._anchors.run(root))
                workers = Workers(queue, self._reconciler.do, self._settings.workers)
                tasks.create_task(self._work(root, workers))

    async def seen(self) -> None:
        """Wait until the API server was seen to serve what this operator needs."""
        await self._watching.seen.wait()

    async def close(self) -> None:
        """Post the last Events, write the audit's last lines, and let the next operator take over at once."""
        with suppress(TimeoutError):
            await self._events.flush(_FLUSH_SECONDS)
        await asyncio.gather(*(root.audit.close(_FLUSH_SECONDS) for root in self._roots))
        await self._shards.release()

    async def _watch(self) -> None:
        # What is listed before this operator leads would have to be listed again.
        await self._shards.tried.wait()
        await self._watching.run()

    async def _work(self, root: Root | None, workers: Workers[WorkItem]) -> None:
        if root is not None:
            # Before, it would seem not to answer.
            await root.looked.wait()
        await workers.run(self._shards.wait)

    def _changed(self, kind: str, change: str, content: Object) -> None:
        try:
            if kind == TASK_ACTIONS.kind:
                self._actions.changed(change, content)
                return
            if kind == NOTIFICATION_TARGETS.kind:
                self._notices.saw_target(change, content)
                return
            if kind == RESPONSES.kind:
                if change != "DELETED":
                    self._response_changed(HumanInputResponse.from_object(content))
                return
            human_input = HumanInput.from_object(content)
        except InvalidRequest as error:
            metadata = content["metadata"]
            _log.error("%s %s/%s cannot be read: %s", kind, metadata["namespace"], metadata["name"], error)
            return
        if not self._shards.leads(human_input.metadata.namespace):
            self._others_changed(change, human_input)
            return
        if change == "DELETED":
            self._reconciler.saw_deleted(Deleted.of(human_input))
            self._notices.saw_deleted(human_input)
            return
        metadata = human_input.metadata
        if metadata.generation != human_input.status.observed_generation:
            # Somebody changed what was asked for: what failed before may succeed now.
            self._queues.forget(ReconcileHumanInput(metadata.namespace, metadata.name))
        self._reconciler.saw(human_input)
        if human_input.status.phase is None:
            self._wanted.set()
        self._notices.saw(human_input)

    def _others_changed(self, change: str, human_input: HumanInput) -> None:
        """Take note of what another operator does the work for."""
        metadata = human_input.metadata
        if change == "DELETED":
            self._index.drop((metadata.namespace, metadata.name), metadata.uid)
            # Nobody may have done so: its operator may have died, and this one be the next.
            self._index.leave(Deleted.of(human_input), time.monotonic() + _DELETED_SECONDS)
        else:
            self._index.put(human_input)

    def _divided(self, gained: set[int], lost: set[int]) -> None:
        """Do the work on what was gained, and leave what was lost to others."""
        if lost:
            self._notices.left()
            self._reconciler.left(self._shards.leads)
            self._queues.left(self._shards.leads)
        if gained:
            for deleted in self._index.left(time.monotonic()):
                if self._shards.leads(deleted.key[0]):
                    self._reconciler.saw_deleted(deleted)
            self._watching.look_again()

    def _response_changed(self, response: HumanInputResponse) -> None:
        if not self._shards.leads(response.metadata.namespace):
            return
        if response.metadata.generation != response.status.observed_generation:
            self._queues.forget(HandleResponse(response.metadata.namespace, response.metadata.name))
        self._reconciler.saw_response(response)

    def _listed(self, kind: str, namespace: str | None, found: set[tuple[str, str]]) -> None:
        """Look at what was there and is not listed any more: it went away while nobody watched."""
        if kind == TASK_ACTIONS.kind:
            self._actions.listed(namespace, found)
        if kind == NOTIFICATION_TARGETS.kind:
            self._notices.listed_targets(namespace, found)
        if kind != HUMAN_INPUTS.kind:
            return
        for seen in self._index:
            gone = seen.key not in found and namespace in (None, seen.namespace)
            if gone and self._shards.leads(seen.namespace):
                self._queues.add(ReconcileHumanInput(seen.namespace, seen.name))

    async def _look_for_ended(self) -> None:
        """Find what was not to be told when the watch brought it, as when the API server did not answer."""
        while True:
            await asyncio.sleep(_ENDED_SECONDS)
            self._actions.look_at_all()

    async def _tend(self) -> None:
        checked = time.monotonic()
        while True:
            if self._shards.leads(_WEB_APPS):
                if time.monotonic() - checked > _LOOK_AGAIN_SECONDS:
                    checked = time.monotonic()
                    self._webapps.look_again()
                await self._webapps.tend(self._pending())
            else:
                self._webapps.stand_by()
            self._wanted.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(_TEND_SECONDS):
                    await self._wanted.wait()

    def _pending(self) -> Counter[str]:
        """Return how many questions wait, by the name of the root, zero too."""
        by_root = Counter({root.name: 0 for root in self._roots})
        for namespace, count in self._index.pending().items():
            if (root := self._roots.serving(namespace)) is not None:
                by_root[root.name] += count
        return by_root

    async def _measure(self) -> None:
        while True:
            pending = {each: count for each, count in self._index.pending().items() if self._shards.leads(each)}
            oldest = min(
                (
                    each.created_at
                    for each in self._index
                    if each.pending and each.created_at and each.namespace in pending
                ),
                default=None,
            )
            metrics.PENDING.set(sum(pending.values()))
            metrics.OLDEST_PENDING.set((datetime.now(UTC) - oldest).total_seconds() if oldest else 0)
            missing = self._index.missing().items()
            metrics.MISSING_OUTCOMES.set(sum(count for each, count in missing if self._shards.leads(each)))
            # Without a Lease nothing is worked on: another operator knows what waits, and what fails.
            leading = self._shards.leading
            metrics.QUEUE_DEPTH.set(len(self._queues) if leading else 0)
            metrics.FAILING.clear()
            for (root, reason), count in self._queues.failing().items() if leading else ():
                metrics.FAILING.labels(root=root, reason=reason).set(count)
            for each in self._roots:
                metrics.AUDIT_WAITING.labels(root=each.name).set(each.audit.waiting)
            self._notices.measure()
            metrics.UNSEEN.set(len(self._health.unseen()))
            metrics.WATCH_AGE.set(max(sight.age for sight in self._watching.sights))
            await asyncio.sleep(_MEASURE_SECONDS)
