"""The index: a row for each open and each settled question, by every channel; hints that the full scan repairs."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitl.cli.storage_backend import Stored
from hitl.core import keys
from hitl.core.documents import Respondent
from hitl.core.keys import OpenRow, SettledRow
from hitl.core.lifecycle import GRACE
from hitl.errors import StorageError, StorageUnavailable, StorageUnsuitable
from hitl.records import outcomes
from hitl.records.index import Later, completed_at, is_complete, note_settled, write_settled
from hitl.records.listing import Listed, Walk, look_up, settled_rows, sort_key
from hitl.records.records import Records
from hitl.records.requests import StoredRequest, read_outcome, read_outcome_of
from hitl.records.retention import STALE, scan_all
from hitl.records.scan import Scan
from hitl.records.submissions import Submission
from hitl.settings import Settings
from hitl.storage import Store
from tests.library.counting import Counting, filled
from tests.library.samples import (
    DEADLINE,
    NOW,
    Timed,
    answer,
    asked,
    create_request,
    draft_request,
    expire,
    settle,
)

ID = "a-question"
OPEN = OpenRow(ID, DEADLINE).key
SETTLED = SettledRow.of(ID, NOW, DEADLINE).key
MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))


@pytest.fixture
def store() -> Timed:
    return Timed(f"memory://{uuid.uuid4().hex}")


async def rows(store: Timed) -> set[str]:
    return {
        key for prefix in (keys.OPEN, keys.SETTLED) for key in [each async for each, _ in store.list_keys(prefix)]
    }


ENDS: dict[str, Callable[[Timed, StoredRequest], Awaitable[Any]]] = {
    "an answer": lambda s, r: settle(s, r, answer("7"), now=NOW, markers=False),
    "an answer where an operator listens": lambda s, r: settle(s, r, answer("7"), now=NOW, markers=True),
    "a rejection": lambda s, r: settle(s, r, Submission("rejected", answer().respondent), now=NOW, markers=True),
    "a withdrawal": lambda s, r: settle(
        s, r, Submission("cancelled", Respondent(via="program")), now=NOW, markers=False
    ),
    "the deadline": lambda s, r: expire(s, r, now=DEADLINE + GRACE, markers=False),
}


@pytest.mark.parametrize("end", ENDS)
async def test_every_end_of_a_question_moves_it_from_the_open_ones_to_the_settled_ones(
    store: Timed, end: str
) -> None:
    request = await asked(store)
    assert await rows(store) == {OPEN}

    await ENDS[end](store, request)

    assert await rows(store) == {SETTLED}


async def test_whoever_loses_writes_no_row(store: Timed) -> None:
    request = await asked(store)
    await store.create_once(keys.response_key(ID), b"damaged")

    with pytest.raises(StorageError):
        await settle(store, request, answer("7"), now=NOW, markers=False)

    assert await rows(store) == {OPEN}


class Grudging(Timed):
    """A store that refuses some kinds of requests: no real one does so on demand."""

    refuses: tuple[str, ...] = ()
    error: type[StorageError] = StorageUnsuitable

    async def mark(self, key: str) -> None:
        self._check("mark")
        await super().mark(key)

    async def delete_many(self, several: Any) -> int:
        self._check("delete")
        return await super().delete_many(several)

    def _check(self, what: str) -> None:
        if what in self.refuses:
            raise self.error("no")


@pytest.mark.parametrize("error", [StorageUnsuitable, StorageUnavailable])
@pytest.mark.parametrize(("refuses", "left"), [(("mark",), {OPEN}), (("delete",), {OPEN, SETTLED})])
async def test_trouble_with_the_index_is_no_trouble_for_whoever_asks_and_answers(
    refuses: tuple[str, ...], left: set[str], error: type[StorageError]
) -> None:
    store = Grudging(f"memory://{uuid.uuid4().hex}")
    request = await asked(store)
    store.refuses, store.error = refuses, error

    outcome = await settle(store, request, answer("7"), now=NOW, markers=False)

    assert outcome == await read_outcome_of(store, request)
    # The open row goes only once the settled one is there: what was in the index stays in it.
    assert await rows(store) == left


async def test_a_question_is_asked_even_if_it_gets_no_row(store: Timed) -> None:
    grudging = Grudging(store.url)
    grudging.refuses = ("mark",)

    await asked(grudging)

    assert await grudging.exists(keys.request_key(ID))
    assert await rows(grudging) == set()


async def test_rows_are_written_later_and_all_of_them_at_the_end(store: Timed) -> None:
    later = Later(store, seconds=0.01)
    requests = [await asked(store, f"q-{number}") for number in range(30)]
    for request in requests:
        await outcomes.settle(Records(store, later=later.add), request, answer("7"), now=NOW)
    assert await rows(store) == {OpenRow(each.request_id, DEADLINE).key for each in requests}

    await later.close()

    assert await rows(store) == {SettledRow.of(each.request_id, NOW, DEADLINE).key for each in requests}


@given(moment=MOMENTS, name=st.from_regex(keys.REQUEST_ID_PATTERN, fullmatch=True))
def test_the_name_of_an_open_row_tells_id_and_deadline(moment: datetime, name: str) -> None:
    name = name.strip()
    row = OpenRow.of_key(OpenRow(name, moment).key)

    assert row == OpenRow(name, moment.replace(microsecond=0))


@given(first=MOMENTS, second=MOMENTS)
def test_open_rows_are_sorted_by_the_deadline(first: datetime, second: datetime) -> None:
    whole = [each.replace(microsecond=0) for each in (first, second)]

    assert (OpenRow("b", whole[0]).key < OpenRow("a", whole[1]).key) == (whole[0] < whole[1])


@given(at=MOMENTS, left=st.timedeltas(timedelta(0), timedelta(days=366)))
def test_the_name_of_a_settled_row_tells_the_day_and_a_deadline_that_is_far_off(
    at: datetime, left: timedelta
) -> None:
    row = SettledRow.of("a", at, at + left)

    again = SettledRow.of_key(row.key)

    assert again is not None
    assert (again.request_id, again.day) == ("a", at.date())
    assert again.expires_by >= at + left
    assert again.expires_by - (at + left) <= timedelta(days=2)
    assert (again.key == f"{keys.SETTLED}/{at.date()}/a") == (again.expires_at is None)


@pytest.mark.parametrize(
    "key",
    [
        "",
        "x",
        "2031-05-06",
        "2031-05-06/",
        "2031-5-6/a",
        "2031-05-06/A",
        "2031-05-06/a.0",
        "9999-12-31/a",
        "20310506/a",
    ],
)
def test_what_is_no_row_is_none(key: str) -> None:
    assert SettledRow.of_key(f"{keys.SETTLED}/{key}") is None
    assert OpenRow.of_key(f"{keys.OPEN}/{key}") is None


async def by_an_older_release(store: Timed, request_id: str = ID) -> StoredRequest:
    """A question as a release without an index asks it."""
    return await create_request(
        store,
        draft_request(
            request_id=request_id, now=NOW, event_name="n", data_type=int, prompt="?", timeout_seconds=600
        ),
    )


async def damage(store: Timed, *, lost: list[str], stale: list[str]) -> None:
    await store.delete_many(lost)
    for key in stale:
        await store.mark(key)


FAULTS: dict[str, tuple[list[str], list[str]]] = {
    "nothing": ([], []),
    "a lost row": ([OPEN, SETTLED], []),
    "a stale row of the open ones": ([], [OPEN]),
    "rows of open ones twice": ([], [OPEN, OpenRow(ID, DEADLINE + timedelta(days=1)).key]),
    "only a wrong row": ([OPEN], [OpenRow(ID, DEADLINE + timedelta(days=1)).key]),
    "rows of what is not there": ([], [OpenRow("nobody", DEADLINE).key]),
    "only a row of a day to come": ([OPEN, SETTLED], [f"{keys.SETTLED}/2999-01-01/{ID}"]),
    "a row of a day to come besides": ([], [f"{keys.SETTLED}/2999-01-01/{ID}"]),
    "what is no row": ([], [f"{keys.OPEN}/x", f"{keys.SETTLED}/x", f"{keys.SETTLED}/2031-05-06/X"]),
}


@pytest.mark.parametrize("settled", [True, False])
@pytest.mark.parametrize("fault", FAULTS)
async def test_a_full_scan_repairs_the_index(store: Timed, fault: str, settled: bool) -> None:
    request = await asked(store)
    if settled:
        await settle(store, request, answer("7"), now=NOW, markers=False)
    lost, stale = FAULTS[fault]
    await damage(store, lost=lost, stale=stale)
    assert not await is_complete(store)
    store.time += STALE

    await scan_all(store, now=store.time)

    found = {
        row for key in await rows(store) if (row := SettledRow.of_key(key) or OpenRow.of_key(key)) is not None
    }
    # The deadline in the name of a single row is not compared: it says only in which order to look.
    assert [type(row) for row in found] == [SettledRow if settled else OpenRow]
    assert {row.request_id for row in found} == {ID}
    assert fault == "only a wrong row" or {row.key for row in found} == {SETTLED if settled else OPEN}
    assert await completed_at(store) == store.time


async def test_what_an_older_release_asked_and_settled_is_in_the_index_after_a_scan(store: Timed) -> None:
    first, second = await by_an_older_release(store, "first"), await by_an_older_release(store, "second")
    await settle(store, second, answer("7"), now=NOW, markers=False)
    await store.delete(SettledRow.of("second", NOW, DEADLINE).key)
    assert await rows(store) == set()

    await scan_all(store, now=NOW)

    assert await rows(store) == {OpenRow("first", DEADLINE).key, SettledRow.of("second", NOW, DEADLINE).key}
    assert first.document.expires_at == DEADLINE


async def test_another_object_beside_the_sign_that_the_index_is_complete_hides_no_question(store: Timed) -> None:
    # A later release may write more there.
    await by_an_older_release(store)
    await store.mark(f"{keys.INDEX_COMPLETE}.begun")

    assert not await is_complete(store)


async def test_an_index_whose_rows_may_not_be_written_is_not_complete(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    await store.prove()
    await asked(store, now=datetime.now(UTC))
    shutil.rmtree(tmp_path / keys.OPEN)
    (tmp_path / keys.OPEN).write_text("no folder")
    left: dict[str, str] = {}

    await scan_all(store, now=datetime.now(UTC), left=left.__setitem__)

    assert left["the index"] == "rows are missing that could not be written"
    assert not await is_complete(store)


async def test_a_scan_that_was_interrupted_does_not_say_that_the_index_is_complete() -> None:
    store = Counting(f"memory://{uuid.uuid4().hex}", page=4)
    for number in range(20):
        await by_an_older_release(store, f"q-{number:02}")
    scan = Scan(store, lambda _: None, lambda *_: None)
    for _ in range(3):
        await scan.step(NOW)

    assert not await is_complete(store)
    while await scan.step(NOW):
        pass
    assert await is_complete(store)
    assert len(await rows(store)) == 20


async def test_what_cannot_be_read_is_told_and_keeps_nothing_else_from_the_index(store: Timed) -> None:
    await store.create_once(keys.request_key("damaged"), b"{")
    await by_an_older_release(store)
    left: dict[str, str] = {}

    await scan_all(store, now=NOW, left=left.__setitem__)

    assert list(left) == ["damaged"]
    assert await rows(store) == {OPEN, OpenRow.unreadable("damaged").key}

    left.clear()
    await scan_all(store, now=NOW, left=left.__setitem__)

    assert list(left) == ["damaged"]

    await store.delete(keys.request_key("damaged"))
    await by_an_older_release(store, "damaged")
    await scan_all(store, now=NOW)

    assert await rows(store) == {OPEN, OpenRow("damaged", DEADLINE).key}


async def test_a_scan_costs_a_page_for_a_thousand_objects_and_reads_only_what_has_no_row() -> None:
    store = Counting(f"memory://{uuid.uuid4().hex}", page=100)
    for number in range(200):
        request = await asked(store, f"q-{number:03}")
        if number % 2:
            await settle(store, request, answer("7"), now=NOW, markers=False)
    await scan_all(store, now=NOW)

    await store.cost(scan_all(store, now=NOW))

    assert store.asked["read"] == 0
    # 300 objects, 200 rows, and a few listings that find nothing.
    assert store.asked["list"] <= 3 + 1 + 3 + 1 + 8


async def test_questions_are_listed_whole_whatever_the_size_of_a_page() -> None:
    names = ["a", "a-b", "a-b-c", "b", "ba", "c0", "z"]
    for page in range(1, 12):
        store = Counting(f"memory://{uuid.uuid4().hex}", page=page)
        for name in names:
            await store.create_once(keys.request_key(name), b"x")
            for number in range(3):
                await store.create_once(f"{keys.links_prefix(name)}/{number}", b"x")
            await store.create_once(keys.response_key(name), b"x")
        await store.mark(keys.new_marker("a"))
        walk, walked = Walk(store), []
        while (found := await walk.step()) is not None:
            walked += found
        wanted = sorted([*names, "a-bb", "nobody", "zz"], key=sort_key)
        looked = [each async for each in look_up(store, wanted)]

        assert [each.request_id for each in walked] == sorted(names, key=sort_key)
        assert [each.request_id for each in looked] == wanted
        for each in [*walked, *looked]:
            assert len(each.objects) == (5 if each.request_id in names else 0)
            assert (each.asked_at is not None) == (each.request_id in names)


async def test_rows_of_several_days_come_in_one_order() -> None:
    store = Counting(f"memory://{uuid.uuid4().hex}", page=3)
    days = [date(2031, 5, day) for day in (1, 2, 3)]
    wanted = [(f"q-{number}", days[number % 3]) for number in range(25)]
    for name, day in wanted:
        await store.mark(SettledRow(name, day).key)

    found = [(row.request_id, row.day) async for row, _ in settled_rows(store, days)]

    assert found == sorted(wanted, key=lambda each: sort_key(each[0]))


def test_the_first_step_of_a_deletion_leaves_the_outcome() -> None:
    listed = Listed(ID, {"request.json": NOW, "response.json": NOW, "links/x.json": NOW})

    assert keys.response_key(ID) not in listed.first_step()
    assert {keys.request_key(ID), f"{keys.links_prefix(ID)}/x.json"} == set(listed.first_step())
    assert keys.response_key(ID) in listed.all_keys()


async def test_a_row_that_cannot_be_written_leaves_the_open_one(store: Timed) -> None:
    request = await asked(store)
    await settle(store, request, answer("7"), now=NOW, markers=False)
    outcome = await read_outcome(store, ID)
    assert outcome is not None
    await store.mark(OPEN)

    await write_settled(store, [(SETTLED, OPEN)])
    await note_settled(Records(store), request.document, outcome)

    assert await rows(store) == {SETTLED}


async def test_the_command_lists_what_is_open_and_costs_nothing_for_what_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    costs = []
    for kept in (100, 2_000):
        store = Counting(f"memory://{uuid.uuid4().hex}")
        await filled(store, settled=kept, pending=50)
        monkeypatch.setattr("hitl.cli.storage_backend.open_store", lambda _, found=store: found)
        backend = Stored(Settings())
        costs.append(await store.cost(backend.list(settled=False)))
        assert len(await backend.list(settled=False)) == 50

    assert costs[1] == costs[0]
