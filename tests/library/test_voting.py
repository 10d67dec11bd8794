"""Votes in storage: what each voter is told, who settles, what a crash leaves, and what can be withdrawn."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from hitl.core import keys
from hitl.core.approval import Approval
from hitl.core.audit import Attempt
from hitl.core.documents import OutcomeDocument, Respondent
from hitl.core.lifecycle import GRACE
from hitl.core.tally import tally
from hitl.core.votekeys import VoteKey, votes_prefix
from hitl.core.votes import voter_of
from hitl.errors import (
    AlreadySettled,
    AlreadyVoted,
    DocumentDamaged,
    InvalidValue,
    NotAllowed,
    RequestNotFound,
    StorageUnavailable,
)
from hitl.records import outcomes
from hitl.records.records import Records
from hitl.records.requests import StoredRequest, read_outcome_of, read_request
from hitl.records.retention import STALE, collect, drop_stale
from hitl.records.submissions import Settled, Submission
from hitl.records.votes import read_votes
from hitl.records.voting import withdraw
from hitl.records.waiting import wait_for_outcome
from hitl.storage import Store
from tests.library.samples import DEADLINE, NOW, SECOND, Timed, asked

TWO = Approval(required=2)
LINKS = Approval(required=2, allow_links=True)


class Killed(BaseException):
    """The process ended at a write."""


class Mortal(Store):
    """A real store whose user is killed before or after a chosen write. Its clock is the test's own."""

    def __init__(self) -> None:
        super().__init__(f"memory://{uuid.uuid4().hex}")
        self.left: int | None = None
        self.after = False

    async def create_once(self, key: str, data: bytes) -> bool:
        return bool(await self._write(super().create_once(key, data)))

    async def mark(self, key: str) -> None:
        await self._write(super().mark(key))

    async def require_clock(self, now: datetime) -> float:
        return 0.0

    async def _write(self, write: Any) -> Any:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                self.left = None
                if self.after:
                    await write
                else:
                    write.close()
                raise Killed
        return await write


@pytest.fixture
def store() -> Mortal:
    return Mortal()


def who(name: str, *, groups: tuple[str, ...] = (), link: str = "", verified: bool | None = None) -> Respondent:
    return Respondent(
        name=name,
        via="web",
        verified=not link if verified is None else verified,
        groups=list(groups),
        link=link,
    )


def says(value: Any, by: Respondent | str = "ann", **more: Any) -> Submission:
    respondent = by if isinstance(by, Respondent) else who(by)
    return Submission("answered", respondent, value=str(value), **more)


def declines(by: Respondent | str, comment: str = "no") -> Submission:
    return replace(says("", by), outcome="rejected", value=None, comment=comment)


async def settle(
    store: Store, request: StoredRequest, submission: Submission, *, seconds: int = 0, markers: bool = False
) -> Settled:
    now = NOW + seconds * SECOND
    return await outcomes.settle(Records(store, markers), request, submission, now=now)


async def named(store: Store, request: StoredRequest) -> list[str]:
    """Return whom the outcome names, once it is certain that their votes alone decide the same."""
    outcome = await read_outcome_of(store, request)
    assert outcome is not None
    by_hash = {each.sha256: each for each in await read_votes(store, request)}
    votes = [by_hash[each.sha256] for each in outcome.votes]
    assert all(each.end == "counted" for each in votes)
    decision = tally(request.document, [each.vote for each in votes], NOW)
    assert decision is not None
    assert decision.outcome == outcome.outcome
    assert outcome.value == (decision.votes[-1].value if outcome.outcome == "answered" else None)
    return [each.name for each in outcome.votes]


async def test_a_question_waits_until_enough_people_give_the_same_answer(store: Mortal) -> None:
    request = await asked(store, approval=Approval(required=2, groups={"sre": 1}))

    first = await settle(store, request, says(4, "ann"), seconds=1)
    other = await settle(store, request, says(5, "bob"), seconds=2)
    assert (first.kind, other.kind) == ("voted", "voted")
    assert other.standing is not None
    assert (other.standing.progress(), other.standing.needed()) == ("1/2", "1 more of sre")
    assert await read_outcome_of(store, request) is None

    last = await settle(store, request, says("4.", who("cem", groups=("sre",))), seconds=3)
    assert last.kind == "refused"
    last = await settle(store, request, says(" 4", who("cem", groups=("sre",)), comment="go"), seconds=3)

    assert last.kind == "recorded"
    outcome = last.outcome_or_raise()
    assert await named(store, request) == ["ann", "cem"]
    assert (outcome.value, outcome.by(), outcome.comment) == (4, "ann and cem", "go")
    assert outcome.answered_at == NOW + 3 * SECOND
    late = await settle(store, request, says(4, "dee"), seconds=4)
    assert isinstance(late.error, AlreadySettled)
    assert (await settle(store, request, says(4, "ann"), seconds=4)).kind == "already_yours"


