"""The only way to an outcome, for people, programs, deadlines and withdrawals alike.

Whoever gets `response.json` created has settled the request; everybody else is told who did. The marker goes
first, so that an operator that sweeps markers cannot miss an outcome whose writer died in between.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from hitl import keys
from hitl.documents import MAX_COMMENT_CHARS, OutcomeDocument, OutcomeKind, Respondent
from hitl.errors import AlreadySettled, Expired, InvalidValue, StorageUnavailable
from hitl.requests import StoredRequest, parse_answer, read_outcome
from hitl.storage import Store
from hitl.transitions import expiry_due
from hitl.values import Value, format_value

# A sweep deletes a marker that announces nothing for 15 minutes: the outcome must follow well before that.
_MARKER_SECONDS: Final = 60.0


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
        submission_id: The same id sent twice is the same submission.
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
    clock: Callable[[], float] = time.monotonic,
) -> OutcomeDocument:
    """Record a submission as the request's outcome, or say whose outcome stands.

    Args:
        store: Where the request lies.
        request: The request as read from that store.
        submission: The attempt.
        now: The moment of the submission, with a time zone.
        markers: Whether an operator serves the root.
        clock: Seconds that only ever grow; they tell how old the marker is when the outcome follows it.

    Returns:
        The outcome that stands, which is this submission's, or one that says the same from the same respondent.

    Raises:
        AlreadySettled: another outcome stands.
        InvalidValue: the value does not fit; nothing was written.
        Expired: the deadline has passed; nothing was written.
        StorageUnavailable: whether it was recorded is not known; the same submission may be made again.
    """
    try:
        outcome = _as_outcome(request, submission, now)
    except InvalidValue:
        # Who won matters more than what was wrong.
        if (standing := await read_outcome(store, request.request_id)) is not None:
            raise AlreadySettled(standing) from None
        raise
    late = submission.outcome != "cancelled" and now >= request.document.expires_at
    # A good submission where no operator listens goes straight to the create, which finds out by itself; a late
    # one must neither be recorded nor announced.
    if (late or markers) and (standing := await read_outcome(store, request.request_id)) is not None:
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
    clock: Callable[[], float] = time.monotonic,
) -> OutcomeDocument | None:
    """Settle the deadline of a request, if that is due, after a last read.

    Args:
        store: Where the request lies.
        request: The request as read from that store.
        now: The present moment, with a time zone.
        markers: Whether an operator serves the root.
        clock: As `settle` takes it.

    Returns:
        The outcome that stands, or None while the deadline is not due and nothing is recorded.

    Raises:
        StorageUnavailable: whether it was recorded is not known; calling again is safe.
    """
    standing = await read_outcome(store, request.request_id)
    if standing is not None or not expiry_due(request.document, standing, now):
        return standing
    try:
        return await _record(store, request, timeout_outcome(request, now), markers, clock)
    except AlreadySettled as lost:
        return lost.outcome


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
    data = outcome.to_bytes()
    if markers:
        await _mark_fresh(store, request.request_id, clock)
    try:
        if await store.create_once(key, data):
            return outcome
    except StorageUnavailable:
        # The reply may have been lost after the object was created: only reading back tells.
        standing = await read_outcome(store, request.request_id)
        if standing is None:
            raise
        return _mine(standing, outcome)
    standing = await read_outcome(store, request.request_id)
    if standing is None:
        raise StorageUnavailable(f"{key} exists but cannot be read yet: try again")
    return _mine(standing, outcome)


async def _mark_fresh(store: Store, request_id: str, clock: Callable[[], float]) -> None:
    # Counted from before the call, as the storage may have written the marker long before it answered. Nothing
    # may be awaited between the return and the create.
    while True:
        marked = clock()
        await store.mark(keys.answered_marker(request_id))
        if clock() - marked <= _MARKER_SECONDS:
            return


def _mine(standing: OutcomeDocument, mine: OutcomeDocument) -> OutcomeDocument:
    if standing.submission_id == mine.submission_id or _says_the_same(standing, mine):
        return standing
    raise AlreadySettled(standing)


def _says_the_same(standing: OutcomeDocument, mine: OutcomeDocument) -> bool:
    if (standing.outcome, standing.value_text()) != (mine.outcome, mine.value_text()):
        return False
    theirs, ours = standing.respondent, mine.respondent
    same_person = bool(ours.name) and ours.verified and theirs.verified and theirs.name == ours.name
    return same_person or (bool(ours.link) and theirs.link == ours.link)


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
    )


_REASONS: Final[dict[OutcomeKind, str]] = {
    "answered": "Answered",
    "rejected": "Rejected",
    "timed_out": "DeadlinePassed",
    "cancelled": "Cancelled",
}
