"""From an admitted submission to its result, with the audit's line and the operator's hint."""

from __future__ import annotations

from starlette.datastructures import Headers

from hitl.errors import AlreadySettled, HITLError, InvalidValue, RequestNotFound
from hitl.records.outcomes import Settled, Submission, settle
from hitl.records.records import Records
from hitl_webapp import audit, metrics
from hitl_webapp.admission import Address, Admission, Admitted
from hitl_webapp.auth import Principal
from hitl_webapp.clock import Clock
from hitl_webapp.evidence import EvidenceReader
from hitl_webapp.hints import Hints
from hitl_webapp.problems import Unauthenticated
from hitl_webapp.questions import Questions


class Submissions:
    """What visitors submit.

    Args:
        records: Where the questions lie.
        admission: Lets visitors in.
        questions: What is remembered of the questions.
        clock: This machine's clock.
        hints: Tells the operator.
        evidence: What is shown beside the questions.
    """

    def __init__(
        self,
        records: Records,
        admission: Admission,
        questions: Questions,
        clock: Clock,
        hints: Hints,
        evidence: EvidenceReader,
    ) -> None:
        self._records = records
        self._admission = admission
        self._questions = questions
        self._clock = clock
        self._hints = hints
        self._evidence = evidence

    async def admit(self, address: Address, headers: Headers) -> Admitted:
        """Let a visitor submit, as `Admission.to_submit` does. The audit notes each refusal.

        Raises:
            HITLError, Unauthenticated: whatever admission raises.
        """
        principal: Principal | None = None
        try:
            principal = await self._admission.authenticate(headers)
            return await self._admission.to_submit(address, principal)
        except (HITLError, Unauthenticated) as error:
            audit.refused(address.request_id, None, principal, error)
            raise

    async def settle(
        self, admitted: Admitted, submission: Submission, fault: InvalidValue | None = None
    ) -> Settled:
        """Make a submission the outcome, or say why it is not. The audit notes it either way.

        Args:
            admitted: The question and the visitor.
            submission: What they submit.
            fault: What is wrong with it already, if anything. Who won before matters more.

        Raises:
            NotAllowed: the visitor may not answer.
            ClockApart: this machine's clock is not the storage's; trying again is safe.
            EvidenceChanged: what was shown beside the question is not what was asked with it.
            HITLError: storage or API server cannot say the result.
        """
        request_id, principal = admitted.request.request_id, admitted.principal
        try:
            settled = await (self._try(admitted, submission) if fault is None else self._refuse(admitted, fault))
        except HITLError as error:
            audit.refused(request_id, submission, principal, error)
            raise
        if settled.error is not None:
            if isinstance(settled.error, RequestNotFound):
                self._questions.forget(request_id)
            audit.refused(request_id, submission, principal, settled.error)
            return settled
        outcome = settled.outcome_or_raise()
        # What was sent twice was recorded, and counted, by the first one.
        first = settled.kind == "recorded"
        audit.recorded(submission, principal, outcome, first=first)
        if first:
            metrics.count_answer(admitted.request.document.created_at, outcome)
        self._questions.keep(admitted.request, outcome)
        self._hints.send(request_id)
        return settled

    async def _try(self, admitted: Admitted, submission: Submission) -> Settled:
        now = self._clock.now()
        await self._clock.require(now)
        await admitted.principal.require_may_answer(admitted.request.document)
        await self._evidence.require_unchanged(admitted.request)
        return await settle(self._records, admitted.request, submission, now=now, looked=admitted.looked)

    async def _refuse(self, admitted: Admitted, fault: InvalidValue) -> Settled:
        await admitted.principal.require_may_answer(admitted.request.document)
        standing = await self._questions.outcome(admitted.request)
        if standing is not None:
            return Settled("lost", standing, AlreadySettled(standing))
        return Settled("refused", error=fault)
