"""One attempt to end a question, and its result, as `hitl.records.outcomes` takes and returns them."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from hitl.core.audit import Right
from hitl.core.documents import OutcomeDocument, OutcomeKind, Respondent
from hitl.core.values import Value
from hitl.errors import HITLError


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


Kind: TypeAlias = Literal["recorded", "already_yours", "lost", "refused", "too_late", "gone"]


@dataclass(frozen=True)
class Settled:
    """The result of one submission. Storage that does not answer is no result: it is raised, and tried again.

    Args:
        kind: ``recorded``: it is the outcome. ``already_yours``: the same sender had recorded the same before.
            ``lost``: another outcome stands. ``refused``: the value does not fit. ``too_late``: the deadline has
            passed. ``gone``: the question is not in storage any more.
        outcome: The outcome that stands; None where there is none.
        error: The same as an exception, unless the outcome is the sender's.
        note: For ``already_yours``: which parts of this submission were not saved, as a sentence; may be empty.
    """

    kind: Kind
    outcome: OutcomeDocument | None = None
    error: HITLError | None = None
    note: str = ""

    def outcome_or_raise(self) -> OutcomeDocument:
        """Return the outcome, if it is the sender's.

        Raises:
            AlreadySettled: another outcome stands, or the same one by somebody else.
            InvalidValue: the value does not fit; nothing was written.
            Expired: the deadline has passed; nothing was written.
            RequestNotFound: the question is not in storage any more; nothing was written.
        """
        if self.error is not None:
            raise self.error
        assert self.outcome is not None
        return self.outcome
