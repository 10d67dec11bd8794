"""A vote: what one person says to a question on which several must agree."""

import json
from datetime import datetime
from typing import Literal, Self

from pydantic import Field, JsonValue, model_validator

from hitl.core.approval import Approval, refusal
from hitl.core.documents import Document, RequestDocument, Respondent, require_type, sha256_hex
from hitl.core.escalation import may_answer
from hitl.core.limits import MAX_COMMENT_CHARS
from hitl.core.moments import Moment
from hitl.core.values import DataType, format_value
from hitl.core.votekeys import VOTER_CHARS


class VoteDocument(Document):
    """What one person says to a question on which several must agree. It never changes.

    `request_sha256` is the digest of the question's very bytes: a vote counts for that question alone.
    """

    request_id: str
    request_sha256: str
    data_type: DataType
    outcome: Literal["answered", "rejected"]
    value: JsonValue = None
    comment: str = Field(default="", max_length=MAX_COMMENT_CHARS)
    submission_id: str
    voted_at: Moment
    respondent: Respondent

    @model_validator(mode="after")
    def _value_fits(self) -> Self:
        if self.outcome == "answered":
            require_type(self.data_type, self.value)
        return self

    @property
    def voter(self) -> str:
        """Whose vote it is, as its key has it: each person has one, over whatever channel it comes."""
        return voter_of(self.respondent)

    def value_text(self) -> str | None:
        """Return the answer as its canonical text, or None for who declined."""
        return format_value(self.data_type, self.value) if self.outcome == "answered" else None

    def answer(self) -> str | None:
        """Return a text that is equal for equal answers; None for who declined.

        The order of names does not count in JSON, nor 3.0 instead of 3.
        """
        return canonical(self.value) if self.outcome == "answered" else None


class VoteEnd(Document):
    """What ended a vote, permanently: its voter withdrew it, or an outcome was about to rest on it.

    A delegation is ended likewise: it was taken back, or used. `submission_id` is of what withdrew it: made again,
    that withdraws nothing that came later.
    """

    end: Literal["withdrawn", "counted", "used"]
    ended_at: Moment
    submission_id: str = ""


def voter_of(respondent: Respondent) -> str:
    """Return the hash of what tells a person from others: a verified name, else the link, else the name given.

    In an address, capitals are not told apart, as channels write it one way or another.
    """
    name = respondent.name
    if respondent.verified and name:
        known = f"user:{name.lower() if '@' in name and name.isascii() else name}"
    else:
        known = f"link:{respondent.link}" if respondent.link else f"unverified:{name}"
    return sha256_hex(known.encode("utf-8", "surrogatepass"))[:VOTER_CHARS]


def canonical(value: JsonValue) -> str:
    """Return a text that is equal for JSON values that say the same."""
    return json.dumps(_plain(value), sort_keys=True, ensure_ascii=False)


def vote_refusal(request: RequestDocument, approval: Approval, who: Respondent, at: datetime) -> str:
    """Return why somebody's vote does not count, as a sentence for them; empty: it does.

    Args:
        request: The question.
        approval: Its policy.
        who: Who votes.
        at: When, with a time zone.
    """
    for name in (who.name, who.on_behalf_of) if who.on_behalf_of else (who.name,):
        if why := refusal(approval, request.requester, name=name, verified=who.verified):
            return why
    return respondents_refusal(request, who, at)


def respondents_refusal(request: RequestDocument, who: Respondent, at: datetime) -> str:
    """Return why somebody is none of those who may answer, as a sentence for them; empty: they are.

    Args:
        request: The question, with or without a policy.
        who: Who answers, for themselves or on behalf of somebody.
        at: When, with a time zone.
    """
    named = may_answer(request, at)
    if named and not (who.verified and named.allow(who.on_behalf_of or who.name, who.groups)):
        return f"This question is for others to answer; you are {who.name or 'not signed in'}."
    return ""


def needs_comment(approval: Approval | None, *, declines: bool) -> bool:
    """Tell whether who answers, or declines, must write a comment.

    Args:
        approval: The policy; None: one person decides.
        declines: Whether it is about who declines.
    """
    if approval is None:
        return False
    return approval.comment_required == "Always" or (approval.comment_required == "OnReject" and declines)


def lacks_comment(approval: Approval, vote: VoteDocument) -> bool:
    """Tell whether a stored vote has no comment, and needs one."""
    return needs_comment(approval, declines=vote.outcome == "rejected") and not vote.comment.strip()


def _plain(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
