"""A program that asks, forks, and asks in the child: both get their answers."""

import asyncio
import json
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hitl.core import keys
from hitl.errors import StorageUnavailable, StorageUnsuitable
from hitl.records.links import add_link
from hitl.records.requests import read_outcome, read_request
from hitl.storage import Store
from hitl.storage.helper import helper
from tests.backends.plugin import Backend
from tests.library.samples import NOW, answer, asked, settle

# Python warns of forks beside threads, and that is what is tried here.
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


def in_child(work: Callable[..., Any], *args: Any) -> Any:
    """Run a function in a forked child, and return what it returned."""
    context = multiprocessing.get_context("fork")
    told = context.Queue()

    def run() -> None:
        try:
            told.put((work(*args), None))
        except BaseException as error:  # noqa: BLE001 - told to the parent
            told.put((None, repr(error)))

    child = context.Process(target=run)
    child.start()
    try:
        result, error = told.get(timeout=100)
    finally:
        child.kill()
        child.join()
    assert error is None, error
    return result


async def live(store: Store, request_id: str) -> int:
    """Ask, answer, and read the answer back, with all that a store can do."""
    request = await asked(store, request_id)
    await add_link(store, request_id, now=NOW)
    await store.mark(keys.new_marker(request_id))
    outcome = await settle(store, request, answer("7"), now=NOW, markers=True)
    assert outcome == await read_outcome(store, request_id)
    assert await read_request(store, request_id) == request
    assert request_id in await store.list_request_ids()
    assert [each.request_id for each in await store.list_markers(keys.NEW)] == [request_id]
    assert keys.response_key(request_id) in [key for key, _ in await store.list_page(keys.PREFIX)]
    assert not await store.create_once(keys.response_key(request_id), b"late")
    assert await store.delete_many([keys.new_marker(request_id)]) == 1
    assert await store.list_markers(keys.NEW) == []
    assert not await store.exists(keys.new_marker(request_id))
    assert isinstance(outcome.value, int)
    return outcome.value


def test_both_get_their_answers(backend: Backend) -> None:
    store = Store(backend.url, backend.options)
    assert asyncio.run(live(store, "parent")) == 7

    # By the parent's store, and by one of its own.
    assert in_child(lambda: asyncio.run(live(store, "child"))) == 7
    assert in_child(lambda: asyncio.run(live(Store(backend.url, backend.options), "another"))) == 7

    assert asyncio.run(live(store, "parent-again")) == 7
    # What lies in memory is each process's own.
    seen = (
        {"parent", "parent-again"} if backend.name == "memory" else {"parent", "parent-again", "child", "another"}
    )
    assert set(asyncio.run(store.list_request_ids())) == seen


def test_a_grandchild_gets_its_answer_too(s3_backend: Backend) -> None:
    store = Store(s3_backend.url, s3_backend.options)
    asyncio.run(live(store, "parent"))

    def child() -> tuple[int, int]:
        return asyncio.run(live(store, "child")), in_child(lambda: asyncio.run(live(store, "grandchild")))

    assert in_child(child) == (7, 7)


UNUSED = """
import asyncio, json, os, sys
from hitl.storage import Store
store = Store(sys.argv[1], json.loads(sys.argv[2]))
child = os.fork()
if child:
    sys.exit(os.waitpid(child, 0)[1])
print(asyncio.run(store.create_once("hitl-requests/a/request.json", b"x")), "hitl.storage.helper" in sys.modules)
"""


def test_a_child_of_a_parent_that_never_asked_needs_no_helper(s3_backend: Backend) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", UNUSED, s3_backend.url, json.dumps(s3_backend.options)],
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert (ran.returncode, ran.stdout.split()) == (0, ["True", "False"]), ran.stderr


def test_many_calls_at_once_go_through_one_helper(s3_backend: Backend) -> None:
    store = Store(s3_backend.url, s3_backend.options)
    asyncio.run(store.probe())

    def child() -> list[bytes | None]:
        async def all_of_them() -> list[bytes | None]:
            names = [f"hitl-requests/a{n}/request.json" for n in range(40)]
            await asyncio.gather(*(store.create_once(name, name.encode() * 3_000) for name in names))
            return list(await asyncio.gather(*map(store.read, names)))

        return asyncio.run(all_of_them())

    assert in_child(child) == [f"hitl-requests/a{n}/request.json".encode() * 3_000 for n in range(40)]


def test_errors_are_told_as_without_a_helper(s3_backend: Backend) -> None:
    store = Store(s3_backend.url.replace("//hitl/", "//no-such-bucket/"), s3_backend.options)
    asyncio.run(Store(s3_backend.url, s3_backend.options).probe())

    def told() -> str:
        async def read() -> str:
            assert await store.read("hitl-requests/a/request.json") is None
            with pytest.raises(StorageUnsuitable, match="not permitted to mark") as refused:
                await store.mark("hitl-requests/_new/a")
            return str(refused.value)

        return asyncio.run(read())

    assert in_child(told) == told()


def test_a_helper_that_was_killed_is_started_again(s3_backend: Backend) -> None:
    store = Store(s3_backend.url, s3_backend.options)
    asyncio.run(store.probe())

    def child() -> tuple[bytes | None, bool]:
        async def all_of_it() -> tuple[bytes | None, bool]:
            await store.create_once("hitl-requests/a/request.json", b"x")
            first = helper()
            os.kill(first._process.pid, signal.SIGKILL)
            for _ in range(100):
                try:
                    return await store.read("hitl-requests/a/request.json"), helper() is not first
                except StorageUnavailable:
                    await asyncio.sleep(0.05)
            raise TimeoutError

        return asyncio.run(all_of_it())

    assert in_child(child) == (b"x", True)


def test_a_helper_ends_with_its_child(s3_backend: Backend) -> None:
    store = Store(s3_backend.url, s3_backend.options)
    asyncio.run(store.probe())

    def child() -> int:
        asyncio.run(store.exists("hitl-requests/a/request.json"))
        return helper()._process.pid

    pid = in_child(child)
    for _ in range(200):
        status = Path(f"/proc/{pid}/stat")
        if not status.exists() or status.read_text().rpartition(") ")[2][0] == "Z":
            return
        asyncio.run(asyncio.sleep(0.05))
    pytest.fail("the helper outlived the process that it worked for")
