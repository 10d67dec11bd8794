"""One target told about many questions: real webhooks, in the target's pace, each notice at least once."""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from hitl.core.noticekeys import NoticeBox
from hitl.core.notices import NotDelivered, Notice, due
from hitl.core.pacing import Pace, Plan, QuietHours, Sent, Waiting, plan
from hitl.errors import StorageUnavailable
from hitl.notify import sender as sender_module
from hitl.notify.opening import channels_of
from hitl.notify.sender import Sender
from hitl.notify.webhook import Webhook
from hitl.records.outbox import CLAIM, Ended, notice_states
from hitl.records.records import Records
from hitl.records.requests import StoredRequest, read_request
from hitl.storage import Store
from tests.library.receiver import SECRET, Receiver, receiving
from tests.library.samples import answer, asked, settle

HOUR = timedelta(hours=1)


class Killed(BaseException):
    """The process ended."""


class Failing(Store):
    """A real store that is away, or whose user is killed before a result is written, as a test says."""

    away = False
    kill = False

    async def create_once(self, key: str, data: bytes) -> bool:
        if self.away:
            raise StorageUnavailable("it is away")
        if self.kill and key.endswith("done.json"):
            raise Killed
        return await super().create_once(key, data)

    async def require_clock(self, now: datetime) -> float:
        """A test cannot wait for an hour: it says that it is later."""
        return 0.0


@dataclass
class Where:
    """Questions in memory, and the receiver; a clock that a test sets forward."""

    receiver: Receiver
    store: Failing = field(default_factory=lambda: Failing(f"memory://{uuid.uuid4()}"))
    after: timedelta = timedelta()
    failed: list[str] = field(default_factory=list)
    delivered: int = 0
    given_up: int = 0

    def now(self) -> datetime:
        return datetime.now(UTC) + self.after

    def records(self) -> Records:
        return Records(self.store, now=self.now)

    async def request(self, request_id: str) -> StoredRequest:
        return await read_request(self.store, request_id)

    async def channel(self) -> Webhook:
        target = {"name": "ops", "url": self.receiver.url, "secrets": [SECRET]}
        [channel] = channels_of(json.dumps([target]), private=True)
        assert isinstance(channel, Webhook)
        return channel

    def note(self, why: NotDelivered | None, delivered: int, lost: Sequence[NoticeBox]) -> None:
        self.failed += [why.why] if why else []
        self.delivered += delivered
        self.given_up += len(lost)

    def sender(self, pace: Pace | None = None) -> Sender:
        return Sender("-ops", pace or Pace(), self, asyncio.Semaphore(8), self.note)

    async def ask(self, number: int = 0, *, seconds: float = 8 * 3600) -> Notice:
        request = await asked(self.store, f"q-{number:04d}", now=self.now(), timeout_seconds=seconds)
        return due(request.document, None, (), self.now() + timedelta(seconds=1))[0]

    async def ended(self, number: int) -> Ended:
        key = NoticeBox(f"q-{number:04d}", "asked", "-ops").done
        data = await self.store.read(key)
        assert data is not None
        return Ended.from_bytes(data, key)

    def named(self) -> Counter[str]:
        """How often each notice came, alone or in a digest."""
        found = Counter[str]()
        for number in range(len(self.receiver.bodies)):
            event = self.receiver.verified(number)
            found.update(each["id"] for each in event["data"].get("notices", [event]))
        return found


@pytest.fixture
async def where() -> AsyncIterator[Where]:
    async with receiving() as receiver:
        yield Where(receiver)


@contextlib.asynccontextmanager
async def running(*senders: Sender) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(each.run()) for each in senders]
    try:
        yield
    finally:
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def idle(sender: Sender) -> None:
    async with asyncio.timeout(120):
        while sender.waiting:
            await asyncio.sleep(0.01)


async def test_a_thousand_at_once_are_each_named_once_in_few_messages_and_their_results_say_where(
    where: Where,
) -> None:
    sender = where.sender(Pace(per_minute=30, alone=10))
    for number in range(1000):
        sender.put(f"q-{number:04d}", [await where.ask(number)])
    async with running(sender):
        await idle(sender)
    assert len(where.receiver.bodies) <= 15
    assert len(where.named()) == where.delivered == 1000
    assert set(where.named().values()) == {1}
    digests = {where.receiver.verified(number)["id"] for number in range(len(where.receiver.bodies))}
    assert {(await where.ended(number)).digest for number in range(0, 1000, 50)} <= digests


async def test_a_kill_after_a_digest_costs_one_duplicate_with_the_same_id(where: Where) -> None:
    first = where.sender(Pace(alone=1))
    notices = {f"q-{number:04d}": await where.ask(number, seconds=3600 - number) for number in range(100)}
    for request_id, notice in notices.items():
        first.put(request_id, [notice])
    where.store.kill = True
    with pytest.raises(BaseExceptionGroup):
        await first.run()
    where.store.kill = False
    where.after = CLAIM + timedelta(seconds=5)

    second = where.sender(Pace(alone=1))
    for request_id, notice in reversed(notices.items()):
        second.put(request_id, [notice])
    async with running(second):
        await idle(second)
    assert len(where.receiver.bodies) == 2
    assert where.receiver.verified(0)["id"] == where.receiver.verified(1)["id"]
    assert set(where.named().values()) == {2}


@pytest.mark.parametrize("pace", [Pace(), Pace(alone=5, window=timedelta(seconds=1))], ids=["alone", "digest"])
async def test_two_operators_at_once_send_no_duplicate(where: Where, pace: Pace) -> None:
    senders = [where.sender(pace) for _ in range(2)]
    for number in range(60):
        notice = await where.ask(number)
        for each in senders:
            each.put(f"q-{number:04d}", [notice])
    async with running(*senders):
        async with asyncio.timeout(120):
            while where.delivered < 60:
                await asyncio.sleep(0.01)
    assert len(where.named()) == 60
    assert set(where.named().values()) == {1}


