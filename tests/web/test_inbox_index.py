"""The inbox by the index of a root: what it costs, and that no row is believed that is wrong."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest

from hitl.core import keys
from hitl.core.keys import OpenRow, SettledRow
from hitl.records.index import is_complete
from hitl.records.requests import StoredRequest
from hitl.records.retention import scan_all
from hitl_webapp import candidates
from hitl_webapp.survey import Survey, survey
from tests.library.counting import Counting, filled
from tests.library.samples import NOW, Timed, answer, asked, create_request, draft_request, settle

# Such questions wait for a day by the clock of the tests' store.
WAITS = 86_400.0
DEADLINE = NOW + timedelta(seconds=WAITS)


@pytest.fixture
def store() -> Timed:
    return Timed(f"memory://{uuid.uuid4().hex}")


async def seen(store: Timed, before: Survey | None = None, *, tends: bool = False, later: float = 0) -> Survey:
    return await survey(store, before, tends=tends, now=lambda: store.time, clock=lambda: 1_000.0 + later)


async def waiting(store: Timed, request_id: str) -> StoredRequest:
    return await asked(store, request_id, timeout_seconds=WAITS)


def open_ones(found: Survey) -> list[str]:
    return sorted(name for name, each in found.entries.items() if each.outcome is None)


def settled_ones(found: Survey) -> list[str]:
    return sorted(name for name, each in found.entries.items() if each.outcome is not None)


async def with_rows(store: Timed) -> None:
    """One question waits, another one is settled, and nobody said yet that the index is complete."""
    await waiting(store, "open")
    await settle(store, await waiting(store, "settled"), answer("7"), now=NOW, markers=False)


async def indexed(store: Timed) -> None:
    """One question waits, another one is settled, and the index is complete."""
    await with_rows(store)
    await scan_all(store, now=NOW)


async def test_the_inbox_costs_what_is_open_and_not_what_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "_MOST_SETTLED", 20)
    monkeypatch.setattr(candidates, "_MOST_SETTLED_LISTED", 200)
    costs = []
    for kept in (100, 1_000):
        store = Counting(f"memory://{uuid.uuid4().hex}")
        await filled(store, settled=kept, pending=50)
        costs.append(await store.cost(seen(store)))
        first = await seen(store)
        assert len(open_ones(first)) == 50
        assert len(settled_ones(first)) == 20
        await store.cost(seen(store, first))
        # The second time, what waits was looked at a moment ago, and what is settled does not change.
        assert store.asked["read"] == 0

    assert costs[1] <= costs[0] + 2


ROWS = {
    "a stale row": (OpenRow("settled", DEADLINE).key, ["open"], ["settled"]),
    "a row of a question that is not there": (OpenRow("nobody", DEADLINE).key, ["open"], ["settled"]),
    "another row of the same question": (OpenRow("open", NOW).key, ["open"], ["settled"]),
    "a settled row of a question that waits": (SettledRow("open", NOW.date()).key, ["open"], ["settled"]),
    "a settled row of another day": (
        SettledRow("settled", (NOW - timedelta(days=9)).date()).key,
        ["open"],
        ["settled"],
    ),
    "a settled row of what is not there": (SettledRow("nobody", NOW.date()).key, ["open"], ["settled"]),
    "no row at all": (f"{keys.OPEN}/x", ["open"], ["settled"]),
}


@pytest.mark.parametrize("fault", ROWS)
async def test_a_row_that_is_wrong_shows_nothing_wrong(store: Timed, fault: str) -> None:
    await indexed(store)
    row, pending, settled = ROWS[fault]
    await store.mark(row)

    found = await seen(store)

    assert (open_ones(found), settled_ones(found)) == (pending, settled)
    assert found.unreadable == ()


async def test_a_question_whose_row_was_lost_since_stays(store: Timed) -> None:
    await indexed(store)
    first = await seen(store)
    await store.delete(OpenRow("open", DEADLINE).key)

    second = await seen(store, first, tends=True)

    assert open_ones(second) == ["open"]
    assert await store.exists(OpenRow("open", DEADLINE).key)


async def test_what_was_settled_meanwhile_is_seen_though_its_rows_are_old(store: Timed) -> None:
    await indexed(store)
    first = await seen(store)
    await settle(store, await asked(store, "open", timeout_seconds=WAITS), answer("7"), now=NOW, markers=False)
    # As if whoever answered had died, or were not permitted to write rows.
    await store.delete(SettledRow.of("open", NOW, DEADLINE).key)
    await store.mark(OpenRow("open", DEADLINE).key)

    assert open_ones(await seen(store, first, later=29)) == ["open"]
    assert settled_ones(await seen(store, first, later=31)) == ["open", "settled"]


async def older(store: Timed, request_id: str) -> None:
    """A question of a release without an index."""
    await create_request(
        store,
        draft_request(
            request_id=request_id, now=NOW, event_name="n", data_type=int, prompt="?", timeout_seconds=WAITS
        ),
    )


async def test_a_root_of_an_older_release_is_listed_as_before_and_indexed_by_the_way(store: Timed) -> None:
    await older(store, "old")
    await with_rows(store)

    found = await seen(store)
    assert (open_ones(found), settled_ones(found)) == (["old", "open"], ["settled"])
    assert not await is_complete(store), "an operator looks after this root"

    found = await seen(store, tends=True)
    assert (open_ones(found), settled_ones(found)) == (["old", "open"], ["settled"])
    assert await is_complete(store)
    assert await store.exists(OpenRow("old", DEADLINE).key)
    assert open_ones(await seen(store)) == ["old", "open"]


async def test_the_index_is_not_complete_before_all_of_it_was_read(
    store: Timed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hitl_webapp.survey.MOST_READ", 2)
    for number in range(4):
        await older(store, f"q-{number}")

    first = await seen(store, tends=True)
    assert len(first.entries) == 2
    assert not await is_complete(store)


async def test_what_an_older_release_asks_beside_is_found_once_a_day_where_no_operator_looks(store: Timed) -> None:
    await indexed(store)
    await older(store, "old")
    assert open_ones(await seen(store, tends=True)) == ["open"]

    store.time += timedelta(days=1)

    assert open_ones(await seen(store, tends=True)) == ["old", "open"]
    assert open_ones(await seen(store, tends=True)) == ["old", "open"]


async def test_what_cannot_be_read_does_not_keep_the_index_from_being_complete(store: Timed) -> None:
    await with_rows(store)
    await store.create_once(keys.request_key("damaged"), b"{")

    found = await seen(store, tends=True)

    assert found.unreadable == ("damaged",)
    assert await is_complete(store)
    assert (await seen(store, tends=True)).unreadable == ("damaged",)


async def test_the_last_settled_ones_are_shown_whatever_their_ids(
    store: Timed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidates, "_MOST_SETTLED", 2)
    for number, name in enumerate(["c", "a", "b", "d"]):
        store.time = NOW + timedelta(days=number)
        request = await asked(store, name, now=store.time, timeout_seconds=WAITS)
        await settle(store, request, answer("7"), now=store.time, markers=False)
    await scan_all(store, now=store.time)

    assert settled_ones(await seen(store)) == ["b", "d"]
