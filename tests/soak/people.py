"""Programs and people of a run: they ask over every channel, and answer over every channel, or do not."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final

import httpx

from hitl.cluster.body import encode
from hitl.cluster.v1alpha1 import API_VERSION
from hitl.core import keys
from hitl.core.documents import Origin, OutcomeDocument
from hitl.core.question import Question
from hitl.errors import RequestNotFound
from hitl.records.links import add_link
from hitl.records.records import Records
from hitl.records.requests import create, read_request
from hitl.storage import Store
from tests.soak.ledger import Asked, Ledger, Told
from tests.soak.world import NAMESPACES

_PATH: Final = f"/apis/{API_VERSION}/namespaces"
_LONG: Final = 3600
_SHOWN_SECONDS: Final = 10.0


class People:
    """Who asks and who answers. Their own wires have no faults.

    Args:
        api: A client of the API server, as an admin.
        web: A client of the web app.
        store: The root.
        ledger: Where it is noted what they did, and what they were told.
        random: What decides for them.
    """

    def __init__(
        self, api: httpx.AsyncClient, web: httpx.AsyncClient, store: Store, ledger: Ledger, random: Random
    ) -> None:
        self._api = api
        self._web = web
        self._records = Records(store, announce=True)
        self._ledger = ledger
        self._random = random
        self._numbers = itertools.count(1)
        self._channels: tuple[tuple[str, Callable[[Asked], Awaitable[None]]], ...] = (
            ("patch", self._patch),
            ("response", self._respond),
            ("form", self._form),
            ("json", self._json),
        )

    async def live(self) -> None:
        """Lead one question from being asked to where people leave it."""
        asked = await self._ask()
        what = self._random.choices(("answer", "race", "leave", "delete"), (5, 3, 2, 1))[0]
        await asyncio.sleep(self._random.choice((0, 0, 0.5, 3)))
        self._ledger.done[what] += 1
        if asked.invalid or what == "leave":
            return
        if what == "delete":
            await self._delete(asked)
            return
        times = 1 if what == "answer" else self._random.randint(2, 4)
        await asyncio.gather(*(self.answer(asked) for _ in range(times)))

    async def answer(self, asked: Asked) -> None:
        """Answer over one channel, whichever."""
        name, channel = self._random.choice(self._channels)
        self._ledger.done[name] += 1
        await channel(asked)

    async def answer_surely(self, asked: Asked) -> None:
        """Answer as a program does, so that the question ends."""
        await self._json(asked)

    def _value(self, asked: Asked) -> str:
        text = str(next(self._numbers))
        asked.given.add(text)
        return text

    def _spec(self) -> dict[str, Any]:
        spec: dict[str, Any] = {"prompt": "How many? 🙂", "dataType": "int", "timeoutSeconds": _LONG}
        if self._random.random() < 0.3:
            spec["timeoutSeconds"] = self._random.randint(2, 15)
            if self._random.random() < 0.5:
                spec["default"] = "7"
        return spec

    async def _ask(self) -> Asked:
        kind = self._random.choices(("kubectl", "program", "invalid"), (5, 5, 1))[0]
        self._ledger.done[f"asked: {kind}"] += 1
        namespace, spec = self._random.choice(NAMESPACES), self._spec()
        asked = await (
            self._ask_here(namespace, spec) if kind == "program" else self._apply(namespace, spec, kind)
        )
        self._ledger.asked[asked.request_id] = asked
        return asked

    async def _apply(self, namespace: str, spec: dict[str, Any], kind: str) -> Asked:
        name = f"q-{next(self._numbers)}"
        if kind == "invalid":
            spec |= {"schema": {"type": "nothing that there is"}, "timeoutSeconds": 5}
        content = {"apiVersion": API_VERSION, "kind": "HumanInput", "metadata": {"name": name}, "spec": spec}
        found = await self._send("POST", f"{_PATH}/{namespace}/humaninputs", content)
        metadata = found.json()["metadata"]
        expires_at = datetime.fromisoformat(metadata["creationTimestamp"]) + timedelta(
            seconds=spec["timeoutSeconds"]
        )
        return Asked(metadata["uid"], namespace, name, "kubectl", expires_at, invalid=kind == "invalid")

    async def _ask_here(self, namespace: str, spec: dict[str, Any]) -> Asked:
        request_id = keys.random_request_id("soak")
        default = int(spec["default"]) if "default" in spec else None
        question = Question.of(
            "soak", int, spec["prompt"], timeout_seconds=spec["timeoutSeconds"], default=default
        )
        stored = await create(
            self._records, question, request_id=request_id, origin=Origin(namespace=namespace), new=True
        )
        await self._records.store.mark(keys.new_marker(request_id))
        return Asked(request_id, namespace, request_id, "program", stored.document.expires_at)

    async def _delete(self, asked: Asked) -> None:
        found = await self._send("DELETE", self._path(asked))
        # An API server that fails may have deleted it before.
        asked.deleted = asked.deleted or found.is_success or found.is_server_error

    async def _patch(self, asked: Asked) -> None:
        # A few decline, and may have been declined before.
        value = self._value(asked)
        response: dict[str, Any] = {"value": value} if self._random.random() < 0.9 else {"reject": True}
        await self._until_found(
            lambda: self._send("PATCH", self._path(asked), {"spec": {"response": response}}, "merge-patch+json")
        )

    async def _respond(self, asked: Asked) -> None:
        reference = {"name": asked.name} if self._random.random() < 0.5 else {"requestID": asked.request_id}
        content = {
            "apiVersion": API_VERSION,
            "kind": "HumanInputResponse",
            "metadata": {"name": f"r-{next(self._numbers)}"},
            "spec": {"requestRef": reference, "value": self._value(asked)},
        }
        await self._send("POST", f"{_PATH}/{asked.namespace}/humaninputresponses", content)

    async def _form(self, asked: Asked) -> None:
        token, value = await self._link(asked), self._value(asked)
        if token is None:
            return
        content = {"request_id": asked.request_id, "token": token, "value": value}
        reply = await self._posted("/submit", data=content)
        if reply is not None and reply.status_code == 200:
            asked.told.add(Told("the form", "answered", value))

    async def _json(self, asked: Asked) -> None:
        token, value = await self._link(asked), self._value(asked)
        if token is None:
            return
        content: dict[str, Any] = {"request_id": asked.request_id, "token": token}
        reject = self._random.random() < 0.1
        content |= {"reject": True, "comment": "no"} if reject else {"value": int(value)}
        reply = await self._posted("/submit/json", json=content)
        if reply is None:
            return
        outcome = reply.json().get("outcome")
        if outcome is not None:
            recorded = OutcomeDocument.from_bytes(json.dumps(outcome).encode(), "a reply")
            asked.told.add(Told("submit/json", recorded.outcome, recorded.value_text()))
        elif reply.status_code == 200:
            self._ledger.faults.append(f"submit/json says 200 without an outcome: {reply.text}")

    async def _link(self, asked: Asked) -> str | None:
        store = self._records.store
        until = asyncio.get_running_loop().time() + _SHOWN_SECONDS
        while asyncio.get_running_loop().time() < until:
            try:
                await read_request(store, asked.request_id)
            except RequestNotFound:
                await asyncio.sleep(0.5)
            else:
                return await add_link(store, asked.request_id, now=datetime.now(UTC))
        return None

    async def _posted(self, path: str, **content: Any) -> httpx.Response | None:
        """Return the web app's reply; None where the connection ended without one, which tells nothing."""
        try:
            return await self._web.post(path, **content)
        except httpx.TransportError:
            return None

    async def _until_found(self, send: Callable[[], Awaitable[httpx.Response]]) -> None:
        until = asyncio.get_running_loop().time() + _SHOWN_SECONDS
        while (await send()).status_code == 404 and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(0.5)

    def _path(self, asked: Asked) -> str:
        return f"{_PATH}/{asked.namespace}/humaninputs/{asked.name}"

    async def _send(
        self, verb: str, path: str, content: dict[str, Any] | None = None, kind: str = "json"
    ) -> httpx.Response:
        headers = {"Content-Type": f"application/{kind}"}
        # `kubectl` names itself like this.
        return await self._api.request(
            verb, f"{path}?fieldManager=kubectl-soak", content=encode(content or {}), headers=headers
        )
