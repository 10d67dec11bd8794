"""When people are reminded: the last business moment before, as a minute-by-minute reading finds it."""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hitl
from hitl.core import business_hours
from hitl.core.business_hours import BusinessHours, last_within
from hitl.core.reminders import Reminders, reminded_at
from tests.library.samples import number_question

BERLIN = BusinessHours(time_zone="Europe/Berlin", holidays="DE-BY")
MINUTE = timedelta(minutes=1)
# Around changes of clocks: by an hour, by half of one, at midnight, by a day. And holidays.
CHANGES = {
    "Europe/Berlin": [datetime(2026, 3, 29, 1), datetime(2026, 10, 25, 1), datetime(2026, 12, 27, 12)],
    "America/New_York": [datetime(2026, 3, 8, 7), datetime(2026, 11, 1, 6)],
    "Australia/Lord_Howe": [datetime(2026, 4, 4, 15), datetime(2026, 10, 3, 15, 30)],
    "America/Havana": [datetime(2026, 3, 8, 5), datetime(2026, 11, 1, 5)],
    "Pacific/Apia": [datetime(2011, 12, 30, 10)],
    "UTC": [datetime(2026, 5, 1)],
}
# Those of Germany near them.
OFF = [
    *(date(2011, 12, 25), date(2011, 12, 26), date(2012, 1, 1)),
    *(date(2026, *each) for each in ((4, 3), (4, 6), (5, 1), (10, 3), (12, 25), (12, 26))),
]
TIMES = st.builds("{:02d}:{:02d}".format, st.integers(0, 23), st.sampled_from([0, 1, 15, 30, 59]))


@st.composite
def cases(draw: st.DrawFn) -> tuple[BusinessHours, datetime, datetime]:
    zone = draw(st.sampled_from(sorted(CHANGES)))
    start, end = sorted(draw(st.lists(TIMES, min_size=2, max_size=2, unique=True)))
    days = draw(st.lists(st.sampled_from(business_hours._DAYS), min_size=1, max_size=7, unique=True))
    hours = BusinessHours(
        time_zone=zone, days=days, start=start, end=end, holidays=draw(st.sampled_from(["", "DE"]))
    )
    around = draw(st.sampled_from(CHANGES[zone])).replace(tzinfo=UTC)
    moment = around + draw(st.integers(-1_600, 3_000)) * MINUTE
    return hours, moment, moment - draw(st.integers(0, 3_000)) * MINUTE


def naive(hours: BusinessHours, moment: datetime, since: datetime) -> datetime | None:
    """Look at each minute, the last one first."""
    zone = ZoneInfo(hours.time_zone)
    off = OFF if hours.holidays else ()
    while moment >= since:
        local = moment.astimezone(zone)
        at_work = hours.start <= f"{local:%H:%M}" <= hours.end
        if at_work and f"{local:%a}" in hours.days and local.date() not in off:
            return moment
        moment -= MINUTE
    return None


@given(cases())
@settings(max_examples=300)
def test_it_is_what_a_reading_of_each_minute_finds(case: tuple[BusinessHours, datetime, datetime]) -> None:
    assert last_within(*case) == naive(*case)


@pytest.mark.parametrize(
    ("moment", "told"),
    [
        # On a Friday: as it is, to the second.
        ("2026-11-27T15:59:59.5+00:00", "2026-11-27T15:59:59.5+00:00"),
        # The end of work is work.
        ("2026-11-27T16:00+00:00", "2026-11-27T16:00+00:00"),
        ("2026-11-27T16:00:01+00:00", "2026-11-27T16:00+00:00"),
        # On a Sunday night, in summer.
        ("2026-07-12T22:30+00:00", "2026-07-10T15:00+00:00"),
        # Early on the Tuesday after Easter: Good Friday and Easter Monday are holidays.
        ("2026-04-07T05:00+00:00", "2026-04-02T15:00+00:00"),
        # Epiphany is a holiday in Bavaria, on a Tuesday.
        ("2026-01-06T12:00+00:00", "2026-01-05T16:00+00:00"),
    ],
)
def test_in_bavaria(moment: str, told: str) -> None:
    found = last_within(BERLIN, datetime.fromisoformat(moment), datetime(2026, 1, 1, tzinfo=UTC))
    assert found == datetime.fromisoformat(told)


