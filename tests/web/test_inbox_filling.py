"""The inbox's index beside the storage: what it costs, and that what others do is seen soon."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl

import pytest

from hitl.core import keys, votekeys
from hitl.core.documents import Origin, Respondent
from hitl.core.keys import OpenRow, SettledRow
from hitl.core.respondents import Respondents
from hitl.errors import StorageUnavailable
from hitl.records import outcomes
from hitl.records.delegating import delegate
from hitl.records.records import Records
from hitl.records.requests import StoredRequest
from hitl.records.retention import scan_all
from hitl.records.submissions import Submission
from hitl.records.voting import withdraw
from hitl_webapp.auth import Principal
from hitl_webapp.inbox import hinted
from hitl_webapp.inbox import inbox as inboxes
from hitl_webapp.inbox.inbox import Inbox
from hitl_webapp.inbox.listing import Listing
from hitl_webapp.inbox.queries import Query, read_query
from tests.backends.processes import PATIENCE
from tests.library.counting import Counting, filled
from tests.library.samples import NOW, Timed, answer, asked, settle
from tests.web.test_inbox import ADMIN

ANN = Principal(name="ann", groups=("sre",), verified=True)
WAITS = 86_400.0
DEADLINE = NOW + timedelta(seconds=WAITS)


@pytest.fixture
def store() -> Timed:
    return Timed(f"memory://{uuid.uuid4().hex}")


class Ticking:
    """Seconds that a test lets pass."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Ticking:
    return Ticking()


def inbox_of(store: Timed, clock: Ticking, **given: Any) -> Inbox:
    return Inbox(store, clock=clock, now=lambda: store.time, **given)


async def seen(inbox: Inbox, store: Timed, query: Query | None = None, principal: Principal = ANN) -> Listing:
    return await inbox.listing(principal, query or Query(), store.time)


def ids(rows: Sequence[Any]) -> list[str]:
    return [each.request_id for each in rows]


async def waiting(store: Timed, request_id: str, **given: Any) -> StoredRequest:
    return await asked(store, request_id, timeout_seconds=WAITS, **given)


async def settled(store: Timed, request_id: str, text: str = "7") -> None:
    await settle(store, await waiting(store, request_id), answer(text), now=store.time, markers=False)


async def indexed(store: Timed) -> None:
    """One question waits, another one is settled, and the index is complete."""
    await waiting(store, "open")
    await settled(store, "settled")
    await scan_all(store, now=NOW)


async def test_the_first_reading_costs_a_read_for_each_open_question_and_the_next_one_only_a_list(
    clock: Ticking,
) -> None:
    store = Counting(f"memory://{uuid.uuid4().hex}", page=1_000)
    await filled(store, settled=30, pending=200)
    inbox = inbox_of(store, clock)

    await store.cost(seen(inbox, store))
    assert store.asked["read"] == 200 + 2 * 30
    clock.seconds += 20
    cost = await store.cost(seen(inbox, store))

    assert store.asked["read"] == store.asked["exists"] == 0
    # One of them looks for what was handed over.
    assert cost <= 7


async def test_what_is_shown_is_looked_at_again_after_half_a_minute_and_nothing_else(clock: Ticking) -> None:
    store = Counting(f"memory://{uuid.uuid4().hex}", page=1_000)
    await filled(store, settled=0, pending=200)
    inbox = inbox_of(store, clock)
    await seen(inbox, store)
    clock.seconds += 31

    await store.cost(seen(inbox, store))

    assert (store.asked["exists"], store.asked["read"]) == (50, 0)


async def test_what_another_one_asks_and_settles_is_seen_with_the_next_reading(
    store: Timed, clock: Ticking
) -> None:
    await indexed(store)
    inbox = inbox_of(store, clock)
    assert ids((await seen(inbox, store)).rows) == ["open"]
    await waiting(store, "another")
    await settled(store, "open")
    clock.seconds += 60

    found = await seen(inbox, store)

    assert (ids(found.rows), sorted(ids(found.settled))) == (["another"], ["open", "settled"])


