"""The objects under a root: local files, memory, S3, GCS or Azure, behind one small `Store`.

Everything rests on `Store.create_once`: of any number of callers who create the same key at once, exactly one
is told that it did. obstore's native conditional put gives that on all five kinds of storage; no filesystem
layer lies between, because those ignore the condition in silence.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import re
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, TypeVar
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    NotSupportedError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import LocalStore, MemoryStore, from_url

from hitl import keys
from hitl.errors import ClockApart, DocumentDamaged, StorageError, StorageUnavailable, StorageUnsuitable

SERVED_SCHEMES: Final = ("file", "memory", "s3", "s3a", "gs", "az", "azure", "abfs", "abfss")
MAX_OBJECT_BYTES: Final = 4 * 1024 * 1024

# A person waits for the answer to a submission: better to say "try again" soon than to try for minutes.
_REQUEST_TIMEOUT: Final = "5s"
_RETRY: Final = {"max_retries": 3, "retry_timeout": timedelta(seconds=8)}
_CALL_SECONDS: Final = 15.0
_LETTING_GO_SECONDS: Final = 0.02
_CLOCK_SECONDS: Final = 60.0
_CLOCK_APART: Final = 30.0

# What Flyte gives its pods for S3, under the names that obstore has for it.
_FLYTE_S3: Final = {
    "FLYTE_AWS_ENDPOINT": "endpoint",
    "FLYTE_AWS_ACCESS_KEY_ID": "access_key_id",
    "FLYTE_AWS_SECRET_ACCESS_KEY": "secret_access_key",
}

_NOT_PERMITTED: Final = (PermissionDeniedError, UnauthenticatedError, PermissionError)
_STATUS: Final = re.compile(r"status code: (\d{3})")
_QUERY: Final = re.compile(r"\?\S+")

Watcher: TypeAlias = Callable[[str, str], None]

_T = TypeVar("_T")
_memory: dict[str, MemoryStore] = {}


@dataclass(frozen=True)
class Marker:
    """A marker, and when it was written by the storage's own clock."""

    request_id: str
    written_at: datetime


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
        self.url, self._scheme = _normalised(url)
        self._watcher = watcher
        self._store = _open(self.url, self._scheme, dict(options or {}))
        # What is on this machine answers sooner than a thread could be asked to wait for it.
        self._here = self._scheme in ("file", "memory")
        self._folder = str(_folder_of(self.url)) if self._scheme == "file" else None
        self._clock: tuple[float, datetime] | None = None
        _let_go_at_exit()

    def __repr__(self) -> str:
        return f"Store({self.url!r})"

    def path(self, key: str) -> str:
        """Return the full path of a key, as documents name it."""
        return keys.path_under(self.url, key)

    async def create_once(self, key: str, data: bytes) -> bool:
        """Create an object unless there is one. True for the one caller who created it.

        Raises:
            StorageUnavailable: when the storage did not answer in time. The object may or may not be there.
        """
        try:
            await self._call(self._put(key, data, "create"), f"create {key}")
        except (AlreadyExistsError, PreconditionError):
            return False
        except FileNotFoundError as error:
            raise self._nowhere(error) from error
        return True

    async def read(self, key: str) -> bytes | None:
        """Return an object's bytes, or None when there is none.

        Raises:
            StorageUnavailable: when the storage did not answer in time.
        """
        try:
            return await self._call(self._get(key), f"read {key}")
        except FileNotFoundError:
            return None

    async def exists(self, key: str) -> bool:
        """Tell whether there is such an object.

        Raises:
            StorageUnavailable: when the storage did not answer in time.
        """
        try:
            await self._call(self._head(key), f"look for {key}")
        except FileNotFoundError:
            return False
        return True

    async def mark(self, key: str) -> None:
        """Write an empty object, or write it again so that it is new.

        Raises:
            StorageUnavailable: when the storage did not answer in time.
        """
        # An object of no bytes at all is refused by some S3 servers, so a marker holds a line feed.
        try:
            await self._call(self._put(key, b"\n", "overwrite"), f"mark {key}")
        except FileNotFoundError as error:
            raise self._nowhere(error) from error

    async def delete(self, key: str) -> None:
        """Delete an object; none there is no error.

        Raises:
            StorageUnavailable: when the storage did not answer in time.
        """
        try:
            await self._call(self._delete(key), f"delete {key}")
        except FileNotFoundError:
            return

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

        Raises:
            StorageUnavailable: when the storage did not answer in time.
        """
        stream = obstore.list(self._store, prefix=prefix, chunk_size=1000)
        while batch := await self._call(_next_batch(stream), f"list {prefix}"):
            for entry in batch:
                yield entry["path"], entry["last_modified"]

    async def list_page(self, prefix: str, after: str = "") -> list[tuple[str, datetime]]:
        """Return the next keys under a prefix, in their order, with the time of their last change.

        At most a thousand of them where the storage lists in order; files of this machine come all at once.

        Args:
            prefix: What all of them begin with.
            after: Only keys that come after this one.

        Raises:
            StorageUnavailable: when the storage did not answer in time.
        """
        stream = obstore.list(
            self._store, prefix=prefix, offset=after or None, chunk_size=2**31 if self._here else 1000
        )
        batch = await self._call(_next_batch(stream), f"list {prefix}")
        return sorted((entry["path"], entry["last_modified"]) for entry in batch)

    async def list_request_ids(self) -> list[str]:
        """Return the ids of all requests under the root: costs one storage request per thousand of them.

        Raises:
            StorageUnavailable: when the storage did not answer in time.
        """
        found = await self._call(
            obstore.list_with_delimiter_async(self._store, prefix=keys.PREFIX),
            f"list {keys.PREFIX}",
            seconds=120,
        )
        names = (prefix.rstrip("/").rpartition("/")[2] for prefix in found["common_prefixes"])
        return sorted(name for name in names if keys.is_request_id(name))

    async def probe(self) -> None:
        """Make sure that the storage creates exclusively: write one random key twice, and read it.

        Raises:
            StorageUnsuitable: when the second write replaces the first, or writing is not permitted.
            StorageUnavailable: when the storage did not answer in time.
        """
        key = keys.probe_key()
        await self.create_once(key, b"first\n")
        second = await self.create_once(key, b"second\n")
        stored = await self.read(key)
        # Whoever only asks and answers need not be permitted to delete; what stays is collected later.
        with suppress(StorageError):
            await self.delete(key)
        # What the first call said does not count: it says no when its own success was lost on the way.
        if second or stored != b"first\n":
            raise StorageUnsuitable(
                f"{self.url} does not create objects exclusively (of two creations of one key "
                f"{'both succeeded' if second else 'the first did not last'}), so two answers could both be "
                "recorded: use storage that honours If-None-Match"
            )

    async def clock_difference(self, now: datetime) -> float:
        """Return by how many seconds `now` is ahead of the storage's own time; negative when it is behind.

        Raises:
            StorageUnavailable: when the storage did not answer in time.
        """
        if self._clock is None or time.monotonic() - self._clock[0] > _CLOCK_SECONDS:
            key = keys.probe_key()
            await self.mark(key)
            written = [at async for found, at in self.list_keys(keys.PROBES) if found == key]
            self._clock = (time.monotonic(), written[0] if written else datetime.now(UTC))
            with suppress(StorageError):
                await self.delete(key)
        measured, at = self._clock
        return (now - at).total_seconds() - (time.monotonic() - measured)

    async def require_clock(self, now: datetime) -> None:
        """Refuse to go on with a time that is not the storage's.

        Raises:
            ClockApart: when `now` is more than 30 s from the storage's own time.
            StorageUnavailable: when the storage did not answer in time.
        """
        seconds = await self.clock_difference(now)
        if abs(seconds) > _CLOCK_APART:
            raise ClockApart(self.url, seconds)

    def _nowhere(self, error: FileNotFoundError) -> StorageUnavailable:
        return StorageUnavailable(f"{self.url} is not there, create its bucket: {_first_line(error)}")

    async def _get(self, key: str) -> bytes:
        if self._folder is not None:
            # The reading of a small file is over before a thread of obstore's has begun it.
            return _read_file(f"{self._folder}/{key}", key)
        found = obstore.get(self._store, key) if self._here else await obstore.get_async(self._store, key)
        _check_size(key, found.meta["size"])
        return bytes(found.bytes() if self._here else await found.bytes_async())

    async def _put(self, key: str, data: bytes, mode: Literal["create", "overwrite"]) -> None:
        if self._folder is not None and mode == "create":
            _create_file(f"{self._folder}/{key}", data)
            return
        await obstore.put_async(self._store, key, data, mode=mode)

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
        if self._watcher is not None:
            operation = _watched(operation, what.partition(" ")[0], self._watcher)
        with _translating(what, self.url):
            return await (operation if self._here else asyncio.wait_for(_awaited(operation), seconds))


@cache
def _let_go_at_exit() -> None:
    # obstore's threads hold on to the interpreter for a moment after they handed over a result. When it is torn
    # down under them, they abort the process, though all was done: PyO3/pyo3-async-runtimes, issue 40. While this
    # thread sleeps, they let go.
    atexit.register(time.sleep, _LETTING_GO_SECONDS)


async def _watched(operation: Awaitable[_T], name: str, watcher: Watcher) -> _T:
    result = "error"
    try:
        found = await operation
        result = "ok"
    except (FileNotFoundError, AlreadyExistsError, PreconditionError):
        result = "none"
        raise
    finally:
        watcher(name, result)
    return found


async def _awaited(operation: Awaitable[_T]) -> _T:
    # obstore returns futures of its own; wait_for wants a coroutine.
    return await operation


async def _next_batch(stream: Any) -> list[Any]:
    try:
        return list(await stream.__anext__())
    except StopAsyncIteration:
        return []


@contextmanager
def _translating(what: str, url: str) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, AlreadyExistsError, PreconditionError):
        raise
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
        raise StorageUnavailable(f"{url}: could not {what}: {_first_line(error)}") from error


def _check_size(key: str, size: int) -> None:
    if size > MAX_OBJECT_BYTES:
        raise DocumentDamaged(key, f"it has {size:,} bytes, which nothing of HITL's has")


def _read_file(path: str, key: str) -> bytes:
    # By hand, as half of the time would be pathlib's.
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(file).st_size
        _check_size(key, size)
        return os.read(file, size)
    finally:
        os.close(file)


def _create_file(path: str, data: bytes) -> None:
    """Create a file whole or not at all, as obstore does: it gets its name once it is written, and only if free.

    Raises:
        AlreadyExistsError: when the name is taken.
    """
    # By this ending obstore knows a file that nobody finished, and lists it to nobody.
    part = f"{path}#{secrets.randbits(63)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        file = os.open(part, flags, 0o666)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120 - a text, as below
        file = os.open(part, flags, 0o666)
    try:
        try:
            while data:
                data = data[os.write(file, data) :]
        finally:
            os.close(file)
        os.link(part, path)
    except FileExistsError as error:
        raise AlreadyExistsError(str(error)) from error
    finally:
        os.unlink(part)  # noqa: PTH108 - a text


def _folder_of(url: str) -> Path:
    return Path(unquote(urlsplit(url).path))


def _first_line(error: BaseException) -> str:
    # An address may carry a signature that grants access.
    return _QUERY.sub("?…", (str(error).splitlines() or [type(error).__name__])[0])[:300]


def _normalised(url: str) -> tuple[str, str]:
    scheme, separator, path = url.partition("://")
    if not separator:
        if not url:
            raise StorageUnsuitable("the root is empty: give a URL such as s3://bucket/hitl, or a local path")
        return Path(url).expanduser().absolute().as_uri(), "file"
    if scheme not in SERVED_SCHEMES:
        raise StorageUnsuitable(
            f"storage of kind {scheme!r} is not served: use one of {', '.join(SERVED_SCHEMES)}, or a local path"
        )
    if not {"?", "#"}.isdisjoint(path):
        raise StorageUnsuitable(f"{url} holds '?' or '#': write them as %3F and %23")
    if not {".", ".."}.isdisjoint(unquote(path).split("/")):
        raise StorageUnsuitable(f"{url} holds '.' or '..' as a part of its path: write out where it leads")
    if scheme == "file" and not (path.startswith("/") and path.strip("/")):
        raise StorageUnsuitable(f"{url} names no folder of this machine: write file:///path/of/the/folder")
    return url.rstrip("/"), scheme


def _open(url: str, scheme: str, options: dict[str, Any]) -> Any:
    if scheme == "memory":
        return _memory.setdefault(url, MemoryStore())
    try:
        if scheme == "file":
            return LocalStore(_folder_of(url), mkdir=True, automatic_cleanup=True)
        return _open_remote(url, scheme, options)
    except (BaseError, OSError, ValueError, TypeError) as error:
        raise StorageUnsuitable(f"{url} cannot be opened: {_first_line(error)}") from error


def _open_remote(url: str, scheme: str, options: dict[str, Any]) -> Any:
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
