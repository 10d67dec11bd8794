"""One run: faults while people ask and answer, then quiet, then the verdict."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

import httpx

from hitl.cluster.v1alpha1 import API_VERSION
from hitl.core import keys
from hitl.core.documents import OutcomeDocument
from hitl.records.requests import read_outcome
from hitl.storage import Store
from tests.soak.ledger import Ledger, Told
from tests.soak.people import People
from tests.soak.verdict import Found, faults, told_by_status, unsettled
from tests.soak.world import World

_RESOURCES: Final = f"/apis/{API_VERSION}"
_AT_ONCE: Final = 16
_PAUSE_SECONDS: Final = 2.0


@dataclass
class Report:
    """What a run was, and what was wrong at its end.

    Args:
        seed: Its seed.
        arrangement: Settings of its operators, which the seed chose.
        questions: How many were asked.
        done: How often each thing was done.
        struck: How many requests each kind of fault struck, by the wire.
        kills: How often an operator was killed or ended.
        quiet_seconds: How long it took after the faults until all was as it must be.
        faults: What was wrong.
    """

    seed: int
    arrangement: dict[str, Any]
    questions: int = 0
    done: dict[str, int] = field(default_factory=dict)
    struck: dict[str, dict[str, int]] = field(default_factory=dict)
    kills: int = 0
    quiet_seconds: float = 0.0
    faults: list[str] = field(default_factory=list)


async def soak(
    world: World, seed: int, seconds: float, rate: float, patience: float, progress: Callable[[str], None]
) -> Report:
    """Run, and return what came of it.

    Args:
        world: What runs.
        seed: What decides.
        seconds: How long there are faults.
        rate: Questions asked in a second.
        patience: Seconds after the faults until which all must be as it must be.
        progress: Told once a second how far it is.
    """
    ledger = Ledger()
    report = Report(seed, {"operators": len(world.operators), **world.arrangement})
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(
            httpx.AsyncClient(base_url=world.plane.url, verify=world.plane.tls(), timeout=60)
        )
        web = await stack.enter_async_context(httpx.AsyncClient(base_url=world.app.url, timeout=60))
        people = People(api, web, world.store, ledger, Random(f"{seed} people"))
        await stack.enter_async_context(_background(_watch(api, ledger)))
        began = time.monotonic()
        async with _background(world.step(), world.slay(), *(each.blow() for each in world.weather.values())):
            lives: list[asyncio.Task[None]] = []
            dice = Random(f"{seed} arrivals")
            while (passed := time.monotonic() - began) < seconds:
                lives.append(asyncio.create_task(people.live()))
                progress(f"{passed:.0f} of {seconds:.0f} s, {len(lives)} questions")
                await asyncio.sleep(dice.expovariate(rate))
            await asyncio.gather(*lives)
        report.struck = {name: dict(each.struck) for name, each in world.weather.items()}
        report.kills = sum(each.kills for each in world.operators)
        began = time.monotonic()
        report.faults = await _until_right(world, api, people, ledger, began + patience, progress)
        report.quiet_seconds = round(time.monotonic() - began, 1)
    report.faults += [each for operator in world.operators for each in operator.died]
    report.questions, report.done = len(ledger.asked), dict(ledger.done)
    return report


async def _until_right(
    world: World,
    api: httpx.AsyncClient,
    people: People,
    ledger: Ledger,
    until: float,
    progress: Callable[[str], None],
) -> list[str]:
    """Answer what is open, and wait until all is right; return what is wrong at last."""
    while True:
        found = await _look(world, api)
        # At each look: an answer whose connection ended, or that was put off with 503, is nobody's.
        for asked in unsettled(ledger, found):
            await people.answer_surely(asked)
        for operator in world.operators:
            operator.look()
        wrong = faults(ledger, found)
        if not wrong or time.monotonic() > until:
            return wrong
        progress(f"quiet: {len(wrong)} things to be mended, {until - time.monotonic():.0f} s left; {wrong[0]}")
        await asyncio.sleep(_PAUSE_SECONDS)


async def _look(world: World, api: httpx.AsyncClient) -> Found:
    objects = dict([each async for each in world.store.list_keys(keys.PREFIX)])
    ids = [key.split("/")[1] for key in objects if key.endswith("/response.json")]
    return Found(
        objects,
        await _outcomes(world.store, ids),
        await _items(api, "humaninputs"),
        await _items(api, "humaninputresponses"),
        await asyncio.gather(*(asyncio.to_thread(each.metrics) for each in world.operators)),
    )


async def _outcomes(store: Store, ids: Sequence[str]) -> dict[str, OutcomeDocument]:
    limit = asyncio.Semaphore(_AT_ONCE)

    async def one(request_id: str) -> OutcomeDocument | None:
        async with limit:
            return await read_outcome(store, request_id)

    read = await asyncio.gather(*(one(each) for each in ids))
    return {each.request_id: each for each in read if each is not None}


async def _items(api: httpx.AsyncClient, plural: str) -> list[dict[str, Any]]:
    reply = await api.get(f"{_RESOURCES}/{plural}")
    found: list[dict[str, Any]] = reply.raise_for_status().json()["items"]
    return found


async def _watch(api: httpx.AsyncClient, ledger: Ledger) -> None:
    """Note every end that any status ever tells of."""
    path = f"{_RESOURCES}/humaninputs"
    version = (await api.get(path, params={"limit": 1})).json()["metadata"]["resourceVersion"]
    while True:
        query = {"watch": "true", "resourceVersion": version}
        async with api.stream("GET", path, params=query, timeout=None) as stream:
            async for line in stream.aiter_lines():
                content = json.loads(line)["object"]
                version = content["metadata"]["resourceVersion"]
                if (told := told_by_status(content)) is not None:
                    request_id, outcome, value = told
                    ledger.tell(request_id, Told("status", outcome, value))


@asynccontextmanager
async def _background(*work: Any) -> AsyncIterator[None]:
    """Let work go on until the block ends. An error of its own ends the block."""
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(each) for each in work]
        try:
            yield
        finally:
            for each in running:
                each.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.wait(running)
