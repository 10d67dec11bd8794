"""Whoever races whom, on every kind of storage: one outcome, and everybody is told whose it is."""

import asyncio
from collections import defaultdict

import pytest

from hitl.errors import StorageUnavailable
from hitl.records.requests import read_outcome
from hitl.storage import Store
from tests.backends.plugin import Backend
from tests.contract.racing import Race, Told, race_processes, race_threads, submit
from tests.library.samples import asked

# adlfs takes ten times the processor time of the others for a request.
PROCESSES = {"adlfs": 16}
THREADS = 16
ROUNDS = {"adlfs": 40}
AT_THE_SAME_TIME = {"adlfs": 100}
# SeaweedFS lets each loser of a round wait a second for a lock: a few long waits for many rounds take less.
AT_ONCE = {"s3": 100, "azure": 20, "gcs": 20, "adlfs": 20}


@pytest.mark.parametrize("racers", ["processes", "threads"])
async def test_each_round_of_racers_makes_one_outcome(backend: Backend, racers: str) -> None:
    if backend.name == "memory" and racers == "processes":
        pytest.skip("memory is one process's own")
    rounds = ROUNDS.get(backend.name, 200)
    store = Store(backend.url, backend.options)
    requests = [await asked(store, f"question-{n}") for n in range(rounds)]
    race = Race(backend.url, backend.options, requests, AT_ONCE.get(backend.name, 1))

    run, count = race_threads, THREADS
    if racers == "processes":
        run, count = race_processes, PROCESSES.get(backend.name, 32)
    told = await asyncio.to_thread(run, race, count)

    heard: dict[str, list[Told]] = defaultdict(list)
    for one in told:
        heard[one.request_id].append(one)
    assert len(heard) == rounds
    for request_id, answers in heard.items():
        outcome = await read_outcome(store, request_id)
        assert outcome is not None
        assert len(answers) == count
        assert {one.winner for one in answers} == {outcome.respondent.name}
        assert [one.racer for one in answers if one.racer == one.winner] == [outcome.respondent.name]
        assert outcome.value == int(outcome.respondent.name.removeprefix("racer-"))
    # Not all losers found an outcome there already: they lost where it is decided.
    assert sum(one.attempted for one in told) > 2 * rounds


async def test_racing_submissions_to_one_request_make_one_outcome(backend: Backend) -> None:
    store = Store(backend.url, backend.options)
    request = await asked(store)
    count = AT_THE_SAME_TIME.get(backend.name, 1000)

    winners = await asyncio.gather(*(submit(store, request, f"racer-{n}") for n in range(count)))

    outcome = await read_outcome(store, request.request_id)
    assert outcome is not None
    assert winners == [outcome.respondent.name] * count


async def test_writers_that_never_agree_create_one_object(backend: Backend) -> None:
    store = Store(backend.url, backend.options)

    async def create(content: bytes) -> bool | None:
        try:
            return await store.create_once("hitl-requests/a/response.json", content)
        except StorageUnavailable:
            return None

    contents = [b"writer %d" % n for n in range(100)]
    created = await asyncio.gather(*map(create, contents))

    stored = await store.read("hitl-requests/a/response.json")
    assert stored in contents
    won = [content for content, told in zip(contents, created, strict=True) if told]
    assert won in ([stored], [])
    if None not in created:
        assert won == [stored]
