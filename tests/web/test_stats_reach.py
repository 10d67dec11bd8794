"""How far back statistics go: no part is ever said to be all of it."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hitl.core import keys
from hitl.core.keys import SettledRow
from hitl.errors import StorageUnavailable
from hitl.records.retention import scan_all
from hitl.storage import Store
from hitl_webapp.candidates import last_settled
from hitl_webapp.inbox import filling
from hitl_webapp.inbox import inbox as inboxes
from hitl_webapp.inbox.inbox import Inbox
from hitl_webapp.stats import counting
from hitl_webapp.stats.queries import Wanted
from hitl_webapp.stats.shown import Statistics, statistics
from tests.backends.plugin import Backend
from tests.library.counting import Counting
from tests.library.samples import NOW, Timed, answer, asked, settle
from tests.web.test_inbox import Away
from tests.web.test_inbox import asked as asked_now
from tests.web.test_inbox_filling import ANN, Ticking, inbox_of

WAITS = 86_400.0


class Paged(Timed):
    """A store that lists two objects a page, so that few rows are several pages."""

    async def list_page(self, prefix: str, after: str = "", most: int | None = None) -> list[tuple[str, datetime]]:
        return (await super().list_page(prefix, after, most))[:2]


@settings(max_examples=200, suppress_health_check=list(HealthCheck))
@given(
    ended=st.lists(
        st.tuples(st.integers(0, 4 * 86_400), st.sampled_from([-29, 0, 1, 40, 86_400])), max_size=12, unique=True
    ),
    most=st.integers(1, 8),
    most_listed=st.integers(1, 12),
)
def test_all_that_ended_since_are_among_the_last_settled_ones(
    ended: list[tuple[int, int]], most: int, most_listed: int
) -> None:
    async def listed() -> tuple[dict[str, datetime], Any]:
        store = Paged(f"memory://{uuid.uuid4().hex}")
        moments = {}
        for number, (seconds, later) in enumerate(ended):
            at = moments[f"q-{number}"] = NOW + timedelta(seconds=seconds)
            # The storage's clock may be behind, and a scan may write a row that was lost days later.
            store.time = at + timedelta(seconds=later)
            await store.mark(SettledRow.of(f"q-{number}", at, at).key)
        return moments, await last_settled(store, most, most_listed)

    moments, found = asyncio.run(listed())
    ids = {each for _, each in found.rows}

    assert len(ids) == len(found.rows) <= most
    assert {each for each, at in moments.items() if found.since is None or at >= found.since} <= ids
    if len(ended) <= most and len(ended) < most_listed:
        assert (found.since, len(ids)) == (None, len(ended))


async def test_no_storage_s_listing_loses_what_ended_last(backend: Backend) -> None:
    # The times of some have whole seconds, and each lists in an order of its own.
    store = Store(backend.url, backend.options)
    moments = {}
    for number in range(5):
        at = moments[f"q-{number}"] = datetime.now(UTC)
        await store.mark(SettledRow.of(f"q-{number}", at, at).key)

    found, everything = await last_settled(store, 2, 100), await last_settled(store, 5, 100)

    assert found.since is not None
    assert len(found.rows) == 2
    assert {each for each, at in moments.items() if at >= found.since} <= {each for _, each in found.rows}
    assert (
        max(moments.values()) - timedelta(seconds=1) < found.since < max(moments.values()) + timedelta(minutes=2)
    )
    assert ({each for _, each in everything.rows}, everything.since) == (set(moments), None)


async def counted(inbox: Inbox, now: datetime) -> Statistics:
    return await statistics(inbox, ANN, Wanted(weeks="4"), now)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """The inbox reads two settled questions, and statistics four."""
    monkeypatch.setattr(filling, "_SOME_SETTLED", (2, 100))
    monkeypatch.setattr(filling, "_MANY_SETTLED", (4, 100))


async def settled_daily(store: Timed, number: int) -> datetime:
    """Ask and answer a question a day, each answered after as many minutes as it has in its name; return now."""
    for each in range(number):
        store.time = NOW + timedelta(days=each)
        request = await asked(store, f"q-{each}", now=store.time, timeout_seconds=WAITS)
        store.time += timedelta(minutes=each)
        await settle(store, request, answer("7"), now=store.time)
    await scan_all(store, now=store.time)
    return store.time


async def test_more_settled_questions_are_read_for_statistics_and_it_is_said_from_when_on(few: None) -> None:
    store, clock = Counting(f"memory://{uuid.uuid4().hex}"), Ticking()
    now = await settled_daily(store, 7)
    inbox = inbox_of(store, clock)

    shown = await counted(inbox, now)

    assert shown.whole
    # The days before were not listed.
    assert shown.report.settled_from == (NOW + timedelta(days=3)).replace(hour=0, minute=0, second=0)
    assert (shown.report.total.answered, shown.report.total.times) == (4, [180.0, 240.0, 300.0, 360.0])
    assert shown.cut
    await store.cost(counted(inbox, now))
    assert store.asked["read"] == 0


async def test_all_that_are_kept_are_counted_where_they_are_few(few: None) -> None:
    store = Timed(f"memory://{uuid.uuid4().hex}")
    now = await settled_daily(store, 4)
    shown = await counted(inbox_of(store, Ticking()), now)
    assert (shown.whole, shown.cut, shown.report.total.answered) == (True, False, 4)


async def test_what_was_deleted_since_is_not_counted(few: None) -> None:
    store, clock = Timed(f"memory://{uuid.uuid4().hex}"), Ticking()
    now = await settled_daily(store, 3)
    inbox = inbox_of(store, clock)
    assert (await counted(inbox, now)).report.total.answered == 3
    rows = [key async for key, _ in store.list_keys(keys.SETTLED)]
    # One was deleted; of another one only the row was lost.
    await store.delete_many([rows[0], keys.request_key("q-0"), keys.response_key("q-0"), rows[1]])

    clock.seconds += 601

    assert (await counted(inbox, now)).report.total.answered == 2


async def test_a_full_index_counts_from_its_first_settled_question_on(
    few: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filling, "MOST_SETTLED", 3)
    monkeypatch.setattr(counting, "MOST_SETTLED", 3)
    store = Timed(f"memory://{uuid.uuid4().hex}")
    now = await settled_daily(store, 4)
    shown = await counted(inbox_of(store, Ticking()), now)
    assert (shown.cut, shown.report.total.answered) == (True, 2)
    assert shown.report.settled_from > NOW + timedelta(days=1)


async def test_statistics_say_how_old_they_are(few: None, monkeypatch: pytest.MonkeyPatch) -> None:
    # More than this are listed seldom.
    monkeypatch.setattr(filling, "_FEW_SETTLED", 1)
    store, clock = Timed(f"memory://{uuid.uuid4().hex}"), Ticking()
    now = await settled_daily(store, 3)
    inbox = inbox_of(store, clock)
    assert (await counted(inbox, now)).as_of is None
    # Asked and answered by others between two readings.
    await settle(store, await asked(store, "quick", now=now, timeout_seconds=WAITS), answer("7"), now=now)

    clock.seconds += 300
    shown = await counted(inbox, now + timedelta(seconds=300))
    assert (shown.as_of, shown.report.total.answered) == (now, 3)
    clock.seconds += 301
    shown = await counted(inbox, now + timedelta(seconds=601))
    assert (shown.as_of, shown.report.total.answered) == (None, 4)


async def test_what_is_still_being_read_is_said_to_be_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    store, clock = Timed(f"memory://{uuid.uuid4().hex}"), Ticking()
    for each in range(3):
        await asked(store, f"q-{each}", timeout_seconds=WAITS)
    await scan_all(store, now=NOW)
    shown = await counted(inbox_of(store, clock, rows=2), NOW)
    assert (shown.whole, shown.report.total.open) == (False, 2)
    # Whoever wants statistics waits a moment for them, and no longer.
    monkeypatch.setattr(inboxes, "_REACH_SECONDS", 0.0)
    inbox = inbox_of(store, clock)
    await inbox.overview(ANN, lambda index, rights, since: None)
    assert not (await inbox.overview(ANN, lambda index, rights, since: None)).whole


async def test_without_storage_there_are_no_figures_that_look_like_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inboxes, "_KEPT_FACTOR", 0.0)
    store = Away(str(tmp_path / "root"))
    await asked_now(store, "one")
    fresh, known = Inbox(store), Inbox(store)
    now = datetime.now(UTC)
    assert (await counted(known, now)).report.total.open == 1
    store.gone = True

    with pytest.raises(StorageUnavailable):
        await counted(fresh, now)
    shown = await counted(known, now)

    assert (shown.away, shown.whole, shown.report.total.open) == (True, False, 1)
