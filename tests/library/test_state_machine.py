"""Whatever befalls a request, it never gets a second outcome, and its phase never goes back."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Coroutine
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hitl.documents import OutcomeDocument, OutcomeKind, Respondent
from hitl.errors import AlreadySettled, Expired, InvalidValue, StorageUnavailable
from hitl.requests import read_outcome
from hitl.settle import Submission, expire, settle
from hitl.storage import Store
from hitl.transitions import GRACE, phase_of
from tests.library.samples import DEADLINE, NOW, asked


class Killed(BaseException):
    """The process ended, just before or just after a write."""


class Fragile(Store):
    """A real store whose user is killed at a chosen write, or gets no reply to it."""

    writes_left: int | None = None
    after = False
    only_the_reply = False

    async def create_once(self, key: str, data: bytes) -> bool:
        return bool(await self._write(super().create_once(key, data)))

    async def mark(self, key: str) -> None:
        await self._write(super().mark(key))

    async def _write(self, write: Coroutine[Any, Any, bool | None]) -> bool | None:
        if self.writes_left is None:
            return await write
        self.writes_left -= 1
        if self.writes_left >= 0:
            return await write
        self.writes_left = None
        if not self.after:
            write.close()
        else:
            await write
        raise StorageUnavailable("no reply") if self.only_the_reply else Killed


class Lives(RuleBasedStateMachine):
    """One request, whatever befalls it."""

    @initialize()
    def ask(self) -> None:
        self.store = Fragile(f"memory://{uuid.uuid4().hex}")
        self.request = asyncio.run(asked(self.store))
        self.now: datetime = NOW
        self.made: list[Submission] = []
        self.known: OutcomeDocument | None = None

    @rule(seconds=st.integers(-8, 400))
    def time_passes_or_another_clock_is_read(self, seconds: int) -> None:
        self.now = max(NOW, self.now + timedelta(seconds=seconds))

    @rule(at=st.integers(0, 1), after=st.booleans(), only_the_reply=st.booleans())
    def the_next_writer_will_be_struck(self, at: int, after: bool, only_the_reply: bool) -> None:
        self.store.writes_left, self.store.after, self.store.only_the_reply = at, after, only_the_reply

    @rule(
        outcome=st.sampled_from(["answered", "answered", "rejected", "cancelled"]),
        value=st.sampled_from(["1", "2", "maybe"]),
        name=st.sampled_from(["ann", "bob"]),
        verified=st.booleans(),
        markers=st.booleans(),
    )
    def somebody_submits(self, outcome: OutcomeKind, value: str, name: str, verified: bool, markers: bool) -> None:
        respondent = Respondent(name=name, via="api", verified=verified)
        self._submit(Submission(outcome, respondent, value=value), markers)

    @precondition(lambda self: self.made)
    @rule(data=st.data(), markers=st.booleans())
    def a_submission_is_made_again(self, data: st.DataObject, markers: bool) -> None:
        self._submit(replace(data.draw(st.sampled_from(self.made))), markers)

    @rule(markers=st.booleans())
    def somebody_looks_at_the_deadline(self, markers: bool) -> None:
        try:
            found = asyncio.run(expire(self.store, self.request, now=self.now, markers=markers))
        except (Killed, StorageUnavailable):
            return
        if found is not None:
            self._told(found)
            if found.outcome == "timed_out" and found.answered_at == self.now:
                assert self.now >= DEADLINE + GRACE

    @invariant()
    def an_outcome_stays_for_good(self) -> None:
        standing = asyncio.run(read_outcome(self.store, self.request.request_id))
        if self.known is not None:
            assert standing == self.known
            assert phase_of(standing) == phase_of(self.known) != "Pending"
        self.known = standing

    def _submit(self, submission: Submission, markers: bool) -> None:
        self.made.append(submission)
        try:
            told = asyncio.run(settle(self.store, self.request, submission, now=self.now, markers=markers))
        except AlreadySettled as lost:
            assert lost.outcome.submission_id != submission.submission_id  # noqa: PT017 - one of many ends
            self._told(lost.outcome)
        except Expired:
            assert self.now >= DEADLINE
        except (InvalidValue, Killed, StorageUnavailable):
            return
        else:
            self._told(told)
            assert told.outcome == submission.outcome

    def _told(self, outcome: OutcomeDocument) -> None:
        assert asyncio.run(read_outcome(self.store, self.request.request_id)) == outcome


TestLives = Lives.TestCase
TestLives.settings = settings(
    max_examples=150, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
