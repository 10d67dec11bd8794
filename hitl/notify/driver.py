"""Driving the notices about one question, until each target has been told of its end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from datetime import datetime
from functools import partial
from typing import Final, TypeAlias

from hitl.core.documents import OutcomeDocument
from hitl.core.lifecycle import KEPT_AT_LEAST
from hitl.core.noticekeys import NoticeBox
from hitl.core.notices import Notice, due, next_due_at
from hitl.errors import DocumentDamaged, RequestNotFound, StorageError
from hitl.notify.channels import Channel, message_about
from hitl.records.digests import STORAGE_AWAY
from hitl.records.outbox import deliver
from hitl.records.records import Records
from hitl.records.requests import StoredRequest, read_outcome_of

Slot: TypeAlias = Callable[[str], AbstractAsyncContextManager[object]]

# A machine may sleep, and its clock be set: what is due is looked up again. That costs no request.
_LONGEST_SLEEP_SECONDS: Final = 60.0

_log = logging.getLogger("hitl")


class Driver:
    """Tells the targets about one question.

    Args:
        records: Where it lies.
        request: The question.
        channels: The targets.
        reminders: How many seconds before the deadline to remind, each at least 1.
        slot: Given a target's name, bounds how much is sent to it at once.
        outcome: The outcome, if it is known already.
    """

    def __init__(
        self,
        records: Records,
        request: StoredRequest,
        channels: Sequence[Channel],
        reminders: Sequence[int],
        slot: Slot,
        outcome: OutcomeDocument | None = None,
    ) -> None:
        self.outcome = outcome
        self._records = records
        self._request = request
        self._channels = channels
        self._reminders = reminders
        self._slot = slot
        self._ended = asyncio.Event()

    def end(self, outcome: OutcomeDocument) -> None:
        """Take the outcome. Called in the loop in which it runs."""
        self.outcome = outcome
        self._ended.set()

    async def run(self) -> None:
        """Tell each target of all that happens, up to the end. A target that does not answer holds no other up."""
        await asyncio.gather(*map(self._tell_safely, self._channels))

    async def _tell_safely(self, channel: Channel) -> None:
        try:
            await self._tell(channel)
        except (DocumentDamaged, RequestNotFound) as error:
            # The wait itself reports it.
            _log.debug("%s: no more notices: %s", self._request.request_id, error)
        except Exception as error:  # noqa: BLE001 - no notice may harm a question, and what it says may be secret
            kind = type(error).__name__
            _log.error("%s: no more notices to %s: %s", self._request.request_id, channel.name, kind)

    async def _tell(self, channel: Channel) -> None:
        done: set[str] = set()
        again: dict[str, datetime] = {}
        while True:
            outcome, left = self.outcome, list[datetime]()
            for notice in due(self._request.document, outcome, self._reminders, self._records.now()):
                if notice.event not in channel.events or notice.name in done:
                    continue
                if notice.name not in again or again[notice.name] <= self._records.now():
                    at = await self._deliver(channel, notice, outcome)
                    if at is None:
                        done.add(notice.name)
                        continue
                    again[notice.name] = at
                left.append(again[notice.name])
            if outcome is not None and not left:
                return
            if outcome is None and self._records.now() >= self._request.document.expires_at + KEPT_AT_LEAST:
                # Nobody waits any more: who did would have recorded the timeout.
                return
            if outcome is self.outcome:
                await self._rest(left)

    async def _rest(self, left: list[datetime]) -> None:
        """Sleep until something is due, or there is an outcome."""
        now, seconds = self._records.now(), _LONGEST_SLEEP_SECONDS
        if self.outcome is None and (at := next_due_at(self._request.document, self._reminders, now)) is not None:
            left = [*left, at]
        if left:
            seconds = min(max((min(left) - now).total_seconds(), 0), seconds)
        if self.outcome is not None:
            await asyncio.sleep(seconds)
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ended.wait()

    async def _deliver(self, channel: Channel, notice: Notice, outcome: OutcomeDocument | None) -> datetime | None:
        box = NoticeBox(self._request.request_id, notice.name, channel.name)
        send = partial(self._send, channel, notice, outcome)
        try:
            async with self._slot(channel.name):
                return await deliver(self._records, box, notice, send, partial(self._still, notice))
        except (DocumentDamaged, RequestNotFound):
            raise
        except StorageError as error:
            _log.debug("%s: the storage holds up a notice: %s", self._request.request_id, error)
            return self._records.now() + STORAGE_AWAY

    async def _send(self, channel: Channel, notice: Notice, outcome: OutcomeDocument | None) -> str:
        return await channel.send(
            await message_about(self._records.store, self._request, notice, outcome, channel.name)
        )

    async def _still(self, notice: Notice) -> bool:
        if notice.event == "settled":
            return True
        if self.outcome is None:
            outcome = await read_outcome_of(self._records.store, self._request)
            if outcome is not None:
                self.end(outcome)
        return self.outcome is None and self._records.now() < notice.until