async def test_a_hint_is_looked_at_without_a_reading_and_a_forged_one_changes_nothing(
    store: Timed, clock: Ticking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inboxes, "_KEPT_FACTOR", 1e9)
    await indexed(store)
    inbox = inbox_of(store, clock)
    await seen(inbox, store)
    inbox._fresh_until = 1e9
    await waiting(store, "another")
    await settled(store, "open")

    for each in ("another", "open", "nobody", "../x"):
        inbox.hint(each)
    for _ in range(200):
        found = await seen(inbox, store)
        if not inbox._hinted and ids(found.rows) == ["another"]:
            break

    assert (ids(found.rows), sorted(ids(found.settled))) == (["another"], ["open", "settled"])
    assert await inbox.known() == 3


@pytest.mark.parametrize("all_of_it", [True, False], ids=["storage", "object"])
async def test_a_hint_that_meets_storage_out_of_reach_is_looked_at_again(
    store: Timed, clock: Ticking, monkeypatch: pytest.MonkeyPatch, all_of_it: bool
) -> None:
    monkeypatch.setattr(inboxes, "_KEPT_FACTOR", 1e9)
    monkeypatch.setattr(hinted, "_PAUSES_SECONDS", (0.01, 0.01))
    await indexed(store)
    inbox = inbox_of(store, clock)
    await seen(inbox, store)
    inbox._fresh_until = 1e9
    await waiting(store, "another")
    read, away = store.read, [StorageUnavailable("away")] * 2

    async def out_of_reach(key: str) -> bytes | None:
        if key == keys.request_key("another") and away:
            raise away.pop()
        return await read(key)

    async def reached(_: str) -> bool:
        if all_of_it:
            raise StorageUnavailable("away")
        return False

    with monkeypatch.context() as outage:
        outage.setattr(store, "read", out_of_reach)
        outage.setattr(store, "exists", reached)
        inbox.hint("another")
        async with asyncio.timeout(PATIENCE):
            while "another" not in ids((await seen(inbox, store)).rows):
                await asyncio.sleep(0.01)
    assert away == []
    inbox.close()


async def test_a_flood_of_hints_is_looked_at_a_few_at_a_time(
    store: Timed, clock: Ticking, monkeypatch: pytest.MonkeyPatch
) -> None:
    await indexed(store)
    inbox = inbox_of(store, clock)
    await seen(inbox, store)
    looks, most, all_looks = 0, 0, 0

    async def look(_: Sequence[str]) -> None:
        nonlocal looks, most, all_looks
        looks += 1
        all_looks += 1
        most = max(most, looks)
        await asyncio.sleep(0.05)
        looks -= 1

    async def flood() -> None:
        for number in range(3_000):
            inbox.hint(f"forged-{number}")
            await asyncio.sleep(0)
        async with asyncio.timeout(120):
            while inbox._hinted or looks:
                await asyncio.sleep(0.05)

    monkeypatch.setattr(inbox._filler, "look", look)
    await flood()
    assert 0 < most <= 16
    assert all_looks == 200
    # As many as come, a second has ten of them.
    clock.seconds += 3
    await flood()
    assert all_looks == 230
    inbox.close()


ROWS = {
    "a stale row": OpenRow("settled", DEADLINE).key,
    "a row of a question that is not there": OpenRow("nobody", DEADLINE).key,
    "another row of the same question": OpenRow("open", NOW).key,
    "a settled row of a question that waits": SettledRow("open", NOW.date()).key,
    "a settled row of another day": SettledRow("settled", (NOW - timedelta(days=9)).date()).key,
    "a settled row of what is not there": SettledRow("nobody", NOW.date()).key,
    "no row at all": f"{keys.OPEN}/x",
}


