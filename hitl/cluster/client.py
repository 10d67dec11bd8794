"""A thin client of the Kubernetes API server: objects in and out as dicts, errors as `hitl.errors` has them.

It neither retries nor caches: its callers know what may be tried again, and when.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import nullcontext
from datetime import datetime
from typing import Final, Self, TypeAlias
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio.client import Configuration

from hitl.cluster.body import Lines, Object, encode
from hitl.cluster.credentials import Connection, connection_of, load, token_of
from hitl.cluster.pages import pages
from hitl.cluster.replies import KindNotServed, away, no_api, parsed, parsed_object, refusal, require_object
from hitl.cluster.resources import (
    ACCESS_REVIEWS,
    CONFIG_MAPS,
    CRDS,
    DEPLOYMENTS,
    EVENTS,
    HUMAN_INPUTS,
    LEASES,
    NAMESPACES,
    NOTIFICATION_TARGETS,
    POLICIES,
    RESPONSES,
    SECRETS,
    TASK_ACTIONS,
    TOKEN_REVIEWS,
    Resource,
)
from hitl.cluster.server_clock import ServerClock
from hitl.cluster.transport import AnswerTooLarge, Transport
from hitl.errors import ClusterNotFound

__all__ = [
    "ACCESS_REVIEWS",
    "CONFIG_MAPS",
    "CRDS",
    "DEPLOYMENTS",
    "EVENTS",
    "HUMAN_INPUTS",
    "LEASES",
    "NAMESPACES",
    "NOTIFICATION_TARGETS",
    "POLICIES",
    "RESPONSES",
    "SECRETS",
    "TASK_ACTIONS",
    "TOKEN_REVIEWS",
    "Connection",
    "Kube",
    "Object",
    "Resource",
    "Watcher",
]

Watcher: TypeAlias = Callable[[str, int], None]

# So many at once pay; watches and Leases are not counted.
_AT_ONCE: Final = 48
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
        self._transport = Transport(configuration)
        self._turns = asyncio.Semaphore(_AT_ONCE)
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
        await self._transport.close()

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
            return parsed_object(await self._call("GET", resource.path(namespace, name)))
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
        accept, path = _METADATA_LIST if metadata_only else _JSON, resource.path(namespace)
        query = dict[str, str]()
        for selector, wanted in (("fieldSelector", fields), ("labelSelector", labels)):
            if wanted:
                query[selector] = ",".join(f"{name}={value}" for name, value in wanted.items())

        def ask(page: Mapping[str, str], most: int | None) -> Awaitable[bytes]:
            return self._call("GET", path, query=page, accept=accept, most=most)

        async for found in pages(ask, query):
            yield found

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
            async with self._transport.stream(path, await self._headers(_JSON), silence) as (
                status,
                content_type,
                pieces,
            ):
                if status == 410:
                    # As most API servers say it within the watch.
                    yield {"type": "ERROR", "object": {"code": 410}}
                    return
                if status >= 400:
                    raise refusal(status, b"".join([each async for each in pieces]))
                if content_type != _JSON:
                    raise no_api()
                opened()
                async for data in pieces:
                    for line in lines.feed(data):
                        yield parsed(line)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise away(error) from error

    def share_connections(self) -> None:
        """Let many watches share a connection, where the API server speaks HTTP/2 to us."""
        self._transport.share()

    async def create(self, resource: Resource, content: Object, *, manager: str = "hitl") -> Object:
        """Create an object; one that is there already is a `ClusterConflict`."""
        namespace = content["metadata"].get("namespace")
        query = {"fieldManager": manager} if manager else {}
        return parsed_object(await self._call("POST", resource.path(namespace), content, query=query))

    async def post(self, resource: Resource, content: Object, *, manager: str) -> None:
        """Create an object as `create` does, where nobody wants to see it."""
        path, query = resource.path(content["metadata"].get("namespace")), {"fieldManager": manager}
        require_object(await self._call("POST", path, content, query=query))

    async def apply(
        self, resource: Resource, content: Object, *, manager: str, subresource: str = "", force: bool = True
    ) -> None:
        """Apply the fields of an object server-side, in the name of a field manager."""
        metadata = content["metadata"]
        path = resource.path(metadata.get("namespace"), metadata["name"], subresource)
        query = {"fieldManager": manager, "force": "true" if force else "false"}
        require_object(await self._call("PATCH", path, content, query=query, kind=_APPLY))

    async def merge(self, resource: Resource, content: Object, *, manager: str, subresource: str = "") -> None:
        """Merge fields into an object (RFC 7386): null removes one that anyone wrote."""
        metadata = content["metadata"]
        path = resource.path(metadata.get("namespace"), metadata["name"], subresource)
        require_object(await self._call("PATCH", path, content, query={"fieldManager": manager}, kind=_MERGE))

    async def replace(self, resource: Resource, content: Object) -> Object:
        """Replace an object, unless somebody changed it since its `resourceVersion`."""
        metadata = content["metadata"]
        path = resource.path(metadata.get("namespace"), metadata["name"])
        return parsed_object(await self._call("PUT", path, content))

    async def delete(
        self, resource: Resource, name: str, namespace: str | None = None, *, uid: str | None = None
    ) -> bool:
        """Delete an object, the one of this uid if given. False when there is none of this name."""
        body = {"preconditions": {"uid": uid}} if uid else {}
        try:
            require_object(await self._call("DELETE", resource.path(namespace, name), body))
        except ClusterNotFound:
            return False
        return True

    async def served(self, group: str, version: str) -> list[str]:
        """Return the resources that the API server serves of a group, none when it does not know the group."""
        return list(await self._verbs(group, version))

    async def keeps(self, resource: Resource) -> bool:
        """Tell whether the API server takes new objects of a kind: not while its definition is being deleted.

        Everybody may ask this, and nobody needs a right on definitions for it.
        """
        verbs = await self._verbs(resource.group, resource.version)
        return "create" in verbs.get(resource.plural, ())

    async def _verbs(self, group: str, version: str) -> dict[str, list[str]]:
        try:
            found = parsed(await self._call("GET", f"/apis/{group}/{version}"))
        except (ClusterNotFound, KindNotServed):
            return {}
        return {each["name"]: each.get("verbs", []) for each in found.get("resources", [])}

    async def _call(
        self,
        verb: str,
        path: str,
        body: Object | None = None,
        *,
        query: Mapping[str, str] | None = None,
        kind: str = _JSON,
        accept: str = _JSON,
        most: int | None = None,
    ) -> bytes:
        if query:
            path = f"{path}?{urlencode(query)}"
        headers = await self._headers(accept) | ({} if body is None else {"Content-Type": kind})
        # A Lease waits behind nothing else: it is lost if it is renewed late, and all work with it.
        async with nullcontext() if path.startswith(f"/apis/{LEASES.group}/") else self._turns:
            status, data = await self._answer(verb, path, headers, None if body is None else encode(body), most)
        if status >= 400:
            raise refusal(status, data)
        return data

    async def _answer(
        self, verb: str, path: str, headers: Mapping[str, str], content: bytes | None, most: int | None
    ) -> tuple[int, bytes]:
        status, began = 0, time.monotonic()
        try:
            status, date, data = await self._transport.send(verb, path, headers, content, most)
        except AnswerTooLarge as large:
            status = large.status
            raise
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise away(error) from error
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
