"""What a reading of the storage's clock says, and for how long it counts."""

from datetime import UTC, datetime, timedelta

import pytest

from hitl.errors import ClockApart
from hitl.storage import Store
from hitl.storage.known import Reading, known_of, ticks

NOON = datetime(2031, 5, 6, 12, 0, 0, tzinfo=UTC)


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


@pytest.mark.parametrize(
    ("now", "at", "difference"),
    [
        (NOON, 100.0, 0.0),
        (NOON + seconds(60), 160.0, 0.0),
        (NOON + seconds(60), 100.0, 60.0),
        (NOON - seconds(60), 100.0, -60.0),
        (NOON + seconds(3600), 700.0, 3000.0),
        # Of two questions at once, one may have been asked before the clock was read.
        (NOON - seconds(5), 95.0, 0.0),
    ],
)
def test_the_difference_to_a_clock_that_was_read_a_while_ago(now: datetime, at: float, difference: float) -> None:
    assert Reading(NOON, 100.0).difference(now, at) == pytest.approx(difference)


@pytest.mark.parametrize(
    ("written_at", "began", "ended", "read"),
    [
        (NOON + timedelta(microseconds=1), 10.0, 12.0, Reading(NOON + timedelta(microseconds=1), 11.0)),
        # S3 tells whole seconds: on the average half of one has passed.
        (NOON, 10.0, 10.0, Reading(NOON + seconds(0.5), 10.0)),
    ],
)
def test_the_reading_that_an_object_gives(written_at: datetime, began: float, ended: float, read: Reading) -> None:
    assert Reading.of_object(written_at, began, ended) == read


@pytest.mark.parametrize(("age", "old", "refuses"), [(0, False, True), (6, False, False), (601, True, False)])
def test_a_reading_counts_ten_minutes_and_refuses_for_seconds(age: float, old: bool, refuses: bool) -> None:
    reading = Reading(NOON, 100.0)

    assert reading.is_old(100.0 + age) is old
    assert reading.may_refuse(100.0 + age) is refuses


async def test_a_machine_that_slept_is_not_refused() -> None:
    store = Store("memory://slept")
    # As if the monotonic clock had stood still for an hour, a minute after the reading.
    known_of(store.url, {}).reading = Reading(datetime.now(UTC) - seconds(3660), ticks() - 60)

    assert await store.clock_difference(datetime.now(UTC)) > 3000
    await store.require_clock(datetime.now(UTC))
    assert abs(await store.clock_difference(datetime.now(UTC))) < 5


async def test_an_old_reading_is_made_again() -> None:
    store = Store("memory://old-reading")
    known_of(store.url, {}).reading = Reading(datetime.now(UTC) - seconds(3600), ticks() - 700)

    assert abs(await store.clock_difference(datetime.now(UTC))) < 5


async def test_a_reading_of_just_now_refuses_at_once() -> None:
    seen: list[str] = []
    store = Store("memory://just-now", watcher=lambda operation, _result: seen.append(operation))
    known_of(store.url, {}).reading = Reading(datetime.now(UTC) + seconds(60), ticks())

    with pytest.raises(ClockApart, match="60 s behind the clock of memory://just-now"):
        await store.require_clock(datetime.now(UTC))
    assert seen == []
