"""Local files: on the disk before anything is told, nothing outside the root, no entry that hides others."""

import asyncio
import logging
import os
import re
import socket
import stat
import subprocess
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hitl.core import keys
from hitl.errors import DocumentDamaged, StorageError, StorageUnavailable, StorageUnsuitable
from hitl.records.links import add_link
from hitl.records.requests import read_outcome
from hitl.records.retention import collect, drop_stale
from hitl.settings import StorageSettings
from hitl.storage import MAX_OBJECT_BYTES, Store, creation
from hitl.storage.creation import Synced
from hitl.storage.disk import Disk
from hitl.storage.opening import open_store
from tests.library.samples import NOW, Timed, answer, asked, settle

A = "hitl-requests/a"
KEY = f"{A}/response.json"
LINK = keys.link_key("a", "0" * 64)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


@pytest.fixture
def store(root: Path) -> Store:
    return Store(str(root))


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder that is not under the root, with files that look like ours."""
    folder = tmp_path / "outside"
    (folder / "links").mkdir(parents=True)
    for name in ("request.json", "response.json", f"links/{'0' * 64}.json", "a", f"{'0' * 64}.json", "x#1"):
        (folder / name).write_bytes(b"untouched")
    return folder


def everything(folder: Path) -> dict[str, bytes | None]:
    return {
        str(each.relative_to(folder)): each.read_bytes() if each.is_file() else None for each in folder.rglob("*")
    }


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is done to the disk, in its order: each step is really done, too."""
    seen: list[str] = []
    fsync, link = os.fsync, os.link

    def synced(file: int) -> None:
        fsync(file)
        path = str(Path(f"/proc/self/fd/{file}").readlink())
        seen.append("sync " + re.sub("#[0-9]+$", "#", path))

    def linked(part: str, name: str, **more: Any) -> None:
        try:
            link(part, name, **more)
        finally:
            seen.append(f"link {name}")

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "link", linked)
    return seen


async def test_a_file_is_on_the_disk_before_it_has_its_name_and_its_folders_before_that_is_told(
    store: Store, root: Path, steps: list[str]
) -> None:
    root.mkdir()
    await store.probe()
    assert [step for step in steps if step.startswith("sync")] == []
    steps.clear()

    assert await store.create_once(KEY, b"x")

    assert steps == [
        f"sync {root}/{KEY}#",
        "link response.json",
        f"sync {root}/{A}",
        f"sync {root}/hitl-requests",
        f"sync {root}",
    ]


async def test_whoever_accepts_losses_of_power_waits_for_no_disk_and_still_records_once(
    root: Path, steps: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HITL_STORAGE_ROOT", str(root))
    monkeypatch.setenv("HITL_STORAGE_SYNC", "off")
    root.mkdir()
    store = open_store(StorageSettings())
    link = keys.link_key("q", "0" * 64)

    assert await store.create_once(KEY, b"x")
    assert not await store.create_once(KEY, b"y")
    await store.create_once(link, b"z")
    await store.delete(link)

    assert [step for step in steps if step.startswith("sync")] == []
    assert everything(root) == {"hitl-requests": None, A: None, KEY: b"x"}


async def test_a_loser_is_told_so_only_when_the_winner_is_on_the_disk(
    store: Store, root: Path, steps: list[str]
) -> None:
    await store.create_once(KEY, b"x")
    steps.clear()

    assert not await store.create_once(KEY, b"y")

    named = steps.index("link response.json")
    assert {f"sync {root}/{A}", f"sync {root}/hitl-requests"} <= set(steps[named + 1 :])


async def test_each_folder_newly_made_is_synced_in_its_parent(store: Store, root: Path, steps: list[str]) -> None:
    await store.create_once(LINK, b"x")

    made = [f"sync {root}/{A}/links", f"sync {root}/{A}", f"sync {root}/hitl-requests", f"sync {root}"]
    assert [step for step in steps if step in made] == made


async def test_a_root_newly_made_is_synced_in_its_parent(tmp_path: Path, steps: list[str]) -> None:
    await Store(str(tmp_path / "one/two")).create_once(KEY, b"x")

    assert steps[:2] == [f"sync {tmp_path}", f"sync {tmp_path}/one"]


async def test_a_root_is_made_by_the_first_creation_only(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "one/two"))

    assert await store.read(KEY) is None
    assert not await store.exists(KEY)
    assert await store.list_request_ids() == []
    assert await store.list_markers(keys.NEW) == []
    await store.delete(KEY)
    await store.delete_many([KEY, LINK])

    assert list(tmp_path.iterdir()) == []
    assert await store.create_once(KEY, b"x")
    assert await store.read(KEY) == b"x"


