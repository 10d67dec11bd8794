"""The `Store`: the objects under one root, whatever kind of storage holds them.

Everything rests on `Store.create_once`: of any number of callers who create the same key at once, exactly one
is told that it did. No storage is believed that: the first creation of a process at a root proves it.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

from hitl.core import keys
from hitl.storage.known import known_of
from hitl.storage.objects import Objects
from hitl.storage.operations import Operations, Watcher, is_hint
from hitl.storage.proof import Proof
from hitl.storage.roots import SERVED_SCHEMES, folder_of, normalised

_T = TypeVar("_T")
_U = TypeVar("_U")

DELETED_AT_ONCE: Final = 1000
"""How many keys are deleted by one request, where the storage takes several."""


class Marker(NamedTuple):
    """A marker, and when it was written by the storage's own clock."""

    request_id: str
    written_at: datetime


class Store:
    """The objects under one root. Every method is a coroutine, usable from any event loop.

    Args:
        url: The root: a URL (``s3://bucket/path``, ``gs://``, ``az://``, ``file:///``, ``memory://name``) or a
            local path. Memory roots of one name are one store throughout the process. Any other URL that fsspec
            knows, if its filesystem creates exclusively.
        options: What obstore's store of that kind takes, such as ``{"endpoint": …}``, besides ``client_options``
            for its HTTP client. The environment's usual credentials count as well. For other URLs, what fsspec's
            filesystem takes.
        watcher: Told the operation (``create``, ``read``, …) and the result (``ok``, ``none``, ``error``) of each
            request.
        unproven: Use fsspec's filesystems of kinds that HITL's contract tests do not run on.
        sync: Bring files of this machine to the disk before they are confirmed, see `HITL_STORAGE_SYNC`.

    Raises:
        StorageUnsuitable: for a kind of storage that cannot be served, or options that it does not know.
    """

    def __init__(
        self,
        url: str,
        options: Mapping[str, Any] | None = None,
        *,
        watcher: Watcher | None = None,
        unproven: bool = False,
        sync: bool = True,
    ) -> None:
        self.url, scheme = normalised(url)
        self._objects = _opened(self.url, scheme, dict(options or {}), unproven, sync)
        self._do = Operations(self.url, self._objects, watcher)
        self._proof = Proof(self._do, known_of(self.url, options or {}))

    def __repr__(self) -> str:
        return f"Store({self.url!r})"

    def path(self, key: str) -> str:
        """Return the full path of a key, as documents name it."""
        return keys.path_under(self.url, key)

    async def create_once(self, key: str, data: bytes) -> bool:
        """Create an object unless there is one. True for the one caller who created it.

        False may also mean that the reply to one's own creation was lost: who must know reads back. A local file
        is on the disk, with its name, before either is told.

        The first creation in a process proves by the way that the storage creates exclusively (see `probe`).

        Raises:
            StorageUnavailable: when the storage did not answer in time. The object may or may not be there.
            StorageUnsuitable: when it does not create exclusively, or may not be written.
        """
        await self.prove()
        return await self._do.create(key, data)

    async def read(self, key: str) -> bytes | None:
        """Return an object's bytes, or None when there is none.

        Raises:
            StorageUnavailable: when the storage did not answer in time.
            DocumentDamaged: when it is too large to be ours, or no regular file, or may not be read.
        """
        found = await self._do.read(key)
        return None if found is None else found.data

    async def size(self, key: str) -> int | None:
        """Return how many bytes an object has, or None when there is none.

        Raises:
            StorageUnavailable: when the storage did not answer in time.
        """
        return await self._do.size(key)

    async def read_part(self, key: str, start: int, length: int) -> bytes | None:
        """Return some of an object's bytes, or None when there is no such object. Its size has no bound.

        Args:
            key: The object.
            start: The first byte, counted from 0.
            length: How many bytes, at least 1. The object must have them.

        Raises:
            StorageUnavailable: when the storage did not answer in time, or the object does not have them.
        """
        return await self._do.read_part(key, start, length)

    async def exists(self, key: str) -> bool:
        """Tell whether there is such an object.

        Raises:
            StorageUnavailable: when the storage did not answer in time.
        """
        return await self._do.exists(key)

    async def mark(self, key: str) -> None:
        """Write an empty object, or write it again so that it is new.

        Raises:
            StorageUnavailable: when the storage did not answer in time.
        """
        await self._do.mark(key)

    async def mark_many(self, several: Sequence[str]) -> None:
        """Write empty objects as `mark` does; what cannot be written stops no other, and is raised at the end.

        Args:
            several: Their keys, in any number. Local files take them by one call of a thread.

        Raises:
            StorageUnavailable: when the storage did not answer in time. Some of them may be written.
        """
        if len(several) == 1:
            # A thread would cost more than it saves.
            await self.mark(several[0])
        elif several:
            await self._do.mark_many(several)

    async def delete(self, key: str) -> None:
        """Delete an object; none there is no error.

        Raises:
            StorageUnavailable: when the storage did not answer in time.
        """
        await self._do.delete(key)

    async def delete_many(self, several: Sequence[str]) -> int:
        """Delete objects by as few requests as the storage allows; one that is not there is no error.

        S3 and Azure take many keys by one request, local files one call of a thread. One that cannot be deleted
        stops no other of the same request.

        Args:
            several: Their keys, in any number.

        Returns:
            How many different keys were named. None of them is there now.

        Raises:
            StorageUnavailable: when the storage did not answer in time. Some of them may be there still.
            DocumentDamaged: when one is a folder of this machine.
        """
        different = list(dict.fromkeys(several))
        for first in range(0, len(different), DELETED_AT_ONCE):
            some = different[first : first + DELETED_AT_ONCE]
            durable = not all(map(is_hint, some))
            await self._do.insist("delete", partial(self._objects.delete_many, some, durable=durable))
        return len(different)

    async def drop_parts(self, before: datetime) -> list[str]:
        """Delete what writers that died left unfinished, and return the names of it. Only local files know such.

        Args:
            before: Only what was last written before that moment, by the storage's own clock.

        Raises:
            StorageUnavailable: when the storage did not answer in time.
        """
        return await self._objects.drop_parts(before)

    async def list_markers(self, prefix: str) -> list[Marker]:
        """Return the markers under `keys.NEW` or `keys.ANSWERED`.

        Raises:
            StorageUnavailable: when the storage did not answer in time.
        """
        found = []
        async for key, written_at in self.list_keys(prefix):
            name = key.rpartition("/")[2]
            if keys.is_request_id(name):
                found.append(Marker(name, written_at))
        return found

    async def list_keys(self, prefix: str) -> AsyncIterator[tuple[str, datetime]]:
        """Yield each key under a prefix with the time of its last change.

        A local folder that cannot be looked into is left out, with a warning in the log.

        Raises:
            StorageUnavailable: when the storage did not answer in time.
        """
        pages = self._objects.list_all(prefix)
        while (page := await self._do.watched("list", anext(pages, None))) is not None:
            for entry in page:
                yield entry

    async def list_page(self, prefix: str, after: str = "", most: int | None = None) -> list[tuple[str, datetime]]:
        """Return the next keys under a prefix, in their order, with the time of their last change.

        At most a thousand of them where the storage lists in order; files of this machine come all at once.

        Args:
            prefix: What all of them begin with.
            after: Only keys that come after this one.
            most: At most so many. None: as many as come.

        Raises:
            StorageUnavailable: when the storage did not answer in time.
        """
        return await self._do.watched("list", self._objects.list_page(prefix, after, most))

    async def list_request_ids(self) -> list[str]:
        """Return the ids of all requests under the root: costs one storage request per thousand of them.

        Raises:
            StorageUnavailable: when the storage did not answer in time.
        """
        return sorted(name for name in await self.list_folders(keys.PREFIX) if keys.is_request_id(name))

    async def list_folders(self, prefix: str) -> list[str]:
        """Return the names of the folders right under a prefix: one storage request for a thousand of them.

        Raises:
            StorageUnavailable: when the storage did not answer in time.
        """
        return await self._do.watched("list", self._objects.list_folders(prefix))

    @property
    def side_by_side(self) -> bool:
        """Whether two operations at once are over sooner than one after the other."""
        return self._objects.side_by_side

    async def both(self, first: Coroutine[Any, Any, _T], second: Coroutine[Any, Any, _U]) -> tuple[_T, _U]:
        """Await two of this store's operations, at once where that is sooner; return both results.

        After an error of one, the other one comes to an end, or is not begun.
        """
        if not self.side_by_side:
            try:
                return await first, await second
            finally:
                # Of one that was awaited this does nothing.
                second.close()
        one, other = await asyncio.gather(first, second, return_exceptions=True)
        if isinstance(one, BaseException):
            raise one
        if isinstance(other, BaseException):
            raise other
        return one, other

    async def prove(self) -> None:
        """Probe the storage, unless this process has proven it already.

        Raises:
            StorageUnsuitable: as `probe` does.
            StorageUnavailable: when the storage did not answer in time.
        """
        await self._proof.require()

    async def probe(self) -> None:
        """Make sure that the storage creates exclusively, and read its clock.

        One key is created by several at once, and once more afterwards. That finds storage that ignores the
        condition, and storage that looks first and then writes. Storage that HITL has no client of its own for is
        put to a harder test: more at once, and several keys. What was found counts for all stores of this process
        on the same root with the same options; while the storage does not answer, nothing was found.

        Raises:
            StorageUnsuitable: when a creation replaces another one, or writing is not permitted.
            StorageUnavailable: when the storage did not answer in time.
        """
        await self._proof.make()

    async def clock_difference(self, now: datetime) -> float:
        """Return by how many seconds a clock is ahead of the storage's own; negative when behind.

        The storage's clock is read when the root is proven, and again after ten minutes.

        Args:
            now: The present moment by the clock in question, with a time zone.

        Raises:
            StorageUnavailable: when the storage did not answer in time.
        """
        return await self._proof.clock_difference(now)

    async def require_clock(self, now: datetime) -> float:
        """Make sure that a clock and the storage's own are at most `CLOCK_LIMIT_SECONDS` apart.

        Before it refuses, it reads the storage's clock again, unless it did so a few seconds ago: this machine may
        have slept.

        Args:
            now: The present moment by the clock in question, with a time zone.

        Returns:
            By how many seconds that clock is ahead of the storage's; negative when behind.

        Raises:
            ClockApart: when they are further apart.
            StorageUnavailable: when the storage did not answer in time.
        """
        return await self._proof.require_clock(now)


def _opened(url: str, scheme: str, options: dict[str, Any], unproven: bool, sync: bool) -> Objects:
    # Each is loaded when it is needed: half of the programs need no client of a bucket.
    if scheme == "file":
        from hitl.storage.local import LocalObjects

        return LocalObjects(url, folder_of(url), sync=sync)
    if scheme not in SERVED_SCHEMES:
        from hitl.storage.foreign import ForeignObjects

        return ForeignObjects(url, options, unproven=unproven)
    from hitl.storage.remote import RemoteObjects

    return RemoteObjects(url, scheme, options)
