"""S3, GCS, Azure and memory as fsspec filesystems, by obstore.

obstore has an fsspec layer of its own. It accepts `mode="create"` and ignores it, raises errors of its own, and
lists without times or pages. These classes add what is missing. They are opened directly, never through fsspec's
registry: importing Flyte replaces the classes that are registered there.
"""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final
from urllib.parse import unquote

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    NotSupportedError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.fsspec import FsspecStore
from obstore.store import MemoryStore

from hitl.storage.objects import NoCredentials, first_line

# A person waits for the answer to a submission: better to say "try again" soon than to try for minutes.
_REQUEST_TIMEOUT: Final = "5s"
_RETRY: Final = {"max_retries": 3, "retry_timeout": timedelta(seconds=8)}

# What Flyte gives its pods for S3, under the names that obstore has for it.
_FLYTE_S3: Final = {
    "FLYTE_AWS_ENDPOINT": "endpoint",
    "FLYTE_AWS_ACCESS_KEY_ID": "access_key_id",
    "FLYTE_AWS_SECRET_ACCESS_KEY": "secret_access_key",
}
_NOT_PERMITTED: Final = (PermissionDeniedError, UnauthenticatedError, PermissionError)
# Who has no credentials is sent to the machine's metadata service last: its path is what the error names.
_NO_CREDENTIALS: Final = (
    (
        re.compile(r"/latest/(?:api/token|meta-data/iam/)"),
        "HITL_STORAGE_OPTIONS, in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, in AWS_WEB_IDENTITY_TOKEN_FILE, in "
        "AWS_CONTAINER_CREDENTIALS_FULL_URI, and at the machine's metadata service; ~/.aws is not read",
    ),
    (
        re.compile(r"/computeMetadata/v1/"),
        "HITL_STORAGE_OPTIONS, in GOOGLE_SERVICE_ACCOUNT, in GOOGLE_APPLICATION_CREDENTIALS, in gcloud's "
        "application_default_credentials.json, and at the machine's metadata service",
    ),
    (
        re.compile(r"/metadata/identity/"),
        "HITL_STORAGE_OPTIONS, in AZURE_STORAGE_ACCOUNT_KEY, in AZURE_CLIENT_SECRET, in "
        "AZURE_FEDERATED_TOKEN_FILE, and at the machine's metadata service",
    ),
)
_STATUS: Final = re.compile(r"status code: (\d{3})")
_ALL: Final = 2**31


class OperationNotSupported(OSError):
    """The storage has no such operation."""