async def test_a_target_that_asks_for_time_gets_it_for_all_that_waits(where: Where) -> None:
    where.receiver.replies = [b"HTTP/1.1 429 Slow\r\nRetry-After: 600\r\n\r\n"]
    sender = where.sender()
    async with running(sender):
        sender.put("q-0001", [await where.ask(1)])
        await until(lambda: len(where.failed) == 1)
        sender.put("q-0002", [await where.ask(2)])
        await asyncio.sleep(0.1)
        assert len(where.receiver.bodies) == 1
        where.after = timedelta(seconds=700)
        sender.put("q-0003", [await where.ask(3)])
        await idle(sender)
    assert sorted(where.named().values()) == [1, 1, 2]
    assert where.failed == ["it answered 429"]


async def test_who_is_gone_gets_each_notice_once_and_that_is_said(where: Where) -> None:
    where.receiver.replies = [b"HTTP/1.1 410 Gone\r\n\r\n"] * 2
    sender = where.sender()
    async with running(sender):
        for number in range(2):
            sender.put(f"q-{number:04d}", [await where.ask(number)])
        await idle(sender)
    assert (where.given_up, where.failed) == (2, ["it answered 410"] * 2)
    [state] = await notice_states(where.store, "q-0001")
    assert (state.ended, state.why) == ("dead", "it answered 410")


async def test_a_target_or_a_storage_that_is_away_for_an_hour_delays_and_loses_nothing(where: Where) -> None:
    where.receiver.replies = [b"HTTP/1.1 503 Away\r\n\r\n"] * 4
    sender = where.sender()
    notice = await where.ask(1)
    async with running(sender):
        for tries in range(1, 5):
            sender.put("q-0001", [notice])
            await until(lambda tries=tries: len(where.failed) == tries)
            where.after += HOUR / 4
        where.store.away = True
        sender.put("q-0001", [notice])
        await asyncio.sleep(0.1)
        assert len(where.receiver.bodies) == 4
        where.store.away, where.after = False, where.after + HOUR
        sender.put("q-0001", [notice])
        await idle(sender)
    assert (len(where.receiver.bodies), where.delivered, where.given_up) == (5, 1, 0)
    assert len(where.named()) == 1


async def test_at_night_nothing_is_told_and_what_ended_meanwhile_only_as_that(where: Where) -> None:
    now = where.now()
    start, end = now - HOUR, now + HOUR
    night = QuietHours(ZoneInfo("UTC"), _clock(start), _clock(end))
    sender = where.sender(Pace(quiet=night))
    async with running(sender):
        sender.put("q-0001", [await where.ask(1)])
        sender.put("q-0002", [await where.ask(2)])
        await asyncio.sleep(0.1)
        request = await read_request(where.store, "q-0001")
        outcome = await settle(where.store, request, answer("42"), now=where.now())
        sender.put("q-0001", list(due(request.document, outcome, (), where.now())))
        await asyncio.sleep(0.1)
        assert (where.receiver.bodies, sender.waiting) == ([], 2)
        where.after = 2 * HOUR
        sender.put("q-0001", list(due(request.document, outcome, (), where.now())))
        await idle(sender)
    kinds = sorted(where.receiver.verified(each)["type"].rpartition(".")[2] for each in range(2))
    assert kinds == ["asked", "settled"]


async def test_what_a_target_could_not_be_told_in_time_is_given_up_and_counted(where: Where) -> None:
    sender = where.sender(Pace(per_minute=1))
    for number in range(3):
        sender.put(f"q-{number:04d}", [await where.ask(number, seconds=30)])
    async with running(sender):
        await until(lambda: where.delivered == 1)
        where.after = timedelta(seconds=31)
        sender.wake()
        await idle(sender)
    assert (where.delivered, where.given_up, len(where.receiver.bodies)) == (1, 2, 1)
    assert where.failed == ["the question ended before it could be sent"]


async def test_a_clock_that_was_ahead_holds_up_nothing_once_it_is_right(where: Where) -> None:
    where.receiver.replies = [b"HTTP/1.1 429 Slow\r\nRetry-After: 600\r\n\r\n"]
    sender = where.sender(Pace(per_minute=1))
    where.after = HOUR
    async with running(sender):
        sender.put("q-0001", [await where.ask(1)])
        await until(lambda: where.failed)
        where.after = timedelta()
        sender.put("q-0002", [await where.ask(2)])
        await until(lambda: where.delivered == 1)


def _clock(at: datetime) -> time:
    return at.time().replace(microsecond=0)


async def until(true: object) -> None:
    assert callable(true)
    async with asyncio.timeout(120):
        while not true():
            await asyncio.sleep(0.01)


async def test_to_decide_what_is_next_costs_no_more_with_all_that_waits(
    where: Where, monkeypatch: pytest.MonkeyPatch
) -> None:
    decided = []

    def counted(pace: Pace, waiting: Sequence[Waiting], sent: Sequence[Sent], now: datetime) -> Plan:
        decided.append(len(waiting))
        return plan(pace, waiting, sent, now)

    monkeypatch.setattr(sender_module, "plan", counted)
    sender = where.sender()
    for number in range(200):
        sender.put(f"q-{number:04d}", [await where.ask(number)])
    async with running(sender):
        await idle(sender)
    assert where.delivered == 200
    assert sum(decided) < 3 * 200
