"""Voting: from a submission to a vote, and from enough votes to the outcome.

The voter whose vote is created last sees all votes. So at least one voter finds that enough agree, and settles the
question in the usual way. If that process is killed first, the next look at the question does it: by the program
that waits, by a page, by the operator after a marker, or at the deadline.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import NamedTuple

from hitl.core import keys, votekeys
from hitl.core.audit import Right
from hitl.core.delegation import DelegationDocument, Handed
from hitl.core.documents import CountedVote, OutcomeDocument, Respondent
from hitl.core.strictjson import shortened
from hitl.core.tally import Decision, Standing, standing, tally
from hitl.core.text import is_blank
from hitl.core.values import Value
from hitl.core.votekeys import VoteKey
from hitl.core.votes import VoteDocument, canonical, needs_comment, vote_refusal, voter_of
from hitl.errors import AlreadyVoted, InvalidValue, NotAllowed, RequestNotFound
from hitl.records.attempts import note_outcome, note_withdrawal
from hitl.records.creation import Looked, create_or_read
from hitl.records.delegating import as_acting, handed_over_before, use
from hitl.records.records import Records
from hitl.records.requests import StoredRequest, read_outcome_of
from hitl.records.submissions import (
    REASONS,
    Refused,
    Settled,
    Submission,
    check_submission,
    closed,
    timeout_outcome,
    unsaved_note,
)
from hitl.records.votes import Cast, cast, end, is_delegation, read_ballots
from hitl.storage import all_of


class Decided(NamedTuple):
    """The result of the votes on a question so far.

    Args:
        outcome: The outcome that stands; None: the question waits.
        created: Whether it was created just now.
        standing: How far the votes are; None where one person decides.
    """

    outcome: OutcomeDocument | None
    created: bool
    standing: Standing | None


async def vote(
    records: Records, request: StoredRequest, submission: Submission, *, now: datetime, looked: Looked | None
) -> Settled:
    """Store a submission as a vote, and settle the question if enough agree.

    Args:
        records: Where the question lies.
        request: The question, on which several people must agree.
        submission: What was submitted: an answer or a rejection.
        now: The present moment, by a clock that was compared.
        looked: As `settle` takes it.

    Raises:
        DocumentDamaged: what is stored cannot be read.
        StorageUnavailable: whether it was stored is not known; the same submission may be made again.
    """
    submission, delegation = await as_acting(records.store, request, submission, now)
    given = _vote_of(request, submission, now)
    recorded = await read_outcome_of(records.store, request)
    if isinstance(given, Refused):
        return given.result if recorded is None else _told(recorded, given.would_be, created=False)
    if recorded is not None:
        return _told(recorded, given, created=False)
    taken_back = await use(records.store, request, delegation, now)
    if taken_back is not None:
        return taken_back
    try:
        stands = await cast(records, request, given, looked)
        if isinstance(stands.vote, DelegationDocument):
            return handed_over_before(Handed(stands.vote, stands.end == "used"))
        if not _same(stands.vote, given):
            return Settled("voted_before", error=_voted_before(stands.vote))
        decided = await decide(records, request, now, checked=True)
    except AlreadyVoted as error:
        return Settled("voted_before", error=error)
    except RequestNotFound as error:
        return Settled("gone", error=error)
    if decided.outcome is not None:
        return _told(decided.outcome, given, created=decided.created)
    return Settled("voted", note=_unsaved(stands.vote, given), standing=decided.standing)


async def decide(records: Records, request: StoredRequest, now: datetime, *, checked: bool) -> Decided:
    """Settle a question if enough people agree, or decline, or if its deadline is due.

    Args:
        records: Where the question lies.
        request: The question, which has no outcome as far as is known.
        now: The present moment, with a time zone.
        checked: Whether that was compared with the storage's clock. Else it is, before anything is settled.

    Raises:
        ClockApart: something is to be settled, and the clock is not the storage's.
        RequestNotFound: the question is not in storage any more; nothing was written.
        DocumentDamaged, StorageUnavailable: as `settle` raises them.
    """
    withdrawn: set[VoteKey] = set()
    while True:
        votes = [each for each in await standing_votes(records, request) if each.key not in withdrawn]
        given = [each.vote for each in votes]
        decision = tally(request.document, given, now)
        if decision is None:
            return Decided(None, False, standing(request.document, given))
        if not checked:
            await records.store.require_clock(now)
            checked = True
        named = [each for each in votes if each.vote in decision.votes]
        # From here on none of these can be withdrawn. If one was withdrawn just before, the tally is made again.
        counted = await all_of([partial(end, records.store, request, each, "counted", now) for each in named])
        if all(counted):
            outcome = _outcome(request, decision, named, now)
            recorded, created = await create_or_read(records, request, outcome)
            # A deadline's outcome that equals this one was created here: only the reply was lost.
            created = created or (not named and recorded == outcome)
            if created:
                # It is noted here, as the voter who made the tally may not be among those who agree.
                await note_outcome(records, request, outcome)
            return Decided(recorded, created, standing(request.document, given))
        withdrawn |= {each.key for each, is_counted in zip(named, counted, strict=True) if not is_counted}


async def withdraw(
    records: Records,
    request: StoredRequest,
    respondent: Respondent,
    *,
    now: datetime,
    right: Right = "",
    submission_id: str = "",
) -> Settled:
    """Withdraw somebody's vote, or take back that they handed the question over, until there is an outcome.

    Doing it again has no further effect. A delegation that somebody acted on stays.

    Args:
        records: Where the question lies.
        request: The question.
        respondent: Whose vote it is.
        now: The present moment, by a clock that was compared.
        right: By which right it is withdrawn, for the audit.
        submission_id: The same submission, made again, withdraws no vote that was cast since. Empty: it would.

    Raises:
        DocumentDamaged: what is stored cannot be read.
        StorageUnavailable: whether it was withdrawn is not known; trying again is safe.
    """
    settled = await _withdrawn(records, request, respondent, now, submission_id)
    await note_withdrawal(records, request, respondent, settled, now, right)
    return settled


async def _withdrawn(
    records: Records, request: StoredRequest, respondent: Respondent, now: datetime, submission_id: str
) -> Settled:
    if result := await closed(records.store, request, now):
        return result
    ballots = await read_ballots(records.store, request)
    mine = ballots.last_of(voter_of(respondent))
    if mine is None:
        nothing = "You have no vote on this question that could be withdrawn, and did not hand it over."
        return Settled("refused", error=InvalidValue(nothing))
    # Others may use the same id: it counts for what this person said alone.
    theirs = [each for each in ballots.everything() if each.key.voter == mine.key.voter]
    done = bool(submission_id) and any(each.ended_by == submission_id for each in theirs)
    if records.announce and not done:
        # The marker comes before the withdrawal, so that an operator looks even if this process ends in between.
        await records.store.mark(keys.answered_marker(request.request_id))
    if done or await end(records.store, request, mine, "withdrawn", now, submission_id):
        if is_delegation(mine):
            await records.store.mark(votekeys.handed_marker(request.request_id))
        left = [each.vote for each in await standing_votes(records, request)]
        note = f"You took it back from {mine.vote.to}." if is_delegation(mine) else ""
        if done and mine.end != "withdrawn":
            note = "This was sent before, and withdrew what you had said then: what you have said since stands."
        return Settled("withdrawn", note=note, standing=standing(request.document, left))
    if isinstance(mine.vote, DelegationDocument):
        return handed_over_before(Handed(mine.vote, used=True))
    decided = await decide(records, request, now, checked=True)
    if decided.outcome is not None:
        return Settled.lost(decided.outcome)
    counted = AlreadyVoted("Your vote was being counted at that moment, so it stays.")
    return Settled("voted_before", error=counted)


async def standing_votes(records: Records, request: StoredRequest) -> list[Cast[VoteDocument]]:
    """Return the votes on a question that were not withdrawn; none where one person decides.

    Raises:
        StorageUnavailable: when the storage did not answer in time.
    """
    if request.document.approval is None:
        return []
    return (await read_ballots(records.store, request)).standing()


def _vote_of(
    request: StoredRequest, submission: Submission, now: datetime
) -> VoteDocument | Refused[VoteDocument]:
    """Return the vote that a submission may become, or why it may not."""
    document, approval = request.document, request.document.approval
    assert approval is not None
    if why := vote_refusal(document, approval, submission.respondent, now):
        return Refused(Settled("not_allowed", error=NotAllowed(why)))
    checked = check_submission(request, submission, now)
    if isinstance(checked, Refused):
        late = checked.would_be
        return Refused(checked.result, None if late is None else _as_vote(request, submission, late.value, now))
    given = _as_vote(request, submission, checked.value, now)
    if needs_comment(approval, declines=given.outcome == "rejected") and is_blank(given.comment):
        # Stricter than what counts: a vote that an earlier release took still does.
        missing = InvalidValue("A comment is needed: write why you decide like this.")
        return Refused(Settled("refused", error=missing))
    return given


def _as_vote(request: StoredRequest, submission: Submission, value: Value, now: datetime) -> VoteDocument:
    return VoteDocument(
        request_id=request.request_id,
        request_sha256=request.sha256,
        data_type=request.document.data_type,
        outcome="rejected" if submission.outcome == "rejected" else "answered",
        value=value,
        comment=submission.comment,
        submission_id=submission.submission_id,
        voted_at=now,
        respondent=submission.respondent,
    )


def _told(outcome: OutcomeDocument, given: VoteDocument | None, *, created: bool) -> Settled:
    counted = None if given is None else next((each for each in outcome.votes if each.voter == given.voter), None)
    if given is None or counted is None or (outcome.outcome, _answer(outcome)) != (given.outcome, given.answer()):
        return Settled.lost(outcome)
    kept = (counted.comment, counted.name)
    note = unsaved_note("vote", kept, (given.comment, given.respondent.name))
    return Settled("recorded" if created else "already_yours", outcome, note=note)


def _outcome(
    request: StoredRequest, decision: Decision, votes: Sequence[Cast[VoteDocument]], now: datetime
) -> OutcomeDocument:
    if not decision.votes:
        return timeout_outcome(request, now)
    last = decision.votes[-1]
    by_voter = {each.key.voter: each for each in votes}
    return OutcomeDocument(
        request_id=request.request_id,
        data_type=request.document.data_type,
        status="completed" if decision.outcome == "answered" else decision.outcome,
        value=last.value,
        outcome=decision.outcome,
        reason=REASONS[decision.outcome],
        submission_id=last.submission_id,
        answered_at=now,
        respondent=last.respondent,
        comment=last.comment,
        request_sha256=request.sha256,
        expires_at=request.document.expires_at,
        votes=[_counted(by_voter[each.voter]) for each in decision.votes],
    )


def _counted(each: Cast[VoteDocument]) -> CountedVote:
    vote, who = each.vote, each.vote.respondent
    return CountedVote(
        voter=each.key.voter,
        name=who.name,
        verified=who.verified,
        via=who.via,
        voted_at=vote.voted_at,
        comment=vote.comment,
        sha256=each.sha256,
        on_behalf_of=who.on_behalf_of,
    )


def _unsaved(stored: VoteDocument, sent: VoteDocument) -> str:
    kept = (stored.comment, stored.respondent.name)
    return unsaved_note("vote", kept, (sent.comment, sent.respondent.name))


def _same(one: VoteDocument, other: VoteDocument) -> bool:
    return (one.outcome, one.answer()) == (other.outcome, other.answer())


def _answer(outcome: OutcomeDocument) -> str | None:
    return canonical(outcome.value) if outcome.outcome == "answered" else None


def _voted_before(vote: VoteDocument) -> AlreadyVoted:
    said = "declined" if vote.outcome == "rejected" else f"answered {shortened(vote.value_text() or '')}"
    return AlreadyVoted(f"You {said} before, and that vote stands: withdraw it before you vote otherwise.")
