"""What votes make of a question on which several people must agree. Pure, and independent of their order.

Equal answers are counted, and people who decline. The first of these that is true decides:

1. So many people declined as `rejections` says: it is rejected.
2. So many people gave the same answer as `required` says, among them enough of each group: it is answered. Of two
   such answers, the one of more people counts, then the one whose text comes first.
3. The deadline has passed: the default, or a timeout.

Further votes may change which outcome that is, and never that there is one.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from hitl.core.approval import Approval, policy_sentence
from hitl.core.documents import OutcomeKind, RequestDocument
from hitl.core.escalation import may_ever_answer
from hitl.core.lifecycle import expiry_due
from hitl.core.text import is_alike
from hitl.core.votes import VoteDocument, lacks_comment, vote_refusal


class Decision(NamedTuple):
    """What a question ends with.

    Args:
        outcome: ``answered``, ``rejected`` or ``timed_out``.
        votes: Those that it rests on, in the order of their time; none at the deadline.
    """

    outcome: OutcomeKind
    votes: tuple[VoteDocument, ...] = ()


class Standing(NamedTuple):
    """How far the votes are.

    Args:
        approval: The policy.
        counted: The votes that count, in the order of their time.
        leading: Those of them that give the answer which needs the fewest further votes.
        missing: How many further people that answer needs, by their group; ``""`` stands for anybody. None: it is
            reached.
        declined: The votes that decline.
        left: How many people may still vote, now or later; None: nobody knows.
    """

    approval: Approval
    counted: tuple[VoteDocument, ...]
    leading: tuple[VoteDocument, ...]
    missing: Mapping[str, int]
    declined: tuple[VoteDocument, ...]
    left: int | None

    @property
    def decision(self) -> Decision | None:
        """What the votes decide, if they do."""
        if len(self.declined) >= self.approval.rejections:
            return Decision("rejected", self.declined)
        return None if self.missing else Decision("answered", self.leading)

    @property
    def unreachable(self) -> bool:
        """Whether no answer can be agreed on any more, unless somebody withdraws a vote."""
        return self.left is not None and sum(self.missing.values()) > self.left

    def policy(self) -> str:
        """Return who must agree, as people read it."""
        return policy_sentence(self.approval)

    def progress(self) -> str:
        """Return how many agree, of how many, such as ``1/2``."""
        return f"{len(self.leading)}/{self.approval.required}"

    def needed(self) -> str:
        """Return who is still needed, as people read it, such as ``1 more of sre, 1 more``; empty: nobody."""
        return ", ".join(f"{n} more of {group}" if group else f"{n} more" for group, n in self.missing.items())

    def sentence(self) -> str:
        """Return where the question stands, as sentences."""
        declined = f" {len(self.declined)} declined." if self.declined else ""
        if self.decision is not None:
            return f"{self.progress()} agree.{declined}"
        if self.unreachable:
            rest = "Too few people are left to agree, so the deadline decides, unless somebody withdraws a vote."
        else:
            rest = f"Still needed: {self.needed()}."
        return f"{self.progress()} agree so far.{declined} {rest}"

    def of(self, voter: str) -> VoteDocument | None:
        """Return the vote of somebody, if it counts."""
        return next((each for each in self.counted if each.voter == voter), None)


def tally(request: RequestDocument, votes: Sequence[VoteDocument], now: datetime) -> Decision | None:
    """Return what a question ends with by its votes and the time; None while it waits.

    Args:
        request: The question.
        votes: All votes that were cast on this very question and not withdrawn, in any order.
        now: The present moment, with a time zone.
    """
    found = standing(request, votes)
    if found is not None and found.decision is not None:
        return found.decision
    if not expiry_due(request, None, now):
        return None
    default = request.on_timeout == "default" and request.default is not None
    return Decision("answered" if default else "timed_out")


def standing(request: RequestDocument, votes: Sequence[VoteDocument]) -> Standing | None:
    """Return how far the votes are; None where one person decides.

    A vote that does not count is passed over: of somebody who might not vote at that time, or after the deadline.
    It was refused, or somebody else wrote it.
    """
    approval = request.approval
    if approval is None:
        return None
    # Somebody's votes were made one after another, as an earlier one must be withdrawn before.
    by_voter = {each.voter: each for each in sorted(votes, key=_age) if _counts(request, approval, each)}
    counted = tuple(sorted(by_voter.values(), key=_age))
    equal: dict[str, list[VoteDocument]] = defaultdict(list)
    for each in counted:
        if (answer := each.answer()) is not None:
            equal[answer].append(each)
    ranked = [(missing(approval, given), given, text) for text, given in equal.items()]
    fewest, leading, _ = min(
        ranked,
        key=lambda each: (sum(each[0].values()), -len(each[1]), each[2]),
        default=(missing(approval, ()), (), ""),
    )
    left = _may_vote(request, approval)
    # Who acts on behalf of somebody has no vote beside it.
    used = {name for each in counted for name in (each.respondent.name, each.respondent.on_behalf_of)}
    return Standing(
        approval,
        counted,
        tuple(leading),
        fewest,
        tuple(each for each in counted if each.outcome == "rejected"),
        None if left is None else len(left - used),
    )


def missing(approval: Approval, votes: Sequence[VoteDocument]) -> dict[str, int]:
    """Return how many further people an answer needs, by their group; ``""`` stands for anybody.

    Each person takes one seat: of one of their groups, else of nobody in particular. People change their seats
    until no more can be taken (augmenting paths, as in Kuhn's algorithm for matchings).
    """
    seats: dict[str, list[VoteDocument]] = {group: [] for group in sorted(approval.groups)}

    def seated(vote: VoteDocument, tried: set[str]) -> bool:
        for group, taken in seats.items():
            if group in tried or group not in vote.respondent.groups:
                continue
            tried.add(group)
            gives_way = None
            if len(taken) >= approval.groups[group]:
                gives_way = next((each for each in taken if seated(each, tried)), None)
                if gives_way is None:
                    continue
                taken.remove(gives_way)
            taken.append(vote)
            return True
        return False

    others = sum(not seated(vote, set()) for vote in sorted(votes, key=_age))
    found = {group: approval.groups[group] - len(taken) for group, taken in seats.items()}
    found[""] = approval.required - sum(approval.groups.values()) - others
    return {group: number for group, number in found.items() if number > 0}


def _counts(request: RequestDocument, approval: Approval, vote: VoteDocument) -> bool:
    refused = vote.voted_at >= request.expires_at or lacks_comment(approval, vote)
    return not (refused or vote_refusal(request, approval, vote.respondent, vote.voted_at))


def _may_vote(request: RequestDocument, approval: Approval) -> set[str] | None:
    """Return all who may vote until the end, by their names; None: nobody knows, as groups are named."""
    named = may_ever_answer(request)
    if named.groups or not named.users:
        return None
    return {each for each in named.users if not (approval.exclude_requester and is_alike(each, request.requester))}


def _age(vote: VoteDocument) -> tuple[datetime, str]:
    return vote.voted_at, vote.voter
