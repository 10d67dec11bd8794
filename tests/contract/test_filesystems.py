"""Which filesystems of fsspec's may hold a root: refused by name, by the race, or until somebody allows them."""

import asyncio
import logging
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.local import LocalFileSystem
from fsspec.registry import _registry, register_implementation

from hitl.core import keys
from hitl.errors import AlreadySettled, DocumentDamaged, StorageUnavailable, StorageUnsuitable
from hitl.records.requests import read_outcome
from hitl.settings import StorageSettings
from hitl.storage import MAX_OBJECT_BYTES, Store, open_store
from hitl_operator.settings import OperatorSettings
from tests.backends.plugin import Backend
from tests.library.samples import NOW, answer, asked, settle

KEY = "hitl-requests/a/response.json"


class Files(LocalFileSystem):  # type: ignore[misc]  # fsspec has no types
    """Has fsspec's default."""

    protocol = "inheriting"


class Linking(Files):
    """Creates exclusively: a file is written under another name, and linked to its own."""

    protocol = "linking"

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **_kwargs: Any) -> None:
        part = Path(f"{path}.{secrets.token_hex(8)}")
        part.write_bytes(value)
        try:
            if mode == "create":
                os.link(part, path)
            else:
                part.replace(path)
        finally:
            part.unlink(missing_ok=True)


class Looking(Files):
    """Looks whether there is a file, and writes it a moment later, as fsspec's default does."""

    protocol = "looking"

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **_kwargs: Any) -> None:
        if mode == "create" and self.exists(path):
            raise FileExistsError(path)
        time.sleep(0.05)
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_bytes(value)


class Ignoring(Files):
    """Takes no notice of the mode."""

    protocol = "ignoring"

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **_kwargs: Any) -> None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_bytes(value)


class Deaf(Files):
    """Knows no modes."""

    protocol = "deaf"

    def pipe_file(self, path: str, value: bytes, **_kwargs: Any) -> None:
        Path(path).write_bytes(value)


class Refusing(Linking):
    """Raises what fits no class of Python's."""

    protocol = "refusing"

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **_kwargs: Any) -> None:
        raise RuntimeError("the server said https://host/x?sig=secret")


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    """Filesystems that nobody knows but these tests."""
    known = (Linking, Looking, Ignoring, Files, Deaf, Refusing)
    for each in known:
        register_implementation(each.protocol, each, clobber=True)
    yield
    for each in known:
        _registry.pop(each.protocol)


def root(kind: str, folder: Path) -> str:
    return f"{kind}://{folder}/root"


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("dir::file:///tmp/x", "fsspec's LocalFileSystem looks whether a file is there and then writes it"),
        ("dir::memory://x", "fsspec's MemoryFileSystem looks whether a file is there"),
        ("local:///tmp/x", "fsspec's LocalFileSystem looks whether a file is there"),
        ("inheriting:///tmp/x", "fsspec's Files looks whether a file is there"),
        ("deaf:///tmp/x", "fsspec's Deaf looks whether a file is there"),
        ("ftp://host/x", "fsspec's FTPFileSystem looks whether a file is there"),
        ("https://host/x", "fsspec's HTTPFileSystem looks whether a file is there"),
        ("reference://x", "fsspec's ReferenceFileSystem looks whether a file is there"),
        ("webhdfs://host/x", "fsspec's WebHDFS looks whether a file is there"),
        ("simplecache::memory://x", "only one dir:: may stand"),
        ("filecache::dir::memory://x", "only one dir:: may stand"),
        ("zip::file:///tmp/x.zip", "only one dir:: may stand"),
        ("dir::dir::memory://x", "only one dir:: may stand"),
        ("dir::nonsense://x", "storage of kind 'nonsense' is not served"),
        ("nonsense://x", "fsspec knows no filesystem of that name"),
        ("dir::az://container/a/../b", "holds '.' or '..'"),
        ("dir::az://container/a?b", "write them as %3F and %23"),
    ],
)
@pytest.mark.parametrize("unproven", [False, True])
def test_what_cannot_create_exclusively_is_refused_by_name(url: str, sentence: str, unproven: bool) -> None:
    with pytest.raises(StorageUnsuitable) as refused:
        Store(url, unproven=unproven)

    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    ("url", "package"),
    [("sftp://host/x", "paramiko"), ("smb://host/x", "smbprotocol"), ("webdav://host/x", "webdav4")],
)
def test_a_package_that_is_missing_is_named(url: str, package: str) -> None:
    # Where it is installed, the filesystem itself is refused: it looks first.
    with pytest.raises(StorageUnsuitable, match=f"{package}|looks whether"):
        Store(url)


def test_a_kind_that_is_not_tested_needs_to_be_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("HITL_STORAGE_ROOT", root("linking", tmp_path))
    with pytest.raises(StorageUnsuitable, match="set HITL_STORAGE_UNPROVEN=allow"):
        open_store(StorageSettings())

    monkeypatch.setenv("HITL_STORAGE_UNPROVEN", "allow")
    with caplog.at_level(logging.WARNING, "hitl.storage"):
        open_store(StorageSettings())
        open_store(StorageSettings())

    [said] = [record.getMessage() for record in caplog.records]
    assert root("linking", tmp_path) in said
    assert "Linking" in said


