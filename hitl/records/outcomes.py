"""The only way to an outcome, for people, programs, deadlines and withdrawals alike.

The caller that creates `response.json` has settled the request; the others learn who did
(`hitl.records.creation`). Where several people must agree, a submission is a vote (`hitl.records.voting`), and
enough votes are an outcome.
"""

from __future__ import annotations

from datetime import datetime

from hitl.core.documents import OutcomeDocument
from hitl.core.lifecycle import may_end_by_itself
from hitl.errors import RequestNotFound
from hitl.records.attempts import note_settlement
from hitl.records.creation import Looked, create_or_read
from hitl.records.delegating import as_acting, refused_to, use
from hitl.records.records import Records
from hitl.records.requests import StoredRequest, read_outcome_of
from hitl.records.submissions import Refused, Settled, Submission, check_submission, unsaved_note
from hitl.records.voting import decide, vote
from hitl.storage import Store


async def settle(
    records: Records,
    request: StoredRequest,
    submission: Submission,
    *,
    now: datetime | None = None,
    looked: Looked | None = None,
) -> Settled:
    """Record a submission as the request's outcome, or as a vote on it, or say why it is not.

    Args:
        records: Where the request lies.
        request: The request as read from there.
        submission: What was submitted.
        now: The moment of the submission, with a time zone, by a clock that `Store.require_clock` accepted. None
            takes the records' own, and has it checked.
        looked: What was seen of the question before. None: it is read again.

    Raises:
        ClockApart: when the records' clock is not the storage's; nothing was written.
        DocumentDamaged: what is stored as the outcome belongs to another question, or cannot be read.
        StorageUnavailable: whether it was recorded is not known; the same submission may be made again.
    """
    now = await _checked(records, now)
    settled = await _settled(records, request, submission, now, looked)
    await note_settlement(records, request, submission, settled, now)
    return settled


async def _settled(
    records: Records, request: StoredRequest, submission: Submission, now: datetime, looked: Looked | None
) -> Settled:
    if request.document.approval is not None and submission.outcome != "cancelled":
        return await vote(records, request, submission, now=now, looked=looked)
    if submission.outcome == "cancelled":
        checked = check_submission(request, submission, now)
    else:
        checked = await _checked_of_person(records.store, request, submission, now)
    if isinstance(checked, Refused):
        standing = await read_outcome_of(records.store, request)
        # The outcome that stands matters more than what was wrong.
        return checked.result if standing is None else _compared(standing, checked.would_be)
    try:
        standing, created = await create_or_read(records, request, checked, looked)
    except RequestNotFound as error:
        return Settled("gone", error=error)
    return Settled("recorded", standing) if created else _compared(standing, checked)


async def _checked_of_person(
    store: Store, request: StoredRequest, submission: Submission, now: datetime
) -> OutcomeDocument | Refused[OutcomeDocument]:
    submission, delegation = await as_acting(store, request, submission, now)
    forbidden = await refused_to(store, request, submission.respondent, now)
    checked = check_submission(request, submission, now)
    if forbidden is not None:
        return Refused(forbidden, checked.would_be if isinstance(checked, Refused) else checked)
    if isinstance(checked, Refused):
        return checked
    taken_back = await use(store, request, delegation, now)
    return checked if taken_back is None else Refused(taken_back, checked)


def _compared(standing: OutcomeDocument, mine: OutcomeDocument | None) -> Settled:
    if standing == mine:
        return Settled("recorded", standing)
    if mine is not None and _same_submission(standing, mine):
        return Settled("already_yours", standing, note=_unsaved(standing, mine))
    return Settled.lost(standing)


async def expire(
    records: Records, request: StoredRequest, *, now: datetime | None = None
) -> OutcomeDocument | None:
    """Settle the deadline of a request, if that is due, after a last read; and what enough people agreed on.

    Somebody whose vote completed an agreement may have been killed before the outcome was created.

    Args:
        records: Where the request lies.
        request: The request as read from there.
        now: As `settle` takes it.

    Returns:
        The outcome that stands, or None while the deadline is not due and nothing is recorded.

    Raises:
        ClockApart: when the deadline is due by the records' clock, which is not the storage's.
        RequestNotFound: the question is not in storage any more; nothing was written.
        DocumentDamaged: what is stored as the outcome belongs to another question, or cannot be read.
        StorageUnavailable: whether it was recorded is not known; calling again is safe.
    """
    moment = records.now() if now is None else now
    standing = await read_outcome_of(records.store, request)
    if standing is not None or not may_end_by_itself(request.document, moment):
        return standing
    return (await decide(records, request, moment, checked=now is not None)).outcome


async def _checked(records: Records, now: datetime | None) -> datetime:
    if now is None:
        now = records.now()
        await records.store.require_clock(now)
    return now


def _same_submission(standing: OutcomeDocument, mine: OutcomeDocument) -> bool:
    same = (standing.outcome, standing.value_text()) == (mine.outcome, mine.value_text())
    return same and _same_sender(standing, mine)


def _same_sender(standing: OutcomeDocument, mine: OutcomeDocument) -> bool:
    theirs, ours = standing.respondent, mine.respondent
    if ours.verified and ours.name:
        return theirs.verified and theirs.name == ours.name
    if ours.link:
        return theirs.link == ours.link
    # Programs, the command, deadlines and the operator: no name is verified, and only they know their ids. An
    # id that came by a link or from somebody verified is never theirs.
    known = theirs.link or theirs.verified
    return not known and (standing.submission_id, theirs.name) == (mine.submission_id, ours.name)


def _unsaved(standing: OutcomeDocument, mine: OutcomeDocument) -> str:
    return unsaved_note(
        "submission", (standing.comment, standing.respondent.name), (mine.comment, mine.respondent.name)
    )