def test_a_reminder_that_would_be_before_the_asking_is_left_out_and_none_is_after_the_deadline() -> None:
    asked, deadline = datetime(2026, 11, 28, 10, tzinfo=UTC), datetime(2026, 11, 30, 7, tzinfo=UTC)
    weekend = Reminders(before_deadline_seconds=[3600, 7200], business_hours=BERLIN)
    assert reminded_at(weekend, [60], asked, deadline) == []
    friday = datetime(2026, 11, 27, 16, tzinfo=UTC)
    assert reminded_at(weekend, [60], asked - timedelta(days=2), deadline) == [(friday, 7200), (friday, 3600)]


def test_what_the_question_says_goes_before_the_settings() -> None:
    asked, deadline = datetime(2026, 11, 27, 9, tzinfo=UTC), datetime(2026, 11, 27, 10, tzinfo=UTC)
    told = {
        name: [seconds for _, seconds in reminded_at(reminders, [60], asked, deadline)]
        for name, reminders in {
            "nothing": None,
            "none": Reminders(before_deadline_seconds=[]),
            "others": Reminders(before_deadline_seconds=[600, 3600]),
            "hours alone": Reminders(business_hours=BERLIN),
        }.items()
    }
    assert told == {"nothing": [60], "none": [], "others": [600], "hours alone": [60]}


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"time_zone": "Europe/Paris", "days": ["Monday"]}, "business_hours: days.0: "),
        ({"time_zone": "Europe/Paris", "days": ["Mon", "Mon"]}, "days has a day twice"),
        ({"time_zone": "Europe/Paris", "days": []}, "business_hours: days: "),
        ({"time_zone": "Europe/Paris", "start": "9:00"}, "business_hours: start: "),
        ({"time_zone": "Europe/Paris", "start": "18:00"}, "end is 17:00, and start is 18:00: give a later end"),
        ({"time_zone": "Europe/Paris", "holidays": "de_by"}, "business_hours: holidays: "),
        ({"time_zone": "Europe/Paris", "lunch": "12:00"}, "business_hours: lunch: "),
    ],
)
def test_hours_that_make_no_sense_are_refused_where_they_are_written(arguments: Any, why: str) -> None:
    with pytest.raises(hitl.InvalidRequest, match=why):
        hitl.BusinessHours(**arguments)


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"business_hours": BusinessHours(time_zone="Europe/Nowhere")}, "'Europe/Nowhere' is not known here"),
        ({"business_hours": BusinessHours(time_zone="../../etc/passwd")}, "is not known here"),
        ({"business_hours": BusinessHours(time_zone="Europe")}, "is not known here"),
        ({"business_hours": BusinessHours(time_zone="UTC", holidays="QQ")}, "holidays 'QQ' are not known here"),
        ({"business_hours": BusinessHours(time_zone="UTC", holidays="DE-XX")}, "'DE-XX' are not known here"),
        ({"business_hours": {"time_zone": "UTC"}}, "business_hours is of type dict: give hitl.BusinessHours"),
        ({"reminders": timedelta(hours=1)}, "reminders is datetime.timedelta.*give a list such as"),
        ({"reminders": [timedelta(seconds=1.5)]}, r"reminders\[0\] is 0:00:01.500000: give whole seconds"),
        ({"reminders": [0]}, r"reminders\[0\] is 0: it must be over 0"),
        ({"reminders": range(1, 10)}, "reminders has 9 times: give at most 8"),
    ],
)
def test_what_is_not_known_here_is_refused_when_it_is_asked(asked: Any, why: str) -> None:
    with pytest.raises(hitl.InvalidRequest, match=why):
        number_question(**asked)


def test_without_the_extra_holidays_are_refused_when_asked_and_passed_over_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    business_hours._holidays.cache_clear()
    monkeypatch.setitem(sys.modules, "holidays", None)
    try:
        with pytest.raises(hitl.InvalidRequest, match=r"holidays need the extra holidays: .*\[holidays\]"):
            number_question(business_hours=BERLIN)
        epiphany = datetime(2026, 1, 6, 12, tzinfo=UTC)
        assert last_within(BERLIN, epiphany, epiphany - timedelta(days=9)) == epiphany
    finally:
        business_hours._holidays.cache_clear()


def test_a_zone_that_is_not_known_any_more_stops_no_reminder() -> None:
    moment = datetime(2026, 1, 6, 12, tzinfo=UTC)
    assert last_within(BusinessHours(time_zone="Europe/Nowhere"), moment, moment - timedelta(days=9)) == moment
