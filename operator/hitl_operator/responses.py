"""HumanInputResponses: each is settled once, and says what became of it."""

from __future__ import annotations

from collections import defaultdict

from hitl.cluster.client import RESPONSES
from hitl.cluster.v1alpha1 import HumanInput, HumanInputResponse
from hitl.errors import ClockApart, DocumentDamaged, InvalidRequest, RequestNotFound, StorageUnavailable
from hitl_operator.context import Context
from hitl_operator.decide import AcceptedReason, Notice, response_done, response_status, submission_of
from hitl_operator.index import Seen
from hitl_operator.request_sync import asked_by, misplaced
from hitl_operator.submissions import record
from hitl_operator.work_items import HandleResponse, ReconcileHumanInput


class Responses:
    """Does what is due for HumanInputResponses."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._awaiting: defaultdict[tuple[str, str], set[HandleResponse]] = defaultdict(set)

    def saw(self, response: HumanInputResponse) -> None:
        """Take note of a response as the watch brings it."""
        if not response_done(response):
            self._context.queue.add(HandleResponse(response.metadata.namespace, response.metadata.name))

    def saw_question(self, seen: Seen) -> None:
        """Look again at the responses that wait for a question which is there now."""
        for target in ((seen.namespace, seen.name), (seen.namespace, seen.request_id)):
            for given in self._awaiting.pop(target, ()):
                self._context.queue.add(given)

    async def do(self, work: HandleResponse) -> None:
        """Settle a response, unless that was done.

        Raises:
            HITLError: it is to be tried again later.
        """
        response = await self._context.cluster.response(work.namespace, work.name)
        if response is None or response_done(response):
            return
        try:
            accepted, reason, message = await self._accept(work, response)
        except StorageUnavailable:
            waiting = "the storage does not answer; it is tried again by itself"
            await self._decided(response, False, "StorageUnavailable", waiting)
            raise
        except ClockApart:
            waiting = "the operator's clock is not the storage's; it is tried again by itself"
            await self._decided(response, False, "ClockApart", waiting)
            raise
        await self._decided(response, accepted, reason, message)

    async def _accept(
        self, work: HandleResponse, response: HumanInputResponse
    ) -> tuple[bool, AcceptedReason, str]:
        target = response.spec.request_ref
        human_input = await self._target(work.namespace, target.name, target.request_id)
        root = self._context.roots.serving(work.namespace)
        if human_input is None or root is None or misplaced(self._context, human_input, root) is not None:
            self._awaiting[work.namespace, target.name or target.request_id or ""].add(work)
            return False, "RequestNotFound", f"there is no question {target.name or target.request_id} here (yet)"
        try:
            request = await asked_by(self._context, root, human_input)
            submission = submission_of(
                response.metadata,
                "requestRef",
                value=response.spec.value,
                reject=response.spec.reject,
                comment=response.spec.comment,
                identity=response.spec.respondent,
                believed=self._context.settings.identity_verified,
            )
            refusal = await record(self._context, root, request, submission, response.spec.respondent)
        except (InvalidRequest, RequestNotFound) as error:
            return False, "RequestNotFound", str(error)
        except DocumentDamaged as error:
            return False, "RequestNotFound", f"the stored question cannot be read: {error.why}"
        self._context.queue.add(ReconcileHumanInput(human_input.metadata.namespace, human_input.metadata.name))
        if refusal is None:
            return True, "Accepted", "recorded as the outcome"
        if refusal.reason == "Expired":
            return False, "Superseded", refusal.message
        return False, refusal.reason, refusal.message

    async def _target(self, namespace: str, name: str | None, request_id: str | None) -> HumanInput | None:
        if name is None and request_id is not None:
            shown = self._context.index.shown_by(request_id)
            name = shown.name if shown is not None and shown.namespace == namespace else request_id
        return await self._context.cluster.human_input(namespace, name) if name else None

    async def _decided(
        self, response: HumanInputResponse, accepted: bool, reason: AcceptedReason, message: str
    ) -> None:
        status = response_status(response, accepted, reason, message, self._context.now())
        if status == response.status:
            return
        if not accepted and reason not in ("RequestNotFound", "StorageUnavailable", "ClockApart"):
            notice = Notice("SubmissionRefused", message, warning=True)
            await self._context.cluster.emit_event(RESPONSES, response.metadata, notice, self._context.now())
        await self._context.cluster.write_status(RESPONSES, response.metadata, status)
