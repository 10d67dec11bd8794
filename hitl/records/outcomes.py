"""The only way to an outcome, for people, programs, deadlines and withdrawals alike.

The caller that creates `response.json` has settled the request; the others learn who did. The marker goes
first, so that an operator that sweeps markers cannot miss an outcome whose writer died in between. And a question
that was deleted gets no outcome any more: its holder in memory looks right before the creation whether
it is still there (see `hitl.records.retention` for the other half).
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import Final

from hitl.core import keys
from hitl.core.documents import MAX_COMMENT_CHARS, OutcomeDocument, OutcomeKind, Respondent
from hitl.core.files import require_uploaded
from hitl.core.lifecycle import accepts_submissions, expiry_due
from hitl.core.question import parse_answer
from hitl.core.values import Value, format_value
from hitl.errors import (
    AlreadySettled,
    Expired,
    InvalidValue,
    RequestNotFound,
    StorageError,
    StorageUnavailable,
)
from hitl.records.attempts import note_expired, note_settlement
from hitl.records.index import note_settled
from hitl.records.records import Records
from hitl.records.requests import StoredRequest, is_stored, read_outcome_of
from hitl.records.submissions import Kind as Kind
from hitl.records.submissions import Settled as Settled
from hitl.records.submissions import Submission as Submission
from hitl.records.submissions import new_submission_id as new_submission_id

# A sweep deletes a marker that announces nothing for 15 minutes, and the outcome of a question that was deleted 15
# minutes ago: what was seen before the creation of an outcome counts for much less than that.
_FRESH_SECONDS: Final = 60.0


async def settle(
    records: Records,
    request: StoredRequest,
    submission: Submission,
    *,
    now: datetime | None = None,
    looked: float | None = None,
) -> Settled:
    """Record a submission as the request's outcome, or say why it is not.

    Args:
        records: Where the request lies.
        request: The request as read from there.
        submission: The attempt.
        now: The moment of the submission, with a time zone, by a clock that `Store.require_clock` accepted. None
            takes the records' own, and has it checked.
        looked: What `records.ticks` said before this very question was last read from storage, or when it was
            certain that nobody had deleted it. None: it is read again.

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
    records: Records, request: StoredRequest, submission: Submission, now: datetime, looked: float | None
) -> Settled:
    mine, refusal = _attempt(request, submission, now)
    try:
        standing, created = await _create_or_read(records, request, None if refusal else mine, looked)
    except RequestNotFound as error:
        return Settled("gone", error=error)
    if standing is None:
        # Only what was refused comes back without any outcome.
        assert refusal is not None
        return refusal
    if created or standing == mine:
        return Settled("recorded", standing)
    if mine is not None and _same_submission(standing, mine):
        return Settled("already_yours", standing, note=_difference(standing, mine))
    # Who won matters more than what was wrong.
    return Settled("lost", standing, AlreadySettled(standing))


