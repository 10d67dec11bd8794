"""While a schema makes the check of an answer long, the web app serves others."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hitl.records.links import add_link
from tests.library.hostile_schemas import CASES
from tests.library.samples import NOW, asked
from tests.web.test_guards import ID, Served

LONG = ("uniqueItems, deep", "items that double")


@pytest.mark.parametrize("name", LONG)
async def test_others_are_served_while_an_answer_is_checked(name: str) -> None:
    schema, value = CASES[name]
    served = Served()
    turns = 0

    async def take_turns() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0.005)
            turns += 1

    async with served as client:
        await asked(served.store, ID, data_type="json", json_schema=schema)
        content: dict[str, Any] = {
            "request_id": ID,
            "token": await add_link(served.store, ID, now=NOW),
            "value": value,
        }
        others = asyncio.create_task(take_turns())
        reply = await client.post("/submit/json", json=content)
        others.cancel()

    assert reply.status_code == 422
    assert "takes too long" in reply.json()["detail"]
    assert turns > 10
