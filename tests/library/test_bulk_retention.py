"""Deletion by the thousand: what it costs, whom it believes, and that one process at a time does it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hitl.core import keys
from hitl.core.keys import OpenRow, SettledRow
from hitl.core.lifecycle import KEPT_AT_LEAST
from hitl.errors import DocumentDamaged, StorageUnavailable, StorageUnsuitable
from hitl.records import deletion
from hitl.records.deletion import DeletesAlready, claim
from hitl.records.index import is_complete
from hitl.records.requests import StoredRequest, is_stored, read_outcome, read_outcome_of
from hitl.records.retention import STALE, collect, drop_stale, run_pass, scan_all
from hitl.records.scan import Scan
from hitl.storage import Store
from tests.library.counting import Counting
from tests.library.samples import DEADLINE, NOW, SECOND, Timed, answer, asked, settle

MONTH = timedelta(days=30)
DAY = timedelta(days=1)
ID = "a-question"


@pytest.fixture
def store() -> Timed:
    return Timed(f"memory://{uuid.uuid4().hex}")


async def settled(store: Timed, request_id: str = ID) -> StoredRequest:
    request = await asked(store, request_id, now=store.time)
    await settle(store, request, answer("7"), now=store.time, markers=False)
    return request


async def passed(store: Timed, *, retention: timedelta = MONTH) -> list[str]:
    return await run_pass(store, now=store.time, retention=retention)


async def objects(store: Timed, request_id: str) -> None:
    """Write what a settled question leaves. What is in it is never read: the test fails where it is."""
    await store.create_once(keys.request_key(request_id), b"unreadable")
    await store.create_once(keys.link_key(request_id, "0" * 64), b"unreadable")
    await store.create_once(keys.response_key(request_id), b"unreadable")
    await store.mark(SettledRow.of(request_id, store.time, store.time).key)


async def test_a_request_to_the_storage_deletes_a_hundred_objects() -> None:
    store = Counting(f"memory://{uuid.uuid4().hex}", page=1_000)
    for number in range(3_000):
        await objects(store, f"q-{number:05}")
    store.time, store.deleted, requests = NOW + MONTH + 2 * DAY, 0, 0
    for _ in range(3):
        requests += await store.cost(passed(store))
        requests += await store.cost(drop_stale(store, now=store.time))
        store.time += STALE

    # Question, link, outcome and row of each.
    assert store.deleted >= 4 * 3_000
    assert store.deleted / requests >= 100
    assert [key async for key, _ in store.list_keys(keys.PREFIX) if "/q-" in key] == []


async def test_what_a_pass_costs_grows_with_what_is_due_and_not_with_what_is_kept() -> None:
    costs = []
    for kept in (200, 2_000):
        store = Counting(f"memory://{uuid.uuid4().hex}")
        for number in range(50):
            await objects(store, f"due-{number:03}")
        store.time = NOW + MONTH
        for number in range(kept):
            await objects(store, f"kept-{number:05}")
        store.time += DAY
        costs.append(await store.cost(passed(store)))
        assert store.asked["read"] == 0

    assert costs[1] <= costs[0] + 5


async def test_few_among_many_cost_a_request_each_at_most() -> None:
    store = Counting(f"memory://{uuid.uuid4().hex}", page=10)
    for number in range(300):
        # One in thirty is due.
        store.time = NOW if number % 30 == 0 else NOW + MONTH
        await objects(store, f"q-{number:03}")
    store.time = NOW + MONTH + DAY

    await store.cost(passed(store))

    assert store.asked["list"] <= 10 + 10


ELSEWHERE = SettledRow.of(ID, NOW - 100 * DAY, NOW - 100 * DAY).key


@pytest.mark.parametrize("row", [ELSEWHERE, SettledRow.of(ID, NOW, DEADLINE).key])
async def test_no_row_has_a_question_deleted_that_waits(store: Timed, row: str) -> None:
    request = await asked(store, timeout_seconds=366 * 86_400)
    await store.mark(row)
    store.time = NOW + 10 * MONTH

    assert await passed(store) == []

    assert await is_stored(store, request)
    assert not await store.exists(row)


async def test_a_row_of_an_earlier_question_under_the_same_id_deletes_no_later_one(store: Timed) -> None:
    await settled(store)
    old_row = SettledRow.of(ID, NOW, DEADLINE).key
    store.time += MONTH
    for _ in range(3):
        await passed(store)
        store.time += STALE
        await drop_stale(store, now=store.time)
    await store.mark(old_row)
    second = await settled(store)
    store.time += MONTH - SECOND

    assert await passed(store) == []

    assert await read_outcome_of(store, second)
    assert not await store.exists(old_row)
    store.time += SECOND
    assert await passed(store) == [ID]


@pytest.mark.parametrize("after", [SECOND, 10 * DAY])
async def test_an_outcome_that_was_overwritten_is_left_alone(store: Timed, after: timedelta) -> None:
    await settled(store)
    store.time += after
    await store.delete(keys.response_key(ID))
    await store.create_once(keys.response_key(ID), b"{}")
    store.time = NOW + 3 * MONTH
    left: dict[str, str] = {}

    assert await collect(store, now=store.time, retention=MONTH, left=left.__setitem__) == []

    assert list(left) == [ID]
    with pytest.raises(DocumentDamaged):
        await read_outcome(store, ID)


async def test_a_deadline_far_off_keeps_a_question_without_a_look(store: Timed) -> None:
    request = await asked(store, timeout_seconds=200 * 86_400)
    await settle(store, request, answer("7"), now=NOW, markers=False)
    deadline = request.document.expires_at
    left: dict[str, str] = {}

    store.time = deadline + KEPT_AT_LEAST - SECOND
    assert await run_pass(store, now=store.time, retention=MONTH, left=left.__setitem__) == []
    assert "a program may still wait for it" in left[ID]

    store.time += SECOND
    assert await passed(store) == [ID]


async def test_of_two_rows_only_the_question_says_which_has_its_deadline(store: Timed) -> None:
    request = await asked(store, ID, timeout_seconds=40 * 86_400)
    await settle(store, request, answer("7"), now=NOW, markers=False)
    wrong = SettledRow(ID, NOW.date(), NOW + DAY).key
    await store.mark(wrong)
    store.time += 35 * DAY

    assert await run_pass(store, now=store.time, retention=MONTH) == []

    assert await store.exists(keys.request_key(ID))
    assert not await store.exists(wrong)


async def test_a_question_under_an_id_whose_outcome_goes_waits_until_that_cannot_be_sent_twice(
    store: Timed,
) -> None:
    await settled(store)
    store.time += MONTH
    await passed(store)
    store.time += STALE
    await passed(store)
    assert await read_outcome(store, ID) is None

    for _ in range(2):
        with pytest.raises(StorageUnavailable, match="another key"):
            await asked(store, now=store.time)
        # Another one that shares the list is not kept waiting.
        shares = next(f"x-{n}" for n in range(10_000) if keys.gone_key(f"x-{n}") == keys.gone_key(ID))
        assert await asked(store, shares, now=store.time)
        store.time += STALE - SECOND
        await drop_stale(store, now=store.time)
        store.time -= STALE - SECOND
    store.time += STALE
    await drop_stale(store, now=store.time)

    assert await asked(store, now=store.time)


async def test_outcomes_whose_list_is_taken_wait_for_the_next_pass(store: Timed) -> None:
    await settled(store)
    await store.create_once(keys.gone_key(ID), b"another\n")
    store.time += MONTH
    await passed(store)
    store.time += STALE
    await passed(store)
    assert await read_outcome(store, ID)

    await drop_stale(store, now=store.time)
    await passed(store)

    assert await read_outcome(store, ID) is None


async def test_a_question_that_may_not_be_deleted_keeps_no_other_one() -> None:
    class Guarded(Timed):
        async def delete_many(self, several: Sequence[str]) -> int:
            if keys.request_key("guarded") in several:
                raise StorageUnsuitable("not permitted")
            return await super().delete_many(several)

    guarded = Guarded(f"memory://{uuid.uuid4().hex}")
    left: dict[str, str] = {}
    for name in ("a", "guarded", "z"):
        await settled(guarded, name)
    guarded.time += MONTH

    found = await run_pass(guarded, now=guarded.time, retention=MONTH, left=left.__setitem__)

    assert found == ["a", "z"]
    assert left == {"guarded": "not permitted"}


async def test_of_many_who_want_to_delete_one_does(store: Timed) -> None:
    await store.prove()
    told = await asyncio.gather(*(claim(store, now=NOW) for _ in range(20)), return_exceptions=True)

    assert len([each for each in told if isinstance(each, deletion.Claim)]) == 1
    assert len([each for each in told if isinstance(each, DeletesAlready)]) == 19


async def test_a_claim_ends_by_itself_and_its_number_is_never_taken_again(
    store: Timed, monkeypatch: pytest.MonkeyPatch
) -> None:
    held_up = await claim(store, now=NOW)
    store.time += STALE - SECOND
    with pytest.raises(DeletesAlready, match=r"try again in 1 min"):
        await claim(store, now=store.time)
    store.time += SECOND
    second = await claim(store, now=store.time)

    # What the first one deleted is not known: as if it had gone on for as long as it was permitted.
    assert second.deleted_at == NOW + STALE / 3
    monkeypatch.setattr(deletion, "ticks", lambda: float("inf"))
    with pytest.raises(DeletesAlready):
        await held_up.hold()
    await held_up.end(deleted=True)
    with pytest.raises(DeletesAlready):
        await claim(store, now=store.time)
    await second.end(deleted=True)
    assert (await claim(store, now=store.time)).deleted_at == store.time


async def test_a_clock_that_was_set_back_holds_nobody_up_for_longer_than_a_claim(store: Timed) -> None:
    await settled(store, "a")
    store.time += 400 * DAY
    assert await collect(store, now=store.time, retention=MONTH) == ["a"]
    await claim(store, now=store.time)

    store.time -= 300 * DAY
    with pytest.raises(DeletesAlready, match=r"try again in 16 min"):
        await claim(store, now=store.time)
    for _ in range(2):
        store.time += STALE
        await collect(store, now=store.time, retention=MONTH)

    assert await store.read(keys.response_key("a")) is None


@pytest.mark.parametrize("name", ["5", "5.ended", "x", "v2/00000009"])
async def test_what_has_no_name_of_a_claim_holds_nobody_up(store: Timed, name: str) -> None:
    await store.mark(f"{keys.DELETING}/{name}")

    await (await claim(store, now=NOW)).end(deleted=True)

    assert await store.exists(f"{keys.DELETING}/{name}")
    await claim(store, now=NOW)


async def test_the_last_claim_stays_so_that_its_number_is_not_taken_by_two(store: Timed) -> None:
    # Who saw it and was held up would else create the number that another one began anew with.
    for number in (1, 2, 3):
        await (await claim(store, now=NOW)).end(deleted=False)
        claims = {key async for key, _ in store.list_keys(keys.DELETING)}
        assert claims == {keys.deletion_key(number), f"{keys.deletion_key(number)}.ended"}


async def test_who_was_stopped_deletes_nothing_more_and_keeps_nobody_waiting(store: Timed) -> None:
    class Slow(Timed):
        async def delete_many(self, several: Sequence[str]) -> int:
            if keys.request_key(ID) in several:
                await asyncio.sleep(60)
            return await super().delete_many(several)

    slow = Slow(store.url)
    await settled(slow)
    slow.time += MONTH
    running = asyncio.create_task(passed(slow))
    await asyncio.sleep(0.05)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    store.time, store._written = slow.time, slow._written
    # Something may have been deleted a moment ago, so outcomes wait.
    assert (await claim(store, now=store.time)).deleted_at == store.time


async def test_a_dry_run_writes_nothing(store: Timed) -> None:
    await settled(store)
    for complete in (False, True):
        if complete:
            await scan_all(store, now=NOW)
        store.time = NOW + MONTH
        before = [each async for each in store.list_keys(keys.PREFIX)]

        assert await collect(store, now=store.time, retention=MONTH, dry_run=True) == [ID]

        assert [each async for each in store.list_keys(keys.PREFIX)] == before


async def test_gc_looks_at_everything_once_a_week(store: Timed) -> None:
    await collect(store, now=store.time, retention=MONTH)
    await asked(store)
    await store.delete(OpenRow(ID, DEADLINE).key)

    store.time += 6 * DAY
    await collect(store, now=store.time, retention=MONTH)
    assert not await store.exists(OpenRow(ID, DEADLINE).key)
    await collect(store, now=store.time, retention=MONTH, full=True)
    assert await store.exists(OpenRow(ID, DEADLINE).key)
    await store.delete(OpenRow(ID, DEADLINE).key)
    store.time += 7 * DAY
    await collect(store, now=store.time, retention=MONTH)
    assert await store.exists(OpenRow(ID, DEADLINE).key)


async def test_folders_in_the_places_of_claims_and_of_the_index_stop_nothing_and_hide_no_question(
    tmp_path: Path,
) -> None:
    store = Store(str(tmp_path))
    await store.prove()
    await asked(store, "old", timeout_seconds=86_400)
    for key in (keys.deletion_key(1), keys.deletion_key(2), keys.INDEX_COMPLETE):
        (tmp_path / key).mkdir(parents=True)
    left: dict[str, str] = {}

    scan = Scan(store, lambda _: None, left.__setitem__)
    while await scan.step(NOW):
        pass
    assert left == {"the index": f"{keys.INDEX_COMPLETE} is damaged: it is a folder"}
    assert not await is_complete(store)
    first = await claim(store, now=datetime.now(UTC))
    with pytest.raises(DeletesAlready):
        await claim(store, now=datetime.now(UTC))
    await first.end(deleted=False)
    await claim(store, now=datetime.now(UTC))
