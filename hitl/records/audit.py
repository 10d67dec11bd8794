"""Writes the audit: lines of attempts and outcomes, many in one object, beside the questions.

A process that serves many people has an `AuditWriter`: a line is written at once when none was written a moment
ago, and else with all others of the same second. Nobody waits for it. A process that does one thing uses `Alone`.

The outcomes are the truth, and the audit says what led to them. So trouble with the audit never hinders a
submission: what cannot be written waits in memory, within a limit, and the log tells.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

from hitl.core import keys
from hitl.core.audit import Attempt, Component, End, Head, Line, Omitted, Segment, sealed_segment
from hitl.core.keys import SegmentName
from hitl.errors import HITLError
from hitl.records.records import utc_now
from hitl.storage import Store, ticks

# A line takes 2 KiB of memory in the mean, and at most 30.
MOST_WAITING: Final = 10_000
MOST_REFUSED: Final = 1_000
"""The most lines about refused submissions in one segment. Anybody can send any number of such submissions."""

_FIRST_PAUSE_SECONDS: Final = 1.0
_LONGEST_PAUSE_SECONDS: Final = 30.0
_ALONE_SECONDS: Final = 2.0

_log = logging.getLogger("hitl.records.audit")


class AuditWriter:
    """The audit of one process at one root. Use it in one event loop.

    Args:
        store: The root.
        component: What kind of process it is.
        now: The present moment, with a time zone.
        seconds: How long lines are collected after some were written.
    """

    def __init__(
        self, store: Store, component: Component, now: Callable[[], datetime] = utc_now, seconds: float = 1.0
    ) -> None:
        self._store = store
        self._component: Component = component
        self._now = now
        self._seconds = seconds
        self._waiting: deque[Line] = deque()
        self._refused = 0
        self._omitted = Omitted(at=now())
        self._writer = keys.new_writer()
        self._segment: Segment | None = None
        self._whole = True
        self._due = 0.0
        self._pause = 0.0
        self._hurried = asyncio.Event()
        self._writing: asyncio.Task[None] | None = None
        self.head: Head | None = None

    @property
    def waiting(self) -> int:
        """How many lines are not in storage yet."""
        return len(self._waiting)

    async def note(self, attempt: Attempt) -> None:
        """Take a line about an attempt. It is written later; this neither waits nor raises."""
        if attempt.result != "recorded":
            if self._refused >= MOST_REFUSED:
                self._omit(refused=1)
                return
            self._refused += 1
        self.add(attempt)

    def add(self, line: Line) -> None:
        """Take a line."""
        if len(self._waiting) >= MOST_WAITING:
            self._omit(others=1)
            return
        self._waiting.append(line)
        self._wake()

    async def flush(self, seconds: float) -> bool:
        """Write what waits, without a pause; tell whether all was written within so many seconds."""
        self._hurried.set()
        self._wake()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._writing is not None and not self._writing.done():
                    await asyncio.wait([self._writing])
        return not self._waiting

    async def close(self, seconds: float = 2.0) -> None:
        """Write what waits, and that this process ends, for at most so many seconds."""
        if self.head is None and not self._waiting:
            return
        # The end is added even beyond the limit. It says that nobody killed this process.
        self._waiting.append(End(at=self._now()))
        if not await self.flush(seconds):
            _log.error("audit: %d lines are lost, as the storage does not answer", len(self._waiting))
            if self._writing is not None:
                self._writing.cancel()

    def _omit(self, *, refused: int = 0, others: int = 0) -> None:
        before = self._omitted
        self._omitted = Omitted(at=self._now(), refused=before.refused + refused, others=before.others + others)
        if others and not before.others:
            _log.error("audit: lines are lost, as %d wait for the storage already", MOST_WAITING)

    def _wake(self) -> None:
        if self._waiting and (self._writing is None or self._writing.done()):
            self._writing = asyncio.create_task(self._write())

    async def _write(self) -> None:
        while self._waiting:
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, self._due - ticks())):
                    await self._hurried.wait()
            self._hurried.clear()
            try:
                whole = await self._commit()
            except HITLError as error:
                if not self._pause:
                    _log.warning("audit: %d lines wait, retried automatically: %s", len(self._waiting), error)
                self._pause = min(max(_FIRST_PAUSE_SECONDS, self._pause * 2), _LONGEST_PAUSE_SECONDS)
                self._due = ticks() + self._pause
            else:
                if self._pause:
                    _log.warning("audit: lines are written again")
                self._pause = 0.0
                # Lines that came during the write wait for the usual time.
                self._due = ticks() + (self._seconds if whole else 0.0)

    async def _commit(self) -> bool:
        """Write a segment; tell whether it took all that waited when it was made."""
        if self._segment is None:
            self._segment = self._sealed()
        segment = self._segment
        key = segment.head.name.key
        # If the reply to an earlier try was lost, the same bytes are in storage already.
        if not await self._store.create_once(key, segment.data) and await self._store.read(key) != segment.data:
            _log.error("audit: %s is there already, with other lines than those of this process", key)
            self._writer, self._segment, self.head = keys.new_writer(), None, None
            return False
        self._segment, self.head = None, segment.head
        for _ in range(segment.lines):
            self._waiting.popleft()
        return self._whole

    def _sealed(self) -> Segment:
        if self._omitted.refused or self._omitted.others:
            self._waiting.append(self._omitted)
            self._omitted = Omitted(at=self._now())
        self._refused = 0
        before = self.head
        number = 1 if before is None else before.segment + 1
        name = SegmentName(self._now().astimezone(UTC).date(), self._writer, number)
        segment = sealed_segment(name, self._component, self._waiting, before)
        self._whole = segment.lines == len(self._waiting)
        return segment


class Alone:
    """The audit of a process that does one thing: each line is a segment of a writer of its own.

    Args:
        store: The root.
        component: What kind of process it is.
        now: The present moment, with a time zone.
    """

    def __init__(self, store: Store, component: Component, now: Callable[[], datetime] = utc_now) -> None:
        self._store = store
        self._component: Component = component
        self._now = now

    async def note(self, attempt: Attempt) -> None:
        """Write a line about an attempt, for at most two seconds. Trouble is told by the log alone."""
        now = self._now()
        name = SegmentName(now.astimezone(UTC).date(), keys.new_writer(), 1)
        segment = sealed_segment(name, self._component, [attempt, End(at=now)])
        try:
            async with asyncio.timeout(_ALONE_SECONDS):
                await self._store.create_once(name.key, segment.data)
        except (HITLError, TimeoutError) as error:
            _log.warning("the audit has no line about %s: %s", attempt.request_id, error)
