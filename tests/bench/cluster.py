"""A namespace of HumanInputs as the benchmarks of the operator use it: many at once, and seen by a watch."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

import httpx

from hitl.cluster.body import encode
from hitl.cluster.v1alpha1 import API_VERSION
from tests.cluster.control_plane import ControlPlane

_AT_ONCE: Final = 32
_PREFIX: Final = f"/apis/{API_VERSION}/namespaces"


async def at_once(calls: Sequence[Callable[[], Awaitable[Any]]], limit: int = _AT_ONCE) -> list[Any]:
    """Make calls, so many at once, and return their results in order."""
    turns = asyncio.Semaphore(limit)

    async def one(call: Callable[[], Awaitable[Any]]) -> Any:
        async with turns:
            return await call()

    return list(await asyncio.gather(*(one(each) for each in calls)))


class Namespace:
    """HumanInputs of one namespace, by an admin.

    Args:
        plane: The control plane.
        name: The namespace, which is created.
    """

    def __init__(self, plane: ControlPlane, name: str) -> None:
        self.name = name
        self._plane = plane
        self._path = f"{_PREFIX}/{name}/humaninputs"
        plane.kubectl("create", "namespace", name)

    def create_target(self, url: str) -> None:
        """Create a NotificationTarget, to which everything is told."""
        spec = {"type": "webhook", "webhook": {"url": url}}
        metadata = {"name": "bench", "namespace": self.name}
        content = {"apiVersion": API_VERSION, "kind": "NotificationTarget", "metadata": metadata, "spec": spec}
        self._plane.apply(content)

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[httpx.AsyncClient]:
        async with httpx.AsyncClient(base_url=self._plane.url, verify=self._plane.tls(), timeout=60) as client:
            yield client

    async def ask(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """Create HumanInputs, and return them."""
        spec = {"prompt": "How many?", "dataType": "int", "timeoutSeconds": 86_400}

        def content(name: str) -> dict[str, Any]:
            return {"apiVersion": API_VERSION, "kind": "HumanInput", "metadata": {"name": name}, "spec": spec}

        async with self._client() as client:

            async def create(name: str) -> dict[str, Any]:
                reply = await client.post(self._path, json=content(name))
                found: dict[str, Any] = reply.raise_for_status().json()
                return found

            return await at_once([partial(create, name) for name in names])

    async def answer(self, names: Sequence[str]) -> None:
        """Patch a response into each."""
        content = encode({"spec": {"response": {"value": "42"}}})
        headers = {"Content-Type": "application/merge-patch+json"}
        async with self._client() as client:

            async def patch(name: str) -> None:
                path = f"{self._path}/{name}?fieldManager=kubectl-patch"
                (await client.patch(path, content=content, headers=headers)).raise_for_status()

            await at_once([partial(patch, name) for name in names])

    async def delete(self, names: Sequence[str]) -> None:
        """Delete each."""
        async with self._client() as client:

            async def delete(name: str) -> None:
                (await client.delete(f"{self._path}/{name}")).raise_for_status()

            await at_once([partial(delete, name) for name in names])

    @asynccontextmanager
    async def until_shown(self, count: int, phase: str) -> AsyncIterator[asyncio.Event]:
        """Watch from now on; yield what is set once so many HumanInputs are in a phase."""
        shown, all_shown = set[str](), asyncio.Event()

        async def watch(client: httpx.AsyncClient, version: str) -> None:
            query = {"watch": "true", "resourceVersion": version}
            async with client.stream("GET", self._path, params=query, timeout=None) as stream:
                stream.raise_for_status()
                async for line in stream.aiter_lines():
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        raise RuntimeError(f"the watch ended: {event['object'].get('message')}")
                    content = event["object"]
                    if content.get("status", {}).get("phase") == phase and "requestID" in content["status"]:
                        shown.add(content["metadata"]["name"])
                        if len(shown) >= count:
                            all_shown.set()

        async with self._client() as client:
            listed = await client.get(self._path, params={"limit": 1})
            watching = asyncio.create_task(watch(client, listed.json()["metadata"]["resourceVersion"]))
            # Nobody waits for a watch that has ended.
            watching.add_done_callback(lambda _: all_shown.set())
            try:
                yield all_shown
            finally:
                ended = watching.done()
                watching.cancel()
                await asyncio.wait([watching])
            if ended:
                watching.result()
                raise RuntimeError("the watch ended before all was shown")
