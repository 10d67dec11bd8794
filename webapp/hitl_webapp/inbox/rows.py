"""What the inbox keeps of a question: one line of it, who may see it, and how it ended."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, TypeAlias

from hitl.core.asked import PromptFormat
from hitl.core.documents import (
    CountedVote,
    Origin,
    OutcomeDocument,
    OutcomeKind,
    RequestDocument,
    Respondent,
)
from hitl.core.escalation import may_answer, steps_of
from hitl.core.respondents import Respondents
from hitl_webapp.inbox.queries import MOST_CHARS
from hitl_webapp.sentences import channel, sender, shown_value

# Enough for the line that is shown, and for finding a question by its words.
PROMPT_CHARS: Final = 500
COMMENT_CHARS: Final = 200
VALUE_CHARS: Final = 200

AskedBy: TypeAlias = Literal["run", "humaninput", "program"]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a question ended, as the inbox says it.

    Args:
        outcome: The kind of its outcome.
        at: When.
        by: Who, as `hitl_webapp.sentences.sender` says it.
        named: Whether that is one name that a respondent gave.
        verified: Whether the name is verified.
        channel: Over which channel it came; may be empty.
        value: The beginning of the value's text; empty: there is none.
        shown: The beginning of what people read for it, such as a choice's label.
        comment: The beginning of the comment.
        default_used: Nobody answered, so the default was used.
    """

    outcome: OutcomeKind
    at: datetime
    by: str = ""
    named: bool = False
    verified: bool = False
    channel: str = ""
    value: str = ""
    shown: str = ""
    comment: str = ""
    default_used: bool = False


@dataclass(frozen=True, slots=True)
class Ballot:
    """How far the votes on an open question are.

    Args:
        agree: How many people agree.
        required: Of how many.
        declined: How many declined.
        needed: Who is still needed, as people read it; empty: nobody.
        unreachable: Too few people are left to agree, unless somebody withdraws a vote.
        voters: The hashes of those who voted. A list does not tell them.
        voted: The visitor is one of them.
        excluded: The requester, if the policy excludes that user; else empty.
        barred: The visitor is that user.
    """

    agree: int
    required: int
    declined: int
    needed: str
    unreachable: bool
    voters: tuple[str, ...] = ()
    voted: bool = False
    excluded: str = ""
    barred: bool = False

    def progress(self) -> str:
        """Return how many agree, of how many, such as ``1/2``."""
        return f"{self.agree}/{self.required}"


@dataclass(frozen=True, slots=True)
class Row:
    """One question, as the inbox shows it.

    Args:
        request_id: Its id.
        sha256: The digest of the question's very bytes, to which an outcome must belong.
        name: The event's name.
        prompt: The beginning of the prompt.
        prompt_format: How the prompt is written.
        namespace, project, run: Where it comes from; may be empty.
        data_type: The type of its answer.
        asked_by: What asked: a workflow's run, a HumanInput, or another program.
        asked_at, expires_at: When it was asked, and its deadline.
        respondents: Who may answer.
        later: Who may answer later: the moments, and all who may from then on.
        ended: How it ended; None: no outcome is known.
        ballot: How far the votes are, of one that is open and on which several people must agree.
    """

    request_id: str
    sha256: str
    name: str
    prompt: str
    prompt_format: PromptFormat
    namespace: str
    project: str
    run: str
    data_type: str
    asked_by: AskedBy
    asked_at: datetime
    expires_at: datetime
    respondents: Respondents
    later: tuple[tuple[datetime, Respondents], ...] = ()
    ended: Ended | None = None
    ballot: Ballot | None = None


def row_of(
    request: RequestDocument,
    outcome: OutcomeDocument | None,
    sha256: str,
    value: str | None = None,
    *,
    delegates: Sequence[str] = (),
    ballot: Ballot | None = None,
) -> Row:
    """Return the row of a question.

    Args:
        request: The question.
        outcome: Its outcome, if it has one.
        sha256: The digest of the question's bytes.
        value: The beginning of the value's text. None: the outcome has it.
        delegates: Who may answer on behalf of somebody.
        ballot: How far the votes are, where several people must agree.
    """
    origin = request.origin
    if outcome is not None:
        # Who acted on behalf of somebody sees its outcome.
        acted: list[Respondent | CountedVote] = [outcome.respondent, *outcome.votes]
        delegates = [each.name for each in acted if each.on_behalf_of]
    return Row(
        request_id=request.request_id,
        sha256=sha256,
        name=request.event_name,
        prompt=request.prompt[:PROMPT_CHARS],
        prompt_format=request.prompt_format,
        # Rights are those of a namespace, so it is never made another one that there is.
        namespace=origin.namespace[:MOST_CHARS],
        project=_filtered_by(origin.project),
        run=_filtered_by(origin.run),
        data_type=request.data_type,
        asked_by=asked_by(origin),
        asked_at=request.created_at,
        expires_at=request.expires_at,
        respondents=_with(request.respondents, delegates),
        later=tuple((at, _with(may_answer(request, at), delegates)) for at, _ in steps_of(request)),
        ended=None if outcome is None else ended_of(outcome, request, value),
        ballot=ballot if outcome is None else None,
    )


def _with(respondents: Respondents, delegates: Sequence[str]) -> Respondents:
    if not (respondents and delegates):
        return respondents
    # Checked each; together they may be more than one list may name.
    return respondents.model_copy(update={"users": [*respondents.users, *delegates]})


def _filtered_by(text: str) -> str:
    """Return a name as a filter can have it, so that a link to its questions finds them."""
    return text.strip()[:MOST_CHARS].strip()


def asked_by(origin: Origin) -> AskedBy:
    """Return what asked a question, as far as its origin tells."""
    if origin.run:
        return "run"
    return "humaninput" if origin.human_input else "program"


def ended_of(outcome: OutcomeDocument, request: RequestDocument | None = None, value: str | None = None) -> Ended:
    """Return how a question ended.

    Args:
        outcome: Its outcome.
        request: The question, which has the labels of its choices. None: it is not at hand.
        value: The beginning of the value's text. None: the outcome has it.
    """
    text = value if value is not None else outcome.value_text() or ""
    return Ended(
        outcome=outcome.outcome,
        at=outcome.answered_at,
        by=sender(outcome),
        # The names of several say themselves whether each is verified.
        named=bool(outcome.respondent.name) and len(outcome.votes) < 2,
        verified=outcome.respondent.verified,
        channel=channel(outcome),
        value=text[:VALUE_CHARS],
        shown=(text if request is None else shown_value(request, text))[:VALUE_CHARS],
        comment=outcome.comment[:COMMENT_CHARS],
        default_used=outcome.default_used,
    )


def tie_of(request_id: str) -> int:
    """Return a number that tells two questions of the same moment apart, the same in every web app."""
    return int.from_bytes(hashlib.sha256(request_id.encode()).digest()[:8], "big", signed=True)
