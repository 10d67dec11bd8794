"""Handing a question over: who may, who acts for whom, and that nobody ever counts twice or beyond the policy."""

from __future__ import annotations

import asyncio
import itertools
import json
import uuid
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hitl.core import votekeys
from hitl.core.approval import Approval
from hitl.core.audit import Attempt
from hitl.core.delegation import delegation_refusal
from hitl.core.documents import Respondent
from hitl.core.lifecycle import GRACE
from hitl.core.votekeys import votes_prefix
from hitl.records import outcomes
from hitl.records.delegating import delegate
from hitl.records.records import Records
from hitl.records.requests import StoredRequest, read_outcome_of
from hitl.records.retention import collect
from hitl.records.submissions import Settled, Submission
from hitl.records.votes import read_votes
from hitl.records.voting import withdraw
from hitl.storage import Store
from tests.library.samples import DEADLINE, NOW, SECOND, Timed, asked
from tests.library.test_voting import Killed, Mortal

GROUPS = {"ann": ["sre"], "bob": [], "cem": ["security", "sre"], "dee": ["security"], "eve": ["sre"]}
FOR_GROUPS: dict[str, Any] = {"respondents": {"groups": ["sre", "security"]}}
POLICY = Approval(required=2, groups={"sre": 1}, exclude_requester=True)


def who(name: str, *, verified: bool = True) -> Respondent:
    return Respondent(name=name, via="web", verified=verified, groups=GROUPS.get(name, []))


def says(name: str, value: int = 4) -> Submission:
    return Submission("answered", who(name), str(value))


@pytest.fixture
def store() -> Timed:
    return Timed(f"memory://{uuid.uuid4().hex}")


async def hand(store: Store, request: StoredRequest, by: str, to: str, **more: Any) -> Settled:
    return await delegate(Records(store), request, who(by), to, now=NOW, **more)


async def settle(store: Store, request: StoredRequest, submission: Submission, seconds: int = 1) -> Settled:
    return await outcomes.settle(Records(store), request, submission, now=NOW + seconds * SECOND)


async def take_back(store: Store, request: StoredRequest, by: str, **more: Any) -> Settled:
    return await withdraw(Records(store), request, who(by), now=NOW + SECOND, **more)


async def test_who_may_not_answer_answers_on_behalf_of_who_handed_it_over(store: Timed) -> None:
    request = await asked(store, respondents={"users": ["ann"]})
    assert (await hand(store, request, "ann", "bob")).kind == "delegated"
    assert (await hand(store, request, "ann", "bob")).kind == "delegated"
    assert (await hand(store, request, "ann", "cem")).kind == "voted_before"

    refused = await settle(store, request, says("ann"))
    assert (
        str(refused.error) == "You handed this question over to bob: take that back before you answer it yourself."
    )
    assert (await settle(store, request, says("bob"))).kind == "recorded"

    outcome = await read_outcome_of(store, request)
    assert outcome is not None
    assert (outcome.respondent.name, outcome.respondent.on_behalf_of) == ("bob", "ann")
    assert outcome.by() == "bob on behalf of ann"
    assert "answered by bob on behalf of ann via web" in outcome.summary()
    assert (await take_back(store, request, "ann")).kind == "lost"
    assert (await settle(store, request, says("bob"))).kind == "already_yours"
    assert [each.request_id for each in await store.list_markers(votekeys.HANDED)] == [request.request_id]


async def test_what_is_taken_back_before_it_is_used_gives_nothing_any_more(store: Timed) -> None:
    request = await asked(store, respondents={"users": ["ann"]})
    await hand(store, request, "ann", "bob", submission_id="one")
    assert (await take_back(store, request, "ann", submission_id="two")).kind == "withdrawn"
    assert (await hand(store, request, "ann", "bob", submission_id="one")).kind == "withdrawn"
    assert (await hand(store, request, "ann", "cem", submission_id="three")).kind == "delegated"
    # The same submission again, such as by an operator that was killed, takes back nothing later.
    assert (await take_back(store, request, "ann", submission_id="two")).kind == "withdrawn"

    assert (await settle(store, request, says("cem"))).outcome_or_raise().respondent.on_behalf_of == "ann"


async def test_what_somebody_took_back_is_theirs_whatever_ids_others_use(store: Timed) -> None:
    request = await asked(store, respondents={"users": ["ann", "eve"]})
    await hand(store, request, "ann", "bob", submission_id="1")
    await take_back(store, request, "ann", submission_id="2")

    assert (await hand(store, request, "eve", "bob", submission_id="1")).kind == "delegated"
    assert (await take_back(store, request, "eve", submission_id="2")).kind == "withdrawn"
    assert (await settle(store, request, says("bob"))).kind == "not_allowed"


