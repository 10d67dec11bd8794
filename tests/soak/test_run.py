"""The end of a run: people answer what is open until it is recorded."""

from __future__ import annotations

import json
import time
import uuid
from random import Random
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest

from hitl.core import keys
from hitl.records.records import utc_now
from hitl.records.requests import read_request
from hitl.storage import Store
from tests.backends.processes import PATIENCE
from tests.library.samples import answer, asked, settle
from tests.soak import run
from tests.soak.ledger import Asked, Ledger
from tests.soak.people import People
from tests.soak.world import World

ID = "soak-1"


async def test_an_answer_that_is_lost_on_its_way_is_given_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "_PAUSE_SECONDS", 0)
    store = Store(f"memory://{uuid.uuid4().hex}")
    request = await asked(store, ID, now=utc_now())
    sent: list[Any] = []

    async def web_app(http: httpx.Request) -> httpx.Response:
        """A web app, faked: it closes an idle connection just then, is busy, and records at last."""
        sent.append(json.loads(http.content)["value"])
        if len(sent) == 1:
            raise httpx.RemoteProtocolError("Server disconnected without sending a response.")
        if len(sent) == 2:
            return httpx.Response(503, json={"title": "Try again soon"})
        stored = await read_request(store, ID)
        outcome = await settle(store, stored, answer(str(sent[-1])), now=utc_now())
        return httpx.Response(200, json={"outcome": json.loads(outcome.to_bytes())})

    def nothing(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"items": []})

    # Its HumanInput was deleted, so that only the storage is looked at.
    ledger = Ledger({ID: Asked(ID, "north", ID, "program", request.document.expires_at, deleted=True)})
    world = cast("World", SimpleNamespace(store=store, operators=[]))
    async with (
        httpx.AsyncClient(transport=httpx.MockTransport(web_app), base_url="http://web") as web,
        httpx.AsyncClient(transport=httpx.MockTransport(nothing), base_url="http://api") as api,
    ):
        people = People(api, web, store, ledger, Random(1))
        until = time.monotonic() + PATIENCE
        wrong = await run._until_right(world, api, people, ledger, until, lambda _: None)

    assert wrong == []
    assert len(sent) == 3
    assert await store.exists(keys.response_key(ID))
