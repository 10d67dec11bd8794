"""While a schema makes a check long, others are served: a check of an answer, a form in parts, or a question."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from hitl.core.schema import check, patterns
from hitl.records.links import add_link
from hitl_webapp import parts
from tests.library.hostile_forms import long_to_explain
from tests.library.hostile_schemas import CASES
from tests.library.samples import NOW, asked
from tests.web.test_guards import ID, Served

LONG = ("uniqueItems, deep", "items that double")
KINDS: list[dict[str, Any]] = [
    {"type": "string"},
    {"type": "boolean"},
    {"type": "array", "items": {"type": "string"}},
    {"type": "number", "maximum": 0},
    {"type": "integer"},
]
# Of each item it takes long to find which alternative it is.
MANY = {"type": "array", "items": {"anyOf": KINDS}}
# It takes long to read.
ENGINES = {"anyOf": [{"pattern": f"\\w{{{40 + n % 50}}}{n}"} for n in range(60)]}


@asynccontextmanager
async def others() -> AsyncIterator[list[int]]:
    """Count how often others had a turn meanwhile."""
    turns = [0]

    async def take_turns() -> None:
        while True:
            await asyncio.sleep(0.005)
            turns[0] += 1

    taking = asyncio.create_task(take_turns())
    yield turns
    taking.cancel()


def forget() -> None:
    """Forget all that was read of schemas, as a web app that has just started."""
    check._kept.clear()
    parts._kept.clear()
    patterns._engines._made.clear()


@pytest.mark.parametrize("name", LONG)
async def test_others_are_served_while_an_answer_is_checked(name: str) -> None:
    schema, value = CASES[name]
    served = Served()

    async with served as client:
        await asked(served.store, ID, data_type="json", json_schema=schema)
        content: dict[str, Any] = {
            "request_id": ID,
            "token": await add_link(served.store, ID, now=NOW),
            "value": value,
        }
        async with others() as turns:
            reply = await client.post("/submit/json", json=content)

    assert reply.status_code == 422
    assert "takes too long" in reply.json()["detail"]
    assert turns[0] > 10


async def test_others_are_served_while_the_faults_of_a_form_in_parts_are_found() -> None:
    served = Served()
    schema, _, typed = long_to_explain()

    async with served as client:
        await asked(served.store, ID, data_type="json", json_schema=schema)
        token = await add_link(served.store, ID, now=NOW)
        async with others() as turns:
            reply = await client.post("/submit", data={"request_id": ID, "token": token, "v~form": "1", **typed})

    assert reply.status_code == 422
    assert "excludes" in reply.text
    assert turns[0] > 10


async def test_others_are_served_while_the_parts_of_a_form_are_found() -> None:
    served = Served()
    long = json.dumps([1] * 30_000)

    async with served as client:
        await asked(served.store, ID, data_type="json", json_schema=MANY, proposed=json.loads(long))
        token = await add_link(served.store, ID, now=NOW)
        forget()
        async with others() as turns:
            reply = await client.get(f"/form/{ID}", params={"token": token})

    assert reply.status_code == 200
    assert '<textarea id="value" name="value"' in reply.text
    assert turns[0] > 10


@pytest.mark.parametrize("path", ["/status/{}", "/form/{}"])
async def test_others_are_served_while_a_question_is_read(path: str) -> None:
    served = Served()

    async with served as client:
        await asked(served.store, ID, data_type=str, json_schema=ENGINES)
        token = await add_link(served.store, ID, now=NOW)
        forget()
        async with others() as turns:
            reply = await client.get(path.format(ID), params={"token": token})

    assert reply.status_code == 200
    assert turns[0] > 10
