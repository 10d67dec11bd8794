"""The only way to deletion: step by step, so that whoever holds a question records no second outcome for it."""

import logging
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import cast

import pytest

from hitl.core import keys
from hitl.core.documents import OutcomeDocument, Respondent
from hitl.core.lifecycle import GRACE, KEPT_AT_LEAST
from hitl.errors import AlreadySettled, ClockApart, RequestNotFound, StorageUnavailable, StorageUnsuitable
from hitl.records.links import add_link
from hitl.records.requests import StoredRequest, read_outcome, read_outcome_of, read_request
from hitl.records.retention import STALE, collect, drop_stale, run_pass
from hitl.records.submissions import Submission
from tests.library.samples import DEADLINE, NOW, SECOND, Timed, answer, asked, expire, settle

MONTH = timedelta(days=30)
ID = "a-question"
REJECT = Submission("rejected", answer().respondent)
CANCEL = Submission("cancelled", Respondent(via="program"))

Attempt = Callable[[Timed, StoredRequest], Awaitable[OutcomeDocument | None]]

# What is done by whoever still holds the question in memory, even by a clock that was never checked.
ATTEMPTS: dict[str, Attempt] = {
    "an answer by a clock a month behind": lambda s, r: settle(s, r, answer("8"), now=NOW, markers=False),
    "the same where an operator listens": lambda s, r: settle(s, r, answer("8"), now=NOW, markers=True),
    "a rejection": lambda s, r: settle(s, r, REJECT, now=NOW, markers=True),
    "a withdrawal": lambda s, r: settle(s, r, CANCEL, now=s.time, markers=False),
    "a withdrawal where an operator listens": lambda s, r: settle(s, r, CANCEL, now=s.time, markers=True),
    "the deadline": lambda s, r: expire(s, r, now=s.time, markers=False),
    "the deadline where an operator listens": lambda s, r: expire(s, r, now=s.time, markers=True),
}


class Struck(Timed):
    """A store on which something happens right before an outcome is created, or that lets nobody delete."""

    before_the_outcome: Callable[[], Awaitable[None]] | None = None
    may_delete = True

    async def create_once(self, key: str, data: bytes) -> bool:
        strike, self.before_the_outcome = self.before_the_outcome, None
        if strike is not None and key.endswith("/response.json"):
            await strike()
        return await super().create_once(key, data)

    async def delete(self, key: str) -> None:
        if not self.may_delete:
            raise StorageUnsuitable("not permitted to delete")
        await super().delete(key)

    async def delete_many(self, several: Sequence[str]) -> int:
        # A bulk deletion may end after any of them.
        for key in several:
            await self.delete(key)
        return len(several)

    def seconds(self) -> float:
        return (self.time - NOW).total_seconds()


@pytest.fixture
def store() -> Struck:
    return Struck(f"memory://{uuid.uuid4().hex}")


async def pass_by(store: Timed, time: timedelta) -> list[str]:
    """Let time pass, and whoever looks after the root come by."""
    store.time += time
    return await collect(store, now=store.time, retention=MONTH)


# What looks after a root leaves of itself.
OWN = (f"{keys.DELETING}/", keys.INDEX_COMPLETE)


async def under(store: Timed) -> set[str]:
    found = [key async for key, _ in store.list_keys(keys.PREFIX)]
    return {key.removeprefix(f"{keys.PREFIX}/") for key in found if not key.startswith(OWN)}


def name_of(key: str) -> str:
    return key.removeprefix(f"{keys.PREFIX}/")


ROW = name_of(keys.SettledRow.of(ID, NOW, DEADLINE).key)
LISTED = name_of(keys.gone_key(ID))


async def settled(store: Timed, request_id: str = ID) -> StoredRequest:
    request = await asked(store, request_id)
    await add_link(store, request_id, now=NOW)
    await settle(store, request, answer("7"), now=NOW, markers=True)
    return request