async def test_what_was_taken_back_is_not_handed_to_somebody_else_by_the_same_submission(store: Timed) -> None:
    request = await asked(store, respondents={"users": ["ann"]})
    await hand(store, request, "ann", "bob", submission_id="1")
    await take_back(store, request, "ann", submission_id="2")

    other = await hand(store, request, "ann", "cem", submission_id="1")
    assert (other.kind, other.outcome) == ("voted_before", None)
    assert "send a new submission" in str(other.error)


async def test_a_delegation_that_was_used_stays_and_its_vote_may_be_withdrawn(store: Timed) -> None:
    request = await asked(store, approval=POLICY, requester="eve", **FOR_GROUPS)
    await hand(store, request, "ann", "bob")
    voted = await settle(store, request, says("bob"))
    assert voted.kind == "voted"
    assert voted.standing is not None
    assert (voted.standing.progress(), voted.standing.needed()) == ("1/2", "1 more")

    stays = await take_back(store, request, "ann")
    assert (stays.kind, str(stays.error)) == (
        "not_allowed",
        "You handed this question over to bob, who has acted on it: that stands.",
    )
    assert (await settle(store, request, says("ann"))).kind == "not_allowed"
    assert (await take_back(store, request, "bob")).kind == "withdrawn"
    assert (await settle(store, request, says("bob", 5))).kind == "voted"
    assert (await settle(store, request, says("dee", 5))).kind == "recorded"
    outcome = await read_outcome_of(store, request)
    assert outcome is not None
    assert [(each.name, each.on_behalf_of) for each in outcome.votes] == [("bob", "ann"), ("dee", "")]


async def test_who_voted_hands_over_once_that_vote_is_withdrawn(store: Timed) -> None:
    request = await asked(store, approval=POLICY, requester="eve", **FOR_GROUPS)
    await settle(store, request, says("ann"))

    assert (await hand(store, request, "ann", "bob")).kind == "voted_before"
    await take_back(store, request, "ann")
    assert (await hand(store, request, "ann", "bob")).kind == "delegated"
    assert (await settle(store, request, says("ann"))).kind == "not_allowed"


async def test_two_who_hand_over_to_the_same_person_give_one_vote(store: Timed) -> None:
    request = await asked(store, approval=POLICY, requester="eve", **FOR_GROUPS)
    await hand(store, request, "ann", "bob")
    await hand(store, request, "dee", "bob")

    assert [(await settle(store, request, says("bob"), n)).kind for n in (1, 2)] == ["voted", "voted"]

    [cast] = await read_votes(store, request)
    # The other one may still take it back, and vote.
    free = {"ann", "dee"} - {cast.vote.respondent.on_behalf_of}
    assert (await take_back(store, request, free.pop())).kind == "withdrawn"


async def test_who_may_vote_keeps_their_own_vote_unless_they_lack_a_seat(store: Timed) -> None:
    by_groups = await asked(store, approval=POLICY, requester="eve")
    await hand(store, by_groups, "ann", "dee")
    await hand(store, by_groups, "ann", "cem")

    for name, on_behalf_of in (("dee", "ann"), ("cem", "")):
        told = await settle(store, by_groups, says(name))
        assert told.kind in ("voted", "recorded")
        [cast] = [each.vote for each in await read_votes(store, by_groups) if each.vote.respondent.name == name]
        assert cast.respondent.on_behalf_of == on_behalf_of


REFUSED = [
    (who("ann", verified=False), "bob", "Nobody has verified your name"),
    (who("eve"), "bob", "This question is asked for eve"),
    (who("bob"), "fay", "nobody hands on what they were handed"),
    (who("ann"), "eve", "it cannot be handed over to eve"),
    (who("ann"), "Eve", "it cannot be handed over to Eve"),
    (who("ann"), "ann", "to yourself"),
    (who("ann"), " ", "is no name of a user"),
    (who("ann"), "x" * 257, "is no name of a user"),
]


@pytest.mark.parametrize(("by", "to", "why"), REFUSED)
async def test_who_may_not_hand_over_is_told_why(store: Timed, by: Respondent, to: str, why: str) -> None:
    request = await asked(store, approval=POLICY, requester="eve", **FOR_GROUPS)
    # Bob was handed it himself.
    await hand(store, request, "dee", "bob")

    told = await delegate(Records(store), request, by, to, now=NOW)

    assert told.kind == "not_allowed"
    assert why in str(told.error)