async def test_numbers_and_forms_are_counted_as_equal_whatever_way_they_are_written(store: Mortal) -> None:
    request = await asked(store, data_type="json", approval=TWO)

    assert (await settle(store, request, says('{"a": 1, "b": [2.0]}', "ann"))).kind == "voted"
    assert (await settle(store, request, says('{"b": [2], "a": 1}', "bob"))).kind == "recorded"


async def test_who_declines_ends_it_once_there_are_as_many_as_the_policy_says(store: Mortal) -> None:
    request = await asked(store, approval=Approval(required=2, rejections=2, comment_required="OnReject"))

    for nothing in (" ", "\u200b"):
        assert isinstance((await settle(store, request, declines("ann", nothing))).error, InvalidValue)
    assert (await settle(store, request, declines("ann"))).kind == "voted"
    assert (await settle(store, request, says(4, "bob"))).kind == "voted"
    ended = await settle(store, request, declines("cem", "too risky"), seconds=1)

    assert ended.outcome_or_raise().summary().startswith("rejected by ann and cem via web")
    assert await named(store, request) == ["ann", "cem"]


REFUSED = [
    (who("ann"), "asked for ann, so others must decide"),
    (who("ann", groups=("sre",)), "asked for ann"),
    (who("zoe"), "for others to answer; you are zoe"),
    (who("bob", verified=False), "nobody has verified"),
    (who("", link="l" * 64), "nobody has verified"),
]


@pytest.mark.parametrize(("by", "why"), REFUSED)
async def test_a_vote_that_does_not_count_is_refused_with_a_sentence_and_stored_nowhere(
    store: Mortal, by: Respondent, why: str
) -> None:
    request = await asked(
        store,
        approval=Approval(required=2, exclude_requester=True),
        requester="ann",
        respondents={"users": ["ann", "bob"], "groups": ["sre"]},
    )
    for submission in (says(4, by), declines(by)):
        told = await settle(store, request, submission)
        assert told.kind == "not_allowed"
        assert isinstance(told.error, NotAllowed)
        assert why in str(told.error)
    assert await read_votes(store, request) == []


async def test_one_person_over_three_channels_has_one_vote(store: Mortal) -> None:
    request = await asked(store, approval=TWO)
    for via in ("web", "api", "kubectl"):
        told = await settle(store, request, says(4, who("ann").model_copy(update={"via": via})))
        assert told.kind == "voted"
        assert told.standing is not None
        assert told.standing.progress() == "1/2"
    changed = await settle(store, request, says(5, "ann"))

    assert changed.kind == "voted_before"
    assert isinstance(changed.error, AlreadyVoted)
    assert (
        str(changed.error) == "You answered 4 before, and that vote stands: withdraw it before you vote otherwise."
    )
    assert len(await read_votes(store, request)) == 1


async def test_links_vote_where_the_policy_says_so_one_vote_each(store: Mortal) -> None:
    request = await asked(store, approval=LINKS)
    one, other = who("ann", link="a" * 64), who("ann", link="b" * 64)

    assert (await settle(store, request, says(4, one))).kind == "voted"
    assert (await settle(store, request, says(4, one.model_copy(update={"name": "bob"})))).kind == "voted"
    assert (await settle(store, request, says(4, other))).kind == "recorded"


