"""What votes decide: monotone, whatever their order, and as a naive reading of the policy has it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from hitl.core.approval import Approval
from hitl.core.documents import RequestDocument, Respondent
from hitl.core.lifecycle import GRACE
from hitl.core.tally import Standing, missing, standing, tally
from hitl.core.votes import VoteDocument
from tests.library.samples import DEADLINE, NOW, SECOND, draft_request

PEOPLE = ("ann", "bob", "cem", "dee", "eve", "fay")
GROUPS = ("sre", "security", "qa")


def question(approval: Approval, **asked: Any) -> RequestDocument:
    content = {"event_name": "e", "data_type": "json", "prompt": "?", "timeout_seconds": 600, **asked}
    return draft_request(request_id="a", now=NOW, approval=approval, **content)


ANSWERS: list[Any] = [1, 1.0, 2, {"a": 1, "b": 2}, {"b": 2.0, "a": 1}]


def vote(
    name: str,
    value: JsonValue = True,
    *,
    groups: Sequence[str] = (),
    declines: bool = False,
    at: int = 0,
    comment: str = "",
    verified: bool = True,
) -> VoteDocument:
    return VoteDocument(
        request_id="a",
        request_sha256="0" * 64,
        data_type="json",
        outcome="rejected" if declines else "answered",
        value=None if declines else value,
        comment=comment,
        submission_id=f"s-{name}",
        voted_at=NOW + at * SECOND,
        respondent=Respondent(name=name, via="web", verified=verified, groups=list(groups)),
    )


def of(approval: Approval, votes: Sequence[VoteDocument], **asked: Any) -> Standing:
    found = standing(question(approval, **asked), votes)
    assert found is not None
    return found


approvals = st.builds(
    lambda groups, more, rejections: Approval(
        required=max(1, sum(groups.values()) + more),
        rejections=rejections,
        # An author leaves groups out: an empty dict is refused.
        **({"groups": groups} if groups else {}),
    ),
    groups=st.dictionaries(st.sampled_from(GROUPS), st.integers(1, 2), max_size=2),
    more=st.integers(0, 2),
    rejections=st.integers(1, 3),
)


@st.composite
def ballots(draw: st.DrawFn) -> list[VoteDocument]:
    voters = draw(st.lists(st.sampled_from(PEOPLE), unique=True))
    return [
        vote(
            name,
            draw(st.sampled_from(ANSWERS)),
            groups=draw(st.lists(st.sampled_from(GROUPS), unique=True)),
            declines=draw(st.sampled_from([False, False, False, True])),
            at=draw(st.integers(0, 9)),
        )
        for name in voters
    ]


def seats_are_taken(approval: Approval, votes: Sequence[VoteDocument]) -> bool:
    """Try every way to give each seat of a group to a person of that group, and see whether enough are there."""
    seats = [group for group, number in approval.groups.items() for _ in range(number)]
    return len(votes) >= approval.required and any(
        all(group in each.respondent.groups for group, each in zip(seats, people, strict=True))
        for people in itertools.permutations(votes, len(seats))
    )


def naive(approval: Approval, votes: Sequence[VoteDocument]) -> str | None:
    """The policy, read word by word."""
    if sum(each.outcome == "rejected" for each in votes) >= approval.rejections:
        return "rejected"
    answers = [each for each in votes if each.outcome == "answered"]
    equal = [[other for other in answers if other.value == each.value] for each in answers]
    return "answered" if any(seats_are_taken(approval, each) for each in equal) else None


@given(approvals, ballots())
def test_it_decides_as_a_naive_reading_of_the_policy(approval: Approval, votes: list[VoteDocument]) -> None:
    decision = tally(question(approval), votes, NOW)

    assert (None if decision is None else decision.outcome) == naive(approval, votes)


@given(approvals, ballots(), st.randoms())
def test_the_order_of_the_votes_does_not_matter(
    approval: Approval, votes: list[VoteDocument], random: Any
) -> None:
    shuffled = list(votes)
    random.shuffle(shuffled)

    assert standing(question(approval), shuffled) == standing(question(approval), votes)
    assert tally(question(approval), shuffled, NOW) == tally(question(approval), votes, NOW)


@given(approvals, ballots(), ballots())
def test_further_votes_never_undo_a_decision(
    approval: Approval, votes: list[VoteDocument], further: list[VoteDocument]
) -> None:
    voted = {each.voter for each in votes}
    more = [*votes, *(each for each in further if each.voter not in voted)]
    asked = question(approval)

    if tally(asked, votes, NOW) is not None:
        assert tally(asked, more, NOW) is not None
        assert tally(asked, votes, DEADLINE + GRACE) == tally(asked, votes, NOW)


@given(approvals, ballots())
def test_the_votes_that_a_decision_names_decide_the_same_by_themselves(
    approval: Approval, votes: list[VoteDocument]
) -> None:
    decision = tally(question(approval), votes, NOW)

    if decision is not None:
        assert tally(question(approval), decision.votes, NOW) == decision
        assert {each.outcome for each in decision.votes} == {decision.outcome}


@given(approvals, ballots())
def test_what_is_still_needed_is_what_was_missing(approval: Approval, votes: list[VoteDocument]) -> None:
    answers = [each.model_copy(update={"value": 1}) for each in votes if each.outcome == "answered"]
    needed = missing(approval, answers)

    helped = [vote(f"new-{group}-{n}", 1, groups=[group]) for group in needed for n in range(needed[group])]
    assert seats_are_taken(approval, [*answers, *helped])
    if helped:
        assert not seats_are_taken(approval, [*answers, *helped[1:]])


def test_somebody_in_two_groups_takes_one_seat() -> None:
    approval = Approval(required=2, groups={"sre": 1, "security": 1})
    ann, bob = vote("ann", groups=["sre", "security"], at=1), vote("bob", groups=["sre"], at=2)

    assert of(approval, [ann]).missing == {"sre": 1}
    # Ann moves to the other seat.
    assert of(approval, [ann, bob]).decision is not None
    assert of(approval, [ann, vote("cem")]).needed() == "1 more of sre"


def test_each_person_counts_once() -> None:
    approval = Approval(required=2)
    twice = [vote("ann", 1, at=1), vote("ann", 1, at=2)]

    assert of(approval, twice).progress() == "1/2"


@pytest.mark.parametrize(
    "ignored",
    [
        vote("ann"),
        vote("cem", verified=False),
        vote("zoe"),
        vote("cem", at=600),
        vote("cem", comment=" "),
    ],
    ids=["requester", "unverified", "no respondent", "after the deadline", "without a comment"],
)
def test_a_vote_that_does_not_count_is_passed_over_wherever_it_comes_from(ignored: VoteDocument) -> None:
    approval = Approval(required=2, exclude_requester=True, comment_required="Always")
    if ignored.comment != " ":
        ignored = ignored.model_copy(update={"comment": "well"})
    asked = {"requester": "ann", "respondents": {"users": ["ann", "bob", "cem"]}}

    found = of(approval, [vote("bob", comment="yes"), ignored], **asked)

    assert found.progress() == "1/2"
    assert found.decision is None


def test_whether_it_can_be_reached_is_known_where_all_voters_are() -> None:
    users = {"respondents": {"users": ["ann", "bob", "cem"]}}
    split = [vote("ann", 1), vote("bob", 2)]

    assert not of(Approval(required=2), split, **users).unreachable
    assert of(Approval(required=3), split, **users).unreachable
    assert of(Approval(required=2), [*split, vote("cem", 3)], **users).unreachable
    assert of(Approval(required=2, rejections=2), [*split, vote("cem", declines=True)], **users).unreachable
    assert not of(Approval(required=3), split).unreachable

    by_groups = Approval(required=2, groups={"sre": 1})
    handed = vote("bob", groups=["sre"])
    handed = handed.model_copy(update={"respondent": handed.respondent.model_copy(update={"on_behalf_of": "ann"})})
    # Bob took the seat of ann, and has no further vote of his own.
    two = {"respondents": {"users": ["ann", "bob"]}}
    assert of(by_groups, [handed], **two).left == 0
    assert of(by_groups, [handed], **two).unreachable


@pytest.mark.parametrize(("asked", "outcome"), [({}, "timed_out"), ({"default": 7}, "answered")])
def test_at_the_deadline_the_policy_of_the_question_decides_unless_enough_agreed(
    asked: dict[str, Any], outcome: str
) -> None:
    approval, due = Approval(required=2), DEADLINE + GRACE
    one, two = [vote("ann", 1)], [vote("ann", 1), vote("bob", 1)]

    assert tally(question(approval, **asked), one, due - timedelta(microseconds=1)) is None
    decision = tally(question(approval, **asked), one, due)
    assert decision is not None
    assert (decision.outcome, decision.votes) == (outcome, ())
    agreed = tally(question(approval, **asked), two, due)
    assert agreed is not None
    assert {each.respondent.name for each in agreed.votes} == {"ann", "bob"}


def test_one_person_decides_where_there_is_no_policy() -> None:
    plain = draft_request(
        request_id="a", now=NOW, event_name="e", data_type="int", prompt="?", timeout_seconds=600
    )

    assert standing(plain, []) is None
    assert tally(plain, [], NOW) is None