async def test_a_request_goes_in_three_steps_and_nothing_else_goes_with_it(store: Struck) -> None:
    pending = await asked(store, "pending")
    await settled(store)
    open_row = keys.OpenRow(pending.request_id, pending.document.expires_at).key
    others = {f"{pending.request_id}/request.json", name_of(open_row)}

    assert await pass_by(store, MONTH - SECOND) == []
    assert await collect(store, now=store.time + SECOND, retention=MONTH, dry_run=True) == [ID]
    assert f"{ID}/request.json" in await under(store)

    assert await pass_by(store, SECOND) == [ID]
    assert await under(store) == others | {f"{ID}/response.json", ROW}
    assert await pass_by(store, STALE - SECOND) == []
    assert await under(store) == others | {f"{ID}/response.json", ROW}

    assert await pass_by(store, SECOND) == []
    assert await under(store) == others | {LISTED}
    await pass_by(store, STALE - SECOND)
    assert await under(store) == others | {LISTED}

    await pass_by(store, SECOND)
    assert await under(store) == others


@pytest.mark.parametrize("passes", range(4))
@pytest.mark.parametrize("attempt", ATTEMPTS)
async def test_whoever_holds_a_question_records_nothing_once_it_is_deleted(
    store: Struck, attempt: str, passes: int
) -> None:
    request = await settled(store)
    await pass_by(store, MONTH)
    for _ in range(passes):
        await pass_by(store, STALE)
    before = await under(store)

    try:
        told = await ATTEMPTS[attempt](store, request)
    except AlreadySettled as lost:
        told = cast("OutcomeDocument", lost.outcome)
    except RequestNotFound:
        told = None

    assert told is None or told.value == 7
    assert await under(store) == before


@pytest.mark.parametrize("may_delete", [True, False])
@pytest.mark.parametrize("submission", [answer("8"), answer("7"), REJECT, CANCEL])
async def test_a_writer_that_stood_still_over_the_whole_deletion_takes_back_what_it_wrote(
    store: Struck, submission: Submission, may_delete: bool
) -> None:
    request = await asked(store)

    async def deleted() -> None:
        await settle(store, request, answer("7"), now=NOW, markers=False)
        await pass_by(store, MONTH)
        await pass_by(store, STALE)
        assert await read_outcome(store, ID) is None
        store.may_delete = may_delete

    store.before_the_outcome = deleted
    with pytest.raises(RequestNotFound):
        await settle(store, request, submission, now=NOW, markers=False, clock=store.seconds)

    store.may_delete = True
    # Where it may not delete, what it wrote belongs to no question, and goes with the next deletions.
    assert (await read_outcome(store, ID) is None) is may_delete
    with pytest.raises(RequestNotFound):
        await read_request(store, ID)
    for _ in range(4):
        await pass_by(store, MONTH)
    assert await under(store) == set()


async def test_a_writer_that_stood_still_while_nothing_was_deleted_has_won(store: Struck) -> None:
    request = await asked(store)

    async def an_hour_passes() -> None:
        store.time += timedelta(hours=1)

    store.before_the_outcome = an_hour_passes
    outcome = await settle(store, request, answer("8"), now=NOW, markers=True, clock=store.seconds)

    assert outcome == await read_outcome_of(store, request)


@pytest.mark.parametrize("retention", [timedelta(0), timedelta(microseconds=1), timedelta(hours=23)])
async def test_nothing_goes_that_a_program_may_still_wait_for(store: Struck, retention: timedelta) -> None:
    await settled(store)
    late = await asked(store, "late", timeout_seconds=1)
    await expire(store, late, now=NOW + 3 * KEPT_AT_LEAST, markers=False)

    for request_id, settled_at in ((ID, DEADLINE), ("late", NOW + 3 * KEPT_AT_LEAST)):
        store.time = settled_at + KEPT_AT_LEAST - SECOND
        assert request_id not in await run_pass(store, now=store.time, retention=retention)
        store.time += SECOND
        assert request_id in await run_pass(store, now=store.time, retention=retention)


@pytest.mark.parametrize("off", [timedelta(days=366), timedelta(seconds=31), -timedelta(seconds=31)])
async def test_by_a_clock_that_is_not_the_storages_nothing_is_deleted(store: Struck, off: timedelta) -> None:
    await settled(store)
    await store.mark(keys.new_marker("nobody"))
    await store.mark(keys.probe_key())
    store.time += MONTH
    before, now = await under(store), store.time + off

    for attempt in (
        collect(store, now=now, retention=MONTH),
        run_pass(store, now=now, retention=MONTH),
        drop_stale(store, now=now),
    ):
        with pytest.raises(ClockApart, match="set the clock"):
            await attempt

    assert await under(store) == before


async def again(store: Timed, at: datetime) -> StoredRequest:
    """Ask under the same id, as a program that was started again with the same key."""
    return await asked(store, now=at)


