"""Requests as storage tells of them: to be shown, to be found, to be withdrawn with their HumanInput."""

from __future__ import annotations

import logging
from datetime import timedelta

from hitl.cluster.client import CRDS, HUMAN_INPUTS, NAMESPACES
from hitl.core import keys
from hitl.core.documents import RequestDocument, Respondent
from hitl.errors import (
    ClusterConflict,
    ClusterError,
    ClusterForbidden,
    ClusterNotFound,
    ClusterUnavailable,
    DocumentDamaged,
    RequestNotFound,
)
from hitl.records.outcomes import Submission, settle
from hitl.records.records import Records
from hitl.records.requests import read_outcome_of, read_request
from hitl.records.retention import STALE
from hitl_operator import metrics
from hitl_operator.context import Context
from hitl_operator.roots import Root
from hitl_operator.work_items import CancelDeleted, MirrorOutcome, MirrorRequest, ReconcileHumanInput

_log = logging.getLogger("hitl.operator")


class Stored:
    """Does what is due for requests in storage. Any method may raise HITLError: it is to be tried again later."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def gone(self, work: CancelDeleted) -> None:
        """Withdraw the question of a HumanInput that somebody deleted."""
        if self._context.index.shown_by(work.request_id) is not None:
            return
        root = self._context.roots.serving(work.namespace)
        if root is None or await self._leaving(work.namespace):
            return
        try:
            request = await read_request(root.store, work.request_id)
            submission = Submission(
                "cancelled",
                Respondent(via="operator"),
                comment=f"its HumanInput {work.namespace}/{work.name} was deleted",
                submission_id=f"deleted-{work.uid}",
            )
            now = self._context.now()
            await root.require_clock(now)
            settled = await settle(Records(root.store, announce=True), request, submission, now=now)
            if settled.kind != "lost":
                settled.outcome_or_raise()
                _log.info("%s/%s was deleted: request %s is cancelled", work.namespace, work.name, work.request_id)
        except (RequestNotFound, DocumentDamaged) as error:
            _log.warning("%s/%s was deleted, and there is nothing to cancel: %s", work.namespace, work.name, error)
        await root.store.delete(keys.answered_marker(work.request_id))

    async def asked(self, work: MirrorRequest) -> None:
        """Show a request that was asked through storage."""
        root = self._context.roots.named(work.root)
        marker = keys.new_marker(work.request_id)
        if (shown := self._context.index.shown_by(work.request_id)) is not None:
            self._context.queue.add(ReconcileHumanInput(shown.namespace, shown.name))
            await root.store.delete(marker)
            return
        try:
            stored = await read_request(root.store, work.request_id)
            request, outcome = stored.document, await read_outcome_of(root.store, stored)
        except RequestNotFound:
            return
        except DocumentDamaged as error:
            metrics.DAMAGED.labels(root=root.name).inc()
            _log.error("root %s: %s", root.name, error)
            return
        namespace = request.origin.namespace
        if not namespace or self._context.roots.serving(namespace) is not root:
            metrics.FOREIGN.labels(root=root.name).inc()
            _log.error(
                "root %s: request %s is left alone: it names namespace %r", root.name, work.request_id, namespace
            )
            return
        kept = timedelta(seconds=self._context.settings.ttl_seconds)
        # One that is settled and without a marker was shown, and deleted since: a hint brings it back no more.
        if outcome is None or (
            self._context.now() - outcome.answered_at < kept and await root.store.exists(marker)
        ):
            await self._show(request)
        await root.store.delete(marker)

    async def announced(self, work: MirrorOutcome) -> None:
        """Find the HumanInput of a request that has an outcome."""
        root = self._context.roots.named(work.root)
        marker = keys.answered_marker(work.request_id)
        try:
            stored = await read_request(root.store, work.request_id)
            request, outcome = stored.document, await read_outcome_of(root.store, stored)
        except RequestNotFound:
            await self._drop_stale(root, marker)
            return
        except DocumentDamaged as error:
            metrics.DAMAGED.labels(root=root.name).inc()
            _log.error("root %s: %s", root.name, error)
            await self._drop_stale(root, marker)
            return
        if request.origin.namespace and self._context.roots.serving(request.origin.namespace) is root:
            # The watch may not have told of it yet. One that was deleted is shown again under the request's id.
            for each in dict.fromkeys((request.human_input, work.request_id)):
                found = await self._context.cluster.human_input(request.origin.namespace, each)
                if found is not None and found.request_id == work.request_id:
                    self._context.index.put(found)
                    self._context.queue.add(ReconcileHumanInput(request.origin.namespace, each))
                    return
        if outcome is not None:
            await root.store.delete(marker)

    async def _leaving(self, namespace: str) -> bool:
        """Tell whether the namespace or the whole kind is being deleted, which withdraws no question."""
        try:
            for resource, name in ((NAMESPACES, namespace), (CRDS, f"{HUMAN_INPUTS.plural}.{HUMAN_INPUTS.group}")):
                found = await self._context.cluster.kube.get(resource, name)
                if found is None or found["metadata"].get("deletionTimestamp"):
                    return True
        except ClusterForbidden as error:
            _log.error("a deletion in %s is left alone, as nobody may tell why it was: %s", namespace, error)
            return True
        return False

    async def _show(self, request: RequestDocument) -> None:
        try:
            await self._context.cluster.show(request, self._context.settings.ttl_seconds)
        except ClusterConflict:
            self._context.queue.add(ReconcileHumanInput(request.origin.namespace, request.request_id))
        except (ClusterUnavailable, ClusterForbidden, ClusterNotFound):
            raise
        except ClusterError as error:
            # It was refused for what it says: no use in trying again before somebody asks again.
            _log.error("request %s cannot be shown as a HumanInput: %s", request.request_id, error)

    async def _drop_stale(self, root: Root, marker: str) -> None:
        for key, written_at in await root.store.list_page(marker):
            if key == marker and self._context.now() - written_at >= STALE:
                await root.store.delete(marker)
