"""The objects of a bucket or of memory, as a `Store` needs them: times, time limits, and sentences for errors."""

from __future__ import annotations

import asyncio
import atexit
import os
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import suppress
from datetime import datetime
from functools import cache, partial
from typing import Any, Final

from hitl.errors import StorageUnavailable, StorageUnsuitable
from hitl.storage.objects import MAX_OBJECT_BYTES, Entry, Found, check_size, first_line, translating
from hitl.storage.objectstores import MemoryFileSystem, ObjectFileSystem, OperationNotSupported, open_bucket
from hitl.storage.together import all_of

_CALL_SECONDS: Final = 15.0
# What is larger is sent by a client that has more time for it.
_LARGE_BYTES: Final = 1024 * 1024
_LARGE_SECONDS: Final = 120.0
_BULK_SECONDS: Final = 120.0
_LETTING_GO_SECONDS: Final = 0.02
_PAGE: Final = 1000

_memory: dict[str, MemoryFileSystem] = {}
# The process whose threads obstore started; a forked child has none of them.
_started_in = 0


class RemoteObjects:
    """The objects under a root that obstore serves.

    Args:
        url: The root's URL.
        scheme: The URL's scheme.
        options: What obstore's store of that kind takes.

    Raises:
        StorageUnsuitable: for options that it does not know.
    """

    # Of three, SeaweedFS lets the last one wait for a second.
    racers = 2
    rounds = 1
    overwrite_many = None

    def __init__(self, url: str, scheme: str, options: dict[str, Any]) -> None:
        self._url = url
        self._scheme = scheme
        self._options = options
        # Memory answers sooner than another thread could be asked.
        self._here = scheme == "memory"
        # Azure and GCS know no such answer, but a look costs them little and no list of servers must be kept.
        self.refuses_without_cause = not self._here
        self.side_by_side = not self._here
        self._fs, root = _opened(url, scheme, options)
        self._start = f"{root}/" if root else ""
        self._slow: RemoteObjects | None = None
        _let_go_at_exit()

    async def create(self, key: str, data: bytes, *, durable: bool) -> None:  # noqa: ARG002 - always is
        """Create an object; FileExistsError when the storage says that there is one."""
        await self._put(key, data, "create", f"create {key}")

    async def overwrite(self, key: str, data: bytes) -> None:
        """Write an object, whether there is one or not."""
        await self._put(key, data, "overwrite", f"mark {key}")

    async def read(self, key: str) -> Found:
        """Read an object; FileNotFoundError when there is none."""
        data, info = await self._call(f"read {key}", "_fetch", self._start + key, MAX_OBJECT_BYTES)
        check_size(key, info["size"])
        return Found(data, info["last_modified"])

    async def size(self, key: str) -> int:
        """Return how many bytes an object has; FileNotFoundError when there is none."""
        return int((await self._call(f"look for {key}", "_info", self._start + key))["size"])

    async def read_part(self, key: str, start: int, length: int) -> bytes:
        """Read some of an object's bytes; FileNotFoundError when there is none."""
        part = self._call(f"read {key}", "_fetch_part", self._start + key, start, length)
        return bytes(await part)

    async def look(self, key: str) -> None:
        """Do nothing; FileNotFoundError when there is no such object."""
        await self._call(f"look for {key}", "_info", self._start + key)

    async def delete(self, key: str, *, durable: bool) -> None:  # noqa: ARG002 - always is
        """Delete an object, if there is one."""
        await self._delete(key)

    async def delete_many(self, keys: Sequence[str], *, durable: bool) -> None:  # noqa: ARG002 - always is
        """Delete objects, if they are there: a thousand by one request where the storage can."""
        await self._delete_many(keys)

    async def list_all(self, prefix: str) -> AsyncIterator[list[Entry]]:
        """Yield all keys under a prefix, a thousand at a time."""
        if self._forked():
            found = await self._call(f"list {prefix}", "everything", self._start + prefix, seconds=_BULK_SECONDS)
            for first in range(0, len(found), _PAGE):
                yield self._entries(found[first : first + _PAGE])
            return
        pages = self._fs.pages(self._start + prefix, size=_PAGE)
        while page := await self._limited(anext(pages, None), f"list {prefix}"):
            yield self._entries(page)

    async def list_page(self, prefix: str, after: str, most: int | None) -> list[Entry]:
        """Return the next keys in their order: a thousand at most, and all that memory has."""
        offset = self._start + after if after else ""
        found = await self._call(f"list {prefix}", "page", self._start + prefix, offset)
        return self._entries(found)[:most]

    async def list_folders(self, prefix: str) -> list[str]:
        """Return the names of the folders right under a prefix: one request for each thousand."""
        found = await self._call(f"list {prefix}", "_ls", self._start + prefix, seconds=_BULK_SECONDS)
        return [each["name"].rpartition("/")[2] for each in found if each["type"] == "directory"]

    async def drop_parts(self, before: datetime) -> list[str]:  # noqa: ARG002 - an object is there whole or not at all
        """Return nothing: no writer leaves anything unfinished."""
        return []

    async def _put(self, key: str, data: bytes, mode: str, what: str) -> None:
        try:
            if len(data) > _LARGE_BYTES and not self._here:
                await self._patient()._call(
                    what, "_pipe_file", self._start + key, data, mode, seconds=_LARGE_SECONDS
                )
            else:
                await self._call(what, "_pipe_file", self._start + key, data, mode)
        except FileNotFoundError as error:
            raise StorageUnavailable(
                f"{self._url} is not there, create its bucket: {first_line(error)}"
            ) from error

    def _patient(self) -> RemoteObjects:
        """Return the same objects, by a client that waits longer for each request."""
        if self._slow is None:
            client = {"timeout": f"{_LARGE_SECONDS:g}s", **self._options.get("client_options", {})}
            self._slow = RemoteObjects(self._url, self._scheme, {**self._options, "client_options": client})
        return self._slow

    async def _delete(self, key: str) -> None:
        await self._call(f"delete {key}", "_rm_file", self._start + key)

    async def _delete_many(self, keys: Sequence[str]) -> None:
        paths = [self._start + key for key in keys]
        try:
            await self._call(f"delete {len(keys)} objects", "_rm_files", paths, seconds=_BULK_SECONDS)
        except FileNotFoundError:
            # Some storage ends at the first that is not there: the others are still to be deleted.
            await self._delete_each(keys)

    async def _delete_each(self, keys: Sequence[str]) -> None:
        async def delete(key: str) -> None:
            with suppress(FileNotFoundError):
                await self._delete(key)

        await all_of([partial(delete, key) for key in keys])

    def _entries(self, page: list[dict[str, Any]]) -> list[Entry]:
        cut = len(self._start)
        return [(each["name"][cut:], each["last_modified"]) for each in page]

    async def _call(self, what: str, name: str, *args: Any, seconds: float = _CALL_SECONDS) -> Any:
        if self._forked():
            from hitl.storage.helper import helper  # few programs fork

            operation = helper().call(self._scheme, self._options, name, args)
        else:
            operation = getattr(self._fs, name)(*args)
        return await self._limited(operation, what, seconds)

    async def _limited(self, operation: Awaitable[Any], what: str, seconds: float = _CALL_SECONDS) -> Any:
        failed = (OSError, ValueError)
        with translating(self._url, what, place="bucket", unknown=OperationNotSupported, failed=failed):
            async with asyncio.timeout(None if self._here else seconds):
                return await operation

    def _forked(self) -> bool:
        """Tell whether this process was forked from one in which obstore had begun to work."""
        global _started_in
        if self._here:
            return False
        _started_in = _started_in or os.getpid()
        return _started_in != os.getpid()


@cache
def _let_go_at_exit() -> None:
    # obstore's threads hold on to the interpreter for a moment after they handed over a result. When it is torn
    # down under them, they abort the process, though all was done: PyO3/pyo3-async-runtimes, issue 40. While this
    # thread sleeps, they let go.
    atexit.register(time.sleep, _LETTING_GO_SECONDS)


def _opened(url: str, scheme: str, options: dict[str, Any]) -> tuple[ObjectFileSystem, str]:
    if scheme == "memory":
        # setdefault is atomic: two threads get the same one.
        return _memory.setdefault(url, MemoryFileSystem()), ""
    try:
        return open_bucket(url, scheme, options)
    except (OSError, ValueError, TypeError) as error:
        raise StorageUnsuitable(f"{url} cannot be opened: {first_line(error)}") from error