async def test_asking_again_finds_the_question_until_it_goes_and_waits_while_it_goes(store: Struck) -> None:
    first = await settled(store)
    assert await again(store, NOW + SECOND) == first

    await pass_by(store, MONTH)
    for _ in range(2):
        with pytest.raises(StorageUnavailable, match=r"an earlier question a-question .* another key"):
            await again(store, store.time)
        assert f"{ID}/request.json" not in await under(store)
        await pass_by(store, STALE)

    second = await again(store, store.time)
    assert second.sha256 != first.sha256
    assert await read_outcome_of(store, second) is None
    with pytest.raises(RequestNotFound):
        await settle(store, first, answer("8"), now=NOW, markers=True)
    outcome = await settle(store, second, answer("9"), now=store.time, markers=True)
    for _ in range(3):
        await pass_by(store, STALE)
    assert await read_outcome_of(store, second) == outcome


async def test_a_question_that_an_older_release_asked_again_keeps_what_lies_there(
    store: Struck, caplog: pytest.LogCaptureFixture
) -> None:
    await settled(store)
    data = await store.read(keys.request_key(ID))
    assert data is not None
    await pass_by(store, MONTH)
    await store.create_once(keys.request_key(ID), data.replace(b"How many?", b"How few?"))

    with caplog.at_level(logging.WARNING, "hitl.records.retention"):
        await pass_by(store, STALE)

    assert await under(store) >= {f"{ID}/request.json", f"{ID}/response.json"}
    assert "it answers another question" in caplog.text


async def test_a_deletion_that_was_interrupted_is_finished(store: Struck) -> None:
    await settled(store)
    steps = [keys.request_key(ID), keys.new_marker(ID), keys.answered_marker(ID)]
    for key in steps:
        await store.delete(key)

    assert await pass_by(store, MONTH) == [ID]
    assert f"_deleted/{ID}" in await under(store)
    assert await pass_by(store, STALE - SECOND) == [], "the marker is not made younger by each pass"
    for _ in range(2):
        await pass_by(store, STALE)

    assert await under(store) == set()


async def test_the_deadline_of_a_deleted_question_is_not_settled_by_whoever_waits(store: Struck) -> None:
    request = await settled(store)
    await pass_by(store, MONTH)

    # The outcome is there for a while, and is told; then there is none, and none is made.
    assert (standing := await expire(store, request, now=store.time, markers=False))
    assert standing.value == 7
    await pass_by(store, STALE)
    with pytest.raises(RequestNotFound, match="nothing is recorded for it any more"):
        await expire(store, request, now=DEADLINE + GRACE, markers=False)


class WithFolders(Struck):
    """A store in a bucket where some tool wrote an object for each folder, which no deletion reaches."""

    folders: Sequence[str] = ()

    async def list_keys(self, prefix: str) -> AsyncIterator[tuple[str, datetime]]:
        async for each in super().list_keys(prefix):
            yield each
        for key in self.folders:
            if key == prefix or key.startswith(f"{prefix}/"):
                yield key, NOW

    async def list_page(self, prefix: str, after: str = "", most: int | None = None) -> list[tuple[str, datetime]]:
        page = [*await super().list_page(prefix, after, most), *((key, NOW) for key in self.folders)]
        return sorted(each for each in page if each[0].startswith(prefix.rstrip("/")) and each[0] > after)


async def test_an_object_in_the_place_of_a_folder_keeps_nothing_from_being_deleted_and_asked_again() -> None:
    store = WithFolders(f"memory://{uuid.uuid4().hex}")
    store.folders = (keys.PREFIX, keys.question_prefix(ID), keys.question_prefix("evidence-only"))
    request = await asked(store)
    await settle(store, request, answer("7"), now=NOW, markers=False)
    await store.create_once(keys.evidence_key("evidence-only", "0" * 64), b"x")

    for _ in range(6):
        store.time += MONTH
        await collect(store, now=store.time, retention=MONTH, full=True)
        store.time += STALE
        await drop_stale(store, now=store.time)

    left = {key async for key, _ in store.list_keys(keys.PREFIX)} - set(store.folders)
    assert all(key.startswith((keys.DELETING, keys.INDEX_COMPLETE)) for key in left), left
    assert (await asked(store, now=store.time)).created
    assert (await asked(store, "evidence-only", now=store.time)).created
