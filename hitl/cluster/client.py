"""A thin client of the Kubernetes API server: objects in and out as dicts, errors as `hitl.errors` has them.

It neither retries nor caches: its callers know what may be tried again, and when.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from datetime import datetime
from typing import Final, Self, TypeAlias
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio.client import Configuration

from hitl.cluster.body import Lines, Object, encode
from hitl.cluster.credentials import Connection, connection_of, load, token_of
from hitl.cluster.resources import (
    ACCESS_REVIEWS,
    CRDS,
    DEPLOYMENTS,
    EVENTS,
    HUMAN_INPUTS,
    LEASES,
    NAMESPACES,
    RESPONSES,
    SECRETS,
    TOKEN_REVIEWS,
    Resource,
)
from hitl.cluster.server_clock import ServerClock
from hitl.cluster.transport import request_options, session
from hitl.errors import (
    ClusterConflict,
    ClusterError,
    ClusterForbidden,
    ClusterNotFound,
    ClusterUnavailable,
)

__all__ = [
    "ACCESS_REVIEWS",
    "CRDS",
    "DEPLOYMENTS",
    "EVENTS",
    "HUMAN_INPUTS",
    "LEASES",
    "NAMESPACES",
    "RESPONSES",
    "SECRETS",
    "TOKEN_REVIEWS",
    "Connection",
    "Kube",
    "Object",
    "Resource",
    "Watcher",
]

Watcher: TypeAlias = Callable[[str, int], None]

_TIMEOUT: Final = aiohttp.ClientTimeout(total=15, connect=5)
# So many at once pay; watches are not counted.
_AT_ONCE: Final = 48
_PAGE: Final = 500
# A proxy's own page, most often.
_NO_API: Final = "what answers for the API server is none: it sent no JSON"
_JSON: Final = "application/json"
_METADATA_LIST: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_MERGE: Final = "application/merge-patch+json"
_APPLY: Final = "application/apply-patch+yaml"


class Kube:
    """The connections to one API server. Use it in the event loop that made it, and close it.

    Args:
        configuration: How the API server is reached, as the `kubernetes` package read it.
        namespace: Where objects are when nobody says otherwise.
        watcher: Told the verb and the status (0: none came) of every request beside watches.
    """

    def __init__(self, configuration: Configuration, namespace: str, watcher: Watcher | None = None) -> None:
        self._configuration = configuration
        self.namespace = namespace
        self._watcher = watcher
        self._base = configuration.host.rstrip("/")
        self._options = request_options(configuration)
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._session: aiohttp.ClientSession | None = None
        self._clock: ServerClock | None = None

    @classmethod
    async def connect(
        cls, *, kubeconfig: str | None = None, context: str | None = None, watcher: Watcher | None = None
    ) -> Self:
        """Connect by the given kubeconfig, else as a pod does inside its cluster, else by the usual kubeconfig.

        Raises:
            ClusterError: when there are no credentials to be found, or none that can be read.
        """
        configuration, own_namespace = await load(kubeconfig, context)
        return cls(configuration, own_namespace, watcher)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def connection(self) -> Connection:
        """Return how this API server is reached, with a token that is fresh now."""
        return await connection_of(self._configuration, self.namespace)

    def clock_difference(self, now: datetime) -> float | None:
        """Return by how many seconds a clock is surely ahead of the API server's; negative when behind.

        None before the API server answered anything.

        Args:
            now: The present moment by the clock in question, with a time zone.
        """
        return None if self._clock is None else self._clock.difference(now, time.monotonic())

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object | None:
        """Return an object, or None when there is none of this name.

        Raises:
            ClusterError: as its subclasses say; so does every other method.
        """
        try:
            return await self._call("GET", resource.path(namespace, name))
        except ClusterNotFound:
            return None

    async def items(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        fields: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
        metadata_only: bool = False,
    ) -> AsyncIterator[Object]:
        """Yield every object of a kind, of one namespace or of all, by pages.

        Args:
            resource: The kind.
            namespace: None: everywhere.
            fields: Only objects whose fields have these values, such as ``{"status.phase": "Pending"}``.
            labels: Only objects with these labels.
            metadata_only: Their metadata suffices.
        """
        pages = self.pages(resource, namespace, fields=fields, labels=labels, metadata_only=metadata_only)
        async for found, _ in pages:
            for each in found:
                yield each

    async def pages(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        fields: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
        metadata_only: bool = False,
    ) -> AsyncIterator[tuple[list[Object], str]]:
        """Yield pages of objects, as `items` takes them apart, each with the version of the whole list.

        Such objects say neither their kind nor their API version.
        """
        accept = _METADATA_LIST if metadata_only else _JSON
        query = {"limit": str(_PAGE)}
        for selector, wanted in (("fieldSelector", fields), ("labelSelector", labels)):
            if wanted:
                query[selector] = ",".join(f"{name}={value}" for name, value in wanted.items())
        while True:
            page = await self._call("GET", resource.path(namespace), query=query, accept=accept)
            yield page["items"], page["metadata"].get("resourceVersion", "")
            if not (following := page["metadata"].get("continue")):
                return
            query["continue"] = following

    async def watch(
        self,
        resource: Resource,
        namespace: str | None,
        since: str,
        *,
        seconds: int,
        silence: float,
        opened: Callable[[], None],
    ) -> AsyncGenerator[Object, None]:
        """Yield what happens to objects of a kind, as the API server tells it, bookmarks and errors too.

        Args:
            resource: The kind.
            namespace: None: everywhere.
            since: The version after which to begin.
            seconds: After so many seconds the API server ends it, which is no error.
            silence: It is an error when nothing comes for so many seconds, not even a bookmark.
            opened: Called when the API server has agreed to tell.

        Raises:
            ClusterError: when it cannot begin, or breaks off.
        """
        query = {"watch": "1", "allowWatchBookmarks": "true", "resourceVersion": since}
        path = f"{resource.path(namespace)}?{urlencode(query | {'timeoutSeconds': str(seconds)})}"
        lines = Lines()
        try:
            async with asyncio.timeout(_TIMEOUT.total):
                response = await self._connected().get(
                    self._base + path,
                    headers=await self._headers(_JSON),
                    timeout=aiohttp.ClientTimeout(sock_connect=_TIMEOUT.connect, sock_read=silence),
                    **self._options,
                )
            async with response:
                if response.status == 410:
                    # As most API servers say it within the watch.
                    yield {"type": "ERROR", "object": {"code": 410}}
                    return
                if response.status >= 400:
                    raise _refusal(response.status, await response.read())
                if response.content_type != _JSON:
                    raise ClusterUnavailable(_NO_API)
                opened()
                async for data in response.content.iter_any():
                    for line in lines.feed(data):
                        yield _parsed(line)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _away(error) from error

    async def create(self, resource: Resource, content: Object, *, manager: str = "hitl") -> Object:
        """Create an object; one that is there already is a `ClusterConflict`."""
        namespace = content["metadata"].get("namespace")
        return await self._call(
            "POST", resource.path(namespace), content, query={"fieldManager": manager} if manager else {}
        )

    async def apply(
        self, resource: Resource, content: Object, *, manager: str, subresource: str = "", force: bool = True
    ) -> Object:
        """Apply the fields of an object server-side, in the name of a field manager."""
        metadata = content["metadata"]
        path = resource.path(metadata.get("namespace"), metadata["name"], subresource)
        query = {"fieldManager": manager, "force": "true" if force else "false"}
        return await self._call("PATCH", path, content, query=query, kind=_APPLY)

    async def merge(
        self, resource: Resource, name: str, namespace: str | None, patch: Object, *, manager: str
    ) -> Object:
        """Merge a patch (RFC 7386) into an object."""
        path = resource.path(namespace, name)
        return await self._call("PATCH", path, patch, query={"fieldManager": manager}, kind=_MERGE)

    async def replace(self, resource: Resource, content: Object) -> Object:
        """Replace an object, unless somebody changed it since its `resourceVersion`."""
        metadata = content["metadata"]
        return await self._call("PUT", resource.path(metadata.get("namespace"), metadata["name"]), content)

    async def delete(
        self, resource: Resource, name: str, namespace: str | None = None, *, uid: str | None = None
    ) -> bool:
        """Delete an object, the one of this uid if given. False when there is none of this name."""
        body = {"preconditions": {"uid": uid}} if uid else {}
        try:
            await self._call("DELETE", resource.path(namespace, name), body)
        except ClusterNotFound:
            return False
        return True

    async def served(self, group: str, version: str) -> list[str]:
        """Return the resources that the API server serves of a group, none when it does not know the group."""
        try:
            found = await self._call("GET", f"/apis/{group}/{version}")
        except ClusterNotFound:
            return []
        return [each["name"] for each in found.get("resources", [])]

    async def _call(
        self,
        verb: str,
        path: str,
        body: Object | None = None,
        *,
        query: Mapping[str, str] | None = None,
        kind: str = _JSON,
        accept: str = _JSON,
    ) -> Object:
        async with self._turns:
            status, data = await self._answer(verb, path, body, query or {}, kind, accept)
        if status >= 400:
            raise _refusal(status, data)
        return _parsed(data)

    async def _answer(
        self, verb: str, path: str, body: Object | None, query: Mapping[str, str], kind: str, accept: str
    ) -> tuple[int, bytes]:
        status, began = 0, time.monotonic()
        url = self._base + path
        if query:
            url = f"{url}?{urlencode(query)}"
        headers = await self._headers(accept)
        if body is not None:
            headers["Content-Type"] = kind
        try:
            async with self._connected().request(
                verb,
                url,
                headers=headers,
                data=None if body is None else encode(body),
                timeout=_TIMEOUT,
                **self._options,
            ) as response:
                data = await response.read()
                status = response.status
                date = response.headers.get("Date", "")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _away(error) from error
        finally:
            if self._watcher is not None:
                self._watcher(verb, status)
        at = time.monotonic()
        self._clock = ServerClock.of_header(date, at, at - began) or self._clock
        return status, data

    async def _headers(self, accept: str) -> dict[str, str]:
        headers = {"Accept": accept, "User-Agent": "hitl"}
        if token := await token_of(self._configuration):
            headers["Authorization"] = f"Bearer {token}"
        return headers

    def _connected(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = session(self._configuration)
        return self._session


def _parsed(data: bytes) -> Object:
    try:
        found: Object = json.loads(data)
    except ValueError as error:
        raise ClusterUnavailable(_NO_API) from error
    return found


def _away(error: Exception) -> ClusterUnavailable:
    return ClusterUnavailable(f"the API server cannot be reached: {str(error) or type(error).__name__}")


def _refusal(status: int, data: bytes) -> ClusterError:
    try:
        message = str(json.loads(data)["message"])
    except (ValueError, LookupError, TypeError):
        message = f"the API server answered {status}"
    kinds = {401: ClusterForbidden, 403: ClusterForbidden, 404: ClusterNotFound, 409: ClusterConflict}
    if status == 429 or status >= 500:
        return ClusterUnavailable(message)
    return kinds.get(status, ClusterError)(message)
