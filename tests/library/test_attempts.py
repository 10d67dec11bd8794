"""A type refuses an answer of its own accord: the question is asked again, as another question."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel, field_validator

import hitl
from hitl.author.asking import AskedQuestion
from hitl.author.attempts import Attempts
from hitl.author.context import Context
from hitl.author.event import Event
from hitl.core.question import Question
from hitl.records.records import Records
from hitl.records.requests import create, read_outcome, read_request
from hitl.settings import Settings
from hitl.storage import Store, open_store
from tests.library.running import answer
from tests.library.samples import Even, asked, event_of, settle
from tests.library.samples import answer as say

Even3: Any = {"number": 3}


class Free(BaseModel):
    """A type whose validator knows what no schema says."""

    region: Literal["eu", "us"]
    count: int = 1

    @field_validator("region")
    @classmethod
    def _free(cls, region: str) -> str:
        if region == "us":
            raise ValueError("us is full until Monday")
        return region


async def ask(data_type: Any = Even, attempts: int = 3, **more: Any) -> Event[Any]:
    event: Event[Any] = await hitl.new_event.aio(
        "again", data_type, prompt="Which?", poll_interval_seconds=0.05, attempts=attempts, **more
    )
    return event


async def next_question(event: Event[Any], before: str) -> str:
    while event.request_id == before:
        await asyncio.sleep(0.01)
    return event.request_id


async def give(event: Event[Any], value: Any) -> None:
    assert (await asyncio.to_thread(answer, event.form_url, value)).status_code == 200


async def test_the_question_is_asked_again_with_the_refused_answer_and_what_is_wrong_with_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    event = await ask(Free)
    first = event.request_id
    waiting = asyncio.ensure_future(event.wait.aio())
    await give(event, {"region": "us", "count": 2})
    second = await next_question(event, first)
    store = open_store(Settings())
    document = (await read_request(store, second)).document

    assert document.proposed == '{"region":"us","count":2}'
    assert document.refused == ["region: us is full until Monday"]
    assert event.form_url in (said := capsys.readouterr().err)
    assert "The answer was refused: region: us is full until Monday" in said

    await give(event, {"region": "eu", "count": 2})

    assert await waiting == Free(region="eu", count=2)
    assert event.outcome is not None
    assert (event.outcome.value, event.outcome.edited) == (Free(region="eu", count=2), False), (
        "nothing was proposed"
    )
    for request_id, region in ((first, "us"), (second, "eu")):
        outcome = await read_outcome(store, request_id)
        assert outcome is not None
        assert outcome.value == {"region": region, "count": 2}, "each question keeps its one outcome"


async def test_the_last_refusal_is_raised() -> None:
    event = await ask(attempts=2)
    first = event.request_id
    waiting = asyncio.ensure_future(event.result.aio())
    await give(event, Even3)
    second = await next_question(event, first)
    await give(event, {"number": 5})

    with pytest.raises(hitl.EventUnusable, match="choose an even number") as raised:
        await waiting

    assert raised.value.outcome.request_id == second


async def test_once_is_the_default() -> None:
    event: Event[Even] = await hitl.new_event.aio("once", Even, poll_interval_seconds=0.05)
    await give(event, Even3)

    with pytest.raises(hitl.EventUnusable):
        await event.wait.aio()


async def test_two_who_wait_come_to_the_same_question() -> None:
    event = await ask()
    first = event.request_id
    waiting = asyncio.gather(event.wait.aio(), event.wait.aio(), asyncio.to_thread(event.wait))
    await give(event, Even3)
    await next_question(event, first)
    await give(event, {"number": 4})

    assert list(await waiting) == [Even(number=4)] * 3


async def test_a_program_that_was_restarted_comes_to_the_same_question() -> None:
    first = await ask(key="restarted")
    waiting = asyncio.ensure_future(first.wait.aio())
    await give(first, Even3)
    second = await next_question(first, first.request_id)
    waiting.cancel()

    again = await ask(key="restarted")
    waiting = asyncio.ensure_future(again.wait.aio())
    assert await next_question(again, again.request_id) == second
    await give(again, {"number": 4})

    assert await waiting == Even(number=4)
    third = await ask(key="restarted")
    assert await third.wait.aio() == Even(number=4), "whoever comes later finds all of it"


async def test_a_task_that_was_restarted_without_a_key_comes_to_the_same_question(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    question = Question.of("restarted", Even, "Which?", 600)
    request = await create(Records(store), question, request_id="restarted")
    await settle(store, request, say('{"number": 3}'), now=datetime.now(UTC))
    followed = []
    for attempts in (Attempts(question, None, (), 2), Attempts(question, None, (), 2)):
        context = Context(Records(store), "http://127.0.0.1:1", "local", None)
        event: Event[Even] = Event(AskedQuestion(context, request, "token"), Even, 0.05, attempts=attempts)
        waiting = asyncio.ensure_future(event.wait.aio())
        followed.append(await next_question(event, "restarted"))
        waiting.cancel()

    assert followed[0] == followed[1]
    second = await read_request(store, followed[0])
    await settle(store, second, say('{"number": 4}'), now=datetime.now(UTC))
    assert await Event(AskedQuestion(context, request, "token"), Even, 0.05, attempts=attempts).wait.aio() == Even(
        number=4
    )


async def test_the_second_question_has_a_key_of_its_own() -> None:
    event = await ask(key="numbered")
    first = event.request_id
    waiting = asyncio.ensure_future(event.wait.aio())
    await give(event, Even3)
    second = await next_question(event, first)

    with pytest.raises(hitl.RequestMismatch):
        await ask(key="numbered#2")

    await give(event, {"number": 4})
    await waiting
    assert second == event.request_id


async def test_what_was_edited_is_told_of_what_the_author_proposed() -> None:
    event = await ask(Free, proposed=Free(region="eu", count=1))
    first = event.request_id
    waiting = asyncio.ensure_future(event.result.aio())
    await give(event, {"region": "us", "count": 1})
    await next_question(event, first)
    await give(event, {"region": "eu", "count": 7})

    outcome = await waiting

    assert outcome.edited
    assert outcome.changes == (hitl.Change("/count", 1, 7),)


async def test_an_answer_as_it_was_proposed_is_not_edited() -> None:
    event = await ask(proposed=Even(number=2))
    await give(event, {"number": 2})

    outcome = await event.result.aio()

    assert (outcome.value, outcome.edited, outcome.changes) == (Even(number=2), False, ())


async def test_a_default_that_nobody_gave_is_no_edit(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    content: Any = {"data_type": Even, "proposed": Even(number=2), "default": Even(number=4), "timeout_seconds": 1}
    request = await asked(store, now=datetime.now(UTC) - timedelta(seconds=60), **content)

    outcome = await event_of(store, request, Even).result.aio()

    assert (outcome.value, outcome.default_used, outcome.edited) == (Even(number=4), True, False)


@pytest.mark.parametrize("attempts", [0, 11, True, "3", 1.5])
def test_attempts_are_a_small_number(attempts: Any) -> None:
    with pytest.raises(hitl.InvalidRequest, match=r"attempts is .*: give a whole number from 1 to 10"):
        hitl.new_event("attempts", Even, attempts=attempts)


@pytest.mark.parametrize(
    "function", [hitl.ask, hitl.new_event, hitl.Event.create], ids=["ask", "new_event", "create"]
)
def test_an_option_that_is_not_known_is_an_error_of_python(function: Any) -> None:
    with pytest.raises(TypeError, match="got an unexpected keyword argument 'nonsense'"):
        function("wrong", int, nonsense=1)
