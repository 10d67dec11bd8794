"""One attempt to end a question, what it would become, and its result."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from hitl.core.audit import Kind, Right
from hitl.core.documents import OutcomeDocument, OutcomeKind, Respondent
from hitl.core.files import require_uploaded
from hitl.core.lifecycle import accepts_submissions
from hitl.core.limits import MAX_COMMENT_CHARS
from hitl.core.question import parse_answer
from hitl.core.tally import Standing
from hitl.core.values import Value, format_value
from hitl.errors import Expired, HITLError, InvalidValue
from hitl.records.requests import StoredRequest


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
        uploaded: The value is a file's, whose bytes are in storage.
        right: By which right it is made, for the audit.
    """

    outcome: OutcomeKind
    respondent: Respondent
    value: Value = None
    text: bool = True
    comment: str = ""
    reason: str = ""
    submission_id: str = field(default_factory=new_submission_id)
    uploaded: bool = False
    right: Right = ""

    def by(self, respondent: Respondent) -> Submission:
        """Return the same submission, once it is known who makes it."""
        return replace(self, respondent=respondent)


@dataclass(frozen=True)
class Settled:
    """The result of one submission. Storage that does not answer is no result: it is raised, and tried again.

    Args:
        kind: ``recorded``: it is the outcome. ``already_yours``: the same sender had recorded the same before.
            ``lost``: another outcome stands. ``refused``: the value does not fit. ``too_late``: the deadline has
            passed. ``gone``: the question is not in storage any more. Where several people must agree: ``voted``:
            the vote is stored, and waits for others. ``voted_before``: the sender's earlier vote stands, and says
            something else. ``not_allowed``: the sender may not answer, or their vote does not count.
            ``withdrawn``: the vote was withdrawn, or the delegation taken back. ``delegated``: the question was
            handed over.
        outcome: The outcome that stands; None where there is none.
        error: The same as an exception, unless the outcome is the sender's.
        note: For ``already_yours``: which parts of this submission were not saved, as a sentence; may be empty.
        standing: For ``voted`` and ``withdrawn``: how far the votes are.
    """

    kind: Kind
    outcome: OutcomeDocument | None = None
    error: HITLError | None = None
    note: str = ""
    standing: Standing | None = None

    def outcome_or_raise(self) -> OutcomeDocument:
        """Return the outcome, if it is the sender's. A vote that waits for others has none.

        Raises:
            AlreadySettled: another outcome stands, or the same one by somebody else.
            InvalidValue: the value does not fit; nothing was written.
            Expired: the deadline has passed; nothing was written.
            RequestNotFound: the question is not in storage any more; nothing was written.
            AlreadyVoted, NotAllowed: where several people must agree: the vote was not stored.
        """
        if self.error is not None:
            raise self.error
        assert self.outcome is not None
        return self.outcome


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
    return as_outcome(request, submission, now)


def attempt(
    request: StoredRequest, submission: Submission, now: datetime
) -> tuple[OutcomeDocument | None, Settled | None]:
    """Return the outcome that a submission may become, or else what it is refused with.

    Who comes late with what was recorded before gets both: it is compared, and never created.

    Args:
        request: The question.
        submission: The attempt.
        now: Its moment.
    """
    try:
        mine = as_outcome(request, submission, now)
    except InvalidValue as error:
        return None, Settled("refused", error=error)
    if submission.outcome != "cancelled" and not accepts_submissions(request.document, None, now):
        return mine, Settled("too_late", error=late(request))
    return mine, None


def late(request: StoredRequest) -> Expired:
    """Return the error for what comes after the deadline."""
    return Expired(f"the deadline of question {request.request_id} has passed: nothing was recorded")


def unsaved_note(what: str, kept: tuple[str, str], sent: tuple[str, str]) -> str:
    """Return a sentence where something that was sent again has another comment or name than before; else nothing.

    Args:
        what: What was sent, such as ``vote``.
        kept: Comment and name that are stored.
        sent: Those that were sent now.
    """
    others = [each for each, before, now in zip(("comment", "name"), kept, sent, strict=True) if before != now]
    if not others:
        return ""
    are, were = ("is", "was") if len(others) == 1 else ("are", "were")
    return f"The same {what} was sent before: its {' and '.join(others)} {are} kept, and yours {were} not saved."


def as_outcome(request: StoredRequest, submission: Submission, now: datetime) -> OutcomeDocument:
    """Return the outcome that a submission would be.

    Raises:
        InvalidValue: it does not fit its question.
    """
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
        reason=submission.reason or REASONS[submission.outcome],
        submission_id=submission.submission_id,
        answered_at=now,
        respondent=submission.respondent,
        comment=submission.comment,
        request_sha256=request.sha256,
        expires_at=document.expires_at,
    )


REASONS: Final[dict[OutcomeKind, str]] = {
    "answered": "Answered",
    "rejected": "Rejected",
    "timed_out": "DeadlinePassed",
    "cancelled": "Cancelled",
}
