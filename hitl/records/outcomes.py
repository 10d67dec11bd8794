"""The only way to an outcome, for people, programs, deadlines and withdrawals alike.

Whoever gets `response.json` created has settled the request; everybody else is told who did. The marker goes
first, so that an operator that sweeps markers cannot miss an outcome whose writer died in between. And a question
that was deleted gets no outcome any more: whoever still holds it in memory looks right before the creation whether
it is still there (see `hitl.records.retention` for the other half).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, cast

from hitl.core import keys
from hitl.core.documents import MAX_COMMENT_CHARS, OutcomeDocument, OutcomeKind, Respondent
from hitl.core.lifecycle import accepts_submissions, expiry_due
from hitl.core.values import Value, format_value
from hitl.errors import (
    AlreadySettled,
    Expired,
    InvalidValue,
    RequestNotFound,
    StorageError,
    StorageUnavailable,
)
from hitl.records.requests import StoredRequest, is_stored, parse_answer, read_outcome_of
from hitl.storage import Store, ticks

# A sweep deletes a marker that announces nothing for 15 minutes, and the outcome of a question that was deleted 15
# minutes ago: what was seen before the creation of an outcome counts for much less than that.
_FRESH_SECONDS: Final = 60.0


def new_submission_id() -> str:
    """Return a random submission id."""
    return str(uuid.uuid4())


@dataclass(frozen=True)
class Submission:
    """One attempt to answer, reject or withdraw.

    Args:
        outcome: What it would become: ``answered``, ``rejected`` or ``cancelled``. (Deadlines have `expire`.)
        respondent: Who makes it, over which channel.
        value: The answer: text, or JSON when `text` is false.
        text: Whether `value` is text as a form holds it.
        comment: Free text, at most 4,096 characters.
        reason: A CamelCase word for the record.
        submission_id: The same id sent twice is the same submission, if sender and content are the same as well.
    """

    outcome: OutcomeKind
    respondent: Respondent
    value: Value = None
    text: bool = True
    comment: str = ""
    reason: str = ""
    submission_id: str = field(default_factory=new_submission_id)


async def settle(
    store: Store,
    request: StoredRequest,
    submission: Submission,
    *,
    now: datetime,
    markers: bool,
    clock: Callable[[], float] = ticks,
) -> OutcomeDocument:
    """Record a submission as the request's outcome, or say whose outcome stands.

    Args:
        store: Where the request lies.
        request: The request as read from that store.
        submission: The attempt.
        now: The moment of the submission, with a time zone, by a clock that `Store.require_clock` accepts.
        markers: Whether an operator serves the root.
        clock: Seconds that only ever grow; they tell how old the last look at the question is.

    Returns:
        The outcome that stands: this submission's, or one that says the same and was made by the same sender.
        `difference` tells whether the first one's comment or name is another.

    Raises:
        AlreadySettled: another outcome stands, or the same one by somebody else.
        InvalidValue: the value does not fit; nothing was written.
        Expired: the deadline has passed; nothing was written.
        RequestNotFound: the question is not in storage any more; nothing was written.
        DocumentDamaged: what is stored as the outcome belongs to another question, or cannot be read.
        StorageUnavailable: whether it was recorded is not known; the same submission may be made again.
    """
    try:
        outcome = _as_outcome(request, submission, now)
    except InvalidValue:
        # Who won matters more than what was wrong.
        if (standing := await read_outcome_of(store, request)) is not None:
            raise AlreadySettled(standing) from None
        raise
    late = submission.outcome != "cancelled" and not accepts_submissions(request.document, None, now)
    # A good submission where no operator listens goes straight to the create, which finds out by itself; a late
    # one must neither be recorded nor announced.
    if (late or markers) and (standing := await read_outcome_of(store, request)) is not None:
        return _mine(standing, outcome)
    if late:
        raise Expired(f"the deadline of request {request.request_id} has passed: nothing was recorded")
    return await _record(store, request, outcome, markers, clock)


async def expire(
    store: Store,
    request: StoredRequest,
    *,
    now: datetime,
    markers: bool,
    clock: Callable[[], float] = ticks,
) -> OutcomeDocument | None:
    """Settle the deadline of a request, if that is due, after a last read.

    Args:
        store: Where the request lies.
        request: The request as read from that store.
        now: The present moment, with a time zone. Whoever calls this makes sure by `Store.require_clock` that it
            is the storage's too.
        markers: Whether an operator serves the root.
        clock: As `settle` takes it.

    Returns:
        The outcome that stands, or None while the deadline is not due and nothing is recorded.

    Raises:
        RequestNotFound: the question is not in storage any more; nothing was written.
        DocumentDamaged: what is stored as the outcome belongs to another question, or cannot be read.
        StorageUnavailable: whether it was recorded is not known; calling again is safe.
    """
    standing = await read_outcome_of(store, request)
    if standing is not None or not expiry_due(request.document, standing, now):
        return standing
    try:
        return await _record(store, request, timeout_outcome(request, now), markers, clock)
    except AlreadySettled as lost:
        return cast("OutcomeDocument", lost.outcome)


def difference(outcome: OutcomeDocument, submission: Submission) -> str:
    """Return a sentence when a submission that was sent before differs in what is not compared; else nothing.

    Args:
        outcome: What `settle` returned for the submission.
        submission: The submission.
    """
    compared = {
        "comment": (outcome.comment, submission.comment),
        "name": (outcome.respondent.name, submission.respondent.name),
    }
    others = [what for what, (first, second) in compared.items() if first != second]
    if not others:
        return ""
    are, were = ("is", "was") if len(others) == 1 else ("are", "were")
    return (
        f"The same submission was sent before: its {' and '.join(others)} {are} kept, and yours {were} not saved."
    )


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


async def _record(
    store: Store,
    request: StoredRequest,
    outcome: OutcomeDocument,
    markers: bool,
    clock: Callable[[], float],
) -> OutcomeDocument:
    key = keys.response_key(request.request_id)
    looked = await _announce(store, request, markers, clock)
    created = False
    try:
        created = await store.create_once(key, outcome.to_bytes())
        standing = outcome if created else await read_outcome_of(store, request)
        if standing is None:
            raise StorageUnavailable(f"{key} exists but cannot be read yet: try again")
    except StorageUnavailable:
        # The reply may have been lost after the object was created: only reading back tells.
        standing = await read_outcome_of(store, request)
        if standing is None:
            raise
    if clock() - looked > _FRESH_SECONDS and not await is_stored(store, request):
        if created or standing == outcome:
            # Who may not delete leaves it: without its question nobody believes it, and retention removes it.
            with suppress(StorageError):
                await store.delete(key)
        raise _gone(request)
    return _mine(standing, outcome)


async def _announce(store: Store, request: StoredRequest, markers: bool, clock: Callable[[], float]) -> float:
    """Look whether the question is still there, write the marker, and return when that began.

    Counted from before the calls, as the storage may have done what they ask long before it answered. Nothing may
    be awaited between the return and the creation.
    """
    while True:
        began = clock()
        if not await is_stored(store, request):
            raise _gone(request)
        if markers:
            await store.mark(keys.answered_marker(request.request_id))
        if clock() - began <= _FRESH_SECONDS:
            return began


def _gone(request: StoredRequest) -> RequestNotFound:
    return RequestNotFound(
        f"request {request.request_id} was deleted meanwhile: nothing is recorded for it any more"
    )


def _mine(standing: OutcomeDocument, mine: OutcomeDocument) -> OutcomeDocument:
    same = (standing.outcome, standing.value_text()) == (mine.outcome, mine.value_text())
    if same and _same_sender(standing, mine):
        return standing
    raise AlreadySettled(standing)


def _same_sender(standing: OutcomeDocument, mine: OutcomeDocument) -> bool:
    theirs, ours = standing.respondent, mine.respondent
    if ours.verified and ours.name:
        return theirs.verified and theirs.name == ours.name
    if ours.link:
        return theirs.link == ours.link
    # Programs, the command, deadlines and the operator: nobody vouches for them, and only they know their ids. An
    # id that came by a link or from somebody verified is never theirs.
    known = theirs.link or theirs.verified
    return not known and (standing.submission_id, theirs.name) == (mine.submission_id, ours.name)


def _as_outcome(request: StoredRequest, submission: Submission, now: datetime) -> OutcomeDocument:
    document = request.document
    if len(submission.comment) > MAX_COMMENT_CHARS:
        raise InvalidValue(
            f"The comment has {len(submission.comment):,} characters: at most {MAX_COMMENT_CHARS:,} are allowed."
        )
    format_value("str", submission.comment)
    value: Value = None
    if submission.outcome == "answered":
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
