"""Whatever befalls a question, deletion and wrong clocks included, it never gets a second outcome."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hitl.core import keys
from hitl.core.documents import OutcomeDocument, OutcomeKind, Respondent
from hitl.core.lifecycle import GRACE, phase_of
from hitl.errors import (
    AlreadySettled,
    ClockApart,
    DocumentDamaged,
    Expired,
    InvalidValue,
    RecordedOutcome,
    RequestNotFound,
    StorageUnavailable,
)
from hitl.records.records import Records
from hitl.records.requests import StoredRequest, read_outcome, read_request
from hitl.records.retention import STALE, collect, drop_stale, run_pass, scan_all
from hitl.records.submissions import Submission
from hitl.records.waiting import _Looks
from tests.library.samples import NOW, Timed, asked, event_of, settle

ID = "a-question"
LINK, OTHER_LINK = "l" * 64, "m" * 64
PEOPLE = [
    Respondent(name="ann", via="api", verified=True),
    Respondent(name="bob", via="web", verified=True),
    Respondent(name="ann", via="api", link=LINK),
    Respondent(name="", via="web", link=LINK),
    Respondent(name="ann", via="web", link=OTHER_LINK),
    Respondent(name="ann", via="program"),
    Respondent(name="", via="cli"),
]
APART = timedelta(seconds=30)
KEPT = timedelta(days=1)


class Killed(BaseException):
    """The process ended, just before or just after a write."""


class Fragile(Timed):
    """A real store whose user is killed at a chosen write, gets no reply to it, or stands still before it."""

    writes_left: int | None = None
    after = False
    only_the_reply = False
    stands_still: Coroutine[Any, Any, None] | None = None

    async def create_once(self, key: str, data: bytes) -> bool:
        if key.endswith("/response.json") and self.stands_still is not None:
            meanwhile, self.stands_still = self.stands_still, None
            await meanwhile
        return bool(await self._write(super().create_once(key, data)))

    async def mark(self, key: str) -> None:
        await self._write(super().mark(key))

    async def delete(self, key: str) -> None:
        await self._write(super().delete(key))

    async def delete_many(self, several: Sequence[str]) -> int:
        # A bulk deletion may end after any of them.
        for key in several:
            await self.delete(key)
        return len(several)

    def seconds(self) -> float:
        return (self.time - NOW).total_seconds()

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


def sender(submission_id: str, who: Respondent) -> tuple[str, ...]:
    """Return who sends, as far as anybody can know."""
    if who.verified:
        return "user", who.name
    return ("link", who.link) if who.link else ("own id", submission_id, who.name)


class Lives(RuleBasedStateMachine):
    """One id, the questions that were asked under it one after another, and whatever befalls them."""

    @initialize()
    def ask(self) -> None:
        self.store = Fragile(f"memory://{uuid.uuid4().hex}")
        self.asked: list[StoredRequest] = []
        self.known: dict[str, OutcomeDocument] = {}
        self.made: list[Submission] = []
        self.off = timedelta(0)
        self._ask()

    @rule(seconds=st.integers(0, 400))
    def time_passes(self, seconds: int) -> None:
        self.store.time += timedelta(seconds=seconds)

    @rule(days=st.integers(1, 40))
    def days_pass(self, days: int) -> None:
        self.store.time += timedelta(days=days)

    @rule(seconds=st.sampled_from([0, 0, 0, 30, -30, 31, -31, 40 * 86_400, 40 * 86_400, -40 * 86_400]))
    def another_clock_is_read(self, seconds: int) -> None:
        self.off = timedelta(seconds=seconds)

    @rule(at=st.integers(0, 3), after=st.booleans(), only_the_reply=st.booleans())
    def the_next_writer_will_be_struck(self, at: int, after: bool, only_the_reply: bool) -> None:
        self.store.writes_left, self.store.after, self.store.only_the_reply = at, after, only_the_reply

    @rule(days=st.sampled_from([0, 0, 2, 40]), who=st.sampled_from(PEOPLE), value=st.sampled_from(["1", "2"]))
    def the_next_writer_will_stand_still(self, days: int, who: Respondent, value: str) -> None:
        if self.store.stands_still is not None:
            self.store.stands_still.close()
        self.store.stands_still = self._meanwhile(days, Submission("answered", who, value=value))

    @rule(
        outcome=st.sampled_from(["answered", "answered", "rejected"]),
        value=st.sampled_from(["1", "2", "maybe"]),
        who=st.sampled_from(PEOPLE),
        markers=st.booleans(),
        data=st.data(),
    )
    def somebody_submits(
        self, outcome: OutcomeKind, value: str, who: Respondent, markers: bool, data: st.DataObject
    ) -> None:
        self._submit(self._held(data), Submission(outcome, who, value=value), markers)

    @precondition(lambda self: self.made)
    @rule(data=st.data(), markers=st.booleans())
    def a_submission_is_made_again(self, data: st.DataObject, markers: bool) -> None:
        self._submit(self._held(data), replace(data.draw(st.sampled_from(self.made))), markers)

    @precondition(lambda self: self.made)
    @rule(
        data=st.data(),
        outcome=st.sampled_from(["answered", "rejected"]),
        value=st.sampled_from(["1", "2"]),
        who=st.sampled_from(PEOPLE),
        markers=st.booleans(),
    )
    def somebody_uses_the_key_of_a_submission(
        self, data: st.DataObject, outcome: OutcomeKind, value: str, who: Respondent, markers: bool
    ) -> None:
        key = data.draw(st.sampled_from(self.made)).submission_id
        self._submit(self._held(data), Submission(outcome, who, value=value, submission_id=key), markers)

    @rule(data=st.data(), markers=st.booleans())
    def whoever_asked_withdraws(self, data: st.DataObject, markers: bool) -> None:
        request = self._held(data)
        try:
            asyncio.run(self._cancel(request, markers))
        except AlreadySettled as lost:
            self._told(request, lost.outcome)
        except ClockApart:
            assert abs(self.off) > APART
        except (Killed, StorageUnavailable, RequestNotFound) as end:
            self._ended(request, end)
        except DocumentDamaged:
            self._another_is_there(request)
        else:
            assert abs(self.off) <= APART
            self._told(request, asyncio.run(read_outcome(self.store, ID)))

    @rule(data=st.data(), markers=st.booleans())
    def whoever_waits_looks(self, data: st.DataObject, markers: bool) -> None:
        request = self._held(data)
        try:
            found = asyncio.run(_Looks(self._records(markers), request)._look())
        except (Killed, StorageUnavailable, RequestNotFound) as end:
            self._ended(request, end)
        except DocumentDamaged:
            self._another_is_there(request)
        else:
            if found is not None:
                self._told(request, found)

    @rule(days=st.sampled_from([0, 1, 30]), full=st.booleans())
    def somebody_collects(self, days: int, full: bool) -> None:
        try:
            asyncio.run(collect(self.store, now=self._now(), retention=timedelta(days=days), full=full))
        except ClockApart:
            assert abs(self.off) > APART
        except (Killed, StorageUnavailable):
            pass

    @rule(days=st.sampled_from([0, 30]))
    def an_operator_passes_twice_a_quarter_of_an_hour_apart(self, days: int) -> None:
        with suppress(ClockApart, Killed, StorageUnavailable):
            for _ in range(2):
                asyncio.run(run_pass(self.store, now=self._now(), retention=timedelta(days=days)))
                asyncio.run(drop_stale(self.store, now=self._now()))
                self.store.time += STALE

    @rule(which=st.integers(0, 9))
    def a_row_of_the_index_is_lost(self, which: int) -> None:
        rows = asyncio.run(self._rows())
        if rows:
            asyncio.run(Timed.delete(self.store, rows[which % len(rows)]))

    @rule(data=st.data(), days=st.integers(0, 400))
    def a_row_that_is_wrong_is_written(self, data: st.DataObject, days: int) -> None:
        document = self._held(data).document
        row = data.draw(
            st.sampled_from(
                [
                    keys.OpenRow(ID, document.expires_at + timedelta(days=days)).key,
                    keys.SettledRow.of(ID, document.created_at + timedelta(days=days), document.expires_at).key,
                    keys.SettledRow.of(ID, self.store.time - timedelta(days=days), self.store.time).key,
                ]
            )
        )
        asyncio.run(Timed.mark(self.store, row))

    @precondition(lambda self: self.store.writes_left is None)
    @rule()
    def a_full_scan_repairs_the_index(self) -> None:
        asyncio.run(scan_all(self.store, now=self.store.time))
        question, standing = self._stored(), asyncio.run(read_outcome(self.store, ID))
        rows = set(asyncio.run(self._rows()))
        if question is not None and standing is None:
            opened = {row for key in rows if (row := keys.OpenRow.of_key(key)) is not None}
            assert any(row.request_id == ID for row in opened)
        elif question is not None and standing is not None:
            settled = {each for key in rows if (each := keys.SettledRow.of_key(key)) is not None}
            assert any(each.request_id == ID for each in settled)
            assert keys.OpenRow(ID, question.document.expires_at).key not in rows

    @rule()
    def it_is_asked_again(self) -> None:
        with suppress(Killed, StorageUnavailable):
            self._ask()

    @invariant()
    def an_outcome_stays_as_long_as_somebody_may_want_it(self) -> None:
        question = self._stored()
        standing = asyncio.run(read_outcome(self.store, ID))
        if question is not None:
            # What lies beside a question is its own outcome, for good.
            assert standing is None or standing.request_sha256 == question.sha256
            if standing is not None or question.sha256 in self.known:
                self._told(question, standing)
        for request in self.asked:
            self._still_there(request, question)

    def teardown(self) -> None:
        if self.store.stands_still is not None:
            self.store.stands_still.close()

    def _now(self) -> datetime:
        return self.store.time + self.off

    async def _rows(self) -> list[str]:
        return [key for prefix in (keys.OPEN, keys.SETTLED) async for key, _ in self.store.list_keys(prefix)]

    def _held(self, data: st.DataObject) -> StoredRequest:
        """Return a question as somebody has it in memory: any that was ever asked under this id."""
        return data.draw(st.sampled_from(self.asked))

    def _stored(self) -> StoredRequest | None:
        try:
            return asyncio.run(read_request(self.store, ID))
        except RequestNotFound:
            return None

    def _ask(self) -> None:
        request = asyncio.run(asked(self.store, ID, now=self.store.time))
        if request not in self.asked:
            self.asked.append(request)

    def _records(self, markers: bool) -> Records:
        return Records(self.store, announce=markers, now=self._now, ticks=self.store.seconds)

    async def _cancel(self, request: StoredRequest, markers: bool) -> None:
        await event_of(self._records(markers), request).cancel.aio()

    async def _meanwhile(self, days: int, submission: Submission) -> None:
        """Let everything happen that could, between a writer's last look and its creation."""
        with suppress(AlreadySettled, Expired, RequestNotFound):
            await settle(self.store, self.asked[-1], submission, now=self.store.time, markers=False)
        self.store.time += timedelta(days=days)
        for _ in range(2):
            await collect(self.store, now=self.store.time, retention=timedelta(0))
            # Within no time at all, nothing of an outcome may go.
            self.store.time += STALE if days else timedelta(0)

    def _submit(self, request: StoredRequest, submission: Submission, markers: bool) -> None:
        self.made.append(submission)
        now = self._now()
        try:
            asyncio.run(self.store.require_clock(now))
            told = asyncio.run(
                settle(self.store, request, submission, now=now, markers=markers, clock=self.store.seconds)
            )
        except AlreadySettled as lost:
            assert not self._is_mine(lost.outcome, submission)  # noqa: PT017 - one of many ends
            self._told(request, lost.outcome)
        except Expired:
            assert now >= request.document.expires_at
        except ClockApart:
            assert abs(self.off) > APART
        except (Killed, StorageUnavailable, RequestNotFound) as end:
            self._ended(request, end)
        except DocumentDamaged:
            self._another_is_there(request)
        except InvalidValue:
            pass
        else:
            assert self._is_mine(told, submission)
            self._told(request, told)

    def _is_mine(self, outcome: RecordedOutcome, submission: Submission) -> bool:
        assert isinstance(outcome, OutcomeDocument)
        said = (outcome.outcome, outcome.value_text())
        mine = (submission.outcome, str(submission.value) if submission.outcome == "answered" else None)
        return (said, sender(outcome.submission_id, outcome.respondent)) == (
            mine,
            sender(submission.submission_id, submission.respondent),
        )

    def _ended(self, request: StoredRequest, end: BaseException) -> None:
        if isinstance(end, RequestNotFound):
            assert self._stored() != request

    def _another_is_there(self, request: StoredRequest) -> None:
        """Of a question that was deleted, only another one that was asked later can be told."""
        assert self.asked[-1] != request

    def _told(self, request: StoredRequest, outcome: RecordedOutcome | None) -> None:
        """Whoever is told an outcome, ever, is told the same one, recorded by a clock that was right."""
        assert isinstance(outcome, OutcomeDocument)
        assert outcome.request_sha256 == request.sha256
        assert outcome == self.known.setdefault(request.sha256, outcome)
        assert phase_of(outcome) != "Pending"
        assert outcome.answered_at <= self.store.time + APART
        if outcome.outcome == "timed_out":
            assert outcome.answered_at >= request.document.expires_at + GRACE
            assert self.store.time >= request.document.expires_at + GRACE - APART

    def _still_there(self, request: StoredRequest, question: StoredRequest | None) -> None:
        outcome = self.known.get(request.sha256)
        ended = max(request.document.expires_at, outcome.answered_at) if outcome else None
        # A clock that is accepted may be wrong by half a minute.
        if ended is None or self.store.time < ended + KEPT - APART:
            assert question == request or self._unasked(request)

    def _unasked(self, request: StoredRequest) -> bool:
        """Tell whether the question was settled and deleted without anybody being told."""
        return self.store.time >= request.document.expires_at + KEPT - APART


TestLives = Lives.TestCase
TestLives.settings = settings(max_examples=200, stateful_step_count=40, suppress_health_check=list(HealthCheck))
