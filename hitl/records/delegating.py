"""Handing a question over, and acting on behalf of the person who did.

The rules are those of `hitl.core.delegation`. A delegation lies in the place of its author's vote
(`hitl.records.votes`). The person who acts on it first marks it as used. It is either used or taken back, never
both.
"""

from __future__ import annotations

from datetime import datetime

from hitl.core import votekeys
from hitl.core.audit import Right
from hitl.core.delegation import (
    DelegationDocument,
    Handed,
    acting,
    answer_refusal,
    can_be_handed_over,
    delegation_refusal,
    handed_over_sentence,
    needs_delegation,
)
from hitl.core.documents import Respondent
from hitl.core.votes import voter_of
from hitl.errors import AlreadyVoted, NotAllowed, RequestNotFound
from hitl.records.attempts import note_withdrawal
from hitl.records.records import Records
from hitl.records.requests import StoredRequest
from hitl.records.submissions import Settled, Submission, closed, new_submission_id
from hitl.records.votes import Cast, cast, end, handed_over, is_delegation, read_ballots
from hitl.storage import Store


async def delegate(
    records: Records,
    request: StoredRequest,
    respondent: Respondent,
    to: str,
    *,
    now: datetime,
    right: Right = "",
    submission_id: str = "",
) -> Settled:
    """Hand a question over to somebody else. Doing it again has no further effect.

    Args:
        records: Where the question lies.
        request: The question.
        respondent: Who hands it over.
        to: Who it is handed over to: the name that their sign-in shows.
        now: The present moment, by a clock that was compared.
        right: By which right, for the audit.
        submission_id: The same submission, made again, hands over nothing that was taken back since. Empty: it
            would.

    Raises:
        DocumentDamaged: a stored document cannot be read.
        StorageUnavailable: whether it was handed over is not known; trying again is safe.
    """
    settled = await _delegated(records, request, respondent, to, now, submission_id)
    await note_withdrawal(records, request, respondent, settled, now, right, to)
    return settled


async def acting_as(store: Store, request: StoredRequest, who: Respondent, now: datetime) -> Respondent:
    """Return a person as they act: for themselves, or on behalf of somebody. Most calls do not read the storage.

    Raises:
        StorageUnavailable: when the storage did not answer in time.
    """
    return (await _found(store, request, who, now))[0]


async def as_acting(
    store: Store, request: StoredRequest, submission: Submission, now: datetime
) -> tuple[Submission, Cast[DelegationDocument] | None]:
    """Return a submission with its respondent as they act, and the delegation by which they act, to be used first.

    Raises:
        StorageUnavailable: when the storage did not answer in time.
    """
    who, used = await _found(store, request, submission.respondent, now)
    return (submission if who is submission.respondent else submission.by(who)), used


async def use(
    store: Store, request: StoredRequest, delegation: Cast[DelegationDocument] | None, now: datetime
) -> Settled | None:
    """Mark the delegation by which somebody acts as used. From then on it cannot be taken back.

    Returns:
        The refusal, if it was taken back before; None: it is used, or there is none.

    Raises:
        StorageUnavailable: whether it was marked is not known; trying again is safe.
    """
    if delegation is None or await end(store, request, delegation, "used", now):
        return None
    by = delegation.vote.respondent.name
    return Settled("not_allowed", error=NotAllowed(f"{by} has just taken back that you answer on behalf of {by}."))


def handed_over_before(handed: Handed) -> Settled:
    """Return the result for somebody who handed the question over to somebody else."""
    return Settled("not_allowed", error=NotAllowed(handed_over_sentence(handed)))


async def refused_to(store: Store, request: StoredRequest, who: Respondent, now: datetime) -> Settled | None:
    """Return why a person whose name is verified may not answer a question for one person; None: they may.

    Every channel checks that before. But a delegation to them may have been taken back since.

    Raises:
        StorageUnavailable: when the storage did not answer in time.
    """
    document = request.document
    if not (who.verified and who.name and can_be_handed_over(document)):
        return None
    if why := answer_refusal(document, who, now):
        return Settled("not_allowed", error=NotAllowed(why))
    handed = None if who.on_behalf_of else await handed_over(store, request, voter_of(who))
    return None if handed is None else handed_over_before(handed)


async def _found(
    store: Store, request: StoredRequest, who: Respondent, now: datetime
) -> tuple[Respondent, Cast[DelegationDocument] | None]:
    document = request.document
    if who.on_behalf_of or not needs_delegation(document, who, now):
        return who, None
    ballots = await read_ballots(store, request)
    mine = ballots.last_of(voter_of(who))
    if mine is not None and mine.end != "withdrawn":
        # They voted before, so no further delegation is used: the same vote is recognized, another one is refused.
        before = mine.vote.respondent
        if is_delegation(mine) or not before.on_behalf_of:
            return who, None
        return who.model_copy(update={"on_behalf_of": before.on_behalf_of, "groups": before.groups}), None
    acts = acting(document, who, ballots.handed(), now)
    used = next(
        (
            each
            for each in ballots.delegations
            if each.end != "withdrawn"
            and each.vote.to == who.name
            and each.vote.respondent.name == acts.on_behalf_of
        ),
        None,
    )
    return acts, used


async def _delegated(
    records: Records, request: StoredRequest, who: Respondent, to: str, now: datetime, submission_id: str
) -> Settled:
    if result := await closed(records.store, request, now):
        return result
    if why := delegation_refusal(request.document, who, to, now):
        return Settled("not_allowed", error=NotAllowed(why))
    if submission_id:
        before = await _taken_back(records.store, request, who, submission_id)
        if before is not None:
            return Settled("withdrawn") if before.vote.to == to else _sent_for(before)
    given = DelegationDocument(
        request_id=request.request_id,
        request_sha256=request.sha256,
        to=to,
        submission_id=submission_id or new_submission_id(),
        delegated_at=now,
        respondent=who,
    )
    try:
        # The marker goes first. Its readers look again for a while: they miss nothing if this process is killed.
        await records.store.mark(votekeys.handed_marker(request.request_id))
        stands = await cast(records, request, given, None)
    except AlreadyVoted as error:
        return Settled("voted_before", error=error)
    except RequestNotFound as error:
        return Settled("gone", error=error)
    if not is_delegation(stands):
        return Settled("voted_before", error=AlreadyVoted("You have voted: withdraw your vote to hand it over."))
    if stands.vote.to != to:
        return _handed_elsewhere(stands)
    return Settled("delegated")


async def _taken_back(
    store: Store, request: StoredRequest, who: Respondent, submission_id: str
) -> Cast[DelegationDocument] | None:
    """Return what somebody handed over by this very submission and took back since. Others may use the same id."""
    return next(
        (
            each
            for each in (await read_ballots(store, request)).delegations
            if each.key.voter == voter_of(who)
            and (each.vote.submission_id, each.end) == (submission_id, "withdrawn")
        ),
        None,
    )


def _sent_for(before: Cast[DelegationDocument]) -> Settled:
    told = f"This was sent before, to hand over to {before.vote.to}, and you took it back: send a new submission."
    return Settled("voted_before", error=AlreadyVoted(told))


def _handed_elsewhere(stands: Cast[DelegationDocument]) -> Settled:
    handed = Handed(stands.vote, stands.end == "used")
    if handed.used:
        return handed_over_before(handed)
    told = f"You handed this question over to {stands.vote.to} before: take that back first."
    return Settled("voted_before", error=AlreadyVoted(told))
