"""What is done at a root, one operation at a time: counted, and tried again where that is right."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final, TypeAlias, TypeVar

from hitl.core import keys
from hitl.errors import StorageError, StorageUnavailable
from hitl.storage.objects import Found, Objects
from hitl.storage.together import all_of

# After a refusal without a cause: with the waits in between, less than two seconds in all.
_TRIES: Final = 5
_FIRST_WAIT_SECONDS: Final = 0.1

Watcher: TypeAlias = Callable[[str, str], None]

_T = TypeVar("_T")


class CreationRefused(StorageUnavailable):
    """The storage says again and again that an object is there, and it is not."""


class Conflict(StorageUnavailable):
    """The storage refused because of another operation at the same time, and nothing was done."""


class Operations:
    """The operations on one root's objects.

    Args:
        url: The root's URL, for messages.
        objects: The root's objects.
        watcher: Told the operation and the result of each request.
    """

    def __init__(self, url: str, objects: Objects, watcher: Watcher | None) -> None:
        self.url = url
        self.objects = objects
        self._watcher = watcher

    async def create(self, key: str, data: bytes, *, durable: bool = True) -> bool:
        """Create an object unless there is one; tell whether this call did.

        Raises:
            StorageUnavailable: when the storage did not answer in time.
            CreationRefused: when it refuses again and again, and there is no such object.
        """
        for attempt in range(_TRIES):
            if attempt:
                await _pause(attempt - 1)
            try:
                await self.watched("create", self.objects.create(key, data, durable=durable))
            except FileExistsError:
                # S3 says the same by 409, when nothing was written and somebody should try again.
                if not self.objects.refuses_without_cause or await self.exists(key):
                    return False
            else:
                return True
        raise CreationRefused(
            f"{self.url} refuses to create {key}, though there is no such object: try again later"
        )

    async def read(self, key: str) -> Found | None:
        """Return an object, or None when there is none."""
        try:
            return await self.watched("read", self.objects.read(key))
        except FileNotFoundError:
            return None

    async def size(self, key: str) -> int | None:
        """Return how many bytes an object has, or None when there is none."""
        try:
            return await self.watched("look", self.objects.size(key))
        except FileNotFoundError:
            return None

    async def read_part(self, key: str, start: int, length: int) -> bytes | None:
        """Return some of an object's bytes, or None when there is no such object."""
        try:
            return await self.watched("read", self.objects.read_part(key, start, length))
        except FileNotFoundError:
            return None

    async def exists(self, key: str) -> bool:
        """Tell whether there is such an object."""
        try:
            await self.watched("look", self.objects.look(key))
        except FileNotFoundError:
            return False
        return True

    async def mark(self, key: str) -> None:
        """Write an object of one line feed, whether there is one or not."""
        # An object of no bytes at all is refused by some S3 servers.
        await self.insist("mark", lambda: self.objects.overwrite(key, b"\n"))

    async def mark_many(self, several: Sequence[str]) -> None:
        """Write objects as `mark` does. What cannot be written stops no other, and is raised at the end."""
        if (at_once := self.objects.overwrite_many) is not None:
            await self.insist("mark", lambda: at_once(several, b"\n"))
            return
        errors: list[StorageError] = []

        async def mark(key: str) -> None:
            try:
                await self.mark(key)
            except StorageError as error:
                errors.append(error)

        await all_of([partial(mark, key) for key in several])
        for error in errors:
            raise error

    async def delete(self, key: str) -> None:
        """Delete an object, if there is one."""
        try:
            await self.insist("delete", lambda: self.objects.delete(key, durable=not is_hint(key)))
        except FileNotFoundError:
            return

    async def insist(self, name: str, operation: Callable[[], Awaitable[_T]]) -> _T:
        """Do what may be done twice, and do it again while the storage refuses it because of others.

        Raises:
            StorageUnavailable: when it refuses again and again, or did not answer in time.
        """
        for attempt in range(_TRIES - 1):
            try:
                return await self.watched(name, operation())
            except Conflict:
                await _pause(attempt)
        return await self.watched(name, operation())

    async def watched(self, name: str, operation: Awaitable[_T]) -> _T:
        """Await an operation, and tell the watcher its name and its result: ``ok``, ``none`` or ``error``."""
        result = "error"
        try:
            found = await operation
            result = "ok"
        except FileNotFoundError:
            result = "none"
            raise
        except FileExistsError as error:
            if name != "create":
                why = f"{self.url} refused to {name} because of another request: try again later"
                raise Conflict(why) from error
            result = "none"
            raise
        finally:
            if self._watcher is not None:
                self._watcher(name, result)
        return found


async def _pause(attempt: int) -> None:
    # Those who hindered one another must not meet again.
    await asyncio.sleep(_FIRST_WAIT_SECONDS * 2**attempt * random.uniform(0.5, 1))  # noqa: S311 - no secret


def is_hint(key: str) -> bool:
    """Tell whether an object costs no more than a look if it comes back after a loss of power."""
    return key.startswith(f"{keys.PREFIX}/_") and not key.startswith(f"{keys.DELETED}/")
