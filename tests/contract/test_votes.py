"""Whoever votes at once with whom, on every kind of storage: one outcome, which enough of them agreed on."""

import asyncio
from collections import defaultdict
from dataclasses import replace

from hitl.core.approval import Approval
from hitl.core.delegation import backed
from hitl.core.documents import Respondent, Via
from hitl.core.tally import tally
from hitl.errors import StorageUnavailable
from hitl.records import outcomes
from hitl.records.delegating import delegate
from hitl.records.records import Records
from hitl.records.requests import StoredRequest, read_outcome_of
from hitl.records.submissions import Submission
from hitl.records.votes import read_ballots
from hitl.records.voting import withdraw
from hitl.storage import Store
from tests.backends.plugin import Backend
from tests.contract.racing import Race, Told, race_processes, race_threads
from tests.library.samples import NOW, asked

POLICY = Approval(required=3, groups={"sre": 1}, rejections=2, exclude_requester=True)
CHANNELS: tuple[Via, ...] = ("web", "api", "kubectl")
ROUNDS, RACERS = 6, 16
# Some storages let a loser wait: a few long waits for many rounds take less.
AT_ONCE = {"file": 1, "memory": 1}
VOTERS_ARE_TOLD = (
    *("voted", "recorded", "already_yours", "lost", "withdrawal withdrawn", "withdrawal lost"),
    *("withdrawal refused", "withdrawal voted_before", "withdrawal not_allowed"),
    *("delegation delegated", "delegation voted_before", "delegation lost"),
)
# Who handed it over, and who it was handed over to, may come too late for either.
HANDED_OVER = {"voter-4", "voter-5", "voter-13"}
NEVER_NAMED = {"asker", "stranger"}


def submission_of(racer: str) -> Submission:
    """What a racer says: two racers are one person; some decline, one asked, and nobody vouches for another."""
    number = int(racer.rpartition("-")[2])
    person = number // 2
    who = Respondent(
        name=f"voter-{person}", via=CHANNELS[number % 3], verified=True, groups=["sre"] if person % 2 else []
    )
    if number % 12 == 5:
        who = replace_name(who, "asker")
    if number % 12 == 9:
        who = replace_name(who, "stranger").model_copy(update={"verified": False})
    given = Submission("answered", who, value="4")
    return replace(given, outcome="rejected", value=None, comment="no") if person % 4 == 3 else given


def replace_name(who: Respondent, name: str) -> Respondent:
    return who.model_copy(update={"name": name})


async def vote(store: Store, request: StoredRequest, racer: str) -> str:
    """Vote, again while the storage is too slow to say what became of it; some withdraw or hand over at once."""
    submission, records = submission_of(racer), Records(store)
    number = int(racer.rpartition("-")[2])
    while True:
        try:
            if number % 16 == 10:
                # Somebody else of the same name votes at the same time.
                told = await delegate(records, request, submission.respondent, "voter-4", now=NOW)
                if told.kind == "delegated" and int(request.request_id.rpartition("-")[2]) % 2:
                    told = await withdraw(records, request, submission.respondent, now=NOW)
                    return f"withdrawal {told.kind}"
                return f"delegation {told.kind}"
            told = await outcomes.settle(records, request, submission, now=NOW)
            if told.kind == "voted" and racer.endswith("2"):
                told = await withdraw(records, request, submission.respondent, now=NOW)
                return f"withdrawal {told.kind}"
        except StorageUnavailable:
            continue
        return told.kind


async def race(backend: Backend, rounds: int, count: int) -> None:
    """Let racers vote on questions, and look at what became of each."""
    store = Store(backend.url, backend.options)
    requests = [
        await asked(store, f"question-{n}", approval=POLICY, requester="asker", default=7) for n in range(rounds)
    ]
    run = race_threads if backend.name == "memory" else race_processes
    begun = Race(backend.url, backend.options, requests, AT_ONCE.get(backend.name, rounds), vote)
    told = await asyncio.to_thread(run, begun, count)

    heard: dict[str, list[Told]] = defaultdict(list)
    for one in told:
        heard[one.request_id].append(one)
    settled = 0
    for request in requests:
        answers = {each.racer: each.winner for each in heard[request.request_id]}
        assert len(answers) == count
        settled += await fits(store, request, answers)
    assert settled


async def fits(store: Store, request: StoredRequest, answers: dict[str, str]) -> bool:
    """Make sure that what was recorded rests on enough votes, and on none that was refused or withdrawn."""
    ballots = await read_ballots(store, request)
    votes, outcome = ballots.votes, await read_outcome_of(store, request)
    standing = [each.vote for each in ballots.standing()]
    by_digest = {each.sha256: each for each in votes}
    for racer, kind in answers.items():
        name = submission_of(racer).respondent.name
        # Who may not vote is refused, or learns that it is over.
        allowed = {"not_allowed", "lost"} if name in NEVER_NAMED else set(VOTERS_ARE_TOLD)
        allowed |= {"not_allowed"} if name in HANDED_OVER else set()
        assert kind in allowed, (racer, kind)
    assert not NEVER_NAMED & {each.vote.respondent.name for each in votes}
    if outcome is None:
        # Somebody withdrew; no look at what is left would settle it.
        assert tally(request.document, standing, NOW) is None
        assert not set(answers.values()) & {"recorded", "already_yours", "lost", "delegation lost"}
        return False
    named = [by_digest[each.sha256] for each in outcome.votes]
    # Each person once, and each right once: of who handed over to somebody, that one's alone.
    assert all(backed(each.vote, ballots.handed()) for each in named)
    rights = [each.vote.respondent.on_behalf_of or each.vote.respondent.name for each in named]
    assert len(set(rights)) == len({each.vote.respondent.name for each in named}) == len(named)
    assert {each.end for each in named} == {"counted"}
    decision = tally(request.document, [each.vote for each in named], NOW)
    assert decision is not None
    assert (decision.outcome, len(decision.votes)) == (outcome.outcome, len(named))
    assert list(answers.values()).count("recorded") <= 1
    return True


async def test_each_round_of_voters_makes_one_outcome_that_enough_agreed_on(backend: Backend) -> None:
    await race(backend, ROUNDS, RACERS)
