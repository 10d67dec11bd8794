"""Requests as storage has them: to be shown, found, and withdrawn with their HumanInput."""

from __future__ import annotations

import logging
import time
from datetime import timedelta

from hitl.cluster.client import CRDS, HUMAN_INPUTS, NAMESPACES
from hitl.cluster.replies import KindNotServed
from hitl.cluster.shapes import Metadata
from hitl.core import keys
from hitl.core.documents import OutcomeDocument, RequestDocument, Respondent
from hitl.core.lifecycle import GRACE
from hitl.errors import (
    ClusterConflict,
    ClusterError,
    ClusterForbidden,
    ClusterNotFound,
    DocumentDamaged,
    RequestNotFound,
)
from hitl.records.outcomes import settle
from hitl.records.requests import StoredRequest, read_outcome_of
from hitl.records.retention import STALE
from hitl.records.submissions import Submission
from hitl_operator import metrics
from hitl_operator.context import Context
from hitl_operator.decide import Notice
from hitl_operator.refusals import SLOW_SECONDS, Refusals
from hitl_operator.request_sync import Requests
from hitl_operator.roots import Root
from hitl_operator.troubles import note_damaged
from hitl_operator.work_items import CancelDeleted, MirrorOutcome, MirrorRequest, ReconcileHumanInput

_log = logging.getLogger("hitl.operator")


class _NameTaken(ClusterError):
    """A HumanInput that asks or shows another question has the name under which a request is to be shown."""

    def __init__(self, by: Metadata, request_id: str) -> None:
        super().__init__(
            f"HumanInput {by.namespace}/{by.name} is another question, and has the name that belongs to question "
            f"{request_id}, which cannot be shown: delete it, and create it under another name"
        )
        self.by = by