async def test_a_vote_is_withdrawn_until_the_end_and_another_one_may_be_cast(store: Mortal) -> None:
    records, request = Records(store), await asked(store, approval=TWO)
    await settle(store, request, says(4, "ann"), seconds=1)

    told = await withdraw(records, request, who("ann"), now=NOW + 2 * SECOND)
    assert told.kind == "withdrawn"
    assert told.standing is not None
    assert told.standing.progress() == "0/2"
    assert (await withdraw(records, request, who("ann"), now=NOW + 2 * SECOND)).kind == "withdrawn"
    assert (await withdraw(records, request, who("eve"), now=NOW + 2 * SECOND)).kind == "refused"
    assert (await settle(store, request, says(4, "bob"), seconds=3)).kind == "voted"
    assert (await settle(store, request, says(5, "ann"), seconds=4)).kind == "voted"
    assert (await withdraw(records, request, who("ann"), now=NOW + 5 * SECOND)).kind == "withdrawn"
    assert (await settle(store, request, says(4, "ann"), seconds=6)).kind == "recorded"

    assert await named(store, request) == ["bob", "ann"]
    assert (await withdraw(records, request, who("ann"), now=NOW + 7 * SECOND)).kind == "lost"
    voter = voter_of(who("ann"))
    assert [each.key for each in await read_votes(store, request) if each.key.voter == voter] == [
        VoteKey(voter, number) for number in range(3)
    ]


class Interrupted(Store):
    """A real store in which somebody else acts right before a chosen creation."""

    def __init__(self, url: str, at: int, meanwhile: Callable[[], Awaitable[None]]) -> None:
        super().__init__(url)
        self.left = at
        self.meanwhile = meanwhile

    async def create_once(self, key: str, data: bytes) -> bool:
        if self.left == 0:
            await self.meanwhile()
        self.left -= 1
        return await super().create_once(key, data)


async def test_an_operator_is_told_of_a_withdrawal_as_of_a_vote(store: Mortal) -> None:
    request = await asked(store, approval=TWO)
    marker = keys.answered_marker(request.request_id)
    await settle(store, request, says(4, "ann"), seconds=1)
    await withdraw(Records(store), request, who("ann"), now=NOW + 2 * SECOND)
    assert not await store.exists(marker)

    await settle(store, request, says(4, "ann"), seconds=3)
    await withdraw(Records(store, announce=True), request, who("ann"), now=NOW + 4 * SECOND)
    assert await store.exists(marker)


@pytest.mark.parametrize("at", range(6))
async def test_of_a_withdrawal_and_an_outcome_that_race_one_is_told_the_truth(store: Mortal, at: int) -> None:
    request = await asked(store, approval=TWO)
    await settle(store, request, says(4, "ann"), seconds=1)
    told: list[Settled] = []

    async def withdrawn() -> None:
        told.append(await withdraw(Records(store), request, who("ann"), now=NOW + 2 * SECOND))

    settled = await settle(Interrupted(store.url, at, withdrawn), request, says(4, "bob"), seconds=2)

    if told and told[0].kind == "withdrawn":
        assert (settled.kind, await read_outcome_of(store, request)) == ("voted", None)
    else:
        assert settled.kind in ("recorded", "already_yours")
        assert await named(store, request) == ["ann", "bob"]


WAYS_TO_DIE = list(itertools.product(range(9), [False, True], [False, True]))


@pytest.mark.parametrize(("at", "after", "markers"), WAYS_TO_DIE)
async def test_whoever_dies_at_whatever_write_the_next_look_settles_it(
    store: Mortal, at: int, after: bool, markers: bool
) -> None:
    records, request = Records(store, markers), await asked(store, approval=TWO)
    await settle(store, request, says(4, "ann"), seconds=1)
    store.left, store.after = at, after
    with contextlib.suppress(Killed):
        await settle(store, request, says(4, "bob"), seconds=2, markers=markers)
    store.left = None
    cast = {each.vote.respondent.name for each in await read_votes(store, request)}

    seen = await outcomes.expire(records, request, now=NOW + 3 * SECOND)
    if "bob" in cast:
        assert seen is not None
        assert await named(store, request) == ["ann", "bob"]
        # Where an operator sweeps, a marker leads it to the question.
        marked = [each.request_id for each in await store.list_markers(keys.ANSWERED)]
        assert marked == [request.request_id] or not markers
    else:
        assert seen is None
        assert (await settle(store, request, says(4, "bob"), seconds=4)).kind == "recorded"