@pytest.mark.parametrize("fault", ROWS)
@pytest.mark.parametrize("late", [False, True], ids=["before", "afterwards"])
async def test_a_row_that_is_wrong_shows_nothing_wrong(
    store: Timed, clock: Ticking, fault: str, late: bool
) -> None:
    await indexed(store)
    inbox = inbox_of(store, clock)
    if late:
        await seen(inbox, store)
    await store.mark(ROWS[fault])
    clock.seconds += 60

    found = await seen(inbox, store)

    assert (ids(found.rows), ids(found.settled), found.unreadable) == (["open"], ["settled"], ())


async def test_an_open_row_that_outlived_its_question_is_seen_through_where_it_is_shown(
    store: Timed, clock: Ticking
) -> None:
    await indexed(store)
    inbox = inbox_of(store, clock)
    await seen(inbox, store)
    await settled(store, "open")
    # As if whoever answered had died, or were not permitted to write rows.
    await store.delete(SettledRow.of("open", NOW, DEADLINE).key)
    await store.mark(OpenRow("open", DEADLINE).key)
    clock.seconds += 31

    found = await seen(inbox, store)

    assert (ids(found.rows), sorted(ids(found.settled))) == ([], ["open", "settled"])


@pytest.mark.parametrize("tends", [False, True])
async def test_a_question_whose_row_was_lost_stays_and_gets_one_where_no_operator_looks(
    store: Timed, clock: Ticking, tends: bool
) -> None:
    await indexed(store)
    inbox = inbox_of(store, clock, tends=tends)
    await seen(inbox, store)
    await store.delete(OpenRow("open", DEADLINE).key)
    clock.seconds += 60

    assert ids((await seen(inbox, store)).rows) == ["open"]
    assert await store.exists(OpenRow("open", DEADLINE).key) is tends


async def test_a_question_that_was_deleted_goes_and_another_one_under_its_id_is_read(
    store: Timed, clock: Ticking
) -> None:
    await indexed(store)
    inbox = inbox_of(store, clock)
    await seen(inbox, store)
    await store.delete(keys.request_key("open"))
    await store.delete(OpenRow("open", DEADLINE).key)
    clock.seconds += 60
    assert ids((await seen(inbox, store)).rows) == []
    store.time += timedelta(seconds=60)
    await waiting(store, "open", prompt="Another one?", now=store.time)
    clock.seconds += 60

    [row] = (await seen(inbox, store)).rows

    assert row.prompt == "Another one?"


async def test_of_more_questions_than_the_bound_those_that_end_first_are_kept(
    store: Timed, clock: Ticking
) -> None:
    for number in range(120):
        await asked(store, f"q-{number:03}", timeout_seconds=WAITS - number)
    await scan_all(store, now=NOW)
    inbox = inbox_of(store, clock, rows=100)

    found = await seen(inbox, store)

    assert (found.total, found.progress.counted) == (100, False)
    assert ids(found.rows)[0] == "q-119"
    for number in range(50, 120):
        await settled_as(store, f"q-{number:03}", WAITS - number)
    clock.seconds += 60
    assert (await seen(inbox, store)).total == 50


async def settled_as(store: Timed, request_id: str, seconds: float) -> None:
    request = await asked(store, request_id, timeout_seconds=seconds)
    await settle(store, request, answer("7"), now=store.time, markers=False)


async def test_what_is_damaged_costs_its_own_row_and_is_shown_once_it_is_mended(
    store: Timed, clock: Ticking
) -> None:
    await indexed(store)
    await store.create_once(keys.request_key("damaged"), b"{")
    await store.mark(OpenRow.unreadable("damaged").key)
    inbox = inbox_of(store, clock)

    found = await seen(inbox, store, principal=ADMIN)
    assert (ids(found.rows), found.unreadable) == (["open"], ("damaged",))
    await store.delete(keys.request_key("damaged"))
    await waiting(store, "damaged")
    clock.seconds += 60

    for _ in range(12):
        found = await seen(inbox, store, principal=ADMIN)
        clock.seconds += 60
    assert (sorted(ids(found.rows)), found.unreadable) == (["damaged", "open"], ())


