"""HumanInputResponses: each is settled once, and shows the result."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from hitl.cluster.client import RESPONSES
from hitl.cluster.conditions import AcceptedReason, RefusalReason
from hitl.cluster.human_input_response import HumanInputResponse
from hitl.cluster.mapping import given_in
from hitl.cluster.v1alpha1 import HumanInput
from hitl.errors import (
    ClockApart,
    DocumentDamaged,
    InvalidRequest,
    RequestNotFound,
    StorageUnavailable,
    StorageUnsuitable,
)
from hitl.records.requests import read_outcome_of
from hitl.records.submissions import Settled
from hitl_operator.context import Context
from hitl_operator.decide import Notice, is_final, response_done
from hitl_operator.index import Seen
from hitl_operator.memory import Fresh
from hitl_operator.refusals import SLOW_SECONDS
from hitl_operator.request_sync import Requests, misplaced
from hitl_operator.roots import Root
from hitl_operator.statuses import response_status
from hitl_operator.submissions import record, withdraw_or_delegate
from hitl_operator.troubles import trouble_of
from hitl_operator.work_items import CheckOutcome, HandleResponse, ReconcileHumanInput

_REFUSED: dict[str, AcceptedReason] = {
    RefusalReason.SUPERSEDED: AcceptedReason.SUPERSEDED,
    RefusalReason.EXPIRED: AcceptedReason.SUPERSEDED,
    RefusalReason.INVALID: AcceptedReason.INVALID,
    RefusalReason.NOT_ALLOWED: AcceptedReason.NOT_ALLOWED,
    RefusalReason.EVIDENCE_CHANGED: AcceptedReason.EVIDENCE_CHANGED,
    AcceptedReason.VOTED_BEFORE: AcceptedReason.VOTED_BEFORE,
    AcceptedReason.WITHDRAWN: AcceptedReason.WITHDRAWN,
}
# Not yet decided for a reason that is nobody's mistake.
_NO_NOTICE = (
    AcceptedReason.REQUEST_NOT_FOUND,
    AcceptedReason.STORAGE_UNAVAILABLE,
    AcceptedReason.CLOCK_APART,
)


@dataclass(frozen=True)
class _Verdict:
    reason: AcceptedReason
    message: str
    accepted: bool = False


def _done(settled: Settled, to: str | None) -> _Verdict:
    """Return the verdict on what withdraws something, or hands the question over."""
    match settled.kind:
        case "delegated":
            return _Verdict(AcceptedReason.DELEGATED, f"{to} may answer on behalf of this user", accepted=True)
        case "withdrawn" if to is not None:
            return _Verdict(AcceptedReason.WITHDRAWN, "this was taken back: create another HumanInputResponse")
        case "withdrawn":
            said = "it is withdrawn" if settled.standing is None else settled.standing.sentence()
            return _Verdict(AcceptedReason.WITHDRAWN, said, accepted=True)
        case "lost" | "too_late":
            return _Verdict(AcceptedReason.SUPERSEDED, f"nothing was changed: {_why(settled)}")
        case "voted_before":
            return _Verdict(AcceptedReason.VOTED_BEFORE, _why(settled))
        case "not_allowed":
            return _Verdict(AcceptedReason.NOT_ALLOWED, _why(settled))
    return _Verdict(AcceptedReason.INVALID, _why(settled))


def _why(settled: Settled) -> str:
    if settled.outcome is not None:
        return f"the question was {settled.outcome.summary()}"
    return "the deadline has passed" if settled.kind == "too_late" else str(settled.error)


class Responses:
    """Does what is due for HumanInputResponses.

    Args:
        context: The operator's parts.
        requests: The questions in storage.
    """

    def __init__(self, context: Context, requests: Requests) -> None:
        self._context = context
        self._requests = requests
        self._fresh: Fresh[HumanInputResponse] = Fresh()
        # Those whose question is not there, by namespace and by what they call the question.
        self._awaiting: defaultdict[tuple[str, str], set[HandleResponse]] = defaultdict(set)
        self._awaited: dict[HandleResponse, tuple[str, str]] = {}

    def saw(self, response: HumanInputResponse) -> None:
        """Take note of a response as the watch brings it."""
        if not response_done(response):
            self._fresh.put(response)
            self._context.queue.add(HandleResponse(response.metadata.namespace, response.metadata.name))

    def saw_question(self, seen: Seen) -> None:
        """Look again at the responses that wait for a question which is there now."""
        for target in ((seen.namespace, seen.name), (seen.namespace, seen.request_id)):
            for given in self._awaiting.pop(target, ()):
                self._awaited.pop(given, None)
                self._context.queue.add(given)

    def left(self, leads: Callable[[str], bool]) -> None:
        """Forget which responses wait for their question, of those that others work on now.

        Args:
            leads: Tells whether this operator works on a namespace.
        """
        for work in list(self._awaited):
            if not leads(work.namespace):
                self._await_no_more(work)

    async def do(self, work: HandleResponse) -> None:
        """Settle a response, unless that was done.

        Raises:
            HITLError: it is to be tried again later.
        """
        response = self._fresh.take((work.namespace, work.name))
        if response is None:
            response = await self._context.cluster.response(work.namespace, work.name)
        if response is None or response_done(response):
            self._await_no_more(work)
            return
        known = self._sees_question(work, response)
        try:
            verdict = await self._verdict(work, response)
        except (StorageUnavailable, StorageUnsuitable, ClockApart) as error:
            trouble = trouble_of(error, asked=False, root="")
            await self._decided(work, response, _Verdict(AcceptedReason(trouble.reason), trouble.message))
            raise
        except (InvalidRequest, RequestNotFound) as error:
            verdict = _Verdict(AcceptedReason.REQUEST_NOT_FOUND, str(error))
        except DocumentDamaged as error:
            why = f"the stored question cannot be read: {error.why}"
            verdict = _Verdict(AcceptedReason.REQUEST_NOT_FOUND, why)
        if verdict.reason in (AcceptedReason.REQUEST_NOT_FOUND, AcceptedReason.OUTCOME_MISSING):
            self._await(work, response)
            if not known and self._sees_question(work, response):
                # The watch told of it while the API server said that there is none: it will not tell again.
                self._context.queue.add(work)
        else:
            self._await_no_more(work)
        await self._decided(work, response, verdict)

    async def _verdict(self, work: HandleResponse, response: HumanInputResponse) -> _Verdict:
        target = response.spec.request_ref
        human_input = await self._target(work.namespace, target.name, target.request_id)
        root = self._context.roots.serving(work.namespace)
        if human_input is None or root is None or misplaced(self._context, human_input, root) is not None:
            raise RequestNotFound(f"there is no question {target.name or target.request_id} here (yet)")
        return await self._accept(root, human_input, response)

    async def _accept(self, root: Root, human_input: HumanInput, response: HumanInputResponse) -> _Verdict:
        metadata = human_input.metadata
        try:
            request = await self._requests.of(root, human_input)
            if is_final(human_input.status) and await read_outcome_of(root.store, request) is None:
                self._context.queue.add(CheckOutcome(metadata.namespace, metadata.name))
                missing = (
                    "the question was settled, and storage does not hold its outcome: nothing else is accepted"
                )
                return _Verdict(AcceptedReason.OUTCOME_MISSING, missing)
            given = given_in(response, believed=self._context.settings.identity_verified)
            # A marker announces the outcome: after a restart, nothing else would have the HumanInput looked at.
            records = self._requests.records(root, announce=True)
            to = response.spec.delegate_to
            if response.spec.withdraw or to is not None:
                done = await withdraw_or_delegate(self._context, root, records, request, given, to)
                self._context.queue.add(ReconcileHumanInput(metadata.namespace, metadata.name))
                return _done(done, to)
            looked = self._requests.surely_stored(request)
            recorded = await record(self._context, root, records, request, given, may_vote=True, looked=looked)
        except (RequestNotFound, DocumentDamaged):
            self._requests.forget(root, human_input.request_id)
            raise
        self._context.queue.add(ReconcileHumanInput(metadata.namespace, metadata.name))
        if recorded.standing is not None:
            return _Verdict(AcceptedReason.VOTED, recorded.standing.sentence(), accepted=True)
        if recorded.refusal is None:
            return _Verdict(AcceptedReason.ACCEPTED, "recorded as the outcome", accepted=True)
        return _Verdict(_REFUSED[recorded.refusal.reason], recorded.refusal.message)

    async def _target(self, namespace: str, name: str | None, request_id: str | None) -> HumanInput | None:
        if name is None and request_id is not None:
            shown = self._context.index.shown_in(namespace, request_id)
            name = shown.name if shown is not None else request_id
        found = await self._context.cluster.human_input(namespace, name) if name else None
        if found is not None and request_id is not None and found.request_id != request_id:
            # It asks another question, under the name that belongs to this one.
            return None
        return found

    def _sees_question(self, work: HandleResponse, response: HumanInputResponse) -> bool:
        """Tell whether the watch has told of the question that a response is for."""
        target, index = response.spec.request_ref, self._context.index
        if target.name is not None:
            return index.get((work.namespace, target.name)) is not None
        return index.shown_in(work.namespace, target.request_id or "") is not None

    def _await(self, work: HandleResponse, response: HumanInputResponse) -> None:
        """Try again once the question is seen, and slowly in case nobody sees that it is back in storage."""
        self._await_no_more(work)
        named = response.spec.request_ref
        target = self._awaited[work] = (work.namespace, named.name or named.request_id or "")
        self._awaiting[target].add(work)
        self._context.queue.add_after(work, SLOW_SECONDS)

    def _await_no_more(self, work: HandleResponse) -> None:
        """Forget that a response waits for its question, as it is gone or decided."""
        if (target := self._awaited.pop(work, None)) is not None:
            self._awaiting[target].discard(work)
            if not self._awaiting[target]:
                del self._awaiting[target]

    async def _decided(self, work: HandleResponse, response: HumanInputResponse, verdict: _Verdict) -> None:
        status = response_status(response, verdict.accepted, verdict.reason, verdict.message, self._context.now())
        if status == response.status:
            return
        cluster = self._context.cluster
        if not verdict.accepted and verdict.reason not in _NO_NOTICE:
            notice = Notice("SubmissionRefused", verdict.message, warning=True)
            await cluster.emit_event(RESPONSES, response.metadata, notice, self._context.now())
        if not await cluster.write_status(RESPONSES, response.metadata, status):
            # Gone, or changed meanwhile: a look at it as it is tells.
            self._context.queue.add(work)
