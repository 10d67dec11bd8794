"""What people are told about a question, and when: nothing before it is true, only the end after the end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from hitl.core.business_hours import BusinessHours
from hitl.core.documents import OutcomeDocument, RequestDocument, Respondent
from hitl.core.lifecycle import KEPT_AT_LEAST
from hitl.core.noticekeys import NoticeBox, NoticeKey
from hitl.core.notices import Notice, due, next_due_at, next_try_at
from hitl.core.question import Question
from tests.library.samples import NOW

LATE = NOW + timedelta(days=10_000)
REMINDERS = st.lists(st.integers(1, 4_000), max_size=5)
TIMEOUTS = st.integers(1, 3_000)
# Microseconds too: reminders have whole seconds, clocks do not.
AFTER = st.integers(-100_000_000, 4_000_000_000).map(lambda us: NOW + timedelta(microseconds=us))


def question(seconds: float) -> RequestDocument:
    asking = Question(event_name="ship", data_type="bool", prompt="Ship it?", timeout_seconds=seconds)
    return RequestDocument.asking(asking, request_id="ship-1", asked_at=NOW)


def outcome(at: datetime) -> OutcomeDocument:
    return OutcomeDocument(
        request_id="ship-1",
        data_type="bool",
        status="completed",
        value=True,
        outcome="answered",
        reason="Answered",
        submission_id="s",
        answered_at=at,
        respondent=Respondent(via="web"),
        request_sha256="0" * 64,
    )


@given(TIMEOUTS, REMINDERS, AFTER)
def test_nothing_is_told_before_its_time_or_after_the_deadline(
    seconds: int, reminders: list[int], now: datetime
) -> None:
    asked = question(seconds)
    told = due(asked, None, reminders, now)
    if now >= asked.expires_at:
        assert told == ()
        return
    assert told[0].event == "asked"
    # A naive reading: the last reminder whose time has come, of those after the question was asked.
    come = [each for each in reminders if each < seconds and (asked.expires_at - now).total_seconds() <= each]
    assert [each.seconds for each in told[1:]] == ([min(come)] if come else [])
    assert all(each.event == "reminder" and each.due_at <= now < each.until for each in told[1:])


@given(TIMEOUTS, REMINDERS, AFTER, AFTER)
def test_only_the_end_is_told_after_the_end(
    seconds: int, reminders: list[int], ended: datetime, now: datetime
) -> None:
    told = due(question(seconds), outcome(ended), reminders, now)
    assert [each.event for each in told] == (["settled"] if now < ended + KEPT_AT_LEAST else [])


@given(TIMEOUTS, REMINDERS, AFTER)
def test_what_is_due_changes_at_the_moment_that_is_named_and_not_before(
    seconds: int, reminders: list[int], now: datetime
) -> None:
    asked, tick = question(seconds), timedelta(microseconds=1)
    at = next_due_at(asked, reminders, now)
    if now >= asked.expires_at or at is None:
        last = max(now, asked.expires_at - tick)
        assert due(asked, None, reminders, last) in (due(asked, None, reminders, now), ())
        return
    assert now < at < asked.expires_at
    assert due(asked, None, reminders, at - tick) == due(asked, None, reminders, now)
    assert due(asked, None, reminders, at) != due(asked, None, reminders, now)


def test_each_notice_has_an_id_of_its_own_that_stays() -> None:
    asked = question(600)
    notices = {
        each for minutes in range(11) for each in due(asked, None, [60, 300], NOW + timedelta(minutes=minutes))
    }
    notices |= set(due(asked, outcome(NOW), [], NOW))
    ids = {each.id_of("ship-1", digest) for each in notices for digest in ("a" * 64, "b" * 64)}
    assert len(ids) == 2 * len(notices) == 8
    assert Notice("settled", NOW, NOW).id_of("ship-1", "a" * 64) in ids


@given(st.integers(1, 10_000), st.floats(0, 1), st.integers(0, 10**9))
def test_a_pause_grows_within_bounds_and_is_never_shorter_than_asked_for(
    tries: int, spread: float, seconds: int
) -> None:
    wait = timedelta(seconds=seconds)
    at = next_try_at(NOW, tries, wait, spread, LATE)
    assert at - NOW >= max(wait, timedelta(seconds=1))
    assert at - NOW <= max(wait, timedelta(minutes=15))
    assert next_try_at(NOW, tries + 1, None, spread, LATE) >= next_try_at(NOW, tries, None, spread, LATE)
    assert next_try_at(NOW, 1, timedelta.max, spread, LATE) > NOW + timedelta(days=365)


@given(st.floats(0, 1), st.integers(60, 10**5), st.integers(5, 50))
def test_who_is_back_shortly_before_the_end_is_told(spread: float, seconds: int, back: int) -> None:
    until, now, tries = NOW + timedelta(seconds=seconds), NOW, 0
    while now < until - timedelta(seconds=back):
        tries += 1
        now = next_try_at(now, tries, None, spread, until)
        assert next_try_at(now, tries, until - NOW, spread, until) >= now + (until - NOW)
    assert now < until
    # As many as by pauses of their own, and some more at the end.
    assert tries < 2 * seconds / 900 + 30


def test_a_key_says_what_it_is_of() -> None:
    box = NoticeBox("ship-1", "reminder-60", "on-call")
    assert NoticeKey.of("ship-1", box.claim(12)) == NoticeKey(box, "try", 12)
    assert NoticeKey.of("ship-1", box.failed(3)) == NoticeKey(box, "failed", 3)
    assert NoticeKey.of("ship-1", box.done) == NoticeKey(box, "done", 0)
    assert NoticeKey.of("ship-1", box.dead) == NoticeKey(box, "dead", 0)
    assert NoticeKey.of("ship-1", f"{box.prefix}/other.json") is None


@given(st.lists(st.integers(1, 2_999), max_size=4, unique=True), REMINDERS, AFTER)
def test_each_escalation_is_told_from_its_moment_on_until_the_end(
    steps: list[int], reminders: list[int], now: datetime
) -> None:
    asking = Question.of(
        "ship",
        bool,
        "Ship it?",
        3_000,
        respondents={"users": ["ann"]},
        escalate=[(after, {"groups": ["oncall"]}) for after in sorted(steps)],
    )
    asked = RequestDocument.asking(asking, request_id="ship-1", asked_at=NOW)
    told = due(asked, None, reminders, now)
    come = [after for after in sorted(steps) if NOW + timedelta(seconds=after) <= now < asked.expires_at]

    assert [each.name for each in told if each.event == "escalated"] == [f"escalated-{after}" for after in come]
    assert [each.due_at for each in told] == sorted(each.due_at for each in told)
    assert all(each.event == "settled" for each in due(asked, outcome(now), reminders, now))
    nexts = [moment for after in steps if (moment := NOW + timedelta(seconds=after)) > now]
    assert next_due_at(asked, [], now) == min(nexts, default=None)
    for each in told:
        box = NoticeBox("ship-1", each.name, "ops")
        assert NoticeKey.of("ship-1", box.done) == NoticeKey(box, "done", 0)


def test_of_reminders_that_fall_on_the_same_business_moment_one_is_told() -> None:
    monday = datetime(2026, 11, 30, 7, tzinfo=UTC)
    asking = Question.of(
        "ship",
        bool,
        "Ship it?",
        timedelta(days=4),
        reminders=[timedelta(hours=1), timedelta(days=1)],
        business_hours=BusinessHours(time_zone="Europe/Berlin"),
    )
    asked = RequestDocument.asking(asking, request_id="ship-1", asked_at=monday - timedelta(days=4))
    friday = datetime(2026, 11, 27, 16, tzinfo=UTC)

    assert next_due_at(asked, [60], asked.created_at) == friday
    assert [each.name for each in due(asked, None, [60], friday)] == ["asked", "reminder-3600"]