class ObjectFileSystem(FsspecStore):
    """A filesystem on S3, GCS or Azure. Paths are ``bucket/key``; all errors are Python's own `OSError`.

    Args:
        protocol: The URL's scheme, such as ``s3``.
        options: What obstore's store of that kind takes, besides ``client_options`` for its HTTP client.
    """

    cachable = False

    def __init__(self, protocol: str, options: Mapping[str, Any]) -> None:
        config = {**_of_flyte(protocol), **options}
        client = {"timeout": _REQUEST_TIMEOUT, "connect_timeout": "3s", **config.pop("client_options", {})}
        if _without_tls(config):
            client.setdefault("allow_http", True)
        super().__init__(  # type: ignore[call-overload]  # its overloads want one literal kind of storage
            protocol, config=config, client_options=client, retry_config=_RETRY, asynchronous=True
        )

    async def _pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **_kwargs: Any) -> None:
        """Write an object; with the mode ``create``, FileExistsError when there is one."""
        store, key = self._at(path)
        with _builtin_errors():
            await obstore.put_async(store, key, value, mode=_mode(mode))

    async def _fetch(self, path: str, most: int) -> tuple[bytes, dict[str, Any]]:
        """Return an object's bytes and its information by one request; no bytes when it has more than `most`."""
        store, key = self._at(path)
        with _builtin_errors():
            found = await obstore.get_async(store, key)
            info = _info_of(path, found.meta)
            return (b"" if info["size"] > most else bytes(await found.bytes_async())), info

    async def _fetch_part(self, path: str, start: int, length: int) -> bytes:
        """Return some of an object's bytes, which it has."""
        store, key = self._at(path)
        with _builtin_errors():
            return bytes(await obstore.get_range_async(store, key, start=start, length=length))

    async def _cat_file(
        self, path: str, start: int | None = None, end: int | None = None, **_kwargs: Any
    ) -> bytes:
        """Return an object's bytes, or some of them."""
        data, _ = await self._fetch(path, _ALL)
        return data[start:end]

    async def _info(self, path: str, **_kwargs: Any) -> dict[str, Any]:
        """Return what is known of an object: ``name``, ``size``, ``type`` and ``last_modified``."""
        store, key = self._at(path)
        with _builtin_errors():
            return _info_of(path, await obstore.head_async(store, key))

    async def _rm_file(self, path: str, **_kwargs: Any) -> None:
        """Delete an object; none there may be no error."""
        store, key = self._at(path)
        with _builtin_errors():
            await obstore.delete_async(store, key)

    async def _rm_files(self, paths: Sequence[str]) -> None:
        """Delete objects of one bucket, by as few requests as the storage allows."""
        store, _ = self._at(paths[0])
        with _builtin_errors():
            await obstore.delete_async(store, [self._split_path(path)[1] for path in paths])

    async def _ls(self, path: str, detail: bool = True, **_kwargs: Any) -> Any:
        """Return the objects and folders right under a path."""
        store, key = self._at(path)
        with _builtin_errors():
            found = await obstore.list_with_delimiter_async(store, prefix=key)
        return _listed(found, self._start(path), detail)

    async def pages(self, path: str, after: str = "", size: int = 1000) -> AsyncIterator[list[dict[str, Any]]]:
        """Yield the objects below a path in their order, some at a time: fsspec has no word for it.

        Args:
            path: What all of them begin with, up to a slash.
            after: Only objects that come after this path.
            size: How many a page has at most.
        """
        store, key = self._at(path)
        start = self._start(path)
        stream = obstore.list(store, prefix=key, offset=self._split_path(after)[1] or None, chunk_size=size)
        while True:
            try:
                with _builtin_errors():
                    batch = await anext(stream)
            except StopAsyncIteration:
                return
            yield [_info_of(start + each["path"], each) for each in batch]

    async def page(self, path: str, after: str = "", size: int = 1000) -> list[dict[str, Any]]:
        """Return the first of `pages`; an empty list when there is none."""
        async for batch in self.pages(path, after, size):
            # Some servers take no notice of where to begin.
            if later := [each for each in batch if each["name"] > after]:
                return later
        return []

    async def everything(self, path: str) -> list[dict[str, Any]]:
        """Return all `pages` in one list."""
        return [each async for batch in self.pages(path) for each in batch]

    def _split_path(self, path: str) -> tuple[str, str]:
        bucket, _, key = path.rpartition("://")[2].partition("/")
        return bucket, key

    def _start(self, path: str) -> str:
        bucket = self._split_path(path)[0]
        return f"{bucket}/" if bucket else ""

    def _at(self, path: str) -> tuple[Any, str]:
        bucket, key = self._split_path(path)
        return self._construct_store(bucket), key


class MemoryFileSystem(ObjectFileSystem):
    """A filesystem in this process's memory. It needs no thread, so that it works in forked processes too."""

    def __init__(self) -> None:
        self._memory = MemoryStore()
        FsspecStore.__init__(self, "memory", asynchronous=True)  # type: ignore[call-overload]  # knows no memory

    async def _pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **_kwargs: Any) -> None:
        with _builtin_errors():
            obstore.put(self._memory, path, value, mode=_mode(mode))

    async def _fetch(self, path: str, most: int) -> tuple[bytes, dict[str, Any]]:
        with _builtin_errors():
            found = obstore.get(self._memory, path)
            info = _info_of(path, found.meta)
            return (b"" if info["size"] > most else bytes(found.bytes())), info

    async def _fetch_part(self, path: str, start: int, length: int) -> bytes:
        with _builtin_errors():
            return bytes(obstore.get_range(self._memory, path, start=start, length=length))

    async def _info(self, path: str, **_kwargs: Any) -> dict[str, Any]:
        with _builtin_errors():
            return _info_of(path, obstore.head(self._memory, path))

    async def _rm_file(self, path: str, **_kwargs: Any) -> None:
        with _builtin_errors():
            obstore.delete(self._memory, path)

    async def _rm_files(self, paths: Sequence[str]) -> None:
        for path in paths:
            await self._rm_file(path)

    async def _ls(self, path: str, detail: bool = True, **_kwargs: Any) -> Any:
        return _listed(obstore.list_with_delimiter(self._memory, prefix=path), "", detail)

    async def pages(
        self,
        path: str,
        after: str = "",
        size: int = _ALL,  # noqa: ARG002 - memory lists in no order, so that the first page holds everything
    ) -> AsyncIterator[list[dict[str, Any]]]:
        """Yield all objects below a path at once, in their order."""
        stream = obstore.list(self._memory, prefix=path, offset=after or None, chunk_size=_ALL)
        for batch in stream:
            yield sorted((_info_of(each["path"], each) for each in batch), key=lambda info: str(info["name"]))

    def _split_path(self, path: str) -> tuple[str, str]:
        return "", path

    def _construct_store(self, bucket: str) -> Any:  # noqa: ARG002 - memory has none
        return self._memory


