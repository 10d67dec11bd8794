"""Nothing is settled or deleted by a clock that is more than 10 s from the storage's or the API server's."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitl.cluster.server_clock import ServerClock
from hitl.cluster.v1alpha1 import HumanInput
from hitl.errors import ClockApart, ClusterForbidden, StorageUnavailable
from hitl.records.records import utc_now
from hitl_operator.cluster import Cluster
from hitl_operator.events import Events
from hitl_operator.human_inputs import HumanInputs
from hitl_operator.roots import Root, Roots
from hitl_operator.settings import RootSettings
from hitl_operator.troubles import trouble_of
from hitl_operator.work_items import ReconcileHumanInput
from tests.controller.test_looks import NAMESPACE, Operator

_TOLD = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize("ahead", [11.0, -11.0, 3600.0])
async def test_another_clock_than_the_api_servers_is_refused(tmp_path: Path, ahead: float) -> None:
    root = Root(RootSettings(url=str(tmp_path)), lambda _: ahead)
    await root.reach()
    with pytest.raises(ClockApart, match="the API server"):
        await root.require_clock(datetime.now(UTC))
    assert "clock" in root.trouble


def test_a_humaninput_names_each_clock_that_may_be_meant() -> None:
    said = trouble_of(ClockApart("the API server", 20.0), asked=False, root="default").message
    assert "the storage's or the API server's" in said


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


class ApiServer:
    """One with one HumanInput, and the right time: a fake, as no real one is needed to see what is asked of it."""

    def __init__(self, content: dict[str, Any]) -> None:
        dated = {"name": "asked", "namespace": NAMESPACE, "uid": "u", "generation": 1, "resourceVersion": "1"}
        metadata = dated | {"creationTimestamp": utc_now().isoformat()}
        self.content = {"metadata": metadata, **content}
        self.deleted: list[str] = []
        self.phases: list[tuple[str, str]] = []

    def clock_difference(self, now: datetime) -> float:
        return (now - utc_now()).total_seconds()

    async def get(self, *_: object) -> dict[str, Any]:
        return self.content

    async def apply(self, _: object, content: dict[str, Any], **__: object) -> None:
        self.content = self.content | {"status": content["status"]}
        [settled] = [each for each in content["status"]["conditions"] if each["type"] == "Settled"]
        self.phases.append((content["status"]["phase"], settled["reason"]))

    async def delete(self, _: object, name: str, *__: object, **___: object) -> bool:
        self.deleted.append(name)
        return True


class Refusing(ApiServer):
    """One that lets nobody delete: a fake."""

    async def delete(self, *_: object, **__: object) -> bool:
        raise ClusterForbidden("a webhook denies it")


async def looks_of(
    api: Any, ahead: timedelta, *, served: bool = True, operator: Operator | None = None
) -> tuple[Root, Callable[[], Awaitable[Any]]]:
    """Return a root, and how an operator with a wrong clock looks at the HumanInput."""
    operator = operator or await Operator.over_memory()
    context = replace(
        operator.context,
        cluster=Cluster(api, Events(api, lambda: 0.0)),
        roots=operator.context.roots if served else Roots([RootSettings(url="memory://x", namespaces=["others"])]),
        now=lambda: utc_now() + ahead,
    )
    nothing: Any = None
    human_inputs = HumanInputs(context, operator.requests, nothing)
    return operator.root, lambda: human_inputs.reconcile(ReconcileHumanInput(NAMESPACE, "asked"))


def settled_now() -> dict[str, Any]:
    """Return a HumanInput that is to be deleted in five minutes."""
    spec = {"prompt": "?", "dataType": "int", "ttlSecondsAfterFinished": 300}
    moment = utc_now().isoformat()
    status = {"phase": "Answered", "value": "1", "requestID": "u", "answeredAt": moment, "observedGeneration": 1}
    return {"spec": spec, "status": status}


WRONG = timedelta(minutes=10)
AN_HOUR = timedelta(hours=1)


@pytest.mark.parametrize("served", [True, False])
async def test_no_humaninput_is_deleted_before_its_time_by_a_wrong_clock(served: bool) -> None:
    api = ApiServer(settled_now())
    _, look = await looks_of(api, WRONG, served=served)
    with pytest.raises(ClockApart):
        await look()
    assert api.deleted == []


@pytest.mark.parametrize("away", [True, False])
async def test_a_humaninput_is_deleted_in_time_even_while_the_storage_is_away(away: bool) -> None:
    content = settled_now()
    content["status"]["answeredAt"] = (utc_now() - AN_HOUR).isoformat()
    api = ApiServer(content)
    root, look = await looks_of(api, timedelta())
    if away:
        root.out(StorageUnavailable("it does not answer"))
    await look()
    assert api.deleted == ["asked"]


async def test_a_humaninput_whose_deletion_is_refused_is_still_seen() -> None:
    content = settled_now()
    content["status"]["answeredAt"] = (utc_now() - AN_HOUR).isoformat()
    operator, api = await Operator.over_memory(), Refusing(content)
    _, look = await looks_of(api, timedelta(), operator=operator)
    with pytest.raises(ClusterForbidden):
        await look()
    seen = HumanInput.from_object(api.content)
    operator.context.index.put(seen)
    assert operator.context.index.get((NAMESPACE, "asked")) is not None


async def test_a_question_that_no_root_serves_is_not_ended_before_its_time_by_a_wrong_clock() -> None:
    spec = {"prompt": "?", "dataType": "int", "timeoutSeconds": 300}
    api = ApiServer({"spec": spec})
    _, look = await looks_of(api, WRONG, served=False)
    with pytest.raises(ClockApart):
        await look()
    assert api.phases == [("Pending", "ClockApart")]

    # Once the clock is right, and once it is over.
    _, look = await looks_of(api, timedelta(), served=False)
    await look()
    api.content["metadata"]["creationTimestamp"] = (utc_now() - AN_HOUR).isoformat()
    _, look = await looks_of(api, timedelta(), served=False)
    await look()
    assert api.phases[1:] == [("Pending", "ForeignNamespace"), ("TimedOut", "DeadlinePassed")]
    assert HumanInput.from_object(api.content).status.request_id is None