async def test_at_the_deadline_an_agreement_that_nobody_settled_is_honoured(store: Mortal) -> None:
    request = await asked(store, approval=TWO, default=7)
    await settle(store, request, says(4, "ann"), seconds=1)
    # One write to prove the storage was done before; then the vote of bob, after which he dies.
    store.left, store.after = 0, True
    with pytest.raises(Killed):
        await settle(store, request, says(4, "bob"), seconds=2)

    outcome = await outcomes.expire(Records(store), request, now=DEADLINE + GRACE)

    assert outcome is not None
    assert (outcome.value, outcome.default_used) == (4, False)
    assert await named(store, request) == ["ann", "bob"]


@pytest.mark.parametrize(("given", "kind"), [({}, "timed_out"), ({"default": 7}, "answered")])
async def test_at_the_deadline_without_an_agreement_the_default_or_a_timeout_counts(
    store: Mortal, given: dict[str, Any], kind: str
) -> None:
    request = await asked(store, approval=TWO, **given)
    await settle(store, request, says(4, "ann"), seconds=1)

    late = await settle(store, request, says(4, "bob"), seconds=600)
    assert late.kind == "too_late"
    assert await outcomes.expire(Records(store), request, now=DEADLINE + GRACE - SECOND) is None
    outcome = await outcomes.expire(Records(store), request, now=DEADLINE + GRACE)

    assert outcome is not None
    assert (outcome.outcome, outcome.votes) == (kind, [])
    assert (await settle(store, request, says(4, "ann"), seconds=700)).kind == "lost"


async def test_a_program_that_waits_gets_what_was_agreed_on(store: Mortal) -> None:
    request = await asked(store, approval=TWO)
    for seconds, name in enumerate(("ann", "bob")):
        store.left, store.after = 0, True
        with pytest.raises(Killed):
            await settle(store, request, says(4, name), seconds=seconds)

    records = Records(store, now=lambda: NOW + 2 * SECOND)
    outcome = await wait_for_outcome(records, request, longest_pause=0.2)

    assert (outcome.value, outcome.by()) == (4, "ann and bob")


async def test_whoever_asked_withdraws_the_question_whatever_was_voted(store: Mortal) -> None:
    request = await asked(store, approval=TWO)
    await settle(store, request, says(4, "ann"))

    told = await settle(store, request, Submission("cancelled", Respondent(via="program")), seconds=1)

    assert told.outcome_or_raise().outcome == "cancelled"
    assert (await settle(store, request, says(4, "bob"), seconds=2)).kind == "lost"


DAMAGED = [
    lambda vote: b"{",
    lambda vote: json.dumps({**vote, "request_sha256": "0" * 64}).encode(),
    lambda vote: json.dumps({**vote, "respondent": {**vote["respondent"], "name": "eve"}}).encode(),
    lambda vote: json.dumps({**vote, "respondent": {**vote["respondent"], "verified": False}}).encode(),
    lambda vote: json.dumps({**vote, "value": "many"}).encode(),
    lambda vote: json.dumps({**vote, "voted_at": (DEADLINE + SECOND).isoformat()}).encode(),
]


@pytest.mark.parametrize("damage", DAMAGED)
async def test_a_vote_that_was_written_by_hand_wrongly_counts_for_nothing(store: Mortal, damage: Any) -> None:
    request = await asked(store, approval=TWO)
    await settle(store, request, says(4, "ann"))
    [cast] = await read_votes(store, request)
    key = cast.key.of(request.request_id)
    await store.delete(key)
    await store.create_once(key, damage(json.loads(cast.vote.to_bytes())))

    assert (await settle(store, request, says(4, "bob"), seconds=1)).kind == "voted"
    assert (await settle(store, request, says(4, "cem"), seconds=2)).kind == "recorded"
    assert await named(store, request) == ["bob", "cem"]


@pytest.mark.parametrize("end", [b"{", b'{"schema_version": 1, "end": "later"}'])
async def test_a_damaged_end_of_a_vote_takes_that_vote_away_and_holds_up_nobody_else(
    store: Mortal, end: bytes
) -> None:
    request = await asked(store, approval=TWO)
    await settle(store, request, says(4, "ann"))
    await store.create_once(VoteKey(voter_of(who("ann"))).end_of(request.request_id), end)

    with pytest.raises(DocumentDamaged):
        await settle(store, request, says(4, "ann"), seconds=1)
    assert (await settle(store, request, says(4, "bob"), seconds=1)).kind == "voted"
    assert (await settle(store, request, says(4, "cem"), seconds=2)).kind == "recorded"
    assert await named(store, request) == ["bob", "cem"]


