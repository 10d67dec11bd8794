"""Handing a question over: who may let somebody else answer, and on behalf of which person. Pure.

A delegation stands in the place of its author's own vote: who has one cannot make the other. It gives somebody who
may not answer, or who has no seat in a group of the policy, the right of who handed the question over. It gives
nobody a second vote, and goes no further: what was handed over to somebody cannot be handed on.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, NamedTuple

from hitl.core.documents import Document, RequestDocument, Respondent
from hitl.core.escalation import may_answer
from hitl.core.moments import Moment
from hitl.core.respondents import MAX_PERSON_CHARS, Person
from hitl.core.strictjson import shortened
from hitl.core.text import is_alike, is_name
from hitl.core.votes import VoteDocument, respondents_refusal, vote_refusal, voter_of


class DelegationDocument(Document):
    """That somebody lets somebody else answer. It never changes.

    `respondent` is who handed the question over, with the groups that were verified then; `to` is the delegate.
    """

    kind: Literal["delegation"] = "delegation"
    request_id: str
    request_sha256: str
    to: Person
    submission_id: str = ""
    delegated_at: Moment
    respondent: Respondent

    @property
    def voter(self) -> str:
        """Whose it is, as its key has it: the key of their vote, which it stands for."""
        return voter_of(self.respondent)


class Handed(NamedTuple):
    """A delegation that was not taken back.

    Args:
        delegation: The delegation.
        used: Whether somebody acted on it, so that it stays.
    """

    delegation: DelegationDocument
    used: bool = False


def can_be_handed_over(request: RequestDocument) -> bool:
    """Tell whether a delegation gives anybody anything: not where everybody may answer, as one of no group."""
    return bool(request.respondents) or (request.approval is not None and bool(request.approval.groups))


def answer_refusal(request: RequestDocument, who: Respondent, at: datetime) -> str:
    """Return why somebody may not answer, as a sentence for them; empty: they may.

    Args:
        request: The question, with or without a policy.
        who: Who answers, for themselves or on behalf of somebody.
        at: When, with a time zone.
    """
    if request.approval is not None:
        return vote_refusal(request, request.approval, who, at)
    return respondents_refusal(request, who, at)


def delegation_refusal(request: RequestDocument, who: Respondent, to: str, at: datetime) -> str:
    """Return why somebody may not hand a question over, as a sentence for them; empty: they may.

    Args:
        request: The question.
        who: Who wants to.
        to: Who it is to be handed over to: the name that the sign-in knows.
        at: When, with a time zone.
    """
    if not (who.verified and who.name):
        return "Nobody has verified your name, so you cannot hand a question over: sign in first."
    if why := answer_refusal(request, who, at):
        return f"Only who may answer a question can hand it over, and nobody hands on what they were handed. {why}"
    if not can_be_handed_over(request):
        return "Everybody who sees this question may answer it, so there is nothing to hand over: tell them."
    if not is_name(to) or len(to) > MAX_PERSON_CHARS:
        return f"{shortened(repr(to))} is no name of a user: give the name that their sign-in shows."
    if to == who.name:
        return "You cannot hand a question over to yourself: give somebody else's name."
    if _excluded(request, to):
        return f"This question is asked for {to}, so others must decide: it cannot be handed over to {to}."
    if to in may_answer(request, at).users and not _seats(request):
        return f"{to} may answer this question anyway: ask {to} to do so."
    return ""


def acting(request: RequestDocument, who: Respondent, handed: Sequence[Handed], at: datetime) -> Respondent:
    """Return somebody as they act: for themselves, or on behalf of who handed the question over to them.

    Who may answer acts for themselves, unless they are of no group that the policy needs, and somebody who is has
    handed over to them. On behalf of somebody, that one's groups count, and no others.

    Args:
        request: The question.
        who: Who acts.
        handed: The delegations that stand, in any order.
        at: When, with a time zone.
    """
    if not (who.verified and who.name) or _excluded(request, who.name):
        return who
    usable = [each for each in handed if each.delegation.to == who.name and _counts(request, each.delegation)]
    if not needs_delegation(request, who, at):
        return who
    if not answer_refusal(request, who, at):
        # Only a seat in a group is more than they have.
        usable = [each for each in usable if _seats(request) & set(each.delegation.respondent.groups)]
    # Of several, the one that they used before: each of them is used up by one vote.
    first = min(usable, key=_order, default=None)
    return who if first is None else _on_behalf(who, first.delegation)


def delegates(request: RequestDocument, handed: Sequence[Handed]) -> tuple[str, ...]:
    """Return the names of all who may answer on behalf of somebody, in their order."""
    return tuple(sorted({each.delegation.to for each in handed if _counts(request, each.delegation)}))


def needs_delegation(request: RequestDocument, who: Respondent, at: datetime) -> bool:
    """Tell whether a delegation could give somebody more than they have."""
    if not (who.verified and who.name and can_be_handed_over(request)):
        return False
    seats = _seats(request)
    return bool(answer_refusal(request, who, at)) or (bool(seats) and not seats & set(who.groups))


def backed(vote: VoteDocument, handed: Sequence[Handed]) -> bool:
    """Tell whether a vote on behalf of somebody rests on a delegation that was used; true for any other vote."""
    who = vote.respondent
    return not who.on_behalf_of or any(
        each.used and each.delegation.to == who.name and _on_behalf(who, each.delegation) == who for each in handed
    )


def handed_over_by(who: Respondent, handed: Sequence[Handed]) -> Handed | None:
    """Return the delegation of somebody, if one stands."""
    return next((each for each in handed if each.delegation.voter == voter_of(who)), None)


def handed_over_sentence(handed: Handed) -> str:
    """Return why somebody who handed a question over cannot answer it, as a sentence for them."""
    to = handed.delegation.to
    if handed.used:
        return f"You handed this question over to {to}, who has acted on it: that stands."
    return f"You handed this question over to {to}: take that back before you answer it yourself."


def _counts(request: RequestDocument, delegation: DelegationDocument) -> bool:
    # What says otherwise was written by somebody else.
    in_time = delegation.delegated_at < request.expires_at and not delegation.respondent.on_behalf_of
    by, at = delegation.respondent, delegation.delegated_at
    return in_time and not delegation_refusal(request, by, delegation.to, at)


def _on_behalf(who: Respondent, delegation: DelegationDocument) -> Respondent:
    by = delegation.respondent
    return who.model_copy(update={"on_behalf_of": by.name, "groups": by.groups})


def _excluded(request: RequestDocument, name: str) -> bool:
    approval = request.approval
    return approval is not None and approval.exclude_requester and is_alike(name, request.requester)


def _seats(request: RequestDocument) -> set[str]:
    return set() if request.approval is None else set(request.approval.groups)


def _order(handed: Handed) -> tuple[bool, object, str]:
    return not handed.used, handed.delegation.delegated_at, handed.delegation.voter
