"""What every kind of storage must do for a `Store`, and what a `Store` must leave alone."""

import asyncio
import json
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from hitl.core import keys
from hitl.core.documents import RequestDocument
from hitl.errors import DocumentDamaged, StorageUnsuitable
from hitl.records.links import add_link
from hitl.records.requests import read_request
from hitl.records.retention import collect
from hitl.storage import MAX_OBJECT_BYTES, Store
from tests.backends.plugin import Backend
from tests.library.samples import answer, asked, settle

KEY = "hitl-requests/a/response.json"
FOLDERS = ["file", "s3", "azure", "gcs", "adlfs"]
ROOTS = ["with space", "ünïcode/日本語", "one/two/three", "dots..and-dashes", "plus+and&more=", "v1.0"]


@pytest.fixture
def store(backend: Backend) -> Store:
    return Store(backend.url, backend.options)


async def everything(store: Store) -> dict[str, bytes | None]:
    return {key: await store.read(key) async for key, _ in store.list_keys("")}


async def test_the_first_creation_stands(store: Store) -> None:
    assert await store.create_once(KEY, b"first")
    assert not await store.create_once(KEY, b"second")
    assert not await store.create_once(KEY, b"first")

    assert await store.read(KEY) == b"first"


async def test_a_deleted_object_can_be_created_again(store: Store) -> None:
    await store.create_once(KEY, b"first")
    await store.delete(KEY)

    assert await store.create_once(KEY, b"second")
    assert await store.read(KEY) == b"second"


async def test_a_large_object_is_written_once_and_read_in_parts(store: Store) -> None:
    data = bytes(number % 251 for number in range(6 * 1024 * 1024 + 5))

    assert await store.create_once(KEY, data)
    assert not await store.create_once(KEY, b"second")

    assert await store.size(KEY) == len(data)
    assert await store.read_part(KEY, 0, 10) == data[:10]
    assert await store.read_part(KEY, 5 * 1024 * 1024, 1024 * 1024 + 5) == data[5 * 1024 * 1024 :]
    assert await store.size("hitl-requests/a/none") is None
    assert await store.read_part("hitl-requests/a/none", 0, 1) is None


async def test_what_is_not_there(store: Store) -> None:
    assert await store.read(KEY) is None
    assert not await store.exists(KEY)
    assert await store.list_request_ids() == []
    assert await store.list_markers(keys.NEW) == []
    assert await everything(store) == {}


async def test_deleting_twice_is_no_error(store: Store) -> None:
    await store.create_once(KEY, b"x")
    assert await store.exists(KEY)

    await store.delete(KEY)
    await store.delete(KEY)

    assert not await store.exists(KEY)