def test_a_root_that_is_no_folder_is_told_when_it_is_opened(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(StorageUnsuitable, match="it is a file"):
        Store(str(tmp_path / "file"))
    with pytest.raises(StorageUnsuitable, match="cannot be opened"):
        Store(str(tmp_path / "file/below"))


async def test_a_root_that_is_a_link_to_nothing_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "unmounted")
    store = Store(str(tmp_path / "link"))

    assert await store.list_request_ids() == []
    with pytest.raises(StorageUnsuitable, match="link leads to a folder that is not there"):
        await store.create_once(KEY, b"x")
    assert not (tmp_path / "unmounted").exists()


async def test_a_root_whose_name_is_no_utf8_is_that_very_folder(tmp_path: Path) -> None:
    root = os.fsencode(tmp_path) + b"/\xff"
    os.mkdir(root)  # noqa: PTH102 - no text
    store = Store(os.fsdecode(root))

    assert await store.create_once(KEY, b"x")

    assert os.listdir(os.fsencode(tmp_path)) == [b"\xff"]  # noqa: PTH208 - no text
    assert await Store(store.url).read(KEY) == b"x"


async def test_a_path_with_two_dots_leads_where_the_system_says_and_has_one_url(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "far" / "away").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "far" / "away")
    monkeypatch.chdir(tmp_path / "far")
    store = Store("../link/../root")

    assert await store.create_once(KEY, b"x")

    assert (tmp_path / "far" / "root" / KEY).read_bytes() == b"x"
    assert Store(store.url).url == store.url == (tmp_path / "far" / "root").as_uri()


