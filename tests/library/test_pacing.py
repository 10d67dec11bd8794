"""In which pace a target is told: within its rate, together when there is much, at night only what must be."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitl.core.noticekeys import NoticeBox
from hitl.core.notices import Notice
from hitl.core.pacing import MOST_TOGETHER, Pace, QuietHours, Sent, Waiting, not_before, plan

NOW = datetime(2031, 5, 6, 12, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = QuietHours(BERLIN, time(22), time(7))


def waiting(number: int = 0, *, at: datetime = NOW, lasts: timedelta = HOUR * 8) -> Waiting:
    return Waiting(NoticeBox(f"q-{number:04d}", "asked", "ops"), Notice("asked", at, at + lasts))


def run(pace: Pace, due: list[Waiting], until: timedelta) -> list[tuple[datetime, list[Waiting]]]:
    """What is sent when, by a clock that jumps to each moment that a plan names."""
    now, sent, messages = NOW, list(pace.begin(NOW)), list[tuple[datetime, list[Waiting]]]()
    left = list(due)
    while left and now < NOW + until:
        decided = plan(pace, left, sent, now)
        for each in [[one] for one in decided.alone] + ([decided.together] if decided.together else []):
            messages.append((now, each))
            sent.append(Sent(now, 1, len(each)))
            left = [one for one in left if one not in each]
        assert decided.again_at is not None or not left
        now = max(now, decided.again_at or now)
    return messages


@given(
    per_minute=st.integers(0, 40),
    alone=st.one_of(st.none(), st.integers(0, 30)),
    many=st.integers(0, 250),
    seconds=st.integers(1, 300),
)
def test_each_is_named_once_and_no_minute_has_more_messages_than_the_rate(
    per_minute: int, alone: int | None, many: int, seconds: int
) -> None:
    pace = Pace(per_minute, alone, timedelta(seconds=seconds))
    messages = run(pace, [waiting(number, lasts=HOUR * 1000) for number in range(many)], HOUR * 900)

    named = Counter(each.box for _, members in messages for each in members)
    assert len(named) == many
    assert set(named.values()) <= {1}
    if per_minute:
        for at, _ in messages:
            assert sum(at <= other < at + MINUTE for other, _ in messages) <= per_minute


def test_a_thousand_at_once_come_in_few_messages() -> None:
    messages = run(Pace(30, 10), [waiting(number) for number in range(1000)], HOUR)
    assert len(messages) == 10
    assert {len(members) for _, members in messages} == {MOST_TOGETHER}


def test_few_are_told_at_once_and_alone_and_what_follows_is_gathered() -> None:
    pace = Pace(0, 3)
    first = plan(pace, [waiting(1), waiting(2), waiting(3)], [], NOW)
    assert (len(first.alone), first.together, first.again_at) == (3, [], None)

    sent, later = [Sent(NOW)] * 3, NOW + timedelta(seconds=10)
    gathering = plan(pace, [waiting(4, at=later)], sent, later)
    assert (gathering.alone, gathering.together, gathering.again_at) == ([], [], later + MINUTE)
    end = later + MINUTE
    assert plan(pace, [waiting(4, at=later)], sent, end).alone == [waiting(4, at=later)]
    assert plan(pace, [waiting(4, at=later)], [Sent(later, 1, 5)] * 2, later).again_at == end


def test_what_soon_ends_is_gathered_for_less_and_comes_first() -> None:
    short = waiting(1, lasts=MINUTE)
    assert plan(Pace(0, 0), [short, waiting(2)], [], NOW).again_at == NOW + MINUTE / 10
    assert plan(Pace(1), [waiting(2), short], [], NOW).alone == [short]


def test_a_process_that_begins_does_not_double_the_rate() -> None:
    pace = Pace(10)
    due = [waiting(number) for number in range(30)]
    assert len(plan(pace, due, pace.begin(NOW), NOW).alone) == 5
    assert len(plan(Pace(1), due, Pace(1).begin(NOW), NOW).alone) == 1


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2031-05-06T19:59", None),
        ("2031-05-06T20:00", "2031-05-07T05:00"),
        ("2031-05-06T22:30", "2031-05-07T05:00"),
        ("2031-05-07T04:59", "2031-05-07T05:00"),
        ("2031-05-07T05:00", None),
        # The night in which the clocks are set forward, and the one in which they are set back.
        ("2031-03-29T23:00", "2031-03-30T05:00"),
        ("2031-10-25T23:00", "2031-10-26T06:00"),
    ],
)
def test_quiet_hours_go_by_the_clocks_of_their_zone(now: str, until: str | None) -> None:
    found = NIGHT.until(datetime.fromisoformat(now).replace(tzinfo=UTC))
    assert found == (datetime.fromisoformat(until).replace(tzinfo=UTC) if until else None)


def test_quiet_hours_may_lie_within_a_day_and_may_be_none() -> None:
    lunch = QuietHours(BERLIN, time(12), time(13, 30))
    assert lunch.until(NOW - HOUR) == NOW - MINUTE * 30
    assert lunch.until(NOW) is None
    assert QuietHours(BERLIN, time(0), time(0)).until(NOW) is None


def test_what_ends_at_night_is_told_while_that_is_of_use() -> None:
    pace, late = Pace(quiet=NIGHT), NOW + HOUR * 9
    morning = datetime(2031, 5, 7, 5, tzinfo=UTC)
    assert not_before(pace, waiting(at=late, lasts=HOUR * 12), late) == morning
    assert not_before(pace, waiting(at=late, lasts=HOUR * 4), late) == late + HOUR * 3.5
    assert not_before(pace, waiting(at=late, lasts=MINUTE * 20), late) == late
    # One that failed at night waits for the morning as well.
    failed = Waiting(waiting().box, Notice("asked", NOW, NOW + HOUR * 20), retry_at=late)
    assert not_before(pace, failed, NOW) == morning
