"""The `Store`: the objects under one root, whatever kind of storage holds them.

Everything rests on `Store.create_once`: of any number of callers who create the same key at once, exactly one
is told that it did. No storage is believed that: the first creation of a process at a root proves it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeAlias, TypeVar

from hitl.core import keys
from hitl.errors import ClockApart, StorageError, StorageUnavailable, StorageUnsuitable
from hitl.storage.known import CLOCK_LIMIT_SECONDS, Reading, known_of, ticks
from hitl.storage.objects import Found, Objects
from hitl.storage.roots import folder_of, normalised

# After a refusal without a cause: with the waits in between, less than two seconds in all.
_TRIES: Final = 5
_FIRST_WAIT_SECONDS: Final = 0.1
_RACERS: Final = 3

Watcher: TypeAlias = Callable[[str, str], None]

_T = TypeVar("_T")


@dataclass(frozen=True)
class Marker:
    """A marker, and when it was written by the storage's own clock."""

    request_id: str
    written_at: datetime


class _Refused(StorageUnavailable):
    """The storage says again and again that an object is there, and it is not."""


class Store:
    """The objects under one root. Every method is a coroutine, usable from any event loop.

    Args:
        url: The root: a URL (``s3://bucket/path``, ``gs://``, ``az://``, ``file:///``, ``memory://name``) or a
            local path. Memory roots of one name are one store throughout the process.
        options: What obstore's store of that kind takes, such as ``{"endpoint": …}``, besides ``client_options``
            for its HTTP client. The environment's usual credentials count as well.
        watcher: Told the operation (``create``, ``read``, …) and the result (``ok``, ``none``, ``error``) of each
            request.

    Raises:
        StorageUnsuitable: for a kind of storage that cannot be served, or options that it does not know.
    """

    def __init__(
        self, url: str, options: Mapping[str, Any] | None = None, *, watcher: Watcher | None = None
    ) -> None:
        self.url, scheme = normalised(url)
        self._watcher = watcher
        self._objects = _opened(self.url, scheme, dict(options or {}))
        self._known = known_of(self.url, options or {})

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
        return await self._create(key, data)

    async def read(self, key: str) -> bytes | None:
        """Return an object's bytes, or None when there is none.

        Raises:
            StorageUnavailable: when the storage did not answer in time.
            DocumentDamaged: when it is too large to be ours, or no regular file, or may not be read.
        """
        found = await self._read(key)
        return None if found is None else found.data

    async def exists(self, key: str) -> bool:
        """Tell whether there is such an object.

        Raises:
            StorageUnavailable: when the storage did not answer in time.
        """
        try:
            await self._watched("look", self._objects.look(key))
        except FileNotFoundError:
            return False
        return True

    async def mark(self, key: str) -> None:
        """Write an empty object, or write it again so that it is new.

        Raises:
            StorageUnavailable: when the storage did not answer in time.
        """
        # An object of no bytes at all is refused by some S3 servers, so a marker holds a line feed.
        await self._watched("mark", self._objects.overwrite(key, b"\n"))

    async def delete(self, key: str) -> None:
        """Delete an object; none there is no error.

        Raises:
            StorageUnavailable: when the storage did not answer in time.
        """
        # A hint that comes back after a loss of power costs a look.
        durable = not key.startswith((f"{keys.NEW}/", f"{keys.ANSWERED}/", f"{keys.PROBES}/"))
        with suppress(FileNotFoundError):
            await self._watched("delete", self._objects.delete(key, durable=durable))

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
        while (page := await self._watched("list", anext(pages, None))) is not None:
            for entry in page:
                yield entry

    async def list_page(self, prefix: str, after: str = "") -> list[tuple[str, datetime]]:
        """Return the next keys under a prefix, in their order, with the time of their last change.

        At most a thousand of them where the storage lists in order; files of this machine come all at once.

        Args:
            prefix: What all of them begin with.
            after: Only keys that come after this one.

        Raises:
            StorageUnavailable: when the storage did not answer in time.
        """
        return await self._watched("list", self._objects.list_page(prefix, after))

    async def list_request_ids(self) -> list[str]:
        """Return the ids of all requests under the root: costs one storage request per thousand of them.

        Raises:
            StorageUnavailable: when the storage did not answer in time.
        """
        names = await self._watched("list", self._objects.list_folders(keys.PREFIX))
        return sorted(name for name in names if keys.is_request_id(name))

    async def prove(self) -> None:
        """Probe the storage, unless this process has proven it already.

        Raises:
            StorageUnsuitable: as `probe` does.
            StorageUnavailable: when the storage did not answer in time.
        """
        if not self._known.proven:
            await self.probe()

    async def probe(self) -> None:
        """Make sure that the storage creates exclusively, and read its clock.

        One key is created by several at once, and once more afterwards. That finds storage that ignores the
        condition, and storage that looks first and then writes. What was found counts for all stores of this
        process on the same root with the same options; while the storage is away, nothing was found.

        Raises:
            StorageUnsuitable: when a creation replaces another one, or writing is not permitted.
            StorageUnavailable: when the storage did not answer in time.
        """
        if self._known.refused:
            raise StorageUnsuitable(self._known.refused)
        await self._known.proving.share(self._prove)

    async def clock_difference(self, now: datetime) -> float:
        """Return by how many seconds a clock is ahead of the storage's own; negative when behind.

        The storage's clock is read when the root is proven, and again after ten minutes.

        Args:
            now: The present moment by the clock in question, with a time zone.

        Raises:
            StorageUnavailable: when the storage did not answer in time.
        """
        at = ticks()
        reading = self._known.reading
        if reading is None or reading.is_old(at):
            reading = await self._read_clock()
        return reading.difference(now, at)

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
        at = ticks()
        difference = await self.clock_difference(now)
        if abs(difference) <= CLOCK_LIMIT_SECONDS:
            return difference
        reading = self._known.reading
        if reading is None or not reading.may_refuse(at):
            difference = (await self._read_clock()).difference(now, at)
        if abs(difference) > CLOCK_LIMIT_SECONDS:
            raise ClockApart(self.url, difference)
        return difference

    async def _prove(self) -> None:
        key = keys.probe_key()
        try:
            await self._contest(key)
        except _Refused as error:
            # Not remembered, as it records nothing at least.
            raise StorageUnsuitable(
                f"{self.url} refuses to create objects (what was created did not last): "
                "use storage that honours If-None-Match"
            ) from error
        except StorageUnsuitable:
            await self._drop(key)
            raise
        # Where the storage is away, whoever waits need not wait for a deletion as well.
        await self._drop(key)
        self._known.proven = True

    async def _drop(self, key: str) -> None:
        # Whoever only asks and answers need not be permitted to delete; what stays is collected later.
        with suppress(StorageError):
            await self.delete(key)

    async def _contest(self, key: str) -> None:
        # Local files do it one after another: the kernel lets one caller at a time into a folder anyway.
        contents = [b"racer %d\n" % number for number in range(_RACERS)]
        began = ticks()
        told = await asyncio.gather(
            *(self._create(key, each, durable=False) for each in contents), return_exceptions=True
        )
        ended = ticks()
        winners = [each for each, won in zip(contents, told, strict=True) if won is True]
        if len(winners) > 1:
            raise self._not_exclusive(f"of {_RACERS} creations of one key at once {len(winners)} succeeded")
        failed = [each for each in told if isinstance(each, BaseException)]
        if failed and not winners:
            raise failed[0]
        stored = await self._read(key)
        # Nobody may have been told that they won: a reply can be lost on the way.
        if stored is None or stored.data not in (winners or contents):
            raise self._not_exclusive("of several creations of one key the first did not last")
        if await self._create(key, b"late\n", durable=False):
            raise self._not_exclusive("of two creations of one key both succeeded")
        self._known.reading = Reading.of_object(stored.written_at, began, ended)

    def _not_exclusive(self, why: str) -> StorageUnsuitable:
        self._known.refused = (
            f"{self.url} does not create objects exclusively ({why}), so two answers could both be recorded: "
            "use storage that honours If-None-Match"
        )
        return StorageUnsuitable(self._known.refused)

    async def _read_clock(self) -> Reading:
        await self._known.reading_clock.share(self._measure)
        assert self._known.reading is not None
        return self._known.reading

    async def _measure(self) -> None:
        key = keys.probe_key()
        began = ticks()
        await self.mark(key)
        ended = ticks()
        found = await self._read(key)
        await self._drop(key)
        if found is None:
            raise StorageUnavailable(f"{self.url}: {key} was written and is not there: try again")
        self._known.reading = Reading.of_object(found.written_at, began, ended)

    async def _create(self, key: str, data: bytes, *, durable: bool = True) -> bool:
        for attempt in range(_TRIES):
            try:
                await self._watched("create", self._objects.create(key, data, durable=durable))
            except FileExistsError:
                # S3 says the same by 409, when nothing was written and somebody should try again.
                if not self._objects.refuses_without_cause or await self.exists(key):
                    return False
            else:
                return True
            # Those who hindered one another must not meet again.
            await asyncio.sleep(_FIRST_WAIT_SECONDS * 2**attempt * random.uniform(0.5, 1))  # noqa: S311 - no secret
        raise _Refused(f"{self.url} refuses to create {key}, though there is no such object: try again later")

    async def _read(self, key: str) -> Found | None:
        try:
            return await self._watched("read", self._objects.read(key))
        except FileNotFoundError:
            return None

    async def _watched(self, name: str, operation: Awaitable[_T]) -> _T:
        if self._watcher is None:
            return await operation
        result = "error"
        try:
            found = await operation
            result = "ok"
        except (FileNotFoundError, FileExistsError):
            result = "none"
            raise
        finally:
            self._watcher(name, result)
        return found


def _opened(url: str, scheme: str, options: dict[str, Any]) -> Objects:
    # Either is loaded when it is needed: half of the programs need no client of a bucket.
    if scheme == "file":
        from hitl.storage.local import LocalObjects

        return LocalObjects(url, folder_of(url))
    from hitl.storage.remote import RemoteObjects

    return RemoteObjects(url, scheme, options)