@pytest.mark.usefixtures("nobody")
async def test_a_root_that_may_not_be_made_is_told_by_the_first_creation(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir(0o555)

    with pytest.raises(StorageUnsuitable, match="cannot be made"):
        await Store(str(tmp_path / "mine/root")).create_once(KEY, b"x")


async def test_a_deletion_is_on_the_disk_before_the_next_one(store: Store, root: Path, steps: list[str]) -> None:
    await store.create_once(keys.request_key("a"), b"x")
    await store.create_once(KEY, b"x")
    steps.clear()

    await store.delete(keys.request_key("a"))

    assert f"sync {root}/{A}" in steps


async def test_many_deletions_are_on_the_disk_before_that_is_told(
    store: Store, root: Path, steps: list[str]
) -> None:
    documents = [keys.request_key("a"), keys.request_key("b")]
    for key in documents:
        await store.create_once(key, b"x")
    steps.clear()

    await store.delete_many(documents)

    assert {f"sync {root}/hitl-requests/{name}" for name in "ab"} <= set(steps)


async def test_markers_are_not_synced(store: Store, steps: list[str]) -> None:
    await store.probe()
    steps.clear()

    await store.mark(keys.new_marker("a"))
    await store.delete(keys.new_marker("a"))
    await store.mark(keys.new_marker("a"))
    await store.delete_many([keys.new_marker("a")])

    assert steps == []


async def test_a_disk_that_fails_records_nothing(
    store: Store, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.probe()

    def fails(_file: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(StorageUnavailable, match="could not create"):
        await store.create_once(KEY, b"x")

    assert [path for path in root.rglob("*") if path.is_file()] == []


async def test_the_event_loop_does_not_wait_for_the_disk(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await store.probe()
    here, fsync, where = threading.get_ident(), os.fsync, set[int]()

    def synced(file: int) -> None:
        where.add(threading.get_ident())
        fsync(file)

    monkeypatch.setattr(os, "fsync", synced)
    await store.create_once(KEY, b"x")
    await store.delete(KEY)

    assert where
    assert here not in where


async def test_those_who_wait_share_the_sync_of_a_folder(
    store: Store, root: Path, steps: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    keys_of_all = [keys.response_key(f"question-{number}") for number in range(40)]
    await store.probe()
    fsync, held, go_on = os.fsync, threading.Semaphore(4), threading.Event()

    def slow(file: int) -> None:
        # Each lane waits once, until all others have come.
        if held.acquire(blocking=False):
            go_on.wait(60)
        fsync(file)

    monkeypatch.setattr(os, "fsync", slow)
    creating = asyncio.gather(*(store.create_once(key, b"x") for key in keys_of_all))
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_later(0.1, go_on.set)

    assert await creating == [True] * len(keys_of_all)
    for key in keys_of_all:
        assert steps.count(f"sync {root / key}#") == 1
        assert steps.count(f"sync {(root / key).parent}") == 1
    assert 1 <= steps.count(f"sync {root}/hitl-requests") < len(keys_of_all)


class Ending(asyncio.SelectorEventLoop):
    """A loop that ends right after it was asked whether it has."""

    ended = False

    def close(self) -> None:
        super().close()
        self.ended = True

    def is_closed(self) -> bool:
        return False if self.ended else super().is_closed()


async def test_a_loop_that_ends_at_the_wrong_moment_keeps_nobody_else_waiting_and_nothing_open() -> None:
    shared, ending, closed = Disk(), Ending(), threading.Event()
    gone = ending.create_future()
    ending.close()
    shared._jobs.put((lambda: None, closed.set, ending, gone))

    await asyncio.wait_for(shared.create(lambda: None, lambda: None), 30)

    assert closed.wait(30)
    ending.ended = False


async def test_who_gives_up_closes_nothing_that_is_still_needed(
    store: Store, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.probe()
    fsync, begun, go_on = os.fsync, threading.Event(), threading.Event()
    open_before = len(list(Path("/proc/self/fd").iterdir()))

    def slow(file: int) -> None:
        begun.set()
        go_on.wait(60)
        fsync(file)

    monkeypatch.setattr(os, "fsync", slow)
    creating = asyncio.create_task(store.create_once(KEY, b"x"))
    while not begun.is_set():
        await asyncio.sleep(0.01)
    creating.cancel()
    with pytest.raises(asyncio.CancelledError):
        await creating
    assert not (root / KEY).exists()
    go_on.set()
    while len(list(Path("/proc/self/fd").iterdir())) > open_before:
        await asyncio.sleep(0.01)

    assert (root / KEY).read_bytes() == b"x"
    assert [path.name for path in (root / A).iterdir()] == ["response.json"]


async def test_a_disk_that_fails_for_one_fails_for_nobody_else(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.probe()
    fsync = os.fsync

    def fails(file: int) -> None:
        if "/bad/" in str(Path(f"/proc/self/fd/{file}").readlink()):
            raise OSError(5, "Input/output error")
        fsync(file)

    monkeypatch.setattr(os, "fsync", fails)
    told = await asyncio.gather(
        *(store.create_once(keys.response_key(each), b"x") for each in ("a", "bad", "b")), return_exceptions=True
    )

    assert [told[0], told[2]] == [True, True]
    assert isinstance(told[1], StorageUnavailable)


@contextmanager
def mounted(image: Path, at: Path, *make: str) -> Iterator[Path]:
    """Mount a disk image, made by a command unless it is there."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount a disk image")
    if not image.exists():
        subprocess.run(["truncate", "-s", "16M", image], check=True)
        try:
            subprocess.run([*make, image], check=True, capture_output=True)
        except FileNotFoundError:
            pytest.skip(f"needs {make[0]}")
    at.mkdir()
    tried = subprocess.run(["mount", "-o", "loop", image, at], capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"needs the right to mount: {tried.stderr.strip()}")
    try:
        yield at
    finally:
        subprocess.run(["umount", "-l", at], check=True)


async def test_a_loss_of_power_undoes_nothing_that_was_told(tmp_path: Path) -> None:
    images = []
    with mounted(tmp_path / "disk", tmp_path / "mount", "mkfs.ext4", "-q", "-F") as mount:
        store = Store(str(mount / "new/root"))
        request = await asked(store)
        images.append(_copied(tmp_path))
        token = await add_link(store, request.request_id, now=NOW)
        images.append(_copied(tmp_path))
        await settle(store, request, answer("7"), now=NOW, markers=False)
        images.append(_copied(tmp_path))

    found = []
    for number, image in enumerate(images):
        with mounted(image, tmp_path / f"after-{number}") as mount:
            after = Store(str(mount / "new/root"))
            outcome = await read_outcome(after, request.request_id)
            found.append(
                (
                    await after.exists(keys.request_key(request.request_id)),
                    await after.exists(keys.link_key(request.request_id, keys.hash_token(token))),
                    outcome and outcome.value,
                )
            )
    assert found == [(True, False, None), (True, True, None), (True, True, 7)]


def _copied(folder: Path) -> Path:
    """Return what a disk has now, as if the power went."""
    image = folder / f"image-{len(list(folder.glob('image-*')))}"
    image.write_bytes((folder / "disk").read_bytes())
    return image


async def test_a_filesystem_without_hard_links_is_named(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", tmp_path / "mount", "mkfs.vfat") as mount:
        store = Store(str(mount / "root"))
        for attempt in (store.probe(), store.create_once(KEY, b"x")):
            with pytest.raises(StorageUnsuitable, match="its filesystem has no hard links"):
                await attempt
        assert [path for path in mount.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("number", [1, 38, 95])
async def test_each_way_to_refuse_hard_links_is_named(
    number: int, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number))

    # Network mounts that refuse in these ways cannot be had here.
    monkeypatch.setattr(os, "link", refused)

    with pytest.raises(StorageUnsuitable, match=r"has no hard links .* use a folder on a local disk"):
        await store.create_once(KEY, b"x")


LINKS: dict[str, Callable[[Path, Path], None]] = {
    "links": lambda root, outside: _led(root / A / "links", outside / "links"),
    "the request's folder": lambda root, outside: _led(root / A, outside),
    "the markers' folder": lambda root, outside: _led(root / keys.ANSWERED, outside),
    "the probes' folder": lambda root, outside: _led(root / keys.PROBES, outside),
    "the folder of all": lambda root, outside: _led(root / "hitl-requests", outside),
    "one file": lambda root, outside: _led(root / KEY, outside / "response.json"),
    "one link": lambda root, outside: _led(root / LINK, outside / f"{'0' * 64}.json"),
    "a part": lambda root, outside: _led(root / A / "response.json#1", outside / "x#1"),
}


def _led(name: Path, to: Path) -> None:
    if name.is_dir():
        for each in sorted(name.rglob("*"), reverse=True):
            each.rmdir() if each.is_dir() else each.unlink()
        name.rmdir()
    name.unlink(missing_ok=True)
    name.parent.mkdir(parents=True, exist_ok=True)
    name.symlink_to(to)


@pytest.mark.parametrize("through", LINKS)
@pytest.mark.parametrize("relative", [False, True])
async def test_nothing_outside_the_root_is_touched(
    through: str, relative: bool, store: Store, root: Path, outside: Path
) -> None:
    request = await asked(store, "a")
    await settle(store, request, answer("7"), now=NOW, markers=False)
    await store.mark(keys.answered_marker("a"))
    LINKS[through](root, Path("../../../outside") if relative and through == "links" else outside)
    before = everything(outside)
    # Old enough for everybody who cleans up.
    for each in outside.rglob("*"):
        os.utime(each, (1, 1))

    later = NOW + timedelta(days=40)
    attempts: list[Callable[[], Awaitable[Any]]] = [
        lambda: store.create_once(KEY, b"new"),
        lambda: store.create_once(LINK, b"new"),
        lambda: store.mark(keys.answered_marker("a")),
        lambda: store.mark(keys.answered_marker("b")),
        lambda: store.probe(),
        lambda: add_link(store, "a", now=NOW),
        lambda: drop_stale(store, now=later),
        lambda: store.drop_parts(later),
        lambda: collect(store, now=later, retention=timedelta(days=30)),
        lambda: store.delete(LINK),
        lambda: store.delete(KEY),
        lambda: store.delete(keys.answered_marker("a")),
        lambda: store.delete_many([LINK, KEY, keys.request_key("a"), keys.new_marker("a")]),
    ]
    for attempt in attempts:
        with suppress(StorageError):
            await attempt()

    assert everything(outside) == before


@pytest.mark.parametrize("through", ["links", "the request's folder", "one file", "one link"])
async def test_what_lies_behind_a_symbolic_link_is_not_read(
    through: str, store: Store, root: Path, outside: Path
) -> None:
    await store.create_once(keys.request_key("a"), b"x")
    LINKS[through](root, outside)
    key = LINK if "link" in through and through != "the request's folder" else KEY

    with pytest.raises(DocumentDamaged, match="symbolic link") as damaged:
        await store.read(key)
    assert damaged.value.name == key
    listed = [found async for found, _ in store.list_keys(A)]
    assert not [found for found in listed if (root / found).is_symlink() and found not in (key, A, f"{A}/links")]
    assert "untouched" not in str(damaged.value)


async def test_the_folder_of_all_must_be_none_that_leads_elsewhere(
    store: Store, root: Path, outside: Path
) -> None:
    LINKS["the folder of all"](root, outside)

    for attempt in (store.read(KEY), store.create_once(KEY, b"x"), store.list_request_ids(), store.probe()):
        with pytest.raises(StorageUnsuitable, match="hitl-requests is a symbolic link"):
            await attempt


async def test_the_root_itself_may_be_reached_by_links(tmp_path: Path) -> None:
    (tmp_path / "real/root").mkdir(parents=True)
    (tmp_path / "led").symlink_to(tmp_path / "real")
    (tmp_path / "led-again").symlink_to(tmp_path / "led/root")
    store = Store(str(tmp_path / "led-again"))

    assert await store.create_once(KEY, b"x")
    assert (tmp_path / "real/root" / KEY).read_bytes() == b"x"
    assert await store.list_request_ids() == ["a"]


async def test_a_link_that_is_swapped_in_meanwhile_leads_nobody_out(
    store: Store, root: Path, outside: Path
) -> None:
    before = everything(outside)
    await store.create_once(LINK, b"x")
    ended = threading.Event()
    links, aside = root / A / "links", root / A / "aside"

    def swap() -> None:
        while not ended.is_set():
            with suppress(OSError):
                links.rename(aside)
            with suppress(OSError):
                links.symlink_to(outside / "links")
            with suppress(OSError):
                links.unlink()
            with suppress(OSError):
                aside.rename(links)

    swapping = threading.Thread(target=swap)
    swapping.start()
    try:
        for number in range(300):
            key = keys.link_key("a", f"{number:064x}")
            for attempt in (store.create_once(key, b"x"), store.delete(key), store.delete(LINK)):
                with suppress(StorageError):
                    await attempt
    finally:
        ended.set()
        await asyncio.to_thread(swapping.join)

    assert everything(outside) == before


@pytest.mark.parametrize("key", ["../x", f"{A}/../../../x", "/x", "x//y", "x/./y", "", "x\0y", f"{KEY}#1"])
async def test_a_key_that_leads_elsewhere_is_none(key: str, store: Store, root: Path) -> None:
    await store.probe()
    around = everything(root.parent)
    for attempt in (store.create_once(key, b"x"), store.mark(key), store.delete(key), store.read(key)):
        with pytest.raises(StorageUnavailable, match="is no key"):
            await attempt

    assert everything(root.parent) == around


def _folder(path: Path) -> None:
    (path / "x").mkdir(parents=True)


def _socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # a socket's path may have 108 bytes
    try:
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(path.name)
    finally:
        os.chdir(here)


def _large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(MAX_OBJECT_BYTES + 1)


def _device(path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to make a device")
    try:
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("needs the right to make a device")


def _loop(path: Path) -> None:
    path.symlink_to(path.name)


ODD: dict[str, tuple[Callable[[Path], None], str]] = {
    "folder": (_folder, "it is a folder"),
    "named pipe": (os.mkfifo, "it is a named pipe"),
    "socket": (_socket, "it is a socket"),
    "device": (_device, "it is a device"),
    "loop": (_loop, "it is a symbolic link"),
    "dangling": (lambda path: path.symlink_to("/nowhere"), "it is a symbolic link"),
    "large": (_large, "bytes, which nothing of HITL's has"),
}


@pytest.mark.parametrize("kind", ODD)
async def test_an_odd_entry_is_damaged_at_once_and_costs_nobody_else(kind: str, store: Store, root: Path) -> None:
    make, sentence = ODD[kind]
    await asked(store, "b")
    (root / A).mkdir()
    make(root / KEY)

    with pytest.raises(DocumentDamaged, match=sentence) as damaged:
        await store.read(KEY)
    assert damaged.value.name == KEY
    assert not await store.create_once(KEY, b"x")
    assert await store.list_request_ids() == ["a", "b"]
    assert keys.request_key("b") in [key async for key, _ in store.list_keys(keys.PREFIX)]


@pytest.mark.parametrize("kind", ODD)
async def test_an_odd_entry_for_a_marker_ends_no_cleaning(kind: str, store: Store, root: Path) -> None:
    await store.mark(keys.answered_marker("b"))
    marker = root / keys.answered_marker("a")
    ODD[kind][0](marker)

    assert "b" in {each.request_id for each in await store.list_markers(keys.ANSWERED)}
    now = datetime.now(UTC)
    for each in marker.parent.iterdir():
        os.utime(each, (now.timestamp() - 86_400,) * 2, follow_symlinks=False)
    await drop_stale(store, now=now)
    assert await store.list_markers(keys.ANSWERED) == [] or kind == "folder"


async def test_what_cannot_be_marked_stops_no_other(store: Store, root: Path) -> None:
    several = [keys.new_marker("a"), keys.new_marker("b"), keys.answered_marker("c")]
    (root / several[1] / "folder").mkdir(parents=True)
    (root / several[0]).symlink_to(root / "elsewhere")

    with pytest.raises(DocumentDamaged, match="it is a folder"):
        await store.mark_many(several)

    # A link is replaced, never followed.
    assert not (root / "elsewhere").exists()
    assert (root / several[0]).is_file()
    assert (root / several[2]).is_file()
    assert await store.drop_parts(datetime.now(UTC) + timedelta(days=1)) == []


async def test_a_folder_in_the_place_of_a_file_is_not_deleted_nor_marked(store: Store, root: Path) -> None:
    (root / KEY / "x").mkdir(parents=True)

    for attempt in (store.delete(KEY), store.mark(KEY)):
        with pytest.raises(DocumentDamaged, match="it is a folder"):
            await attempt
    assert (root / KEY / "x").is_dir()


async def test_what_cannot_be_deleted_stops_no_other(store: Store, root: Path) -> None:
    (root / KEY / "x").mkdir(parents=True)
    others = [keys.request_key("a"), keys.request_key("b"), keys.answered_marker("a")]
    for key in others:
        await store.create_once(key, b"x")

    with pytest.raises(DocumentDamaged, match="it is a folder"):
        await store.delete_many([others[0], KEY, *others[1:]])

    assert (root / KEY / "x").is_dir()
    assert not any([await store.exists(key) for key in others])


async def test_a_file_in_the_place_of_a_folder_is_named(store: Store, root: Path) -> None:
    await store.probe()
    (root / A).write_bytes(b"x")

    for attempt in (store.read(KEY), store.create_once(KEY, b"x"), store.delete(KEY)):
        with pytest.raises(DocumentDamaged, match=f"{A} is a file and no folder"):
            await attempt


async def test_a_file_with_a_time_that_no_calendar_has_is_listed(store: Store, root: Path) -> None:
    await store.create_once(KEY, b"x")
    os.utime(root / KEY, (-2_000_000_000, -2_000_000_000))

    assert [key async for key, _ in store.list_keys(A)] == [KEY]


@pytest.fixture
def nobody(tmp_path: Path) -> Iterator[None]:
    """Somebody without special rights, who may enter the test's folders."""
    if os.geteuid() != 0:
        yield
        return
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == 0 and folder.name.startswith("pytest"):
            folder.chmod(0o755)
    tmp_path.chmod(0o777)
    os.setegid(65534)
    os.seteuid(65534)
    yield
    os.seteuid(0)
    os.setegid(0)


@pytest.mark.usefixtures("nobody")
async def test_what_may_not_be_read_is_one_entry(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = tmp_path / "root"
    store = Store(str(root))
    await asked(store, "b")
    await store.create_once(KEY, b"x")
    await store.create_once(LINK, b"x")
    await store.create_once("hitl-requests/c/response.json", b"x")
    (root / KEY).chmod(0)
    (root / A / "links").chmod(0)
    (root / "hitl-requests/c").chmod(0)
    try:
        for key in (KEY, LINK, "hitl-requests/c/response.json"):
            with pytest.raises(DocumentDamaged, match="this user is not permitted"):
                await store.read(key)
        assert await store.list_request_ids() == ["a", "b", "c"]
        with caplog.at_level(logging.WARNING, "hitl.storage"):
            listed = [key async for key, _ in store.list_keys(keys.PREFIX)]
            again = [key async for key, _ in store.list_keys(keys.PREFIX)]
        assert listed == again
        assert keys.request_key("b") in listed
        named = [record.getMessage() for record in caplog.records]
        assert sorted(re.findall(r"hitl-requests/\S+(?=: Permission)", " ".join(named))) == [
            f"{A}/links",
            "hitl-requests/c",
        ]
    finally:
        (root / A / "links").chmod(0o755)
        (root / "hitl-requests/c").chmod(0o755)


@pytest.mark.usefixtures("nobody")
@pytest.mark.parametrize("index", [keys.OPEN, keys.SETTLED])
async def test_an_index_that_may_not_be_read_hides_no_question_silently(index: str, tmp_path: Path) -> None:
    root = tmp_path / "root"
    store = Store(str(root))
    await store.mark(f"{index}/x")
    (root / index).chmod(0)
    try:
        with pytest.raises(StorageUnsuitable, match=f"not permitted to list {index}"):
            await anext(store.list_keys(index))
        assert [key async for key, _ in store.list_keys(keys.PREFIX)] == []
    finally:
        (root / index).chmod(0o755)


@pytest.mark.usefixtures("nobody")
@pytest.mark.parametrize("part", ["", "hitl-requests"])
async def test_a_root_that_may_not_be_entered_is_unsuitable(part: str, tmp_path: Path) -> None:
    root = tmp_path / "root"
    store = Store(str(root))
    await store.create_once(KEY, b"x")
    (root / part).chmod(0)
    try:
        for attempt in (store.read(KEY), store.create_once(KEY, b"x"), store.list_request_ids()):
            with pytest.raises(StorageUnsuitable, match="not permitted"):
                await attempt
    finally:
        (root / part).chmod(0o755)


@pytest.mark.usefixtures("nobody")
async def test_missing_rights_are_not_taken_for_missing_hard_links(tmp_path: Path) -> None:
    root = tmp_path / "root"
    store = Store(str(root))
    root.mkdir(0o555)

    with pytest.raises(StorageUnsuitable, match="not permitted to create") as refused:
        await store.probe()
    assert "hard links" not in str(refused.value)


async def test_what_a_writer_that_died_left_is_collected_when_it_is_old(store: Store, root: Path) -> None:
    now = datetime.now(UTC)
    await asked(store, "b")
    names = [f"{KEY}#123", f"{keys.answered_marker('a')}#77", f"{A}/links/{'0' * 64}.json#5"]
    for name in [*names, f"{A}/response.json#9"]:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"half")
    for name in names:
        os.utime(root / name, ((now - timedelta(minutes=16)).timestamp(),) * 2)

    assert [key async for key, _ in store.list_keys(A)] == []
    assert sorted(await drop_stale(store, now=now)) == sorted(names)

    assert sorted(path.name for path in root.rglob("*#*")) == ["response.json#9"]
    assert not (root / A / "links").exists()
    assert await store.exists(keys.request_key("b"))


async def test_unfinished_files_of_others_under_the_root_are_left_alone(store: Store, root: Path) -> None:
    await store.prove()
    others = [root / "notes#1", root / "backups" / "monday#22", root / "hitl-requests-old" / "a" / "x#3"]
    for each in others:
        each.parent.mkdir(exist_ok=True, parents=True)
        each.write_bytes(b"somebody else's")
        os.utime(each, (1, 1))

    await collect(store, now=datetime.now(UTC), retention=timedelta(days=30))

    assert [each.read_bytes() for each in others] == [b"somebody else's"] * 3


async def test_a_deleted_request_leaves_no_folder(root: Path) -> None:
    store = Timed(str(root))
    request = await asked(store, "a")
    await add_link(store, "a", now=NOW)
    await settle(store, request, answer("7"), now=NOW, markers=True)

    for days in (31, 32, 33):
        store.time = NOW + timedelta(days=days)
        await collect(store, now=store.time, retention=timedelta(days=30))

    assert not (root / A).exists()
    assert await store.list_request_ids() == []


async def test_creation_beside_deletion_fails_for_nobody(store: Store) -> None:
    # The folder goes with its last file, and comes back with the next one.
    async def create(number: int) -> None:
        key = f"{A}/links/{number}"
        for _ in range(20):
            assert await store.create_once(key, b"x")
            await store.delete(key)

    await asyncio.gather(*map(create, range(8)))


async def test_an_earlier_release_and_this_one_serve_one_folder(store: Store, root: Path) -> None:
    # As obstore's own files are: whole under their name, or with a number behind "#".
    (root / A).mkdir(parents=True)
    (root / KEY).write_bytes(b"earlier")
    (root / f"{KEY}#4").write_bytes(b"half")

    assert not await store.create_once(KEY, b"later")
    assert await store.read(KEY) == b"earlier"
    assert [key async for key, _ in store.list_keys("")] == [KEY]


async def test_only_a_sync_that_began_after_the_folders_were_there_serves_others(
    root: Path, steps: list[str]
) -> None:
    (root / A).mkdir(parents=True)
    folders = [os.open(each, os.O_RDONLY) for each in (root / "hitl-requests", root / A)]
    synced, early = Synced(), time.monotonic()

    def names(opened_at: float) -> list[str]:
        steps.clear()
        synced.sync_names(folders, os.fstat(folders[0]), opened_at)
        return [step.removeprefix(f"sync {root}/") for step in steps]

    assert names(early) == [A, "hitl-requests", f"sync {root}"]
    assert names(early) == [A]
    assert names(time.monotonic()) == [A, "hitl-requests"]
    for each in folders:
        os.close(each)


def test_a_forked_child_names_unfinished_files_otherwise() -> None:
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        try:
            os.write(writing, str(creation._names.getrandbits(63)).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 99).decode() != str(creation._names.getrandbits(63))
    os.close(reading)
    os.close(writing)


async def test_rows_that_are_marked_together_grow_old_apart(store: Store, root: Path) -> None:
    rows = [keys.answered_marker(name) for name in ("a", "b", "c")]
    await store.mark_many(rows)
    for row in rows:
        os.utime(root / row, (0, 0))

    await store.mark_many(rows[1:])
    await store.mark(rows[2])
    ages = {key: written_at.timestamp() for key, written_at in [each async for each in store.list_keys("")]}
    assert ages[rows[0]] == 0
    assert min(ages[rows[1]], ages[rows[2]]) > 0
    assert sorted(ages) == sorted(rows)


async def test_the_thread_makes_no_calls_that_can_wait_for_the_event_loop(
    store: Store, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, unlink, where = threading.get_ident(), os.unlink, list[int]()

    def removed(path: str, *, dir_fd: int | None = None) -> None:
        where.append(threading.get_ident())
        unlink(path, dir_fd=dir_fd)

    monkeypatch.setattr(os, "unlink", removed)
    assert await store.create_once(KEY, b"x")
    assert not await store.create_once(KEY, b"y")

    assert set(where) == {here}
    assert [each.name for each in (root / KEY).parent.iterdir()] == [Path(KEY).name]
