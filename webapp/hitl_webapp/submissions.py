"""From an admitted submission to its result, with the audit's line and the operator's hint."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Protocol

from starlette.datastructures import Headers

from hitl.core.audit import Right
from hitl.core.documents import Respondent, Via
from hitl.errors import HITLError, InvalidValue, RequestNotFound
from hitl.records.attempts import note_refused, note_settlement
from hitl.records.delegating import delegate
from hitl.records.outcomes import settle
from hitl.records.records import Records
from hitl.records.requests import StoredRequest
from hitl.records.submissions import Settled, Submission, too_late
from hitl.records.voting import withdraw
from hitl_webapp import audit, metrics
from hitl_webapp.admission import Address, Admission, Admitted
from hitl_webapp.auth import Principal
from hitl_webapp.checking import checked
from hitl_webapp.clock import Clock
from hitl_webapp.evidence import EvidenceReader
from hitl_webapp.hints import Hints
from hitl_webapp.problems import BadInput, TooLarge, TooMany, TooSlow, Unauthenticated
from hitl_webapp.questions import Questions


class _Change(Protocol):
    """Withdraws or delegates, as `hitl.records.voting.withdraw` does."""

    async def __call__(
        self,
        records: Records,
        request: StoredRequest,
        respondent: Respondent,
        *,
        now: datetime,
        right: Right,
        submission_id: str,
    ) -> Settled: ...


class Submissions:
    """What visitors submit.

    Args:
        records: Where the questions lie.
        admission: Lets visitors in.
        questions: What is remembered of the questions.
        clock: This machine's clock.
        hints: Tells the operator.
        evidence: What is shown beside the questions.
        voted: Called with the id of a question on which somebody voted, or withdrew a vote.
    """

    def __init__(
        self,
        records: Records,
        admission: Admission,
        questions: Questions,
        clock: Clock,
        hints: Hints,
        evidence: EvidenceReader,
        voted: Callable[[str], None],
    ) -> None:
        self._records = records
        self._admission = admission
        self._questions = questions
        self._clock = clock
        self._hints = hints
        self._evidence = evidence
        self._voted = voted

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
            await self._note_refused(error, address.request_id, principal)
            raise

    @asynccontextmanager
    async def arriving(self, admitted: Admitted, submission: Submission) -> AsyncIterator[None]:
        """Have the audit note what is refused while it arrives, such as a file.

        Args:
            admitted: The question and the visitor.
            submission: What will be submitted, but for the file.
        """
        try:
            yield
        except (HITLError, BadInput, TooLarge, TooMany, TooSlow) as error:
            request, principal = admitted.request, admitted.principal
            submission = replace(submission, right=principal.right)
            await self._note_refused(error, request.request_id, principal, request, submission)
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
        submission = replace(submission, right=principal.right)
        try:
            if fault is None:
                settled = await self._try(admitted, submission)
            else:
                settled = await self._refuse(admitted, submission, fault)
        except HITLError as error:
            await self._note_refused(error, request_id, principal, admitted.request, submission)
            raise
        if settled.error is not None:
            if isinstance(settled.error, RequestNotFound):
                self._questions.forget(request_id)
            audit.refused(request_id, submission, principal, settled.error)
            return settled
        if settled.kind == "voted":
            audit.voted(request_id, submission, principal)
            self._hints.send(request_id)
            self._voted(request_id)
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

    async def withdraw(self, admitted: Admitted, via: Via, submission_id: str) -> Settled:
        """Withdraw a visitor's vote, or take back that they handed the question over, or say why not.

        The audit notes it either way. Arguments and errors are those of `delegate`.
        """
        return await self._change(admitted, via, withdraw, "VoteWithdrawn", submission_id)

    async def delegate(self, admitted: Admitted, via: Via, to: str, submission_id: str) -> Settled:
        """Hand a question over to somebody else, or say why not. The audit notes it either way.

        Args:
            admitted: The question, and the visitor.
            via: The channel.
            to: Who it is handed over to.
            submission_id: The same one, sent again, changes nothing that was said since.

        Raises:
            ClockApart: this machine's clock is not the storage's; trying again is safe.
            HITLError: storage or API server cannot say the result.
        """
        return await self._change(admitted, via, partial(delegate, to=to), "Delegated", submission_id)

    async def _change(
        self, admitted: Admitted, via: Via, change: _Change, done: str, submission_id: str
    ) -> Settled:
        """Change what a visitor said, a vote or a delegation. The audit notes what was done, or the refusal."""
        request, principal = admitted.request, admitted.principal
        now = self._clock.now()
        try:
            await self._clock.require(now)
            await principal.require_may_answer(request.document, now)
            settled = await change(
                self._records,
                request,
                admitted.respondent(via),
                now=now,
                right=principal.right,
                submission_id=submission_id,
            )
        except HITLError as error:
            await self._note_refused(error, request.request_id, principal, request)
            raise
        if settled.error is not None:
            audit.refused(request.request_id, None, principal, settled.error)
        else:
            audit.done(request.request_id, principal, done)
            self._hints.send(request.request_id)
            self._voted(request.request_id)
        return settled

    async def _try(self, admitted: Admitted, submission: Submission) -> Settled:
        now = self._clock.now()
        await self._clock.require(now)
        await admitted.principal.require_may_answer(admitted.request.document, now)
        await self._evidence.require_unchanged(admitted.request)
        submission = await checked(admitted.request.document, submission)
        return await settle(self._records, admitted.request, submission, now=now, looked=admitted.looked)

    async def _refuse(self, admitted: Admitted, submission: Submission, fault: InvalidValue) -> Settled:
        question = admitted.request.document
        await admitted.principal.require_may_answer(question, await self._clock.rights_time(question))
        standing = await self._questions.outcome(admitted.request)
        settled = Settled("refused", error=fault)
        if standing is not None:
            settled = Settled.lost(standing)
        elif await self._questions.over(admitted.request):
            settled = too_late(admitted.request)
        await note_settlement(self._records, admitted.request, submission, settled, self._clock.now())
        return settled

    async def _note_refused(
        self,
        error: Exception,
        request_id: str,
        principal: Principal | None,
        request: StoredRequest | None = None,
        submission: Submission | None = None,
    ) -> None:
        """Write a refusal to the log and to the audit."""
        audit.refused(request_id, submission, principal, error)
        name = "" if principal is None else principal.name
        await note_refused(self._records, request_id, error, request=request, submission=submission, name=name)