@pytest.mark.parametrize("name", ["ANN@example.org", "ann@exａmple.org", "ANN@EXAMPLE.ORG"])
async def test_the_requester_is_excluded_however_the_name_is_written(store: Mortal, name: str) -> None:
    four_eyes = Approval(required=1, exclude_requester=True)
    request = await asked(store, approval=four_eyes, requester="ann@example.org")

    told = await settle(store, request, says(4, name))
    assert told.kind == "not_allowed"
    assert "others must decide" in str(told.error)


async def test_an_address_in_capitals_has_no_second_vote_and_a_user_who_is_no_address_has(store: Mortal) -> None:
    request = await asked(store, approval=Approval(required=3))
    await settle(store, request, says(4, "ann@example.org"))

    assert (await settle(store, request, says(5, "Ann@example.org"))).kind == "voted_before"
    # To an API server these are two users.
    told = [await settle(store, request, says(4, each)) for each in ("Ann@example.org", "ann", "ANN")]
    assert [each.kind for each in told] == ["voted", "voted", "recorded"]


async def test_who_withdraws_again_and_again_is_told_that_it_is_enough(store: Mortal) -> None:
    request = await asked(store, approval=TWO)
    for _ in range(100):
        assert (await settle(store, request, says(4, "ann"))).kind == "voted"
        assert (await withdraw(Records(store), request, who("ann"), now=NOW)).kind == "withdrawn"

    # No storage is away, so nobody tries that again and again.
    told = await settle(store, request, says(4, "ann"))
    assert (told.kind, str(told.error)) == ("voted_before", "You withdrew your vote 100 times: that is enough.")
    assert (await settle(store, request, says(4, "bob"))).kind == "voted"


@pytest.mark.parametrize("change", [{"rejections": 5}, {"requiredResponses": 1}, {"groups": []}])
async def test_nothing_settles_under_a_policy_that_was_changed_meanwhile(store: Mortal, change: Any) -> None:
    request = await asked(store, approval=Approval(required=2, groups={"sre": 1}))
    await settle(store, request, says(4, who("ann", groups=("sre",))))
    key = keys.request_key(request.request_id)
    content = json.loads(await store.read(key) or b"")
    content["approval"] |= change
    await store.delete(key)
    await store.create_once(key, json.dumps(content).encode())

    # Who holds the question as it was records nothing; by the new one, the votes before do not count.
    held = await settle(store, request, says(4, "bob"), seconds=1)
    assert held.kind == "gone"
    changed = await read_request(store, request.request_id)
    assert await outcomes.expire(Records(store), changed, now=NOW + 2 * SECOND) is None
    assert await read_votes(store, changed) == []


async def test_a_question_that_was_deleted_takes_no_vote(store: Mortal) -> None:
    request = await asked(store, approval=TWO)
    await store.delete(keys.request_key(request.request_id))

    told = await settle(store, request, says(4, "ann"))

    assert isinstance(told.error, RequestNotFound)
    assert [key async for key, _ in store.list_keys(votes_prefix(request.request_id))] == []


async def test_a_voter_that_stood_still_over_a_deletion_takes_the_vote_back(store: Mortal) -> None:
    request = await asked(store, approval=TWO)
    ticking = iter([0.0, 0.0, 100.0, 100.0])

    class Slow(Store):
        async def create_once(self, key: str, data: bytes) -> bool:
            await store.delete(keys.request_key(request.request_id))
            return await super().create_once(key, data)

    records = Records(Slow(store.url), ticks=lambda: next(ticking))
    told = await outcomes.settle(records, request, says(4, "ann"), now=NOW)

    assert told.kind == "gone"
    assert [key async for key, _ in store.list_keys(votes_prefix(request.request_id))] == []


async def test_retention_deletes_votes_with_their_question() -> None:
    store = Timed(f"memory://{uuid.uuid4().hex}")
    request = await asked(store, approval=TWO)
    for name in ("ann", "bob"):
        await settle(store, request, says(4, name))
    waiting = await asked(store, "waits", approval=TWO)
    await settle(store, waiting, says(4, "ann"))
    store.time = NOW + timedelta(days=3)

    deleted = await collect(store, now=store.time, retention=timedelta(days=1))
    for _ in range(3):
        store.time += STALE
        await collect(store, now=store.time, retention=timedelta(days=1))
        await drop_stale(store, now=store.time)

    assert deleted == [request.request_id]
    assert [key async for key, _ in store.list_keys(keys.question_prefix(request.request_id))] == []
    assert len(await read_votes(store, waiting)) == 1


