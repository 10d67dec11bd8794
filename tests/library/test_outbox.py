"""The outbox on real storage: delivered at least once, at most one duplicate for each kill, and none without."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from hitl.core.keys import question_prefix
from hitl.core.noticekeys import NoticeBox
from hitl.core.notices import NotDelivered, Notice
from hitl.errors import StorageUnavailable
from hitl.records import outbox
from hitl.records.outbox import CLAIM, deliver, notice_states, receipts
from hitl.records.records import Records
from hitl.records.retention import collect
from hitl.storage import Store
from tests.backends.plugin import Backend
from tests.library.samples import DEADLINE, NOW, Timed, answer, asked, settle

BOX = NoticeBox("ship-1", "asked", "ops")


class Killed(BaseException):
    """The process ended at a request to the storage."""


class Mortal(Store):
    """A real store whose user is killed before or after a chosen request."""

    def __init__(self, backend: Backend, left: int = 10**9, *, after: bool = False) -> None:
        super().__init__(backend.url, backend.options)
        self.left, self.after = left, after

    async def create_once(self, key: str, data: bytes) -> bool:
        self._step(after=False)
        created = await super().create_once(key, data)
        self._step(after=True)
        return created

    async def list_keys(self, prefix: str) -> AsyncIterator[tuple[str, datetime]]:
        self._step(after=False)
        async for each in super().list_keys(prefix):
            yield each
        self._step(after=True)

    async def require_clock(self, now: datetime) -> float:
        """A test cannot wait for a claim to run out: it says that it is later."""
        return 0.0

    def _step(self, *, after: bool) -> None:
        if after is self.after:
            self.left -= 1
            if self.left < 0:
                raise Killed


@dataclass
class Target:
    """Takes notices, or fails as it is told; counts what it took."""

    failures: list[NotDelivered] = field(default_factory=list)
    took: int = 0
    kill: bool = False

    async def send(self) -> str:
        if self.failures:
            raise self.failures.pop(0)
        self.took += 1
        if self.kill:
            raise Killed
        return f"taken as {self.took}"

    async def still(self) -> bool:
        return True


@pytest.fixture(params=["file", "s3"])
def root(request: pytest.FixtureRequest) -> Backend:
    """A fresh root on the disk and on S3."""
    found: Backend = request.getfixturevalue(f"{request.param}_backend")
    return found


def notice(hours: float = 1) -> Notice:
    now = datetime.now(UTC)
    return Notice("asked", now, now + timedelta(hours=hours))


async def tell(
    store: Store, target: Target, *, after: timedelta = timedelta(), about: Notice | None = None
) -> datetime | None:
    records = Records(store, now=lambda: datetime.now(UTC) + after)
    return await deliver(records, BOX, about or notice(), target.send, target.still)


@pytest.mark.parametrize("step", range(3))
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_kill_at_any_request_costs_one_duplicate_at_most_and_loses_nothing(
    root: Backend, step: int, when: str
) -> None:
    target = Target()
    with pytest.raises(Killed):
        await tell(Mortal(root, step, after=when == "after"), target)
    sent_before, claimed = target.took, (step, when) not in {(0, "before"), (0, "after"), (1, "before")}

    again = await tell(Mortal(root), target)
    if claimed and (step, when) != (2, "after"):
        # Whoever died may be alive and slow: its claim holds for a while.
        assert again is not None
        assert target.took == sent_before
    assert await tell(Mortal(root), target, after=CLAIM + timedelta(seconds=1)) is None

    assert target.took == (2 if (step, when) == (2, "before") else 1)
    [state] = await notice_states(Mortal(root), BOX.request_id)
    assert (state.ended, state.why) == ("done", "")


async def test_a_kill_while_it_is_sent_sends_it_once_more(root: Backend) -> None:
    target = Target(kill=True)
    with pytest.raises(Killed):
        await tell(Mortal(root), target)
    target.kill = False
    assert await tell(Mortal(root), target, after=CLAIM + timedelta(seconds=1)) is None
    assert target.took == 2


async def test_of_many_at_once_one_sends(root: Backend) -> None:
    target = Target()

    async def patiently(after: timedelta) -> None:
        # A storage may let those who come second wait for longer than they do.
        while True:
            with contextlib.suppress(StorageUnavailable):
                await tell(Mortal(root), target, after=after)
                return

    await asyncio.gather(*(patiently(timedelta()) for _ in range(8)))
    await asyncio.gather(*(patiently(2 * CLAIM) for _ in range(8)))
    assert target.took == 1


async def test_a_target_that_is_away_is_tried_later_and_later_until_the_deadline(root: Backend) -> None:
    target, about = Target([NotDelivered("it answered 503")] * 9), notice(hours=1)
    after, pauses = timedelta(), []
    while (at := await tell(Mortal(root), target, after=after, about=about)) is not None:
        # Nothing is sent before its time, by whomever.
        left = len(target.failures)
        assert await tell(Mortal(root), target, after=after, about=about) == at
        assert len(target.failures) == left
        pauses.append(at - (datetime.now(UTC) + after))
        after = at - datetime.now(UTC) + timedelta(milliseconds=1)
    assert target.took == 1
    assert len(pauses) == 9
    assert timedelta() < pauses[0] < pauses[4] < pauses[8] < timedelta(minutes=16)


async def test_retry_after_is_honoured_and_what_cannot_be_tried_again_is_dead_and_says_why(root: Backend) -> None:
    target = Target([NotDelivered("it answered 429", wait=timedelta(minutes=30)), NotDelivered("it answered 503")])
    about = notice(hours=0.51)
    at = await tell(Mortal(root), target, about=about)
    assert at is not None
    assert at - datetime.now(UTC) > timedelta(minutes=29)
    [state] = await notice_states(Mortal(root), BOX.request_id)
    assert (state.tries, state.ended, state.why) == (1, "", "it answered 429")

    assert await tell(Mortal(root), target, after=timedelta(hours=0.51), about=about) is None
    [state] = await notice_states(Mortal(root), BOX.request_id)
    assert (state.tries, state.ended, state.why) == (2, "dead", "it answered 503")
    assert await tell(Mortal(root), target, after=timedelta(days=1), about=about) is None
    assert target.took == 0


async def test_who_says_gone_is_never_asked_again(root: Backend) -> None:
    target = Target([NotDelivered("it answered 410", gone=True)])
    assert await tell(Mortal(root), target) is None
    assert await tell(Mortal(root), target, after=timedelta(minutes=30)) is None
    [state] = await notice_states(Mortal(root), BOX.request_id)
    assert (target.took, state.tries, state.ended) == (0, 1, "dead")


async def test_what_is_no_longer_true_is_not_sent(root: Backend) -> None:
    target = Target()

    async def ended() -> bool:
        return False

    assert await deliver(Records(Mortal(root)), BOX, notice(), target.send, ended) is None
    assert target.took == 0


async def test_what_a_target_gave_for_a_notice_is_kept_for_later_ones(root: Backend) -> None:
    await tell(Mortal(root), Target())
    assert await receipts(Mortal(root), BOX.request_id, BOX.target) == {BOX.notice: "taken as 1"}
    assert await receipts(Mortal(root), BOX.request_id, "another") == {}


async def test_a_storage_that_goes_away_after_the_sending_causes_no_duplicate(
    root: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "_PAUSE_SECONDS", 0.01)
    target, store = Target(), Mortal(root)
    create, refusals = store.create_once, [StorageUnavailable("away")] * 3

    async def away(key: str, data: bytes) -> bool:
        if target.took and refusals:
            raise refusals.pop()
        return await create(key, data)

    monkeypatch.setattr(store, "create_once", away)
    assert await tell(store, target) is None
    assert await tell(Mortal(root), target, after=2 * CLAIM) is None
    assert (target.took, refusals) == (1, [])


async def test_notices_are_deleted_with_their_question() -> None:
    store = Timed(f"memory://{uuid.uuid4().hex}")
    request = await asked(store, BOX.request_id)
    records = Records(store, now=lambda: store.time)
    target, about = Target([NotDelivered("it answered 503")]), Notice("asked", NOW, DEADLINE)
    await deliver(records, BOX, about, target.send, target.still)
    await settle(store, request, answer("7"), now=NOW)
    for _ in range(4):
        store.time += timedelta(days=31)
        await collect(store, now=store.time, retention=timedelta(days=30))
    assert [key async for key, _ in store.list_keys(question_prefix(BOX.request_id))] == []


async def test_what_cannot_be_read_holds_nothing_up(root: Backend) -> None:
    target, store = Target(), Mortal(root)
    await store.create_once(BOX.claim(1), b"{}")
    await store.create_once(BOX.failed(1), b"not JSON")
    await store.create_once(f"{BOX.prefix}/other.txt", b"")
    assert await tell(store, target) is not None
    assert await tell(store, target, after=2 * CLAIM) is None
    assert target.took == 1
