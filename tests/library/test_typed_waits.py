"""Each of the thirty types, from the question to `wait()`: an answer in JSON comes back as the type itself."""

from __future__ import annotations

import asyncio
import json
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hitl.core.pythontypes import as_json
from hitl.core.question import Question
from hitl.records.records import Records
from hitl.records.requests import create
from hitl.storage import Store
from tests.library.samples import answer, event_of, settle
from tests.library.typed_samples import TYPED, same


async def answered(data_type: Any, sent: Any) -> Any:
    store = Store(f"memory://{uuid.uuid4().hex}")
    question = Question.of("typed", data_type, "Which one?", 60)
    request = await create(Records(store), question, request_id="typed")
    await settle(store, request, answer(sent, text=False), now=datetime.now(UTC))
    return await event_of(store, request, data_type).wait.aio()


@pytest.mark.parametrize("name", TYPED)
@given(data=st.data())
@settings(max_examples=10)
def test_wait_returns_an_equal_value_of_the_same_class(name: str, data: st.DataObject) -> None:
    data_type, values = TYPED[name]
    value = data.draw(values)

    again = asyncio.run(answered(data_type, json.loads(json.dumps(as_json(data_type, value)))))

    assert same(again, value), (again, value)