async def test_a_reply_that_was_lost_loses_no_vote_and_casts_no_second_one(store: Mortal) -> None:
    request = await asked(store, approval=TWO)

    class Deaf(Store):
        async def create_once(self, key: str, data: bytes) -> bool:
            await super().create_once(key, data)
            raise StorageUnavailable("the reply was lost")

    submission = says(4, "ann")
    with pytest.raises(StorageUnavailable):
        await settle(Deaf(store.url), request, submission)

    assert (await settle(store, request, submission, seconds=1)).kind == "voted"
    assert len(await read_votes(store, request)) == 1


async def test_racing_voters_make_one_outcome_that_names_enough_of_them(store: Mortal) -> None:
    for number in range(20):
        request = await asked(store, f"question-{number}", approval=Approval(required=3, rejections=2))
        people = [f"voter-{n}" for n in range(9)]
        given = [declines(name) if n % 4 == 3 else says(4, name) for n, name in enumerate(people)]

        told = await asyncio.gather(*(settle(store, request, each) for each in [*given, *given[:3]]))

        assert len(await named(store, request)) >= 2
        outcome = await read_outcome_of(store, request)
        kinds = {each.kind for each in told}
        assert kinds <= {"voted", "recorded", "already_yours", "lost"}
        assert [each.kind for each in told].count("recorded") == 1 or "recorded" not in kinds
        assert all(each.outcome in (None, outcome) for each in told)


def test_an_outcome_of_a_release_before_votes_is_read() -> None:
    content = {
        "schema_version": 1,
        "request_id": "a",
        "data_type": "int",
        "status": "completed",
        "value": 1,
        "outcome": "answered",
        "reason": "Answered",
        "submission_id": "s",
        "answered_at": NOW.isoformat(),
        "respondent": {"via": "web", "name": "ann", "verified": True},
        "request_sha256": "0" * 64,
    }
    outcome = OutcomeDocument.from_bytes(json.dumps(content).encode(), "a")

    assert outcome.votes == []
    assert outcome.by() == "ann"
    with pytest.raises(DocumentDamaged):
        OutcomeDocument.from_bytes(json.dumps({**content, "votes": [{"voter": "x"}]}).encode(), "a")


async def test_the_audit_has_a_line_for_each_vote_refusal_withdrawal_and_outcome(store: Mortal) -> None:
    lines: list[Attempt] = []

    async def audited(line: Attempt) -> None:
        lines.append(line)

    records = Records(store, audited=audited)
    request = await asked(store, approval=Approval(required=2, exclude_requester=True), requester="eve")
    for seconds, by in enumerate(("ann", "eve")):
        await outcomes.settle(records, request, says(4, by), now=NOW + seconds * SECOND)
    await outcomes.settle(records, request, says(5, "ann"), now=NOW + 2 * SECOND)
    await withdraw(records, request, who("ann"), now=NOW + 3 * SECOND, right="proxy")
    await outcomes.settle(records, request, says(4, "ann"), now=NOW + 4 * SECOND)
    await outcomes.settle(records, request, says(4, "bob"), now=NOW + 5 * SECOND)

    assert [(line.result, line.name) for line in lines] == [
        ("voted", "ann"),
        ("not_allowed", "eve"),
        ("voted_before", "ann"),
        ("withdrawn", "ann"),
        ("voted", "ann"),
        ("recorded", "bob"),
        ("voted", "bob"),
    ]
    assert "others must decide" in lines[1].reason
    assert (lines[3].right, lines[3].verified) == ("proxy", True)
    assert lines[-2].outcome_sha256

    # Whoever settles for a voter that was killed notes it.
    left = await asked(store, "left", approval=TWO)
    for name in ("ann", "bob"):
        store.left, store.after = 0, True
        with pytest.raises(Killed):
            await settle(store, left, says(4, name))
    await outcomes.expire(records, left, now=NOW + SECOND)
    assert (lines[-1].request_id, lines[-1].result) == ("left", "recorded")