@pytest.mark.parametrize("size", [1, 100_000, MAX_OBJECT_BYTES])
async def test_bytes_are_kept_as_they_are(store: Store, size: int) -> None:
    data = bytes(n % 251 for n in range(1000)) * (size // 1000 + 1)

    await store.create_once(KEY, data[:size])

    assert await store.read(KEY) == data[:size]


async def test_what_is_too_large_to_be_ours_is_not_read(store: Store) -> None:
    await store.create_once(KEY, b"x" * (MAX_OBJECT_BYTES + 1))

    with pytest.raises(DocumentDamaged, match="4,194,305 bytes"):
        await store.read(KEY)


async def test_marking_again_makes_a_marker_new(store: Store) -> None:
    await store.mark(keys.answered_marker("a"))
    [first] = await store.list_markers(keys.ANSWERED)
    assert abs(datetime.now(UTC) - first.written_at) < timedelta(seconds=60)

    # Some storages count whole seconds.
    patience = time.monotonic() + 10
    while time.monotonic() < patience:
        await store.mark(keys.answered_marker("a"))
        [again] = await store.list_markers(keys.ANSWERED)
        if again.written_at > first.written_at:
            return
        await asyncio.sleep(0.1)
    pytest.fail("the marker kept its first time")


@pytest.mark.parametrize("count", [0, 1, 40])
async def test_many_are_marked_new_and_old_ones(store: Store, count: int) -> None:
    several = [keys.new_marker(f"question-{number}") for number in range(count)]
    for old in several[::2]:
        await store.mark(old)

    await store.mark_many(several)

    assert sorted(await everything(store)) == sorted(several)


async def test_markers_are_listed_by_kind(store: Store) -> None:
    await asked(store, "a")
    for request_id in ("a", "b"):
        await store.mark(keys.new_marker(request_id))
    await store.mark(keys.answered_marker("c"))
    await store.create_once(f"{keys.NEW}/Not-an-id", b"x")

    assert sorted(marker.request_id for marker in await store.list_markers(keys.NEW)) == ["a", "b"]
    assert [marker.request_id for marker in await store.list_markers(keys.ANSWERED)] == ["c"]


async def test_requests_are_listed_without_markers_and_probes(store: Store) -> None:
    await asked(store, "b")
    await asked(store, "a")
    await store.create_once(keys.response_key("only-its-outcome-is-left"), b"x")
    await store.mark(keys.new_marker("c"))
    await store.mark(keys.answered_marker("d"))
    await store.create_once(keys.probe_key(), b"x")
    await store.create_once(f"{keys.PREFIX}/Foreign Folder/x", b"x")
    await store.create_once(f"{keys.PREFIX}/a-file", b"x")

    assert await store.list_request_ids() == ["a", "b", "only-its-outcome-is-left"]


async def test_more_than_one_page_is_listed(store: Store) -> None:
    ids = sorted(f"question-{n}" for n in range(1_100))
    for start in range(0, len(ids), 20):
        batch = ids[start : start + 20]
        await asyncio.gather(*(store.create_once(keys.request_key(one), b"x") for one in batch))
        await asyncio.gather(*(store.mark(keys.new_marker(one)) for one in batch))

    assert await store.list_request_ids() == ids
    assert sorted(marker.request_id for marker in await store.list_markers(keys.NEW)) == ids
    assert len(await everything(store)) == 2_200
    paged: list[str] = []
    while page := await store.list_page(keys.NEW, paged[-1] if paged else ""):
        paged += [key for key, _ in page]
    assert paged == [keys.new_marker(one) for one in ids]


async def test_a_page_begins_after_a_key(store: Store) -> None:
    markers = [keys.new_marker(f"question-{n}") for n in range(5)]
    for marker in reversed(markers):
        await store.mark(marker)

    assert [key for key, _ in await store.list_page(keys.NEW)] == markers
    assert [key for key, _ in await store.list_page(keys.NEW, markers[2])] == markers[3:]
    assert [key for key, _ in await store.list_page(keys.NEW, f"{keys.NEW}/question-10")] == markers[2:]
    assert await store.list_page(keys.NEW, markers[4]) == []
    assert [key for key, _ in await store.list_page(keys.NEW, markers[0], 2)] == markers[1:3]


async def test_a_prefix_ends_with_a_whole_name(store: Store) -> None:
    for key in ("hitl-requests/a/links/1", "hitl-requests/a/links2/1", "hitl-requests/ab/links/1"):
        await store.create_once(key, b"x")

    assert [key async for key, _ in store.list_keys("hitl-requests/a/links")] == ["hitl-requests/a/links/1"]


async def test_the_probe_passes_and_leaves_nothing(store: Store) -> None:
    await store.probe()
    await store.probe()

    assert await everything(store) == {}


LIVED = "a-question"


async def live(store: Store) -> None:
    """Go through the life of a request, up to the first step of its deletion: the next is due after 15 minutes."""
    now = datetime.now(UTC)
    long_ago = now - timedelta(days=32)
    await store.probe()
    request = await asked(store, LIVED, now=long_ago)
    token = await add_link(store, request.request_id, now=long_ago)
    await store.mark(keys.new_marker(request.request_id))
    await settle(store, request, answer(link_of(token)), now=long_ago, markers=True)
    # Some S3 servers go on listing the folder of what was deleted.
    assert request.request_id in await store.list_request_ids()
    assert len(await store.list_markers(keys.ANSWERED)) == 1
    assert await collect(store, now=now, retention=timedelta(days=30)) == [request.request_id]


def link_of(token: str) -> str:
    return str(int(keys.hash_token(token)[:8], 16))


@pytest.fixture(params=FOLDERS)
def folders(request: pytest.FixtureRequest) -> Backend:
    """The storages in which one root may lie inside another. In memory every root is a world of its own."""
    found: Backend = request.getfixturevalue(f"{request.param}_backend")
    return found


async def test_roots_in_memory_are_apart() -> None:
    for name in ROOTS:
        await live(Store(f"memory://apart/{name}"))
        await Store(f"memory://apart/{name}").create_once(KEY, name.encode())

    assert [await Store(f"memory://apart/{name}/").read(KEY) for name in ROOTS] == [
        name.encode() for name in ROOTS
    ]
    assert await everything(Store("memory://apart")) == {}


@pytest.mark.parametrize("name", ROOTS)
async def test_a_root_of_any_name_holds_its_objects_and_no_others(folders: Backend, name: str) -> None:
    around = Store(folders.url, folders.options)
    root = Store(f"{folders.url}/{name}", folders.options)
    neighbours = [f"{name}2/hitl-requests/a/request.json", f"{name.split('/')[0]}-/x", "hitl-requests/a/x", "x"]
    for key in neighbours:
        assert await around.create_once(key, b"untouched")

    await root.create_once(KEY, b"mine")

    assert await root.read(KEY) == b"mine"
    assert await around.read(f"{name}/{KEY}") == b"mine"
    assert await root.list_request_ids() == ["a"]
    await root.delete(KEY)
    await live(root)
    found = await everything(around)
    own = {key for key in found if key.startswith(f"{name}/{keys.PREFIX}/")}
    assert found.keys() - own == set(neighbours)
    assert f"{name}/{keys.response_key(LIVED)}" in own
    assert {found[key] for key in neighbours} == {b"untouched"}


async def test_a_prefix_with_a_slash_at_its_end_lists_the_same(store: Store) -> None:
    await store.create_once(KEY, b"x")

    assert [key for key, _ in await store.list_page(f"{keys.PREFIX}/")] == [KEY]
    assert [key async for key, _ in store.list_keys(keys.PREFIX)] == [KEY]


async def test_a_root_with_a_slash_at_its_end_is_the_same_root(backend: Backend) -> None:
    await Store(f"{backend.url}/x/", backend.options).create_once(KEY, b"x")

    again = Store(f"{backend.url}/x", backend.options)
    assert await again.read(KEY) == b"x"
    assert again.path("a") == f"{backend.url}/x/a"


async def test_documents_name_the_full_path(backend: Backend) -> None:
    store = Store(backend.url, backend.options)
    request = await asked(store)

    document: RequestDocument = (await read_request(store, request.request_id)).document
    assert document.response_path == f"{backend.url}/hitl-requests/a-question/response.json"


async def test_one_store_serves_every_event_loop(store: Store) -> None:
    await store.create_once(KEY, b"x")
    found: list[bytes | None] = []

    def elsewhere() -> None:
        found.append(asyncio.run(store.read(KEY)))

    threads = [threading.Thread(target=elsewhere) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        await asyncio.to_thread(thread.join)
    assert found == [b"x"] * 4


AFTER_FLYTE = """
import asyncio, json, sys
import flyte.storage
from hitl.storage import Store
store = Store(sys.argv[1], json.loads(sys.argv[2]))
async def main():
    await store.probe()
    return [await store.create_once("hitl-requests/a/response.json", b"x") for _ in range(2)]
print(json.dumps(asyncio.run(main())))
"""


def test_importing_flytes_storage_changes_nothing(folders: Backend) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", AFTER_FLYTE, folders.url, json.dumps(folders.options)],
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == [True, False]


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("", "the root is empty"),
        ("ftp://host/x", "storage of kind 'ftp' is not served: use one of file, memory, s3"),
        ("http://host/x", "storage of kind 'http' is not served"),
        ("S3://bucket/x", "storage of kind 'S3' is not served"),
        ("://x", "storage of kind '' is not served"),
        ("s3://", "cannot be opened"),
        ("s3://bucket/x?y", "write them as %3F and %23"),
        ("s3://bucket/x#y", "write them as %3F and %23"),
        ("s3://bucket/x/../y", "holds '.' or '..'"),
        ("s3://bucket/x/%2e%2E/y", "holds '.' or '..'"),
        ("memory://x/./y", "holds '.' or '..'"),
        ("az://container/x", "cannot be opened"),
        ("s3:/bucket/hitl", "write s3://"),
        ("gs:bucket", "write gs://"),
        ("file:/hitl", "write file:///path"),
        ("file://", "names no folder of this machine"),
        ("file:///", "names no folder of this machine"),
        ("file://relative/x", "names no folder of this machine"),
        ("file:///dev/null/x", "cannot be opened"),
        ("/", "is the folder of the whole machine"),
        ("~no-such-user/hitl", "there is no such home folder"),
        ("s3://bucket/x\n", "holds a character that cannot be seen"),
        ("file:///tmp/a\tb", "holds a character that cannot be seen"),
    ],
)
def test_a_root_that_cannot_be_served_is_refused_with_a_sentence(url: str, sentence: str) -> None:
    with pytest.raises(StorageUnsuitable) as refused:
        Store(url)

    assert sentence in str(refused.value)