async def expire(
    records: Records, request: StoredRequest, *, now: datetime | None = None
) -> OutcomeDocument | None:
    """Settle the deadline of a request, if that is due, after a last read.

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
    if standing is not None or not expiry_due(request.document, standing, moment):
        return standing
    await _checked(records, now)
    mine = timeout_outcome(request, moment)
    outcome, _ = await _create_or_read(records, request, mine)
    if outcome == mine:
        await note_expired(records, request, mine)
    return outcome


async def _checked(records: Records, now: datetime | None) -> datetime:
    if now is None:
        now = records.now()
        await records.store.require_clock(now)
    return now


async def _create_or_read(
    records: Records, request: StoredRequest, mine: OutcomeDocument | None, looked: float | None = None
) -> tuple[OutcomeDocument | None, bool]:
    """Create an outcome unless there is one; return the one that stands, and whether it was just created.

    This is the one place that reads back the recorded outcome. Without an outcome to create, it only reads.

    Raises:
        RequestNotFound: the question is not in storage any more; nothing was written.
    """
    store, key = records.store, keys.response_key(request.request_id)
    created, unknown = False, StorageUnavailable(f"{key} exists but cannot be read yet: try again")
    # Where an operator listens, one that lost is not announced; elsewhere the creation finds out by itself.
    if mine is not None and not (records.announce and await store.exists(key)):
        looked = await _announce(records, request, looked)
        try:
            created = await store.create_once(key, mine.to_bytes())
        except StorageUnavailable as error:
            # The reply may have been lost after the object was created: only reading back tells.
            unknown = error
    standing = mine if created else await read_outcome_of(store, request)
    if standing is None and mine is not None:
        raise unknown
    stale = looked is not None and records.ticks() - looked > _FRESH_SECONDS
    if mine is not None and stale and not await is_stored(store, request):
        if standing == mine:
            # Who may not delete leaves it: without its question nobody believes it, and retention removes it.
            with suppress(StorageError):
                await store.delete(key)
        raise _gone(request)
    if standing is not None and (created or standing == mine):
        await note_settled(records, request.document, standing)
    return standing, created


def timeout_outcome(request: StoredRequest, now: datetime) -> OutcomeDocument:
    """Return what the deadline of a request makes of it: the default, or a timeout."""
    document = request.document
    use_default = document.on_timeout == "default" and document.default is not None
    submission = Submission(
        outcome="answered" if use_default else "timed_out",
        respondent=Respondent(via="timeout"),
        value=document.default,
        reason="DefaultUsed" if use_default else "DeadlinePassed",
    )
    return _as_outcome(request, submission, now)


async def _announce(records: Records, request: StoredRequest, looked: float | None) -> float:
    """Make sure that the question is still there, write the marker, and return when it was last looked at.

    Counted from before the calls, as the storage may have done what they ask long before it answered. Nothing may
    be awaited between the return and the creation.
    """
    while True:
        if looked is None:
            looked = records.ticks()
            if not await is_stored(records.store, request):
                raise _gone(request)
        if records.announce:
            await records.store.mark(keys.answered_marker(request.request_id))
        if records.ticks() - looked <= _FRESH_SECONDS:
            return looked
        looked = None


def _gone(request: StoredRequest) -> RequestNotFound:
    return RequestNotFound(
        f"question {request.request_id} was deleted meanwhile: nothing is recorded for it any more"
    )


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


def _difference(standing: OutcomeDocument, mine: OutcomeDocument) -> str:
    """Return a sentence when a submission that was sent before differs in what is not compared; else nothing."""
    compared = {
        "comment": (standing.comment, mine.comment),
        "name": (standing.respondent.name, mine.respondent.name),
    }
    others = [what for what, (first, second) in compared.items() if first != second]
    if not others:
        return ""
    are, were = ("is", "was") if len(others) == 1 else ("are", "were")
    return (
        f"The same submission was sent before: its {' and '.join(others)} {are} kept, and yours {were} not saved."
    )


def _attempt(
    request: StoredRequest, submission: Submission, now: datetime
) -> tuple[OutcomeDocument | None, Settled | None]:
    """Return the outcome that a submission may become, or else what it is refused with.

    Who comes late with what was recorded before gets both: it is compared, and never created.
    """
    try:
        mine = _as_outcome(request, submission, now)
    except InvalidValue as error:
        return None, Settled("refused", error=error)
    if submission.outcome != "cancelled" and not accepts_submissions(request.document, None, now):
        late = Expired(f"the deadline of question {request.request_id} has passed: nothing was recorded")
        return mine, Settled("too_late", error=late)
    return mine, None


def _as_outcome(request: StoredRequest, submission: Submission, now: datetime) -> OutcomeDocument:
    document = request.document
    if len(submission.comment) > MAX_COMMENT_CHARS:
        raise InvalidValue(
            f"The comment has {len(submission.comment):,} characters: at most {MAX_COMMENT_CHARS:,} are allowed."
        )
    format_value("str", submission.comment)
    value: Value = None
    if submission.outcome == "answered":
        require_uploaded(document, uploaded=submission.uploaded)
        value = parse_answer(document, submission.value, text=submission.text)
    return OutcomeDocument(
        request_id=document.request_id,
        data_type=document.data_type,
        status="completed" if submission.outcome == "answered" else submission.outcome,
        value=value,
        outcome=submission.outcome,
        reason=submission.reason or _REASONS[submission.outcome],
        submission_id=submission.submission_id,
        answered_at=now,
        respondent=submission.respondent,
        comment=submission.comment,
        request_sha256=request.sha256,
        expires_at=document.expires_at,
    )


_REASONS: Final[dict[OutcomeKind, str]] = {
    "answered": "Answered",
    "rejected": "Rejected",
    "timed_out": "DeadlinePassed",
    "cancelled": "Cancelled",
}
