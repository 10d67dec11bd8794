"""Which phase a request is in, and what is due, as tables. The machine as a whole: test_state_machine.py."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from hitl.core.documents import OutcomeDocument, OutcomeKind, RequestDocument
from hitl.core.lifecycle import GRACE, KEPT_AT_LEAST, Phase, accepts_submissions, collectable, expiry_due, phase_of
from tests.library.samples import DEADLINE, NOW, SECOND
from tests.library.test_documents import outcome, request

MICROSECOND = timedelta(microseconds=1)
MONTH = timedelta(days=30)
END_OF_TIME = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
LAST_DEADLINE = datetime(9998, 12, 31, 23, 59, 59, tzinfo=UTC)


def settled(kind: OutcomeKind = "answered") -> OutcomeDocument:
    return outcome(outcome=kind, value=42 if kind == "answered" else None)


@pytest.mark.parametrize(
    ("kind", "phase"),
    [
        ("answered", "Answered"),
        ("rejected", "Rejected"),
        ("timed_out", "TimedOut"),
        ("cancelled", "Cancelled"),
    ],
)
def test_the_outcome_is_the_phase(kind: OutcomeKind, phase: Phase) -> None:
    assert phase_of(None) == "Pending"
    assert phase_of(settled(kind)) == phase


@pytest.mark.parametrize(
    ("now", "accepts", "expires"),
    [
        (NOW - 365 * 24 * 3600 * SECOND, True, False),
        (NOW, True, False),
        (DEADLINE - MICROSECOND, True, False),
        (DEADLINE, False, False),
        (DEADLINE + GRACE - MICROSECOND, False, False),
        (DEADLINE + GRACE, False, True),
        (END_OF_TIME, False, True),
    ],
)
def test_around_the_deadline(now: datetime, accepts: bool, expires: bool) -> None:
    pending = request()
    for moment in (now, now.astimezone(timezone(-timedelta(hours=9)))):
        assert accepts_submissions(pending, None, moment) is accepts
        assert expiry_due(pending, None, moment) is expires
        assert not accepts_submissions(pending, settled(), moment)
        assert not expiry_due(pending, settled("rejected"), moment)


def test_the_last_deadline_that_there_may_be_is_reckoned_with_up_to_the_end_of_time() -> None:
    endless = RequestDocument(**{**request().model_dump(by_alias=True), "expires_at": LAST_DEADLINE})

    assert accepts_submissions(endless, None, NOW)
    assert not expiry_due(endless, None, LAST_DEADLINE)
    assert expiry_due(endless, None, END_OF_TIME)
    assert collectable(endless, settled(), END_OF_TIME, MONTH)


@pytest.mark.parametrize(
    ("now", "retention", "due"),
    [
        (NOW + MONTH - MICROSECOND, MONTH, False),
        (NOW + MONTH, MONTH, True),
        (NOW - SECOND, MONTH, False),
        (NOW, timedelta(0), False),
        (DEADLINE + GRACE, timedelta(0), False),
        (DEADLINE + KEPT_AT_LEAST - MICROSECOND, timedelta(0), False),
        (DEADLINE + KEPT_AT_LEAST, timedelta(0), True),
        (DEADLINE + KEPT_AT_LEAST - MICROSECOND, timedelta(hours=1), False),
        (DEADLINE + KEPT_AT_LEAST, timedelta(days=2), False),
        (END_OF_TIME, timedelta.max, False),
    ],
)
def test_what_may_be_deleted(now: datetime, retention: timedelta, due: bool) -> None:
    assert collectable(request(), settled(), now, retention) is due
    assert not collectable(request(), None, now, retention)
    assert not collectable(None, None, now, retention)


def test_nothing_is_deleted_within_a_day_after_an_outcome_that_came_late() -> None:
    late = outcome(outcome="cancelled", value=None, answered_at=DEADLINE + MONTH)

    assert not collectable(request(), late, DEADLINE + MONTH + KEPT_AT_LEAST - MICROSECOND, timedelta(0))
    assert collectable(request(), late, DEADLINE + MONTH + KEPT_AT_LEAST, timedelta(0))


def test_what_is_left_of_a_deleted_request_may_be_deleted() -> None:
    assert collectable(None, settled(), NOW + MONTH, MONTH)
    assert not collectable(None, settled(), NOW + MONTH - SECOND, MONTH)
