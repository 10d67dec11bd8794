"""What is submitted by Kubernetes becomes the outcome, or is refused; either way there is a line about it."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from hitl.cluster.conditions import AcceptedReason, RefusalReason
from hitl.cluster.mapping import Given
from hitl.core.documents import OutcomeDocument, Respondent
from hitl.core.tally import Standing
from hitl.core.votes import respondents_refusal
from hitl.errors import InvalidValue, RequestNotFound
from hitl.logs import log_submission
from hitl.records.attempts import note_refused
from hitl.records.creation import Looked
from hitl.records.delegating import acting_as, delegate
from hitl.records.evidence import EvidenceChanged, check_evidence
from hitl.records.outcomes import settle
from hitl.records.records import Records
from hitl.records.requests import StoredRequest, read_outcome_of
from hitl.records.submissions import Settled, Submission
from hitl.records.votes import read_votes
from hitl.records.voting import withdraw
from hitl_operator import metrics
from hitl_operator.context import Context
from hitl_operator.decide import Refusal
from hitl_operator.roots import Root


class Recorded(NamedTuple):
    """The result of a submission: the outcome that stands, and why it is not this one, if it is not.

    Of a vote that waits for others there is no outcome: `standing` tells how far the votes are.
    """

    outcome: OutcomeDocument | None = None
    refusal: Refusal | None = None
    standing: Standing | None = None


async def record(
    context: Context,
    root: Root,
    records: Records,
    request: StoredRequest,
    given: Given,
    *,
    may_vote: bool,
    looked: Looked | None,
) -> Recorded:
    """Try to make a submission the outcome, or a vote where several people must agree.

    Args:
        context: The operator's parts.
        root: Where the question lies.
        records: The records there.
        request: The question.
        given: What an object says.
        may_vote: Whether it may be a vote. An object of which there is one for each question has room for none.
        looked: When the question was certainly in storage, see `Requests.surely_stored`.

    Raises:
        RequestNotFound: when the question was deleted meanwhile.
        DocumentDamaged: when the stored outcome cannot be read, or is another question's.
        ClockApart: when this machine's clock is not the storage's; trying again is safe.
        StorageUnavailable: trying again is safe.
    """
    recorded = await _settle(context, root, records, request, given, may_vote=may_vote, looked=looked)
    refusal = recorded.refusal
    if refusal is not None:
        metrics.REFUSED.labels(reason=refusal.reason).inc()
    log_submission(
        request.request_id,
        submission_id=given.submission_id,
        attempt=given.outcome,
        name=given.respondent.name,
        verified=given.respondent.verified,
        via=given.respondent.via,
        commit=given.respondent.commit,
        result=refusal.reason if refusal else "Voted" if recorded.standing else "Recorded",
    )
    return recorded


async def withdraw_or_delegate(
    context: Context, root: Root, records: Records, request: StoredRequest, given: Given, to: str | None
) -> Settled:
    """Withdraw somebody's vote or delegation, or hand the question over; once, however often this is done.

    Args:
        context: The operator's parts.
        root: Where the question lies.
        records: The records there.
        request: The question.
        given: Who wants to, and the submission.
        to: Who the question is handed over to; None: something is withdrawn.

    Raises:
        RequestNotFound: when the question was deleted meanwhile.
        ClockApart: when this machine's clock is not the storage's; trying again is safe.
        DocumentDamaged: what is stored cannot be read.
        StorageUnavailable: trying again is safe.
    """
    now, respondent = context.now(), given.respondent
    await root.require_clock(now)
    if to is None:
        settled = await withdraw(
            records, request, respondent, now=now, right="kubernetes", submission_id=given.submission_id
        )
    else:
        settled = await delegate(
            records, request, respondent, to, now=now, right="kubernetes", submission_id=given.submission_id
        )
    if settled.error is not None:
        metrics.REFUSED.labels(reason=type(settled.error).__name__).inc()
    log_submission(
        request.request_id,
        submission_id=given.submission_id,
        attempt=None,
        name=respondent.name,
        verified=respondent.verified,
        via=respondent.via,
        commit=respondent.commit,
        result=settled.kind.title() if settled.error is None else type(settled.error).__name__,
    )
    if isinstance(settled.error, RequestNotFound):
        raise settled.error
    return settled


def superseded(outcome: OutcomeDocument) -> Recorded:
    """Return the result of a submission that came after another one."""
    refusal = Refusal(RefusalReason.SUPERSEDED, f"not recorded, as the question was {outcome.summary()}")
    return Recorded(outcome, refusal)


async def _settle(
    context: Context,
    root: Root,
    records: Records,
    request: StoredRequest,
    given: Given,
    *,
    may_vote: bool,
    looked: Looked | None,
) -> Recorded:
    submission = Submission(
        outcome=given.outcome,
        respondent=given.respondent,
        value=given.value,
        comment=given.comment,
        submission_id=given.submission_id,
        # The command may have written it, too: always by rights in the cluster.
        right="kubernetes",
    )
    now = context.now()
    if request.document.escalation:
        # Who may answer is a matter of the time.
        await root.require_clock(now)
    if may_vote and request.document.approval is not None:
        refusal = await _withdrawn(root, request, given)
    else:
        who = await acting_as(root.store, request, given.respondent, now) if may_vote else given.respondent
        refusal = _not_allowed(request, who, now)
    refusal = refusal or await _evidence_changed(root, request)
    if refusal is not None:
        why = f"{refusal.reason}: {refusal.message}"
        await note_refused(records, request.request_id, why, request=request, submission=submission)
        standing = await read_outcome_of(root.store, request)
        return superseded(standing) if standing is not None else Recorded(refusal=refusal)
    now = context.now()
    await root.require_clock(now)
    settled = await settle(records, request, submission, now=now, looked=looked)
    return _recorded(settled)


def _recorded(settled: Settled) -> Recorded:
    match settled.kind:
        case "gone":
            raise RequestNotFound(str(settled.error))
        case "lost":
            assert settled.outcome is not None
            return superseded(settled.outcome)
        case "too_late":
            return Recorded(refusal=Refusal(RefusalReason.EXPIRED, "not recorded, as the deadline has passed"))
        case "not_allowed":
            return Recorded(refusal=Refusal(RefusalReason.NOT_ALLOWED, str(settled.error)))
        case "voted_before":
            return Recorded(refusal=Refusal(AcceptedReason.VOTED_BEFORE, str(settled.error)))
        case "refused":
            details = settled.error.details if isinstance(settled.error, InvalidValue) else ()
            # The first of them is told by the error itself.
            sentences = [str(settled.error), *details[1:]]
            message = " ".join(f"{each.rstrip('.')}." for each in sentences)
            return Recorded(refusal=Refusal(RefusalReason.INVALID, message))
    return Recorded(settled.outcome, standing=settled.standing)


async def _evidence_changed(root: Root, request: StoredRequest) -> Refusal | None:
    try:
        await check_evidence(root.store, request)
    except EvidenceChanged:
        return Refusal(
            RefusalReason.EVIDENCE_CHANGED,
            "not recorded, as what was shown beside the question is not what was asked with it: ask again",
        )
    return None


async def _withdrawn(root: Root, request: StoredRequest, given: Given) -> Refusal | None:
    """Tell whether this very vote was withdrawn: it is not cast again by an operator that was killed after it."""
    votes = await read_votes(root.store, request)
    if any(each.end == "withdrawn" and each.vote.submission_id == given.submission_id for each in votes):
        return Refusal(
            AcceptedReason.WITHDRAWN, "this vote was withdrawn: create another HumanInputResponse to vote"
        )
    return None


def _not_allowed(request: StoredRequest, respondent: Respondent, now: datetime) -> Refusal | None:
    if request.document.approval is not None:
        return Refusal(
            RefusalReason.NOT_ALLOWED,
            "several people must agree on this question, and spec.response holds one response: vote by a "
            "HumanInputResponse, with `kubectl hitl answer`, or in the web app",
        )
    if not respondents_refusal(request.document, respondent, now):
        return None
    if not respondent.verified:
        return Refusal(
            RefusalReason.NOT_ALLOWED,
            "the question names who may answer, and this cluster does not verify who writes: answer it in "
            "the web app",
        )
    return Refusal(RefusalReason.NOT_ALLOWED, f"the question is for others to answer; this was {respondent.name}")
