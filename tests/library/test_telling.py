"""Programs that tell people of their questions: real webhooks, beside the wait and never in its way."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Callable

import pytest
from typer.testing import CliRunner, Result

import hitl
from hitl.author import telling
from hitl.author.loop import own_loop
from hitl.cli.app import app
from hitl.core.notices import NoticeEvent
from hitl.notify import webhook
from hitl.records import outbox
from hitl.records.outbox import notice_states
from hitl.records.records import Records
from hitl.records.requests import read_request
from hitl.settings import Settings
from hitl.storage import open_store
from tests.library.receiver import SECRET, Receiver, receiving
from tests.library.running import Program
from tests.library.samples import answer, settle

Tell = Callable[..., None]
HOUR = 3600


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as found:
        yield found


@pytest.fixture
def tell(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> Tell:
    """Sets whom this process, and the programs that it starts, tell."""

    def set_(*events: NoticeEvent, reminders: tuple[int, ...] = (), url: str = "") -> None:
        target = {"name": "ops", "url": url or receiver.url, "secrets": [SECRET]}
        chosen = {"events": events} if events else {}
        monkeypatch.setenv("HITL_NOTIFY", json.dumps([target | chosen]))
        monkeypatch.setenv("HITL_NOTIFY_PRIVATE", "allow")
        monkeypatch.setenv("HITL_NOTIFY_REMINDERS", json.dumps(reminders))

    return set_


async def answered(request_id: str, value: str = "true") -> None:
    store = open_store(Settings())
    await settle(store, await read_request(store, request_id), answer(value), now=Records(store).now())


def told(receiver: Receiver) -> list[str]:
    """What came, in its order, each verified."""
    return [receiver.verified(each)["type"].rpartition(".")[2] for each in range(len(receiver.bodies))]


async def all_sent() -> None:
    """Wait until nothing is left to be told of questions that ended."""
    async with asyncio.timeout(120):
        while telling._running:
            await asyncio.sleep(0.02)


async def ask() -> hitl.Event[bool]:
    return await hitl.new_event.aio("ship", bool, prompt="Ship it?", timeout_seconds=HOUR)


async def test_a_wait_tells_of_the_question_reminds_and_tells_of_the_end_once_each(
    receiver: Receiver, tell: Tell
) -> None:
    # The second is due a second after the question was asked, the others never.
    tell(reminders=(2 * HOUR, HOUR - 1, 10))
    event = await ask()
    waits = [asyncio.ensure_future(event.wait.aio()) for _ in range(2)]
    await receiver.until(2)
    await answered(event.request_id)
    assert await asyncio.gather(*waits) == [True, True]
    await all_sent()

    assert told(receiver) == ["asked", "reminder", "settled"]
    data = [receiver.verified(each)["data"] for each in range(3)]
    assert {each["request_id"] for each in data} == {event.request_id}
    assert [each["outcome"] and each["outcome"]["by"]["name"] for each in data] == [None, None, "ann"]
    # Nobody can answer by what is sent.
    assert event._token.encode() not in b"".join(receiver.bodies)
    states = await notice_states(open_store(Settings()), event.request_id)
    assert [(each.box.notice, each.tries, each.ended) for each in states] == [
        ("asked", 1, "done"),
        (f"reminder-{HOUR - 1}", 1, "done"),
        ("settled", 1, "done"),
    ]


async def test_a_program_that_ends_before_its_loop_heard_of_the_outcome_still_tells_of_it(
    receiver: Receiver, tell: Tell
) -> None:
    tell()
    event = await ask()
    wait = asyncio.ensure_future(event.wait.aio())
    await receiver.until(1)
    # A machine that is busy: the loop of the notices comes to nothing for a while, and the program ends meanwhile.
    own_loop().call_soon_threadsafe(time.sleep, 1)
    await answered(event.request_id)
    assert await wait is True
    await asyncio.to_thread(telling.finish)
    assert told(receiver) == ["asked", "settled"]


async def test_what_was_settled_before_is_told_as_settled_alone(receiver: Receiver, tell: Tell) -> None:
    tell(reminders=(HOUR - 1,))
    event = await ask()
    await answered(event.request_id)
    assert await event.wait.aio() is True
    await all_sent()
    assert told(receiver) == ["settled"]


async def test_a_target_is_told_what_it_wants_to_hear_and_a_withdrawal_is_an_end(
    receiver: Receiver, tell: Tell
) -> None:
    tell("settled")
    event = await ask()
    await event.cancel.aio("not today")
    await all_sent()
    assert told(receiver) == ["settled"]
    outcome = receiver.verified(0)["data"]["outcome"]
    assert outcome["outcome"] == "cancelled"
    assert "not today" not in json.dumps(outcome)


async def test_a_target_that_is_away_delays_and_fails_no_question(
    receiver: Receiver, tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "REPLY_SECONDS", 120)
    monkeypatch.setattr(outbox, "SEND_SECONDS", 120)
    receiver.held = asyncio.Event()
    tell("asked")
    event = await ask()
    wait = asyncio.ensure_future(event.wait.aio())
    await receiver.until(1)
    await answered(event.request_id)
    assert await wait is True
    # It has not replied yet.
    assert telling._running
    receiver.held.set()
    await all_sent()


async def test_a_target_that_is_silent_holds_no_other_target_up(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "REPLY_SECONDS", 120)
    monkeypatch.setattr(outbox, "SEND_SECONDS", 120)
    receiver.held = asyncio.Event()
    async with receiving() as other:
        targets = [{"name": name, "url": each.url} for name, each in (("silent", receiver), ("other", other))]
        monkeypatch.setenv("HITL_NOTIFY", json.dumps(targets))
        monkeypatch.setenv("HITL_NOTIFY_PRIVATE", "allow")
        event = await ask()
        wait = asyncio.ensure_future(event.wait.aio())
        await receiver.until(1)
        await answered(event.request_id)
        assert await wait is True
        await other.until(2)
        assert len(receiver.bodies) == 1
        receiver.held.set()
        await all_sent()
        assert (len(receiver.bodies), len(other.bodies)) == (2, 2)


async def test_who_is_gone_is_given_up_and_that_is_said(
    receiver: Receiver, tell: Tell, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.replies = [b"HTTP/1.1 410 Gone\r\n\r\n"]
    tell("settled")
    event = await ask()
    await answered(event.request_id)
    with caplog.at_level(logging.WARNING, "hitl"):
        assert await event.wait.aio() is True
        await all_sent()
    [state] = await notice_states(open_store(Settings()), event.request_id)
    assert (state.ended, state.why) == ("dead", "it answered 410")
    assert f"{event.request_id}: the notice 'settled' to ops is given up: it answered 410" in caplog.text
    assert "of-the-hook" not in caplog.text

    shown = await hitl_command("notify", "status", event.request_id)
    assert shown.stdout.splitlines()[1].split() == ["settled", "ops", "given", "up", "1", "it", "answered", "410"]


async def test_a_wrong_setting_is_an_error_in_the_log_and_the_question_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("HITL_NOTIFY", "https://user:password@example.org/")
    with caplog.at_level(logging.ERROR, "hitl"):
        event = await ask()
    await answered(event.request_id)
    assert await event.wait.aio() is True
    assert "nobody is told of questions: HITL_NOTIFY" in caplog.text
    assert "password@" not in caplog.text


async def test_a_program_that_is_killed_and_run_again_tells_once_and_tells_of_the_end_before_it_ends(
    receiver: Receiver, tell: Tell
) -> None:
    tell()
    first = Program("telling")
    await receiver.until(1)
    request_id = receiver.verified(0)["subject"]
    store = open_store(Settings())
    async with asyncio.timeout(120):
        while not (states := await notice_states(store, request_id)) or not states[0].ended:
            await asyncio.sleep(0.02)
    await asyncio.to_thread(first.kill)

    second = Program("telling")
    await asyncio.to_thread(second.line, "asking")
    await answered(request_id)
    assert await asyncio.to_thread(second.end) == 0
    assert "value True\n" in second.printed
    assert told(receiver) == ["asked", "settled"]


async def hitl_command(*arguments: str) -> Result:
    # The receiver runs in this thread.
    return await asyncio.to_thread(CliRunner().invoke, app, arguments)


async def test_the_command_tries_each_target_out(receiver: Receiver, tell: Tell) -> None:
    tell()
    done = await hitl_command("notify", "test")
    assert (done.exit_code, told(receiver)) == (0, ["test"])
    assert done.stdout.splitlines()[1].split() == ["ops", "delivered"]

    receiver.replies = [b"HTTP/1.1 403 No\r\n\r\n"]
    failed = await hitl_command("notify", "test", "ops", "--json")
    assert failed.exit_code == 1
    assert json.loads(failed.stdout) == [{"target": "ops", "delivered": False, "why": "it answered 403"}]

    unknown = await hitl_command("notify", "test", "other")
    assert unknown.exit_code == 2
    assert "HITL_NOTIFY has no target 'other': it has ops" in unknown.stderr
    assert len(receiver.bodies) == 2


async def test_the_command_says_that_nobody_is_told() -> None:
    unset = await hitl_command("notify", "test")
    assert unset.exit_code == 2
    assert "HITL_NOTIFY is not set" in unset.stderr