def open_for_reading(protocol: str) -> FsspecStore:
    """Return a filesystem that opens files of buckets by their URLs, with the credentials of the environment.

    Args:
        protocol: The URLs' scheme, such as ``s3``.
    """
    config = _of_flyte(protocol)
    client = {"allow_http": True} if _without_tls(config) else {}
    found: FsspecStore = FsspecStore(  # type: ignore[call-overload]  # its overloads want one literal kind of storage
        protocol, config=config or None, client_options=client or None
    )
    return found


def open_bucket(url: str, scheme: str, options: Mapping[str, Any]) -> tuple[ObjectFileSystem, str]:
    """Open the filesystem of a bucket's URL. No request is sent.

    Returns:
        The filesystem, and the URL's path in it: ``bucket`` or ``bucket/prefix``.

    Raises:
        OSError, ValueError, TypeError: for options or names that the client does not take.
    """
    bucket, _, prefix = url.partition("://")[2].partition("/")
    prefix = unquote(prefix).strip("/")
    if "//" in prefix:
        raise ValueError("its path has two slashes side by side: write one")
    filesystem = ObjectFileSystem(scheme, options)
    with _builtin_errors():
        filesystem._construct_store(bucket)
    return filesystem, f"{bucket}/{prefix}" if prefix else bucket


def _mode(mode: str) -> Any:
    return "create" if mode == "create" else "overwrite"


def _info_of(path: str, meta: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": path, "size": meta["size"], "type": "file", "last_modified": meta["last_modified"]}


def _listed(found: Mapping[str, Any], start: str, detail: bool) -> Any:
    entries = [_info_of(start + each["path"], each) for each in found["objects"]]
    folders = (start + each.rstrip("/") for each in found["common_prefixes"])
    entries += [{"name": folder, "size": 0, "type": "directory"} for folder in folders]
    return entries if detail else [entry["name"] for entry in entries]


@contextmanager
def _builtin_errors() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except (AlreadyExistsError, PreconditionError) as error:
        raise FileExistsError(first_line(error)) from error
    except (BaseError, OSError) as error:
        # Listings fail with a generic error, in which only the text tells why.
        status = _STATUS.search(str(error))
        if places := _places_without_credentials(str(error)):
            missing = f"no credentials were found. They are looked for in {places}"
            # A metadata service that does not answer may do so soon.
            refused = status and status[1] in ("401", "403")
            raise (NoCredentials(missing) if refused else OSError(missing)) from error
        if isinstance(error, _NOT_PERMITTED) or (status and status[1] in ("401", "403")):
            raise PermissionError(first_line(error)) from error
        if isinstance(error, NotSupportedError) or (status and status[1] == "501"):
            raise OperationNotSupported(first_line(error)) from error
        raise OSError(first_line(error)) from error


def _places_without_credentials(text: str) -> str:
    """Return where credentials are looked for, if an error says that there are none."""
    return next((places for path, places in _NO_CREDENTIALS if path.search(text)), "")


def _without_tls(config: Mapping[str, Any]) -> bool:
    endpoint = config.get("endpoint") or config.get("aws_endpoint") or os.environ.get("AWS_ENDPOINT_URL", "")
    return str(endpoint).startswith("http://")


def _of_flyte(protocol: str) -> dict[str, Any]:
    if protocol not in ("s3", "s3a"):
        return {}
    config: dict[str, Any] = {
        name: os.environ[variable] for variable, name in _FLYTE_S3.items() if os.environ.get(variable)
    }
    if style := os.environ.get("FLYTE_AWS_S3_ADDRESSING_STYLE"):
        config["virtual_hosted_style_request"] = style == "virtual"
    return config