def test_options_that_the_storage_does_not_know_are_refused() -> None:
    with pytest.raises(StorageUnsuitable, match="cannot be opened"):
        Store("s3://bucket/x", {"nonsense": "1"})


async def test_many_are_deleted_at_once_and_no_others(store: Store) -> None:
    kept = [keys.request_key("kept"), keys.new_marker("kept")]
    gone = [keys.request_key("a"), keys.response_key("a"), keys.new_marker("b"), keys.link_key("a", "0" * 64)]
    for key in (*kept, *gone):
        await store.create_once(key, b"x")
    missing = [keys.request_key(f"missing-{n}") for n in range(20)]

    assert await store.delete_many([*missing, *gone, *missing]) == len(gone) + len(missing)

    assert sorted(await everything(store)) == sorted(kept)
    assert await store.delete_many([]) == 0


@pytest.mark.parametrize("name", ["file", "memory", "s3"])
async def test_a_thousand_are_deleted_by_one_request(name: str, request: pytest.FixtureRequest) -> None:
    backend: Backend = request.getfixturevalue(f"{name}_backend")
    seen: list[str] = []
    store = Store(backend.url, backend.options, watcher=lambda operation, _result: seen.append(operation))
    markers = [keys.new_marker(f"question-{n}") for n in range(1_001)]
    for first in range(0, len(markers), 50):
        await asyncio.gather(*map(store.mark, markers[first : first + 50]))
    seen.clear()

    assert await store.delete_many(markers) == 1_001

    assert seen == ["delete", "delete"]
    assert await everything(store) == {}
