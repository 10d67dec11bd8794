"""Whoever races whom, on every kind of storage: one outcome, and everybody is told whose it is."""

import asyncio
from collections import defaultdict

from hitl.errors import StorageUnavailable
from hitl.records.requests import read_outcome
from hitl.storage import Store
from tests.backends.plugin import Backend
from tests.contract.racing import Race, Told, race_processes, race_threads, submit
from tests.library.samples import asked

RACERS = 32
ROUNDS = 200
# SeaweedFS lets each loser of a round wait a second for a lock: a few long waits for many rounds take less.
AT_ONCE = {"s3": 100, "azure": 20, "gcs": 20}


async def test_32_racers_in_200_rounds_make_200_outcomes(backend: Backend) -> None:
    store = Store(backend.url, backend.options)
    requests = [await asked(store, f"question-{n}") for n in range(ROUNDS)]
    race = Race(backend.url, backend.options, requests, AT_ONCE.get(backend.name, 1))

    run = race_threads if backend.name == "memory" else race_processes
    told = await asyncio.to_thread(run, race, RACERS)

    rounds: dict[str, list[Told]] = defaultdict(list)
    for one in told:
        rounds[one.request_id].append(one)
    assert len(rounds) == ROUNDS
    for request_id, answers in rounds.items():
        outcome = await read_outcome(store, request_id)
        assert outcome is not None
        assert len(answers) == RACERS
        assert {one.winner for one in answers} == {outcome.respondent.name}
        assert [one.racer for one in answers if one.racer == one.winner] == [outcome.respondent.name]
        assert outcome.value == int(outcome.respondent.name.removeprefix("racer-"))
    # Not all losers found an outcome there already: they lost where it is decided.
    assert sum(one.attempted for one in told) > 2 * ROUNDS


async def test_1000_racing_submissions_to_one_request_make_one_outcome(backend: Backend) -> None:
    store = Store(backend.url, backend.options)
    request = await asked(store)

    winners = await asyncio.gather(*(submit(store, request, f"racer-{n}") for n in range(1000)))

    outcome = await read_outcome(store, request.request_id)
    assert outcome is not None
    assert winners == [outcome.respondent.name] * 1000


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