async def test_nothing_is_handed_over_where_everybody_may_answer_or_that_one_may(store: Timed) -> None:
    anybody = await asked(store, "anybody")
    named = await asked(store, "named", respondents={"users": ["ann", "bob"]})

    assert "nothing to hand over" in delegation_refusal(anybody.document, who("ann"), "bob", NOW)
    assert "bob may answer this question anyway" in delegation_refusal(named.document, who("ann"), "bob", NOW)
    late = await delegate(Records(store), named, who("ann"), "cem", now=DEADLINE)
    assert late.kind == "too_late"


async def test_a_vote_on_behalf_of_somebody_who_did_not_say_so_counts_for_nothing(store: Timed) -> None:
    request = await asked(store, approval=POLICY, requester="eve", **FOR_GROUPS)
    await hand(store, request, "ann", "bob")
    await settle(store, request, says("bob"))
    [cast] = await read_votes(store, request)
    await store.delete(key := cast.key.of(request.request_id))
    forged = json.loads(cast.vote.to_bytes())
    forged["respondent"] |= {"on_behalf_of": "dee", "groups": ["security", "sre"]}
    await store.create_once(key, json.dumps(forged).encode())

    assert (await settle(store, request, says("cem"))).kind == "voted"


async def test_the_audit_has_a_line_for_each_hand_over(store: Timed) -> None:
    lines: list[Attempt] = []

    async def audited(line: Attempt) -> None:
        lines.append(line)

    records = Records(store, audited=audited)
    request = await asked(store, respondents={"users": ["ann"]})
    await delegate(records, request, who("ann"), "bob", now=NOW, right="proxy")
    await delegate(records, request, who("bob"), "cem", now=NOW, right="proxy")
    await outcomes.settle(records, request, says("bob"), now=NOW)

    assert [(line.result, line.name, line.to, line.on_behalf_of) for line in lines] == [
        ("delegated", "ann", "bob", ""),
        ("not_allowed", "bob", "cem", ""),
        ("recorded", "bob", "", "ann"),
    ]
    assert lines[-1].named == "user"


async def test_retention_deletes_what_was_handed_over_with_its_question(store: Timed) -> None:
    request = await asked(store, respondents={"users": ["ann"]})
    await hand(store, request, "ann", "bob")
    await settle(store, request, says("bob"))
    store.time = NOW + timedelta(days=3)

    assert await collect(store, now=store.time, retention=timedelta(days=1)) == [request.request_id]

    assert await store.list_markers(votekeys.HANDED) == []
    assert [key async for key, _ in _keys(store, request)] == []


@pytest.mark.parametrize("approval", [None, POLICY], ids=["one decides", "several agree"])
@pytest.mark.parametrize(("at", "after"), list(itertools.product(range(7), [False, True])))
async def test_who_is_killed_at_whatever_write_acts_again_or_was_stopped_before(
    approval: Approval | None, at: int, after: bool
) -> None:
    for what in ("again", "taken back"):
        store = Mortal()
        policy: dict[str, Any] = {} if approval is None else {"approval": approval, "requester": "eve"}
        request = await asked(store, **FOR_GROUPS, **policy)
        await hand(store, request, "ann", "bob")
        store.left, store.after = at, after
        with suppress(Killed):
            await settle(store, request, says("bob"))
        store.left = None

        taken = await take_back(store, request, "ann") if what == "taken back" else None
        told = await settle(store, request, says("bob"), 2)
        if taken is not None and taken.kind == "withdrawn":
            assert told.kind == "not_allowed"
            assert (await settle(store, request, says("ann"), 3)).error is None
        else:
            assert taken is None or taken.kind in ("not_allowed", "lost")
            assert told.kind in ("voted", "recorded", "already_yours")
        await settle(store, request, says("dee"), 4)
        outcome = await outcomes.expire(Records(store), request, now=NOW + 5 * SECOND)
        assert outcome is not None
        first = outcome.votes[0] if outcome.votes else outcome.respondent
        by = ("ann", "") if taken is not None and taken.kind == "withdrawn" else ("bob", "ann")
        assert (first.name, first.on_behalf_of) == by


