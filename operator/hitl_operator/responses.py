"""HumanInputResponses: each is settled once, and says what became of it."""

from __future__ import annotations

from collections import defaultdict

from hitl.api.v1alpha1 import HumanInput, HumanInputResponse
from hitl.errors import ClockApart, DocumentDamaged, InvalidRequest, RequestNotFound, StorageUnavailable
from hitl.kube import RESPONSES
from hitl_operator.decide import AcceptedReason, Notice, response_done, response_status, submission_of
from hitl_operator.index import Seen
from hitl_operator.parts import Parts
from hitl_operator.questions import asked_by, misplaced
from hitl_operator.settling import record
from hitl_operator.work import Given, Question


class Responses:
    """Does what is due for HumanInputResponses."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._awaiting: defaultdict[tuple[str, str], set[Given]] = defaultdict(set)

    def saw(self, response: HumanInputResponse) -> None:
        """Take note of a response as the watch brings it."""
        if not response_done(response):
            self._parts.queue.add(Given(response.metadata.namespace, response.metadata.name))

    def saw_question(self, seen: Seen) -> None:
        """Look again at the responses that wait for a question which is there now."""
        for target in ((seen.namespace, seen.name), (seen.namespace, seen.request_id)):
            for given in self._awaiting.pop(target, ()):
                self._parts.queue.add(given)

    async def do(self, work: Given) -> None:
        """Settle a response, unless that was done.

        Raises:
            HITLError: it is to be tried again later.
        """
        response = await self._parts.cluster.response(work.namespace, work.name)
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

    async def _accept(self, work: Given, response: HumanInputResponse) -> tuple[bool, AcceptedReason, str]:
        target = response.spec.request_ref
        human_input = await self._target(work.namespace, target.name, target.request_id)
        root = self._parts.roots.serving(work.namespace)
        if human_input is None or root is None or misplaced(self._parts, human_input, root) is not None:
            self._awaiting[work.namespace, target.name or target.request_id or ""].add(work)
            return False, "RequestNotFound", f"there is no question {target.name or target.request_id} here (yet)"
        try:
            request = await asked_by(self._parts, root, human_input)
            submission = submission_of(
                response.metadata,
                "requestRef",
                value=response.spec.value,
                reject=response.spec.reject,
                comment=response.spec.comment,
                identity=response.spec.respondent,
                believed=self._parts.settings.identity_verified,
            )
            refusal = await record(self._parts, root, request, submission, response.spec.respondent)
        except (InvalidRequest, RequestNotFound) as error:
            return False, "RequestNotFound", str(error)
        except DocumentDamaged as error:
            return False, "RequestNotFound", f"the stored question cannot be read: {error.why}"
        self._parts.queue.add(Question(human_input.metadata.namespace, human_input.metadata.name))
        if refusal is None:
            return True, "Accepted", "recorded as the outcome"
        if refusal.reason == "Expired":
            return False, "Superseded", refusal.message
        return False, refusal.reason, refusal.message

    async def _target(self, namespace: str, name: str | None, request_id: str | None) -> HumanInput | None:
        if name is None and request_id is not None:
            shown = self._parts.index.shown_by(request_id)
            name = shown.name if shown is not None and shown.namespace == namespace else request_id
        return await self._parts.cluster.human_input(namespace, name) if name else None

    async def _decided(
        self, response: HumanInputResponse, accepted: bool, reason: AcceptedReason, message: str
    ) -> None:
        status = response_status(response, accepted, reason, message, self._parts.now())
        if status == response.status:
            return
        if not accepted and reason not in ("RequestNotFound", "StorageUnavailable", "ClockApart"):
            notice = Notice("SubmissionRefused", message, warning=True)
            await self._parts.cluster.tell(RESPONSES, response.metadata, notice, self._parts.now())
        await self._parts.cluster.write_status(RESPONSES, response.metadata, status)