class Stored:
    """Does what is due for requests in storage. Any method may raise HITLError: it is to be tried again later.

    Args:
        context: The operator's parts.
        requests: The questions in storage.
        refusals: Where refused HumanInputs are counted.
    """

    def __init__(self, context: Context, requests: Requests, refusals: Refusals) -> None:
        self._context = context
        self._requests = requests
        self._refusals = refusals
        # Requests whose namespace was not there when they were to be shown.
        self._nowhere: set[MirrorRequest] = set()

    async def gone(self, work: CancelDeleted) -> None:
        """Withdraw the question of a HumanInput that somebody deleted."""
        if self._context.index.shown_in(work.namespace, work.request_id) is not None:
            return
        root = self._context.roots.serving(work.namespace)
        if root is None or await self._leaving(work.namespace):
            return
        try:
            request = await self._requests.read(root, work.request_id)
            if not _showed(work, request):
                _log.warning("%s/%s was deleted: it was not what showed its request", work.namespace, work.name)
                return
            submission = Submission(
                "cancelled",
                Respondent(via="operator"),
                comment=f"its HumanInput {work.namespace}/{work.name} was deleted",
                submission_id=f"deleted-{work.uid}",
            )
            now = self._context.now()
            await root.require_clock(now)
            # No marker: there is no HumanInput left to show the outcome.
            settled = await settle(self._requests.records(root), request, submission, now=now)
        except (RequestNotFound, DocumentDamaged) as error:
            _log.warning("%s/%s was deleted, and there is nothing to cancel: %s", work.namespace, work.name, error)
        else:
            if settled.kind == "recorded":
                _log.info("%s/%s was deleted: request %s is cancelled", work.namespace, work.name, work.request_id)
                self._context.tell_web_apps(root.name, work.request_id)
        self._requests.forget(root, work.request_id)
        await root.store.delete(keys.answered_marker(work.request_id))

    async def asked(self, work: MirrorRequest) -> None:
        """Show a request that was asked through storage."""
        root = self._context.roots.named(work.root)
        marker = keys.new_marker(work.request_id)
        if (shown := self._context.index.shown_by(work.request_id)) is not None:
            self._context.queue.add(ReconcileHumanInput(shown.namespace, shown.name))
            await self._shown(root, work)
            return
        try:
            stored = await self._requests.read(root, work.request_id)
            # A question need not be shown to end.
            outcome = (await self._requests.outcome(root, stored)).outcome
        except RequestNotFound:
            self._forget(work)
            return
        except DocumentDamaged as error:
            note_damaged(root.name, error)
            self._forget(work)
            return
        request, namespace = stored.document, stored.document.origin.namespace
        if not namespace or self._context.roots.serving(namespace) is not root:
            metrics.FOREIGN.labels(root=root.name).inc()
            _log.error(
                "root %s: request %s is left alone: it names namespace %r", root.name, work.request_id, namespace
            )
            return
        if (shown := self._context.index.shown_in(namespace, work.request_id)) is not None:
            self._context.queue.add(ReconcileHumanInput(shown.namespace, shown.name))
            await self._shown(root, work)
            return
        try:
            there = await self._asked_there(request)
        except KindNotServed as error:
            if not self._refusals.count(work, error):
                raise
            self._show_later(work, request, outcome, SLOW_SECONDS)
            return
        if there:
            await self._shown(root, work)
            return
        left = self._context.index.left_for(namespace, work.request_id, time.monotonic())
        if outcome is None and left > 0:
            # Its HumanInput was deleted, and who has that namespace withdraws it.
            self._show_later(work, request, outcome, left)
            return
        kept = timedelta(seconds=self._context.settings.ttl_seconds)
        # One that is settled and without a marker was shown, and deleted since: a hint brings it back no more.
        due = outcome is None or (
            self._context.now() - outcome.answered_at < kept and await root.store.exists(marker)
        )
        if due and not await self._show(work, request, outcome):
            return
        await self._shown(root, work)

    async def announced(self, work: MirrorOutcome) -> None:
        """Find the HumanInput of a request that has an outcome."""
        root = self._context.roots.named(work.root)
        marker = keys.answered_marker(work.request_id)
        try:
            stored = await self._requests.read(root, work.request_id)
            request, outcome = stored.document, await read_outcome_of(root.store, stored)
        except RequestNotFound:
            await self._drop_stale(root, marker)
            return
        except DocumentDamaged as error:
            note_damaged(root.name, error)
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

    async def _asked_there(self, request: RequestDocument) -> bool:
        """Look for the HumanInput that asked a question, as the watch may not have told of it yet.

        A second one would be shown beside it.
        """
        namespace, name = request.origin.namespace, request.origin.human_input
        if not name:
            return False
        found = await self._context.cluster.human_input(namespace, name)
        if found is None or found.request_id != request.request_id:
            return False
        self._context.index.put(found)
        self._context.queue.add(ReconcileHumanInput(namespace, name))
        return True

    async def _show(self, work: MirrorRequest, request: RequestDocument, outcome: OutcomeDocument | None) -> bool:
        """Create a HumanInput; False when that is refused, and is to be tried again."""
        if outcome is not None and work in self._nowhere:
            # It has ended. The program gets that from storage.
            return True
        if (seconds := self._refusals.rests(work)) > 0:
            self._show_later(work, request, outcome, seconds)
            return False
        try:
            await self._create(request)
        except ClusterError as error:
            if isinstance(error, ClusterNotFound):
                self._nowhere.add(work)
                if outcome is not None:
                    _log.error("request %s is settled, and cannot be shown: %s", request.request_id, error)
                    return True
            if not self._refusals.count(work, error):
                raise
            _log.error("request %s cannot be shown, tried again slowly: %s", request.request_id, error)
            if isinstance(error, _NameTaken):
                notice = Notice("WriteRefused", str(error), warning=True)
                await self._context.cluster.emit_event(HUMAN_INPUTS, error.by, notice, self._context.now())
            self._show_later(work, request, outcome, SLOW_SECONDS)
            return False
        return True

    async def _create(self, request: RequestDocument) -> None:
        """Create a HumanInput, or find the one that shows the request already."""
        cluster, namespace, name = self._context.cluster, request.origin.namespace, request.request_id
        try:
            await cluster.show(request, self._context.settings.ttl_seconds)
        except ClusterConflict:
            found = await cluster.human_input(namespace, name)
            if found is None:
                # It went away meanwhile.
                raise
            if found.request_id != request.request_id:
                raise _NameTaken(found.metadata, request.request_id) from None
            self._context.index.put(found)
            self._context.queue.add(ReconcileHumanInput(namespace, name))

    async def _shown(self, root: Root, work: MirrorRequest) -> None:
        """Forget what hindered a request from being shown, and delete its marker."""
        self._forget(work)
        await root.store.delete(keys.new_marker(work.request_id))

    def _forget(self, work: MirrorRequest) -> None:
        """Forget what hindered a request from being shown, as it is shown, or gone."""
        self._refusals.forget(work)
        self._nowhere.discard(work)

    def _show_later(
        self, work: MirrorRequest, request: RequestDocument, outcome: OutcomeDocument | None, seconds: float
    ) -> None:
        """Try again after so many seconds; at the deadline of what is pending, which is settled even so."""
        if outcome is None:
            seconds = min(seconds, self._until_deadline(request))
        self._context.queue.add_after(work, seconds + 0.05)

    def _until_deadline(self, request: RequestDocument) -> float:
        return max(0.0, (request.expires_at + GRACE - self._context.now()).total_seconds())

    async def _drop_stale(self, root: Root, marker: str) -> None:
        for key, written_at in await root.store.list_page(marker):
            if key == marker and self._context.now() - written_at >= STALE:
                await root.store.delete(marker)


def _showed(work: CancelDeleted, request: StoredRequest) -> bool:
    """Tell whether a HumanInput that was deleted is the one that showed its request: anybody may name one."""
    origin = request.document.origin
    asked = work.uid == work.request_id and origin.human_input == work.name
    return origin.namespace == work.namespace and (asked or work.name == work.request_id)
