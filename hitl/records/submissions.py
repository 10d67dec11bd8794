"""One submission, what it would become, and its result."""

import uuid
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, TypeVar

from hitl.core.audit import Kind, Right
from hitl.core.documents import OutcomeDocument, OutcomeKind, RequestDocument, Respondent
from hitl.core.files import require_uploaded
from hitl.core.lifecycle import accepts_submissions
from hitl.core.limits import MAX_COMMENT_CHARS
from hitl.core.question import parse_answer
from hitl.core.tally import Standing
from hitl.core.values import Value, format_value
from hitl.errors import AlreadySettled, Expired, HITLError, InvalidValue
from hitl.records.requests import StoredRequest, read_outcome_of
from hitl.storage import Store

if TYPE_CHECKING:
    from hitl.core.schema.work import Work

_T = TypeVar("_T")


def new_submission_id() -> str:
    """Return a random submission id."""
    return str(uuid.uuid4())


class Checked(NamedTuple):
    """An answer that was compared with its question before.

    Args:
        value: Its typed value.
        error: Why it does not fit; None: it does.
    """

    value: Value = None
    error: InvalidValue | None = None

    @classmethod
    def of(cls, question: RequestDocument, submission: "Submission", work: "Work | None" = None) -> "Checked":
        """Compare an answer with its question.

        Args:
            question: The question.
            submission: The answer.
            work: As `parse_answer` takes it.
        """
        try:
            return cls(parse_answer(question, submission.value, text=submission.text, work=work))
        except InvalidValue as error:
            return cls(error=error)

    def value_or_raise(self) -> Value:
        """Return the value.

        Raises:
            InvalidValue: it does not fit its question.
        """
        if self.error is not None:
            raise self.error
        return self.value


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
        checked: Whether its value fits the question it is made to, if that was found before.
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
    checked: Checked | None = None

    def by(self, respondent: Respondent) -> "Submission":
        """Return the same submission, once it is known who makes it."""
        return replace(self, respondent=respondent)


class Settled(NamedTuple):
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

    @classmethod
    def lost(cls, outcome: OutcomeDocument) -> "Settled":
        """Return the result of a submission when another outcome stands."""
        return cls("lost", outcome, AlreadySettled(outcome))

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


class Refused(NamedTuple, Generic[_T]):
    """A submission that may not be recorded.

    Args:
        result: What its sender is told, unless the question has an outcome.
        would_be: The outcome or the vote that it would have been. It is compared with what was recorded before,
            and is never created. None: there is nothing to compare.
    """

    result: Settled
    would_be: _T | None = None


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


def check_submission(
    request: StoredRequest, submission: Submission, now: datetime
) -> OutcomeDocument | Refused[OutcomeDocument]:
    """Return the outcome that a submission may become, or why it may not.

    Args:
        request: The question.
        submission: What was submitted.
        now: Its moment, with a time zone.
    """
    try:
        would_be = as_outcome(request, submission, now)
    except InvalidValue as error:
        return Refused(Settled("refused", error=error))
    if submission.outcome != "cancelled" and not accepts_submissions(request.document, None, now):
        return Refused(too_late(request), would_be)
    return would_be


async def closed(store: Store, request: StoredRequest, now: datetime) -> Settled | None:
    """Return the result for those who come after the outcome, or after the deadline; None: the question is open.

    Raises:
        DocumentDamaged: what is stored as the outcome cannot be read.
        StorageUnavailable: when the storage did not answer in time.
    """
    outcome = await read_outcome_of(store, request)
    if outcome is not None:
        return Settled.lost(outcome)
    return None if accepts_submissions(request.document, None, now) else too_late(request)


def too_late(request: StoredRequest) -> Settled:
    """Return the result for those who come after the deadline."""
    why = f"the deadline of question {request.request_id} has passed: nothing was recorded"
    return Settled("too_late", error=Expired(why))


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
    if submission.comment:
        format_value("str", submission.comment)
    value: Value = None
    if submission.outcome == "answered":
        require_uploaded(document, uploaded=submission.uploaded)
        value = (submission.checked or Checked.of(document, submission)).value_or_raise()
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
