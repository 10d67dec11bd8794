"""One HumanInput, one response, one deletion at a time: read what is, do what is due, say what became of it."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Final

from hitl.cluster.client import HUMAN_INPUTS
from hitl.cluster.v1alpha1 import HumanInput, HumanInputResponse
from hitl.core import keys
from hitl.core.documents import OutcomeDocument
from hitl.core.lifecycle import expiry_due
from hitl.errors import ClockApart, DocumentDamaged, HITLError, InvalidRequest, RequestNotFound, StorageUnavailable
from hitl.records.outcomes import expire
from hitl.records.records import Records
from hitl.records.requests import StoredRequest, read_outcome_of
from hitl_operator import metrics
from hitl_operator.context import Context
from hitl_operator.decide import (
    Refusal,
    Trouble,
    came_late,
    due_in,
    is_final,
    notices_for,
    status_for,
    submission_of,
)
from hitl_operator.request_sync import asked_by, misplaced
from hitl_operator.responses import Responses
from hitl_operator.roots import Root
from hitl_operator.storage_reconciler import Stored
from hitl_operator.submissions import record
from hitl_operator.work_items import (
    CancelDeleted,
    HandleResponse,
    MirrorOutcome,
    MirrorRequest,
    ReconcileHumanInput,
    WorkItem,
)

# How long a HumanInput that is not there may still be announced as deleted.
_MISSING_SECONDS: Final = 30.0
# An object in trouble is looked at each time when the full scan has seen so many pages.
_TROUBLED_PAGES: Final = 5

_log = logging.getLogger("hitl.operator")


class Reconciler:
    """Does what is due for one piece of work. Doing it twice, or half and then again, ends in the same state."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._responses = Responses(context)
        self._stored = Stored(context)
        self._missing: dict[ReconcileHumanInput, datetime] = {}

    async def do(self, work: WorkItem) -> None:
        """Do one piece of work.

        Raises:
            HITLError: it is to be tried again later.
        """
        match work:
            case ReconcileHumanInput():
                await self._question(work)
            case HandleResponse():
                await self._responses.do(work)
            case CancelDeleted():
                await self._stored.gone(work)
            case MirrorRequest():
                await self._stored.asked(work)
            case MirrorOutcome():
                await self._stored.announced(work)

    def saw(self, human_input: HumanInput) -> None:
        """Take note of a HumanInput as the watch brings it, and queue what is due."""
        seen = self._context.index.put(human_input)
        work = ReconcileHumanInput(seen.namespace, seen.name)
        self._missing.pop(work, None)
        self._responses.saw_question(seen)
        self._schedule(work, human_input)

    def saw_response(self, response: HumanInputResponse) -> None:
        """Take note of a HumanInputResponse."""
        self._responses.saw(response)

    def saw_deleted(self, human_input: HumanInput) -> None:
        """Take note of the deletion of a HumanInput."""
        metadata = human_input.metadata
        shown = self._context.index.shown_by(human_input.request_id)
        self._context.index.drop((metadata.namespace, metadata.name))
        self._context.queue.cancel(ReconcileHumanInput(metadata.namespace, metadata.name))
        if shown is not None and shown.uid == metadata.uid and not is_final(human_input.status):
            self._context.queue.add(
                CancelDeleted(metadata.namespace, metadata.name, metadata.uid, human_input.request_id)
            )

    async def _question(self, work: ReconcileHumanInput) -> None:
        human_input = await self._context.cluster.human_input(work.namespace, work.name)
        if human_input is None:
            self._look_for(work)
            return
        shown = self._context.index.put(human_input)
        if is_final(human_input.status) and await self._delete_when_due(work, human_input):
            return
        root = self._context.roots.serving(work.namespace)
        request: StoredRequest | None = None
        outcome: OutcomeDocument | None = None
        refusal: Refusal | None = None
        trouble = misplaced(self._context, human_input, root)
        failure: HITLError | None = None
        if came_late(human_input) and root is not None:
            refusal = await self._refuse_late(root, human_input)
        if trouble is None and root is not None and not is_final(human_input.status):
            try:
                request = await asked_by(self._context, root, human_input)
                refusal = await self._respond(root, request, human_input)
                outcome = await self._outcome(root, request)
            except ClockApart as error:
                failure = error
                trouble = Trouble(
                    "ClockApart", "the operator's clock is not the storage's; it is tried again by itself"
                )
            except StorageUnavailable as error:
                failure = error
                trouble = Trouble("StorageUnavailable", "the storage does not answer; it is tried again by itself")
            except (InvalidRequest, RequestNotFound, DocumentDamaged) as error:
                trouble = self._broken(root, error, request)
        status = status_for(
            human_input,
            request=request.document if request else None,
            outcome=outcome,
            refusal=refusal,
            trouble=trouble,
            form_url=root.form_url(shown.request_id) if root else "",
            now=self._context.now(),
        )
        if status != human_input.status:
            for notice in notices_for(human_input, status, outcome):
                await self._context.cluster.emit_event(
                    HUMAN_INPUTS, human_input.metadata, notice, self._context.now()
                )
            if not await self._context.cluster.write_status(HUMAN_INPUTS, human_input.metadata, status):
                return
            if outcome is not None:
                metrics.OUTCOMES.labels(outcome=outcome.outcome, via=outcome.respondent.via).inc()
                metrics.MIRROR_SECONDS.observe(
                    max(0.0, (self._context.now() - outcome.answered_at).total_seconds())
                )
        if failure is not None:
            raise failure
        after = human_input.model_copy(update={"status": status})
        self._context.index.put(after)
        if is_final(status) and root is not None:
            await root.store.delete(keys.answered_marker(shown.request_id))
        if trouble is None:
            self._schedule(work, after)
        elif not is_final(status):
            # Whoever mends what is wrong need not say so.
            self._context.queue.add_after(work, _TROUBLED_PAGES * self._context.settings.audit_seconds)

    def _schedule(self, work: ReconcileHumanInput, human_input: HumanInput) -> None:
        seconds = due_in(human_input, self._context.now())
        if seconds == 0:
            self._context.queue.add(work)
        elif seconds is not None:
            self._context.queue.add_after(work, seconds + 0.05)

    async def _delete_when_due(self, work: ReconcileHumanInput, human_input: HumanInput) -> bool:
        if human_input.status.observed_generation != human_input.metadata.generation:
            return False
        if due_in(human_input, self._context.now()) != 0:
            return False
        self._context.index.drop((work.namespace, work.name))
        await self._context.cluster.kube.delete(
            HUMAN_INPUTS, work.name, work.namespace, uid=human_input.metadata.uid
        )
        return True

    def _look_for(self, work: ReconcileHumanInput) -> None:
        """Tell a deletion of which the watch will still tell from one that nobody saw."""
        seen = self._context.index.get((work.namespace, work.name))
        if seen is None:
            self._missing.pop(work, None)
            return
        since = self._missing.setdefault(work, self._context.now())
        if self._context.now() - since < timedelta(seconds=_MISSING_SECONDS):
            self._context.queue.add_after(work, _MISSING_SECONDS + 1)
            return
        self._missing.pop(work, None)
        self._context.index.drop(seen.key)
        root = self._context.roots.serving(work.namespace)
        if seen.pending and root is not None:
            self._context.queue.add(MirrorRequest(root.name, seen.request_id))

    async def _respond(self, root: Root, request: StoredRequest, human_input: HumanInput) -> Refusal | None:
        response, status = human_input.spec.response, human_input.status
        if response is None:
            return None
        refused = status.condition("ResponseRefused")
        if refused is not None and refused.observed_generation == human_input.metadata.generation:
            return None
        submission = submission_of(
            human_input.metadata,
            "response",
            value=response.value,
            reject=response.reject,
            comment=response.comment,
            identity=response.respondent,
            believed=self._context.settings.identity_verified,
        )
        return await record(self._context, root, request, submission, response.respondent)

    async def _outcome(self, root: Root, request: StoredRequest) -> OutcomeDocument | None:
        """Return the outcome; settle the deadline, if it is due by the storage's clock too."""
        now = self._context.now()
        if expiry_due(request.document, None, now):
            if (standing := await read_outcome_of(root.store, request)) is not None:
                return standing
            await root.require_clock(now)
        return await expire(Records(root.store, announce=True), request, now=now)

    async def _refuse_late(self, root: Root, human_input: HumanInput) -> Refusal | None:
        try:
            return await self._respond(root, await asked_by(self._context, root, human_input), human_input)
        except (InvalidRequest, RequestNotFound, DocumentDamaged, ClockApart):
            return Refusal("Superseded", "not recorded, as the question was settled before")

    def _broken(self, root: Root, error: Exception, request: StoredRequest | None) -> Trouble:
        if isinstance(error, DocumentDamaged):
            metrics.DAMAGED.labels(root=root.name).inc()
            _log.error("root %s: %s", root.name, error)
            if request is not None:
                return Trouble("OutcomeDamaged", f"the stored outcome cannot be read: {error.why}")
            return Trouble("RequestDamaged", f"the stored question cannot be read: {error.why}")
        if isinstance(error, RequestNotFound):
            return Trouble("RequestMissing", "the question is not in storage (any more)")
        return Trouble("InvalidRequest", str(error))