async def test_a_kind_that_is_tested_needs_no_permission(
    adlfs_backend: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    await Store(adlfs_backend.url, adlfs_backend.options).probe()

    assert not caplog.records


@pytest.mark.parametrize("kind", ["looking", "ignoring"])
async def test_what_is_not_exclusive_is_refused_by_the_race(kind: str, tmp_path: Path) -> None:
    store = Store(root(kind, tmp_path), unproven=True)

    for _ in range(2):
        with pytest.raises(StorageUnsuitable, match=r"of 8 creations of one key at once [2-8] succeeded"):
            await store.create_once(KEY, b"x")

    assert await store.read(KEY) is None


async def test_what_is_exclusive_is_raced_three_times(tmp_path: Path) -> None:
    seen: list[str] = []
    store = Store(
        root("linking", tmp_path), unproven=True, watcher=lambda operation, _result: seen.append(operation)
    )

    await store.probe()

    assert seen.count("create") == 3 * (8 + 1)


async def test_a_root_on_a_filesystem_of_folders_serves_a_question(tmp_path: Path) -> None:
    store = Store(root("linking", tmp_path), unproven=True)
    assert [each async for each in store.list_keys("")] == []
    request = await asked(store, "a")
    await store.mark(keys.new_marker("a"))

    told = await asyncio.gather(
        *(settle(store, request, answer(str(n)), now=NOW, markers=True) for n in range(8)), return_exceptions=True
    )

    outcome = await read_outcome(store, "a")
    assert outcome is not None
    assert [each for each in told if not isinstance(each, AlreadySettled)] == [outcome]
    assert await store.list_request_ids() == ["a"]
    assert [each.request_id for each in await store.list_markers(keys.NEW)] == ["a"]
    assert [key for key, _ in await store.list_page("", keys.response_key("a"))] == []
    assert await store.delete_many([keys.new_marker("a"), keys.new_marker("b"), keys.response_key("a")]) == 3
    assert [key async for key, _ in store.list_keys("hitl-requests/a")] == [keys.request_key("a")]


async def test_a_folder_in_the_place_of_an_object_is_none(tmp_path: Path) -> None:
    store = Store(root("linking", tmp_path), unproven=True)
    (tmp_path / "root" / KEY / "x").mkdir(parents=True)

    assert await store.read(KEY) is None
    await store.delete(KEY)
    assert (tmp_path / "root" / KEY / "x").is_dir()


async def test_an_object_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    store = Store(root("linking", tmp_path), unproven=True)
    await store.create_once(KEY, b"x" * (MAX_OBJECT_BYTES + 1))

    with pytest.raises(DocumentDamaged, match="4,194,305 bytes"):
        await store.read(KEY)


@pytest.mark.parametrize("key", ["../x", "hitl-requests/../../x", "/x", "hitl-requests//x"])
async def test_a_key_that_leads_out_of_the_root_is_none(key: str, tmp_path: Path) -> None:
    store = Store(root("linking", tmp_path), unproven=True)
    (tmp_path / "x").write_bytes(b"untouched")

    for attempt in (store.read(key), store.delete(key), store.delete_many([key]), store.mark(key)):
        with pytest.raises(StorageUnavailable, match="is no key"):
            await attempt

    assert (tmp_path / "x").read_bytes() == b"untouched"


async def test_an_error_that_nobody_knows_is_storage_that_is_away(tmp_path: Path) -> None:
    with pytest.raises(StorageUnavailable, match="the server said") as failed:
        await Store(root("refusing", tmp_path), unproven=True).create_once(KEY, b"x")

    assert "secret" not in str(failed.value)


async def test_options_that_the_filesystem_does_not_take_are_named() -> None:
    store = Store("dir::az://container/x", {"az": {"connection_string": "nonsense"}})

    with pytest.raises(StorageUnsuitable, match="cannot be opened"):
        await store.read(KEY)


LOADED = """
import sys
from hitl.storage import Store
Store(sys.argv[1])
print(*[name for name in ("fsspec", "obstore") if name in sys.modules])
"""


def test_a_local_root_loads_no_client_of_others(tmp_path: Path) -> None:
    ran = subprocess.run([sys.executable, "-c", LOADED, str(tmp_path)], capture_output=True, text=True, timeout=60)

    assert (ran.stdout.strip(), ran.returncode) == ("", 0), ran.stderr


@pytest.mark.parametrize("named", ["alone", "in a list"])
async def test_the_operator_needs_permission_too(named: str, tmp_path: Path) -> None:
    url = root("linking", tmp_path)
    where: dict[str, Any] = {"storage_root": url} if named == "alone" else {"roots": [{"name": "one", "url": url}]}
    with pytest.raises(StorageUnsuitable, match="set HITL_STORAGE_UNPROVEN=allow"):
        OperatorSettings(**where).all_roots()[0].open_store()

    store = OperatorSettings(**where, storage_unproven="allow").all_roots()[0].open_store()

    assert await store.create_once(KEY, b"x")
