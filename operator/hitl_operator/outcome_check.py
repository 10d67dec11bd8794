"""Whether storage still holds the outcome that a status shows: after a restore from a backup it may not.

Only a person can tell what is right then, so the operator says so, accepts nothing, and waits for a decision.
"""

from __future__ import annotations

import logging

from hitl.cluster.client import HUMAN_INPUTS
from hitl.cluster.mapping import outcome_of, outcome_shown
from hitl.cluster.v1alpha1 import MISSING_OUTCOME_ANNOTATION, HumanInput
from hitl.core import keys
from hitl.core.documents import OutcomeDocument
from hitl.errors import DocumentDamaged, InvalidRequest, InvalidValue, RequestNotFound
from hitl.records.requests import StoredRequest, read_outcome_of
from hitl.records.restoring import put_back
from hitl_operator.context import Context
from hitl_operator.decide import Findings, Stored, is_final
from hitl_operator.request_sync import Requests
from hitl_operator.roots import Root
from hitl_operator.statuses import notices_for, says_the_same, status_for
from hitl_operator.troubles import note_damaged
from hitl_operator.work_items import CheckOutcome, ReconcileHumanInput

_RESTORE = "restore"
# What of an outcome is compared. Names and remarks are beside the point.
_COMPARED = ("phase", "value", "answered_via", "answered_at")

_log = logging.getLogger("hitl.operator")


class OutcomeCheck:
    """Compares the outcome in a status with the one in storage.

    Args:
        context: The operator's parts.
        requests: The questions in storage.
    """

    def __init__(self, context: Context, requests: Requests) -> None:
        self._context = context
        self._requests = requests

    async def do(self, work: CheckOutcome) -> None:
        """Check one settled HumanInput.

        Raises:
            HITLError: it is to be tried again later.
        """
        human_input = await self._context.cluster.human_input(work.namespace, work.name)
        root = self._context.roots.serving(work.namespace)
        if human_input is None or root is None or human_input.status.request_id is None:
            return
        if not is_final(human_input.status):
            self._context.queue.add(ReconcileHumanInput(work.namespace, work.name))
            return
        try:
            stored = await self._stored(root, human_input)
        except DocumentDamaged as error:
            note_damaged(root.name, error)
            return
        await self._tell(human_input, stored)
        if stored != Stored.MISSING:
            await root.store.delete(keys.answered_marker(human_input.request_id))

    async def _stored(self, root: Root, human_input: HumanInput) -> Stored:
        try:
            request = await self._requests.read(root, human_input.request_id, afresh=True)
        except RequestNotFound:
            # Question and outcome are gone, as after their retention: no other outcome can come to be.
            return Stored.SAME
        outcome = await read_outcome_of(root.store, request)
        if outcome is None and human_input.metadata.annotations.get(MISSING_OUTCOME_ANNOTATION) == _RESTORE:
            outcome = await self._put_back(root, request, human_input)
        if outcome is None:
            return Stored.MISSING
        return Stored.SAME if _same(human_input, outcome) else Stored.ANOTHER

    async def _put_back(
        self, root: Root, request: StoredRequest, human_input: HumanInput
    ) -> OutcomeDocument | None:
        metadata = human_input.metadata
        try:
            shown = outcome_of(human_input, request.document, request.sha256)
        except (InvalidRequest, InvalidValue) as error:
            _log.error("%s/%s: its outcome cannot be restored: %s", metadata.namespace, metadata.name, error)
            return None
        _log.warning("%s/%s: its outcome is put back into storage", metadata.namespace, metadata.name)
        return await put_back(root.store, request, shown)

    async def _tell(self, human_input: HumanInput, stored: Stored) -> None:
        metadata, now = human_input.metadata, self._context.now()
        status = status_for(human_input, Findings(stored=stored), form_url="", now=now)
        if says_the_same(status, human_input.status):
            return
        if stored in (Stored.MISSING, Stored.ANOTHER):
            what = "does not hold its outcome" if stored == Stored.MISSING else "holds another outcome"
            _log.error("%s/%s: the storage %s: somebody has to decide", metadata.namespace, metadata.name, what)
        cluster = self._context.cluster
        for notice in notices_for(human_input, status, None):
            await cluster.emit_event(HUMAN_INPUTS, metadata, notice, now)
        if await cluster.write_status(HUMAN_INPUTS, metadata, status, former=human_input.status):
            self._context.index.put(human_input.model_copy(update={"status": status}))
        else:
            self._context.queue.add(CheckOutcome(metadata.namespace, metadata.name))


def _same(human_input: HumanInput, outcome: OutcomeDocument) -> bool:
    shown, status = outcome_shown(outcome), human_input.status
    return all(getattr(status, field) == shown[field] for field in _COMPARED)