@pytest.mark.parametrize(("at", "after"), list(itertools.product(range(3), [False, True])))
async def test_who_is_killed_while_withdrawing_withdraws_again_and_no_vote_counts_meanwhile(
    at: int, after: bool
) -> None:
    store = Mortal()
    request = await asked(store, approval=POLICY, requester="eve", **FOR_GROUPS)
    await settle(store, request, says("ann"))
    store.left, store.after = at, after
    with suppress(Killed):
        await take_back(store, request, "ann")
    store.left = None

    assert (await take_back(store, request, "ann")).kind == "withdrawn"
    assert (await settle(store, request, says("dee"), 2)).kind == "voted"
    assert await outcomes.expire(Records(store), request, now=NOW + 3 * SECOND) is None
    due = await outcomes.expire(Records(store), request, now=DEADLINE + GRACE)
    assert due is not None
    assert due.outcome == "timed_out"


PEOPLE = sorted(GROUPS)
actions = st.one_of(
    st.tuples(st.just("hand"), st.sampled_from(PEOPLE), st.sampled_from(PEOPLE)),
    st.tuples(st.just("vote"), st.sampled_from(PEOPLE), st.sampled_from([4, 4, 5])),
    st.tuples(st.just("decline"), st.sampled_from(PEOPLE), st.just(0)),
    st.tuples(st.just("withdraw"), st.sampled_from(PEOPLE), st.just(0)),
)
policies = st.sampled_from(
    [
        Approval(required=2, groups={"sre": 1}, exclude_requester=True),
        Approval(required=3, groups={"sre": 1, "security": 1}, rejections=2, exclude_requester=True),
        Approval(required=2, rejections=2),
    ]
)


@settings(max_examples=150)
@given(policies, st.booleans(), st.lists(actions, min_size=3, max_size=14))
def test_nobody_reaches_a_quorum_that_they_would_not_by_a_naive_reading(
    policy: Approval, for_groups: bool, several: Sequence[tuple[str, str, Any]]
) -> None:
    async def play() -> None:
        store = Timed(f"memory://{uuid.uuid4().hex}")
        request = await asked(store, approval=policy, requester="eve", **(FOR_GROUPS if for_groups else {}))
        for number, (what, name, given_) in enumerate(several):
            if what == "hand":
                await hand(store, request, name, given_)
            elif what == "withdraw":
                await take_back(store, request, name)
            elif what == "vote":
                await settle(store, request, says(name, given_), number)
            else:
                declined = Submission("rejected", who(name), comment="no")
                await settle(store, request, declined, number)
            outcome = await read_outcome_of(store, request)
            expected = naive(policy, await stored(store, request), for_groups=for_groups)
            assert (None if outcome is None else outcome.outcome) == expected
            if outcome is not None:
                return

    asyncio.run(play())


async def stored(store: Store, request: StoredRequest) -> dict[str, dict[str, Any]]:
    """All that lies there and was not withdrawn, read as JSON, by its key."""
    found = {key: json.loads(await store.read(key) or b"") async for key, _ in _keys(store, request)}
    ends = {key: each["end"] for key, each in found.items() if key.endswith(".end.json")}
    return {
        key: each
        for key, each in found.items()
        if key not in ends and ends.get(key.replace(".json", ".end.json")) != "withdrawn"
    }


def _keys(store: Store, request: StoredRequest) -> Any:
    return store.list_keys(votes_prefix(request.request_id))


def naive(policy: Approval, there: dict[str, dict[str, Any]], *, for_groups: bool) -> str | None:
    """The policy read word by word: each person is one, and each right is one person's who has it."""
    handed = {(each["respondent"]["name"], each["to"]) for each in there.values() if "to" in each}
    votes = [each for each in there.values() if "to" not in each]
    people, rights = [], []
    for each in votes:
        by, of = each["respondent"]["name"], each["respondent"]["on_behalf_of"]
        assert not of or (of, by) in handed
        people.append(by)
        rights.append(of or by)
    assert len(set(people)) == len(people)
    assert len(set(rights)) == len(rights)
    assert not policy.exclude_requester or "eve" not in {*people, *rights}
    assert not for_groups or "bob" not in rights
    if sum(each["outcome"] == "rejected" for each in votes) >= policy.rejections:
        return "rejected"
    for value in (4, 5):
        same = [of for of, each in zip(rights, votes, strict=True) if each["value"] == value]
        seats = [group for group, number in policy.groups.items() for _ in range(number)]
        taken = (
            all(group in GROUPS[of] for group, of in zip(seats, some, strict=True))
            for some in itertools.permutations(same, len(seats))
        )
        if len(same) >= policy.required and any(taken):
            return "answered"
    return None