@pytest.mark.parametrize(
    "changed",
    [
        {"created_at": "0001-01-01T00:00:00+14:00"},
        {"expires_at": "9999-12-31T23:59:59.999999Z"},
        {"expires_at": "9999-12-31T23:59:59-12:00"},
    ],
)
async def test_a_moment_at_an_end_of_the_calendar_costs_its_own_row(
    store: Timed, clock: Ticking, changed: dict[str, str]
) -> None:
    await indexed(store)
    document = json.loads((await waiting(store, "odd")).document.to_bytes())
    await store.delete(keys.request_key("odd"))
    await store.create_once(keys.request_key("odd"), json.dumps(document | changed).encode())
    found = await seen(inbox_of(store, clock), store, principal=ADMIN)
    assert (ids(found.rows), found.unreadable) == (["open"], ("odd",))


@pytest.mark.parametrize("name", ["x" * 5_000, " padded ", f"{'y' * 255} z"])
async def test_whatever_a_run_and_a_project_are_called_their_links_find_them(
    store: Timed, clock: Ticking, name: str
) -> None:
    await waiting(store, "named", origin=Origin(project=name, run=name))
    inbox = inbox_of(store, clock)
    (row,) = (await seen(inbox, store)).rows
    for url in (Query().but(run=row.run), Query().but(project=row.project)):
        assert len(url) < 300
        query = read_query(dict(parse_qsl(url.removeprefix("?"))))
        assert ids((await seen(inbox, store, query)).rows) == ["named"]


async def test_the_next_question_is_the_one_with_the_next_deadline_that_the_visitor_may_see(
    store: Timed, clock: Ticking
) -> None:
    for name, seconds, who in (("c", 300, "ann"), ("a", 400, "bob"), ("b", 500, "ann")):
        await asked(store, name, timeout_seconds=seconds, respondents=Respondents(users=[who]))
    await scan_all(store, now=NOW)
    inbox = inbox_of(store, clock)

    async def next_of(request_id: str, name: str = "ann") -> str:
        return await inbox.next(Principal(name=name, verified=True), request_id, store.time)

    assert [await next_of(each) for each in ("c", "b", "nobody", "../x", "")] == ["b", "c", "c", "c", "c"]
    # What somebody may not see has no place among the others.
    assert await next_of("a") == "c"
    assert [await next_of("a", "bob"), await next_of("x", "eve")] == ["", ""]


@pytest.mark.parametrize("scanned", [True, False], ids=["by the index", "by listing everything"])
async def test_what_is_handed_over_is_shown_to_somebody_else_until_it_is_taken_back(
    store: Timed, clock: Ticking, scanned: bool
) -> None:
    records, bob = Records(store), Principal(name="bob", verified=True)
    by_ann = Respondent(name="ann", via="web", verified=True)
    question = await waiting(store, "named", respondents={"users": ["ann"]})
    await waiting(store, "other", respondents={"users": ["ann"]})
    if scanned:
        await scan_all(store, now=NOW)
    inbox = inbox_of(store, clock)

    async def bobs(state: str = "open", again: Inbox = inbox) -> list[str]:
        clock.seconds += 1_000
        store.time += timedelta(seconds=100)
        return ids((await seen(again, store, read_query({"state": state}), bob)).rows)

    assert await bobs() == []
    await delegate(records, question, by_ann, "bob", now=store.time)
    assert await bobs() == ["named"]
    # One that starts now, too; and it knows nothing of the other question.
    assert await bobs(again=inbox_of(store, clock)) == ["named"]
    await withdraw(records, question, by_ann, now=store.time)
    assert await bobs() == []

    await delegate(records, question, by_ann, "bob", now=store.time)
    assert await bobs() == ["named"]
    submission = Submission("answered", Respondent(name="bob", via="web", verified=True), "7")
    assert (await outcomes.settle(records, question, submission, now=store.time)).kind == "recorded"
    assert await bobs() == []
    assert await bobs("settled") == ["named"]
    assert await bobs("settled", inbox_of(store, clock)) == ["named"]
    # What is settled costs no further look.
    assert await store.list_markers(votekeys.HANDED) == []
