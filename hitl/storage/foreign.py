"""The objects of a filesystem that fsspec opens by its URL, as a `Store` needs them.

Its methods run in threads, as most of them block. fsspec knows no time limit and no creation without folders, and
each filesystem names the time of a file in its own way.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias, TypeVar

from hitl.errors import StorageUnsuitable
from hitl.storage.filesystems import admit, open_filesystem
from hitl.storage.folders import parts_of
from hitl.storage.objects import MAX_OBJECT_BYTES, Entry, Found, check_size, first_line, translating

_CALL_SECONDS: Final = 15.0
_LIST_SECONDS: Final = 120.0
_THREADS: Final = 16
_PAGE: Final = 1000
_TIMES: Final = ("last_modified", "LastModified", "updated", "mtime", "modified", "created")

_Info: TypeAlias = Mapping[str, Any]
_T = TypeVar("_T")


@dataclass
class _Opened:
    """A filesystem, the root's path in it, and the threads that use it: one for all stores on the same root."""

    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(_THREADS, "hitl-storage"))
    lock: threading.Lock = field(default_factory=threading.Lock)
    filesystem: Any = None
    root: str = ""


# Some filesystems keep their connections to the end of the process, so no store opens one of its own.
_opened: dict[tuple[int, str, str], _Opened] = {}


class ForeignObjects:
    """The objects under a root on any filesystem of fsspec's that creates exclusively.

    Args:
        url: The root's URL.
        options: What the filesystem takes.
        unproven: Whether kinds are admitted that HITL's contract tests do not run on.

    Raises:
        StorageUnsuitable: when the filesystem cannot hold a root. It is opened by the first call only.
    """

    # Nothing is known of how it creates.
    racers = 8
    rounds = 3
    overwrite_many = None
    refuses_without_cause = True
    side_by_side = True

    def __init__(self, url: str, options: Mapping[str, Any], *, unproven: bool) -> None:
        admit(url, unproven=unproven)
        self._url = url
        self._options = options
        self._place = (url, json.dumps(options, sort_keys=True, default=repr))

    async def create(self, key: str, data: bytes, *, durable: bool) -> None:  # noqa: ARG002 - as the storage does
        """Create an object; FileExistsError when there is one."""
        await self._call(f"create {key}", lambda fs, root: _put(fs, _path(root, key), data, "create"))

    async def overwrite(self, key: str, data: bytes) -> None:
        """Write an object, whether there is one or not."""
        await self._call(f"mark {key}", lambda fs, root: _put(fs, _path(root, key), data, "overwrite"))

    async def read(self, key: str) -> Found:
        """Read an object; FileNotFoundError when there is none."""

        def read(fs: Any, root: str) -> Found:
            path = _path(root, key)
            info = _file(fs, path)
            check_size(key, int(info.get("size") or 0))
            data = fs.cat_file(path, start=0, end=MAX_OBJECT_BYTES + 1)
            check_size(key, len(data))
            return Found(bytes(data), _changed(fs, path, info))

        return await self._call(f"read {key}", read)

    async def size(self, key: str) -> int:
        """Return how many bytes an object has; FileNotFoundError when there is none."""
        return await self._call(
            f"look for {key}", lambda fs, root: int(_file(fs, _path(root, key)).get("size") or 0)
        )

    async def read_part(self, key: str, start: int, length: int) -> bytes:
        """Read some of an object's bytes; FileNotFoundError when there is none."""
        return await self._call(
            f"read {key}", lambda fs, root: bytes(fs.cat_file(_path(root, key), start=start, end=start + length))
        )

    async def look(self, key: str) -> None:
        """Do nothing; FileNotFoundError when there is no such object."""
        await self._call(f"look for {key}", lambda fs, root: _file(fs, _path(root, key)))

    async def delete(self, key: str, *, durable: bool) -> None:  # noqa: ARG002 - as the storage does
        """Delete an object, if there is one."""
        await self._call(f"delete {key}", lambda fs, root: _delete(fs, _path(root, key)))

    async def delete_many(self, keys: Sequence[str], *, durable: bool) -> None:  # noqa: ARG002 - as the storage does
        """Delete objects, if they are there, one after another."""

        def delete(fs: Any, root: str) -> None:
            failed: list[Exception] = []
            for path in [_path(root, key) for key in keys]:
                try:
                    _delete(fs, path)
                except FileNotFoundError:
                    continue
                except Exception as error:  # noqa: BLE001 - each filesystem has errors of its own
                    failed.append(error)
            if failed:
                raise failed[0]

        await self._call(f"delete {len(keys)} objects", delete, _LIST_SECONDS)

    async def list_all(self, prefix: str) -> AsyncIterator[list[Entry]]:
        """Yield the keys under a prefix, a thousand at a time, in their order."""
        found = await self.list_page(prefix, "", None)
        for first in range(0, len(found), _PAGE):
            yield found[first : first + _PAGE]

    async def list_page(self, prefix: str, after: str, most: int | None) -> list[Entry]:
        """Return all keys under a prefix that come after one, in their order, or the first so many of them."""

        def found(fs: Any, root: str) -> list[Entry]:
            folder = prefix.rstrip("/")
            path = _path(root, folder) if folder else root
            fs.invalidate_cache()
            with suppress(FileNotFoundError):
                entries = fs.find(path, detail=True).items()
                start = f"{path.strip('/')}/" if path else ""
                files = [
                    (name.strip("/"), name, info) for name, info in entries if info.get("type") != "directory"
                ]
                cut = len(root.strip("/")) + 1 if root else 0
                listed = [(name[cut:], full, info) for name, full, info in files if name.startswith(start)]
                return sorted((key, _changed(fs, full, info)) for key, full, info in listed if key > after)[:most]
            return []

        return await self._call(f"list {prefix}", found, _LIST_SECONDS)

    async def list_folders(self, prefix: str) -> list[str]:
        """Return the names of the folders right under a prefix."""

        def found(fs: Any, root: str) -> list[str]:
            fs.invalidate_cache()
            with suppress(FileNotFoundError):
                entries = fs.ls(_path(root, prefix.rstrip("/")), detail=True)
                return [
                    each["name"].rstrip("/").rpartition("/")[2] for each in entries if each["type"] == "directory"
                ]
            return []

        return await self._call(f"list {prefix}", found, _LIST_SECONDS)

    async def drop_parts(self, before: datetime) -> list[str]:  # noqa: ARG002 - none can be told from other files
        """Return nothing: what a writer left unfinished cannot be told from other files."""
        return []

    async def _call(self, what: str, work: Callable[[Any, str], _T], seconds: float = _CALL_SECONDS) -> _T:
        # No filesystem of fsspec's works in a child of the process that opened it.
        place = (os.getpid(), *self._place)
        # setdefault is atomic: two threads get the same one.
        opened = _opened.get(place) or _opened.setdefault(place, _Opened())
        # Each filesystem has errors of its own, which nobody here can name.
        with translating(self._url, what, place="root", unknown=NotImplementedError, failed=(Exception,)):
            running = asyncio.get_running_loop().run_in_executor(opened.pool, self._work, opened, work)
            async with asyncio.timeout(seconds):
                return await running

    def _work(self, opened: _Opened, work: Callable[[Any, str], _T]) -> _T:
        with opened.lock:
            if opened.filesystem is None:
                opened.filesystem, opened.root = self._open()
        return work(opened.filesystem, opened.root)

    def _open(self) -> tuple[Any, str]:
        try:
            return open_filesystem(self._url, self._options)
        except (TypeError, ValueError, ImportError, AttributeError) as error:
            raise StorageUnsuitable(f"{self._url} cannot be opened: {first_line(error)}") from error


