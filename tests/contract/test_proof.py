"""No caller can forget the proof: the first creation of a process at a root makes it, whoever creates."""

import asyncio
import json
import multiprocessing
import threading
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from hitl.cli.app import app
from hitl.core import keys
from hitl.errors import ClockApart, StorageError, StorageUnavailable, StorageUnsuitable
from hitl.records.links import add_link, find_link
from hitl.records.requests import read_outcome, read_request
from hitl.storage import CLOCK_LIMIT_SECONDS, Store, operations
from hitl.storage.operations import CreationRefused
from tests.backends.plugin import Backend
from tests.backends.processes import free_ports
from tests.contract.wires import Behaviour, Fate, fake_s3, lossy_wire
from tests.library.samples import NOW, answer, asked, create_request, draft_request, settle

KEY = "hitl-requests/a/response.json"
ACCESS = {"access_key_id": "test", "secret_access_key": "test", "region": "us-east-1"}
DOUBTFUL: list[Behaviour] = ["ignores conditions", "looks, then writes"]


class Counted:
    """A watcher that counts what a store does."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()

    def __call__(self, operation: str, result: str) -> None:
        self.seen[operation] += 1


def s3(endpoint: str, **more: Any) -> Store:
    """A store on a root that no other test knows."""
    return Store(f"s3://bucket/{uuid.uuid4().hex}", {**ACCESS, "endpoint": endpoint}, **more)


@pytest.mark.parametrize("behaviour", DOUBTFUL)
async def test_nothing_is_created_where_creation_is_not_exclusive(behaviour: Behaviour) -> None:
    with fake_s3(behaviour) as endpoint:
        store = s3(endpoint)
        draft = draft_request(
            request_id="a", event_name="a", data_type=int, prompt="?", timeout_seconds=60, now=NOW, root=store.url
        )
        for create in (
            lambda: create_request(store, draft),
            lambda: add_link(store, "a", now=NOW),
            lambda: store.create_once(KEY, b"x"),
        ):
            with pytest.raises(StorageUnsuitable, match="does not create objects exclusively"):
                await create()

        for key in (keys.request_key("a"), KEY):
            assert await store.read(key) is None


@pytest.mark.parametrize("behaviour", DOUBTFUL)
async def test_two_that_answer_at_once_are_both_refused(behaviour: Behaviour) -> None:
    with fake_s3("honours conditions") as sound, fake_s3(behaviour) as doubtful:
        request = await asked(s3(sound))
        store = s3(doubtful)
        # Asked by whoever looked at nothing.
        place = store.path(keys.request_key(request.request_id)).removeprefix("s3://")
        assert httpx.put(f"{doubtful}/{place}", content=request.document.to_bytes()).is_success

        for _ in range(2):
            told = await asyncio.gather(
                *(settle(store, request, answer(str(n)), now=NOW, markers=False) for n in range(2)),
                return_exceptions=True,
            )
            assert [type(each) for each in told] == [StorageUnsuitable] * 2

        assert await read_outcome(store, request.request_id) is None


@pytest.mark.parametrize("behaviour", DOUBTFUL)
@pytest.mark.parametrize("command", ["answer", "reject", "cancel", "ask"])
def test_the_command_refuses_it_too(behaviour: Behaviour, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = {
        "answer": ["answer", "a-question", "7"],
        "reject": ["reject", "a-question", "--comment", "no"],
        "cancel": ["cancel", "a-question"],
        "ask": ["ask", "How many?", "--type", "int"],
    }[command]
    with fake_s3("honours conditions") as sound, fake_s3(behaviour, formatdate(usegmt=True)) as doubtful:
        request = asyncio.run(asked(s3(sound), now=datetime.now(UTC)))
        root = f"s3://bucket/{uuid.uuid4().hex}"
        # Asked by whoever looked at nothing.
        question = f"{doubtful}/{root.removeprefix('s3://')}/{keys.request_key(request.request_id)}"
        assert httpx.put(question, content=request.document.to_bytes()).is_success
        monkeypatch.setenv("HITL_STORAGE_ROOT", root)
        monkeypatch.setenv("HITL_STORAGE_OPTIONS", json.dumps({**ACCESS, "endpoint": doubtful}))

        done = CliRunner().invoke(app, arguments)

        assert done.exit_code != 0
        assert "does not create objects exclusively" in done.stderr
        assert (
            asyncio.run(Store(root, {**ACCESS, "endpoint": doubtful}).read(keys.response_key("a-question")))
            is None
        )


async def test_one_proof_serves_all_stores_of_a_process(backend: Backend) -> None:
    first, second, third = Counted(), Counted(), Counted()
    await Store(backend.url, backend.options, watcher=first).create_once(KEY, b"x")
    await Store(backend.url, backend.options, watcher=second).create_once("hitl-requests/b/request.json", b"x")
    await Store(f"{backend.url}/x", backend.options, watcher=third).create_once(KEY, b"x")

    assert first.seen["create"] > 1
    assert second.seen["create"] == 1
    assert third.seen["create"] == first.seen["create"]


async def test_one_proves_while_all_others_wait(backend: Backend) -> None:
    counted = Counted()
    ids = [f"question-{n}" for n in range(8)]

    def elsewhere(request_id: str) -> None:
        store = Store(backend.url, backend.options, watcher=counted)
        asyncio.run(store.create_once(keys.request_key(request_id), b"x"))

    threads = [threading.Thread(target=elsewhere, args=(each,)) for each in ids[:4]]
    for thread in threads:
        thread.start()
    store = Store(backend.url, backend.options, watcher=counted)
    await asyncio.gather(*(store.create_once(keys.request_key(each), b"x") for each in ids[4:]))
    for thread in threads:
        await asyncio.to_thread(thread.join)

    alone = Counted()
    await Store(f"{backend.url}/x", backend.options, watcher=alone).create_once(KEY, b"x")
    # What was refused may have been tried again.
    assert counted.seen["read"] == alone.seen["read"]
    assert await store.list_request_ids() == sorted(ids)


async def test_the_one_who_proves_may_be_cancelled() -> None:
    with fake_s3("looks, then writes") as endpoint:
        store = s3(endpoint)
        proving = asyncio.create_task(store.create_once(KEY, b"x"))
        await asyncio.sleep(0.05)
        waiting = asyncio.create_task(store.create_once(KEY, b"x"))
        await asyncio.sleep(0.05)
        proving.cancel()

        with pytest.raises(StorageUnsuitable, match="exclusively"):
            await waiting


async def test_one_who_stops_waiting_stops_nobody_else() -> None:
    with fake_s3("honours conditions") as endpoint:
        store = s3(endpoint)
        all_of_them = [asyncio.create_task(store.create_once(f"{KEY}{n}", b"x")) for n in range(3)]
        await asyncio.sleep(0)
        all_of_them[1].cancel()

        assert await asyncio.gather(*all_of_them, return_exceptions=True) != [True, True, True]
        assert [each.result() for each in (all_of_them[0], all_of_them[2])] == [True, True]


async def test_storage_that_was_away_is_proven_when_it_is_back(s3_backend: Backend) -> None:
    away = True

    def decide(_first_line: str) -> Fate:
        return "lose the request" if away else "pass"

    async with lossy_wire(s3_backend.options["endpoint"], decide) as endpoint:
        store = Store(s3_backend.url, {**s3_backend.options, "endpoint": endpoint})
        with pytest.raises(StorageUnavailable):
            await store.create_once(KEY, b"x")
        away = False

        assert await store.create_once(KEY, b"x")


async def test_storage_that_is_not_there_is_unavailable_and_not_unsuitable() -> None:
    [port] = free_ports(1)

    with pytest.raises(StorageUnavailable):
        await s3(f"http://127.0.0.1:{port}").create_once(KEY, b"x")


def create_in_child(url: str, told: Any) -> None:
    told.put(asyncio.run(Store(url).create_once("hitl-requests/child/request.json", b"x")))


# Python warns of forks beside threads, and that is what is tried here.
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_process_waits_for_nobody_of_its_parent(file_backend: Backend) -> None:
    context = multiprocessing.get_context("fork")
    asyncio.run(Store(file_backend.url).create_once(KEY, b"x"))
    told = context.Queue()
    child = context.Process(target=create_in_child, args=(file_backend.url, told))

    child.start()
    try:
        assert told.get(timeout=60) is True
    finally:
        child.kill()
        child.join()


REFUSED_ONCE = ["request.json", "/links/", "response.json", "_probe"]


@pytest.mark.parametrize("fate", ["conflict", "precondition failed"])
@pytest.mark.parametrize("part", REFUSED_ONCE)
@pytest.mark.parametrize("times", [1, 3])
async def test_a_refusal_without_a_cause_costs_nothing(
    s3_backend: Backend, part: str, fate: Fate, times: int
) -> None:
    left = times

    def decide(first_line: str) -> Fate:
        nonlocal left
        if first_line.startswith("PUT ") and part in first_line and left:
            left -= 1
            return fate
        return "pass"

    async with lossy_wire(s3_backend.options["endpoint"], decide) as endpoint:
        store = Store(s3_backend.url, {**s3_backend.options, "endpoint": endpoint})
        request = await asked(store)
        token = await add_link(store, request.request_id, now=NOW)
        outcome = await settle(store, request, answer("7"), now=NOW, markers=True)

    assert left == 0
    straight = Store(s3_backend.url, s3_backend.options)
    assert await read_request(straight, request.request_id) == request
    assert await find_link(straight, request.request_id, keys.hash_token(token), None) is not None
    assert await read_outcome(straight, request.request_id) == outcome


async def test_after_the_last_refusal_nobody_waits_longer(
    s3_backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    def decide(first_line: str) -> Fate:
        return "conflict" if first_line.startswith("PUT ") and "request.json" in first_line else "pass"

    async def waited(seconds: float) -> None:
        waits.append(seconds)

    async with lossy_wire(s3_backend.options["endpoint"], decide) as endpoint:
        store = Store(s3_backend.url, {**s3_backend.options, "endpoint": endpoint})
        await store.prove()
        monkeypatch.setattr(operations, "asyncio", SimpleNamespace(sleep=waited))
        with pytest.raises(CreationRefused):
            await store.create_once(keys.request_key("a"), b"x")

    # Five tries, and the waits between them.
    assert len(waits) == 4
    assert sum(waits) < 2


@pytest.mark.parametrize("part", ["request.json", "/links/", "response.json"])
async def test_refusals_without_end_are_told_as_storage_that_is_away(s3_backend: Backend, part: str) -> None:
    def decide(first_line: str) -> Fate:
        return "conflict" if first_line.startswith("PUT ") and part in first_line else "pass"

    async def all_of_it(store: Store) -> None:
        request = await asked(store)
        await add_link(store, request.request_id, now=NOW)
        await settle(store, request, answer("7"), now=NOW, markers=True)

    async with lossy_wire(s3_backend.options["endpoint"], decide) as endpoint:
        with pytest.raises(StorageUnavailable):
            await all_of_it(Store(s3_backend.url, {**s3_backend.options, "endpoint": endpoint}))

    # Trying again is safe.
    await all_of_it(Store(s3_backend.url, s3_backend.options))


@pytest.mark.parametrize("operation", ["mark", "delete", "delete_many"])
async def test_what_may_be_done_twice_is_done_again_after_a_conflict(s3_backend: Backend, operation: str) -> None:
    left = 2

    def decide(first_line: str) -> Fate:
        nonlocal left
        if first_line.startswith(("PUT ", "POST ", "DELETE ")) and left:
            left -= 1
            return "conflict"
        return "pass"

    marker = keys.new_marker("a")
    straight = Store(s3_backend.url, s3_backend.options)
    if operation != "mark":
        await straight.mark(marker)
    async with lossy_wire(s3_backend.options["endpoint"], decide) as endpoint:
        store = Store(s3_backend.url, {**s3_backend.options, "endpoint": endpoint})
        calls: dict[str, Callable[[], Awaitable[object]]] = {
            "mark": lambda: store.mark(marker),
            "delete": lambda: store.delete(marker),
            "delete_many": lambda: store.delete_many([marker]),
        }
        await calls[operation]()
        assert await straight.exists(marker) == (operation == "mark")

        left = 1_000
        with pytest.raises(StorageUnavailable, match="because of another request"):
            await calls[operation]()


async def test_a_link_whose_reply_is_lost_and_refused_again_works(s3_backend: Backend) -> None:
    left = 1

    def decide(first_line: str) -> Fate:
        nonlocal left
        if first_line.startswith("PUT ") and "/links/" in first_line and left:
            left -= 1
            return "lose the reply"
        return "pass"

    async with lossy_wire(s3_backend.options["endpoint"], decide) as endpoint:
        store = Store(s3_backend.url, {**s3_backend.options, "endpoint": endpoint})
        await asked(store)
        token = await add_link(store, "a-question", now=NOW)

    assert left == 0
    assert await find_link(Store(s3_backend.url, s3_backend.options), "a-question", keys.hash_token(token), None)


async def test_the_clock_of_the_storage_is_known(backend: Backend) -> None:
    store = Store(backend.url, backend.options)
    hour = timedelta(hours=1)

    # Its servers run on this machine.
    assert abs(await store.clock_difference(datetime.now(UTC))) < 10
    assert 3590 < await store.clock_difference(datetime.now(UTC) + hour) < 3610
    assert -3610 < await store.clock_difference(datetime.now(UTC) - hour) < -3590
    assert [key async for key, _ in store.list_keys("")] == []


async def test_a_clock_that_is_apart_is_refused(backend: Backend) -> None:
    store = Store(backend.url, backend.options)
    apart = timedelta(seconds=CLOCK_LIMIT_SECONDS + 10)
    near = timedelta(seconds=CLOCK_LIMIT_SECONDS - 10)

    for moment in (timedelta(0), near, -near):
        await store.require_clock(datetime.now(UTC) + moment)
    for moment, sentence in ((apart, "s ahead of the clock of"), (-apart, "s behind the clock of")):
        with pytest.raises(ClockApart, match=sentence) as refused:
            await store.require_clock(datetime.now(UTC) + moment)
        assert isinstance(refused.value, StorageError)
        assert abs(refused.value.seconds - moment.total_seconds()) < 9


async def test_the_clock_is_read_when_the_root_is_proven_and_not_for_each_question(backend: Backend) -> None:
    counted = Counted()
    store = Store(backend.url, backend.options, watcher=counted)
    await store.create_once(KEY, b"x")
    before = counted.seen.copy()

    await asyncio.gather(*(store.require_clock(datetime.now(UTC)) for _ in range(10)))
    assert counted.seen == before

    # Nobody is refused more cheaply by asking again and again.
    for _ in range(10):
        with pytest.raises(ClockApart):
            await store.require_clock(NOW + timedelta(days=36_500))
    assert counted.seen["mark"] <= 3
