"""S3, GCS, Azure and memory by obstore, whose native conditional put is exclusive on each of them."""

from __future__ import annotations

import asyncio
import atexit
import os
import re
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Final, Literal, TypeVar

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    NotSupportedError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import MemoryStore, from_url

from hitl.errors import StorageUnavailable, StorageUnsuitable
from hitl.storage.objects import Entry, Found, check_size, first_line

# A person waits for the answer to a submission: better to say "try again" soon than to try for minutes.
_REQUEST_TIMEOUT: Final = "5s"
_RETRY: Final = {"max_retries": 3, "retry_timeout": timedelta(seconds=8)}
_CALL_SECONDS: Final = 15.0
_LETTING_GO_SECONDS: Final = 0.02
_PAGE: Final = 1000

# What Flyte gives its pods for S3, under the names that obstore has for it.
_FLYTE_S3: Final = {
    "FLYTE_AWS_ENDPOINT": "endpoint",
    "FLYTE_AWS_ACCESS_KEY_ID": "access_key_id",
    "FLYTE_AWS_SECRET_ACCESS_KEY": "secret_access_key",
}
_NOT_PERMITTED: Final = (PermissionDeniedError, UnauthenticatedError, PermissionError)
_STATUS: Final = re.compile(r"status code: (\d{3})")

_T = TypeVar("_T")
_memory: dict[str, MemoryStore] = {}


class RemoteObjects:
    """The objects under a root that obstore serves.

    Args:
        url: The root's URL.
        scheme: The URL's scheme.
        options: What obstore's store of that kind takes.

    Raises:
        StorageUnsuitable: for options that it does not know.
    """

    def __init__(self, url: str, scheme: str, options: dict[str, Any]) -> None:
        self._url = url
        # Memory answers sooner than another thread could be asked.
        self._here = scheme == "memory"
        # Azure and GCS know no such answer, but a look costs them little and no list of servers must be kept.
        self.refuses_without_cause = not self._here
        self._store = _opened(url, scheme, options)
        _let_go_at_exit()

    async def create(self, key: str, data: bytes, *, durable: bool) -> None:  # noqa: ARG002 - always is
        """Create an object; FileExistsError when the storage says that there is one."""
        await self._put(key, data, "create", f"create {key}")

    async def overwrite(self, key: str, data: bytes) -> None:
        """Write an object, whether there is one or not."""
        await self._put(key, data, "overwrite", f"mark {key}")

    async def read(self, key: str) -> Found:
        """Read an object; FileNotFoundError when there is none."""
        return await self._call(self._get(key), f"read {key}")

    async def look(self, key: str) -> None:
        """Do nothing; FileNotFoundError when there is no such object."""
        await self._call(self._head(key), f"look for {key}")

    async def delete(self, key: str, *, durable: bool) -> None:  # noqa: ARG002 - always is
        """Delete an object, if there is one."""
        await self._call(self._delete(key), f"delete {key}")

    async def list_all(self, prefix: str) -> AsyncIterator[list[Entry]]:
        """Yield all keys under a prefix, a thousand at a time."""
        stream = obstore.list(self._store, prefix=prefix, chunk_size=_PAGE)
        while batch := await self._call(_next_batch(stream), f"list {prefix}"):
            yield batch

    async def list_page(self, prefix: str, after: str) -> list[Entry]:
        """Return the next keys in their order: a thousand at most, and all that memory has."""
        size = 2**31 if self._here else _PAGE
        stream = obstore.list(self._store, prefix=prefix, offset=after or None, chunk_size=size)
        return sorted(await self._call(_next_batch(stream), f"list {prefix}"))

    async def list_folders(self, prefix: str) -> list[str]:
        """Return the names of the folders right under a prefix: one request for each thousand."""
        listing = obstore.list_with_delimiter_async(self._store, prefix=prefix)
        found = await self._call(listing, f"list {prefix}", seconds=120)
        return [each.rstrip("/").rpartition("/")[2] for each in found["common_prefixes"]]

    async def drop_parts(self, before: datetime) -> list[str]:  # noqa: ARG002 - an object is there whole or not at all
        """Return nothing: no writer leaves anything unfinished."""
        return []

    async def _put(self, key: str, data: bytes, mode: Literal["create", "overwrite"], what: str) -> None:
        try:
            await self._call(obstore.put_async(self._store, key, data, mode=mode), what)
        except FileNotFoundError as error:
            raise StorageUnavailable(
                f"{self._url} is not there, create its bucket: {first_line(error)}"
            ) from error

    async def _get(self, key: str) -> Found:
        found = obstore.get(self._store, key) if self._here else await obstore.get_async(self._store, key)
        check_size(key, found.meta["size"])
        data = bytes(found.bytes() if self._here else await found.bytes_async())
        return Found(data, found.meta["last_modified"])

    async def _head(self, key: str) -> None:
        if self._here:
            obstore.head(self._store, key)
        else:
            await obstore.head_async(self._store, key)

    async def _delete(self, key: str) -> None:
        if self._here:
            obstore.delete(self._store, key)
        else:
            await obstore.delete_async(self._store, key)

    async def _call(self, operation: Awaitable[_T], what: str, seconds: float = _CALL_SECONDS) -> _T:
        with _translating(what, self._url):
            return await (operation if self._here else asyncio.wait_for(_awaited(operation), seconds))


