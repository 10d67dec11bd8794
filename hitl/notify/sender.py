"""Telling one target about many questions, in the pace that it can bear.

Who drives it says what is due (`Sender.put`). It decides what is sent now (`hitl.core.pacing`), and tries until
each notice is delivered, given up, or no longer true.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Final, Protocol

from hitl.core.noticekeys import NoticeBox
from hitl.core.notices import NotDelivered, Notice
from hitl.core.pacing import Pace, Sent, Waiting, plan
from hitl.errors import DocumentDamaged, RequestNotFound, StorageError
from hitl.notify.channels import Channel, Message, message_about
from hitl.records.digests import STORAGE_AWAY, Results, deliver_together
from hitl.records.outbox import deliver
from hitl.records.records import Records
from hitl.records.requests import StoredRequest, read_outcome_of

_AT_ONCE: Final = 4
_TARGET_SECONDS: Final = 12.0
# A machine may sleep, and its clock be set: what is due is looked up again. That costs no request.
_LONGEST_SLEEP_SECONDS: Final = 60.0
# Each notice waits as long as the target asked for. The others do so up to here, as it may ask for years.
_LONGEST_PAUSE: Final = timedelta(minutes=15)

_log = logging.getLogger("hitl")


class Source(Protocol):
    """Where the questions lie that a target is told of."""

    def now(self) -> datetime:
        """Return the present moment, with a time zone."""

    def records(self) -> Records:
        """Return the records; raises StorageUnavailable while they are known to be unavailable."""

    async def request(self, request_id: str) -> StoredRequest:
        """Return a question; raises StorageError."""

    async def channel(self) -> Channel:
        """Return the target as it is now; raises NotDelivered while it cannot be used."""


class Sender:
    """Tells one target.

    Args:
        name: The target's name in keys.
        pace: How much it may be told.
        source: Where the questions lie, and how the target is reached.
        slots: Bounds how much is sent at once, to this target and others together.
        told: Called after each try: why it failed (None: it did not), how many notices were delivered, which are
            given up.

    Attributes:
        pace: How much it may be told. It may be set.
    """

    def __init__(
        self,
        name: str,
        pace: Pace,
        source: Source,
        slots: AbstractAsyncContextManager[object],
        told: Callable[[NotDelivered | None, int, Sequence[NoticeBox]], None] = lambda _why, _delivered, _lost: (
            None
        ),
    ) -> None:
        self.name = name
        self.pace = pace
        self._source = source
        self._slots = slots
        self._told = told
        self._sending = 0
        self._waiting: dict[NoticeBox, Waiting] = {}
        self._by_question: dict[str, set[NoticeBox]] = {}
        self._busy: set[NoticeBox] = set()
        self._sent: list[Sent] = []
        self._next: deque[list[Waiting]] = deque()
        self._paused_until: datetime | None = None
        self._wake = asyncio.Event()

    def put(self, request_id: str, notices: Sequence[Notice]) -> None:
        """Take what is due about a question and not delivered yet: this and nothing else."""
        wanted = {NoticeBox(request_id, each.name, self.name): each for each in notices}
        for box in self._by_question.pop(request_id, set()) - set(wanted) - self._busy:
            self._waiting.pop(box, None)
        for box, notice in wanted.items():
            self._waiting.setdefault(box, Waiting(box, notice))
        if wanted:
            self._by_question[request_id] = set(wanted)
            self._wake.set()

    def drop(self, request_id: str) -> None:
        """Forget a question."""
        self.put(request_id, ())

    def wake(self) -> None:
        """Decide again, as the target or its pace changed: what failed may succeed now."""
        self._paused_until = None
        self._next.clear()
        for box, waiting in self._waiting.items():
            self._waiting[box] = Waiting(box, waiting.notice)
        self._wake.set()

    def waits(self, request_id: str) -> bool:
        """Tell whether something about a question is due and not delivered."""
        return any(box in self._waiting for box in self._by_question.get(request_id, ()))

    @property
    def waiting(self) -> int:
        """How many notices are due and not delivered."""
        return len(self._waiting)

    @property
    def oldest_failed(self) -> datetime | None:
        """Since when the one is due that waits longest of those that were tried."""
        tried = (each.notice.due_at for each in self._waiting.values() if each.retry_at is not None)
        return min(tried, default=None)

    async def run(self) -> None:
        """Send what is due, until cancelled."""
        self._sent = list(self.pace.begin(self._now()))
        # It may have been run before, and have been ended by a fault.
        self._sending, self._busy, self._next = 0, set(), deque()
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._wake.clear()
                await self._rest(self._begin(tasks))

    def _begin(self, tasks: asyncio.TaskGroup) -> datetime | None:
        """Begin to send what may be sent now; return when to decide again."""
        now = self._now()
        # A clock that was set back says that these are far ahead.
        self._sent = [each for each in self._sent if each.at <= now]
        if self._paused_until is not None and self._paused_until - now > _LONGEST_PAUSE:
            self._paused_until = None
        if self._paused_until is not None and self._paused_until > now:
            return self._paused_until
        # What was decided on is sent before more is: to decide each time again would cost more than to send.
        if self._launch(tasks, now) or self._sending >= _AT_ONCE:
            return None
        longest = max(self.pace.window, timedelta(minutes=1))
        self._sent = [each for each in self._sent if now - each.at < longest]
        self._drop_late(now)
        free = [each for box, each in self._waiting.items() if box not in self._busy]
        decided = plan(self.pace, free, self._sent, now)
        self._next.extend([each] for each in decided.alone)
        if decided.together:
            self._next.append(decided.together)
        if self._launch(tasks, now) or decided.again_at is None:
            return None
        return min([decided.again_at, *(each.notice.until for each in free)])

    def _drop_late(self, now: datetime) -> None:
        """Give up what is of no use any more, as the target was to be told too much, or too slowly."""
        late = [box for box, each in self._waiting.items() if each.notice.until <= now and box not in self._busy]
        for box in late:
            del self._waiting[box]
        if late:
            self._told(NotDelivered("the question ended before it could be sent"), 0, late)

    def _launch(self, tasks: asyncio.TaskGroup, now: datetime) -> bool:
        """Begin to send what was decided on, as far as that may be at once; tell whether some of it is left."""
        while self._next and self._sending < _AT_ONCE:
            some = [each for each in self._next.popleft() if self._waiting.get(each.box) == each]
            if not some:
                # It is no longer true.
                continue
            self._sending += 1
            self._busy |= {each.box for each in some}
            self._sent.append(Sent(now, 1, len(some)))
            tasks.create_task(self._deliver(some))
        return bool(self._next)

    async def _rest(self, again_at: datetime | None) -> None:
        seconds = _LONGEST_SLEEP_SECONDS
        if again_at is not None:
            seconds = min(max((again_at - self._now()).total_seconds(), 0.0), seconds)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()

    async def _deliver(self, some: Sequence[Waiting]) -> None:
        results: Results = dict.fromkeys(some, self._now() + STORAGE_AWAY)
        failures = list[NotDelivered]()
        try:
            async with self._slots:
                results |= await self._tried(some, failures)
        except (DocumentDamaged, RequestNotFound) as error:
            # The part that looks at the question reports it.
            _log.debug("%s: no notice: %s", some[0].box.request_id, error)
            if len(some) == 1:
                results = {some[0]: None}
        except StorageError as error:
            _log.debug("%s: the storage holds up a notice: %s", some[0].box.request_id, error)
        except Exception as error:  # noqa: BLE001 - it must not end the other notices, and its text may be secret
            _log.error("%s: no notice to %s: %s", some[0].box.request_id, self.name, type(error).__name__)
        self._sending -= 1
        for waiting, again_at in results.items():
            self._take(waiting, again_at)
        if failures:
            lost = [waiting.box for waiting, again_at in results.items() if again_at is None]
            self._told(failures[-1], 0, lost)
        self._wake.set()

    def _take(self, waiting: Waiting, again_at: datetime | None) -> None:
        box = waiting.box
        self._busy.discard(box)
        if again_at is not None and box in self._by_question.get(box.request_id, ()):
            self._waiting[box] = Waiting(box, waiting.notice, again_at)
        else:
            self._waiting.pop(box, None)

    async def _tried(self, some: Sequence[Waiting], failures: list[NotDelivered]) -> Results:
        records = self._source.records()
        if len(some) > 1:
            return await deliver_together(records, some, partial(self._send, failures), self._still)
        [one] = some
        send, still = partial(self._send_one, failures, one), partial(self._still, one)
        return {one: await deliver(records, one.box, one.notice, send, still)}

    async def _send_one(self, failures: list[NotDelivered], waiting: Waiting) -> str:
        return (await self._send(failures, [waiting]))[0]

    async def _send(self, failures: list[NotDelivered], some: Sequence[Waiting]) -> tuple[str, str]:
        """Send one message for all; return the receipt, or the id of the digest that it was."""
        messages = await asyncio.gather(*map(self._message, some))
        message = messages[0]
        if len(messages) > 1:
            at = max(each.at for each in messages)
            message = Message(digest_id([each.id for each in messages]), None, at, digest=tuple(messages))
        try:
            async with asyncio.timeout(_TARGET_SECONDS):
                receipt = await (await self._source.channel()).send(message)
        except NotDelivered as failure:
            self._failed(failure, failures)
            raise
        except TimeoutError:
            slow = NotDelivered(f"it took more than {_TARGET_SECONDS:.0f} s")
            self._failed(slow, failures)
            raise slow from None
        self._told(None, len(some), ())
        # What a target gives for a digest is of no single question.
        return ("", message.id) if message.digest else (receipt, "")

    def _failed(self, failure: NotDelivered, failures: list[NotDelivered]) -> None:
        failures.append(failure)
        if failure.wait is not None:
            self._next.clear()
            self._paused_until = self._now() + min(failure.wait, _LONGEST_PAUSE)

    async def _message(self, waiting: Waiting) -> Message:
        notice, request_id = waiting.notice, waiting.box.request_id
        request, outcome = await self._source.request(request_id), None
        store = self._source.records().store
        if notice.event == "settled":
            outcome = await read_outcome_of(store, request)
        return await message_about(store, request, notice, outcome, self.name)

    async def _still(self, waiting: Waiting) -> bool:
        request = await self._source.request(waiting.box.request_id)
        outcome = await read_outcome_of(self._source.records().store, request)
        if waiting.notice.event == "settled":
            return outcome is not None
        return outcome is None and self._now() < waiting.notice.until

    def _now(self) -> datetime:
        return self._source.now()


def digest_id(ids: Sequence[str]) -> str:
    """Return the id of a digest: the same for the same notices, in whatever order."""
    return f"digest_{hashlib.sha256('|'.join(sorted(ids)).encode()).hexdigest()[:24]}"