def _path(root: str, key: str) -> str:
    parts_of(key)
    return f"{root}/{key}" if root else key


def _put(fs: Any, path: str, data: bytes, mode: str) -> None:
    try:
        fs.pipe_file(path, data, mode=mode)
    except FileNotFoundError:
        fs.makedirs(path.rpartition("/")[0], exist_ok=True)
        fs.pipe_file(path, data, mode=mode)
    except FileExistsError:
        raise
    except OSError as error:
        # What s3fs makes of S3's 412, precondition failed.
        if mode == "create" and error.errno == errno.EINVAL:
            raise FileExistsError(path) from error
        raise


def _file(fs: Any, path: str) -> _Info:
    info: _Info = fs.info(path)
    if info.get("type") == "directory":
        raise FileNotFoundError(path)
    return info


def _delete(fs: Any, path: str) -> None:
    # Some would delete a folder of that name.
    _file(fs, path)
    fs.rm_file(path)


def _changed(fs: Any, path: str, info: _Info) -> datetime:
    found = next((info[name] for name in _TIMES if info.get(name) is not None), None)
    if found is None:
        found = fs.modified(path)
    if isinstance(found, str):
        found = datetime.fromisoformat(found)
    if not isinstance(found, datetime):
        found = datetime.fromtimestamp(found, UTC)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