@cache
def _let_go_at_exit() -> None:
    # obstore's threads hold on to the interpreter for a moment after they handed over a result. When it is torn
    # down under them, they abort the process, though all was done: PyO3/pyo3-async-runtimes, issue 40. While this
    # thread sleeps, they let go.
    atexit.register(time.sleep, _LETTING_GO_SECONDS)


async def _awaited(operation: Awaitable[_T]) -> _T:
    # obstore returns futures of its own; wait_for wants a coroutine.
    return await operation


async def _next_batch(stream: Any) -> list[Entry]:
    try:
        return [(entry["path"], entry["last_modified"]) for entry in await stream.__anext__()]
    except StopAsyncIteration:
        return []


@contextmanager
def _translating(what: str, url: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except (AlreadyExistsError, PreconditionError) as error:
        raise FileExistsError(first_line(error)) from error
    except TimeoutError as error:
        raise StorageUnavailable(f"{url} did not answer in time to {what}") from error
    except (BaseError, OSError, ValueError) as error:
        # Listings fail with a generic error, in which only the text tells why.
        status = _STATUS.search(str(error))
        if isinstance(error, _NOT_PERMITTED) or (status and status[1] in ("401", "403")):
            raise StorageUnsuitable(
                f"{url}: not permitted to {what}: check the credentials' rights, and that the bucket is there"
            ) from error
        if isinstance(error, NotSupportedError) or (status and status[1] == "501"):
            raise StorageUnsuitable(f"{url}: the storage knows no way to {what}: use another one") from error
        raise StorageUnavailable(f"{url}: could not {what}: {first_line(error)}") from error


def _opened(url: str, scheme: str, options: dict[str, Any]) -> Any:
    if scheme == "memory":
        return _memory.setdefault(url, MemoryStore())
    try:
        return _opened_bucket(url, scheme, options)
    except (BaseError, OSError, ValueError, TypeError) as error:
        raise StorageUnsuitable(f"{url} cannot be opened: {first_line(error)}") from error


def _opened_bucket(url: str, scheme: str, options: dict[str, Any]) -> Any:
    config = {**(_flyte_s3() if scheme in ("s3", "s3a") else {}), **options}
    client = {"timeout": _REQUEST_TIMEOUT, "connect_timeout": "3s", **config.pop("client_options", {})}
    endpoint = str(config.get("endpoint") or config.get("aws_endpoint") or os.environ.get("AWS_ENDPOINT_URL", ""))
    if endpoint.startswith("http://"):
        client.setdefault("allow_http", True)
    return from_url(url, config=config, client_options=client, retry_config=_RETRY)  # type: ignore[call-overload]  # its overloads want one literal kind of storage


def _flyte_s3() -> dict[str, Any]:
    config: dict[str, Any] = {
        name: os.environ[variable] for variable, name in _FLYTE_S3.items() if os.environ.get(variable)
    }
    if style := os.environ.get("FLYTE_AWS_S3_ADDRESSING_STYLE"):
        config["virtual_hosted_style_request"] = style == "virtual"
    return config
