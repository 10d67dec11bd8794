"""Nothing is settled by a clock that is more than 10 s from the storage's or the API server's."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitl.cluster.server_clock import ServerClock
from hitl.errors import ClockApart
from hitl_operator.roots import Root
from hitl_operator.settings import RootSettings

_TOLD = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize("ahead", [11.0, -11.0, 3600.0])
async def test_another_clock_than_the_api_servers_is_refused(tmp_path: Path, ahead: float) -> None:
    root = Root(RootSettings(url=str(tmp_path)), lambda _: ahead)
    await root.reach()
    with pytest.raises(ClockApart, match="the API server"):
        await root.require_clock(datetime.now(UTC))
    assert "clock" in root.trouble


@pytest.mark.parametrize("ahead", [None, 0.0, 9.0, -9.0])
async def test_a_clock_that_nearly_agrees_will_do(tmp_path: Path, ahead: float | None) -> None:
    root = Root(RootSettings(url=str(tmp_path)), lambda _: ahead)
    await root.reach()
    await root.require_clock(datetime.now(UTC))
    assert root.trouble == ""


@pytest.mark.parametrize("ahead", [20.0, -20.0])
async def test_another_clock_than_the_storages_is_refused(tmp_path: Path, ahead: float) -> None:
    root = Root(RootSettings(url=str(tmp_path)), lambda _: 0.0)
    await root.reach()
    with pytest.raises(ClockApart, match=str(tmp_path)):
        await root.require_clock(datetime.now(UTC) + timedelta(seconds=ahead))
    await root.require_clock(datetime.now(UTC))
    assert root.trouble == ""


@given(
    truth=st.floats(0, 10_000),
    ahead=st.floats(-4000, 4000),
    took=st.floats(0, 15),
    sent=st.floats(0, 1),
    later=st.floats(0, 10_000),
)
def test_a_reading_never_claims_more_difference_than_there_is(
    truth: float, ahead: float, took: float, sent: float, later: float
) -> None:
    # The reply was written at `truth`, of which it tells the second, somewhere within the request.
    reading = ServerClock(_TOLD + timedelta(seconds=int(truth)), at=100.0, took=took)
    came = truth + (1 - sent) * took
    found = reading.difference(_TOLD + timedelta(seconds=came + later + ahead), 100.0 + later)
    assert abs(found) <= abs(ahead) + 0.001
    assert abs(found) < 0.001 or (found > 0) == (ahead > 0)
    if abs(ahead) > took + 1:
        assert abs(found) >= abs(ahead) - took - 1.001


@pytest.mark.parametrize("header", ["", "yesterday", "Thu, 01 Jan 2026 12:00:00"])
def test_a_date_that_is_none_is_no_reading(header: str) -> None:
    assert ServerClock.of_header(header, 0, 0) is None


def test_a_date_is_read() -> None:
    reading = ServerClock.of_header("Thu, 01 Jan 2026 12:00:00 GMT", 7, 0.1)
    assert reading == ServerClock(_TOLD, 7, 0.1)
