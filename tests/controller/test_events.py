"""Kubernetes Events are posted beside the work: once each, not too many, and one that is refused stops nobody."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from hitl.cluster.client import HUMAN_INPUTS
from hitl.cluster.shapes import Metadata
from hitl.errors import ClusterConflict, ClusterForbidden, ClusterUnavailable
from hitl_operator import events
from hitl_operator.decide import Notice
from hitl_operator.events import Events

_NOW = datetime(2026, 1, 1, tzinfo=UTC)


class _Kube:
    """Stands in for the API server, which cannot be had to fail at will for one kind alone."""

    def __init__(self) -> None:
        self.posted: list[dict[str, Any]] = []
        self.errors: list[Exception] = []

    async def post(self, resource: object, content: dict[str, Any], *, manager: str) -> None:
        if self.errors:
            raise self.errors.pop(0)
        self.posted.append(content)


@pytest.fixture
def kube() -> _Kube:
    return _Kube()


class _Ticks:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def _emit(target: Events, message: str, uid: str = "u") -> None:
    metadata = Metadata(name="asked", namespace="team", uid=uid)
    target.emit(HUMAN_INPUTS, metadata, Notice("Refused", message, warning=True), _NOW)


def _events(kube: _Kube, ticks: _Ticks | None = None) -> Events:
    return Events(kube, ticks or _Ticks())  # type: ignore[arg-type]  # only what it calls


async def test_the_same_one_is_posted_once_with_its_count(kube: _Kube) -> None:
    target = _events(kube)
    for _ in range(3):
        _emit(target, "no")
    _emit(target, "another")
    await target.flush(5)
    assert [(each["message"], each["count"]) for each in kube.posted] == [("no", 3), ("another", 1)]


async def test_one_object_has_a_bound_that_grows_with_time(kube: _Kube) -> None:
    ticks = _Ticks()
    target = _events(kube, ticks)
    for number in range(100):
        _emit(target, f"no {number}")
    _emit(target, "of another object", uid="other")
    assert len(target) == 26
    ticks.now += 600
    for number in range(100, 200):
        _emit(target, f"no {number}")
    assert len(target) == 28


def _answered(target: Events, number: int, namespace: str = "team") -> None:
    metadata = Metadata(name=f"asked-{number}", namespace=namespace, uid=f"u-{namespace}-{number}")
    target.emit(HUMAN_INPUTS, metadata, Notice("Answered", "answered by ann"), _NOW)


async def test_many_of_a_namespace_at_once_are_summed_up_and_warnings_never_are(kube: _Kube) -> None:
    ticks = _Ticks()
    target = _events(kube, ticks)
    for number in range(1_500):
        _answered(target, number)
    _answered(target, 0, namespace="other")
    _emit(target, "no")
    assert len(target) == 52
    ticks.now += 1
    for number in range(1_500, 1_600):
        _answered(target, number)
    await target.flush(5)
    about = [(each["involvedObject"]["kind"], each["metadata"]["namespace"]) for each in kube.posted]
    assert about.count(("HumanInput", "team")) == 53
    assert about.count(("HumanInput", "other")) == 1
    [total] = [each for each in kube.posted if each["involvedObject"]["kind"] == "Namespace"]
    assert (total["count"], total["type"], total["reason"]) == (1_548, "Normal", "Answered")
    assert total["message"] == "1,548 more of kind HumanInput: the conditions of each say the same"


async def test_a_sum_is_posted_while_the_operator_runs(kube: _Kube, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_SUM_SECONDS", 0)
    target = _events(kube)
    for number in range(60):
        _answered(target, number)
    running = asyncio.create_task(target.run())
    async with asyncio.timeout(5):
        while len(kube.posted) < 51:
            await asyncio.sleep(0)
    running.cancel()
    assert sum(each["count"] for each in kube.posted) == 60


async def test_what_does_not_fit_pushes_out_the_oldest(kube: _Kube, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_WAITING", 3)
    target = _events(kube)
    for number in range(5):
        _emit(target, f"{number}", uid=str(number))
    await target.flush(5)
    assert [each["message"] for each in kube.posted] == ["2", "3", "4"]


@pytest.mark.parametrize("error", [ClusterConflict("there is one"), ClusterForbidden("no")])
async def test_one_that_is_refused_is_not_tried_again(kube: _Kube, error: Exception) -> None:
    target = _events(kube)
    kube.errors = [error]
    _emit(target, "refused")
    _emit(target, "fine")
    await target.flush(5)
    assert [each["message"] for each in kube.posted] == ["fine"]


async def test_an_api_server_that_is_away_is_waited_for_in_bounds(
    kube: _Kube, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "_PAUSE_SECONDS", 0)
    target = _events(kube)
    kube.errors = [ClusterUnavailable("away")] * 4
    _emit(target, "late")
    running = asyncio.create_task(target.run())
    async with asyncio.timeout(5):
        while not kube.posted:
            await asyncio.sleep(0)
    kube.errors = [ClusterUnavailable("away")] * 5
    _emit(target, "lost")
    async with asyncio.timeout(5):
        while kube.errors:
            await asyncio.sleep(0)
    running.cancel()
    assert [each["message"] for each in kube.posted] == ["late"]
    assert len(target) == 0


async def test_a_namespace_whose_webhook_hangs_holds_up_no_other(
    kube: _Kube, monkeypatch: pytest.MonkeyPatch
) -> None:
    hang, post = asyncio.Event(), kube.post

    async def hanging(resource: object, content: dict[str, Any], *, manager: str) -> None:
        if content["metadata"]["namespace"] == "hanging":
            await hang.wait()
        await post(resource, content, manager=manager)

    monkeypatch.setattr(kube, "post", hanging)
    target = _events(kube)
    for number in range(20):
        _answered(target, number, "hanging")
    running = asyncio.create_task(target.run())
    await asyncio.sleep(0.05)
    for number in range(20):
        _answered(target, number, "team")
    async with asyncio.timeout(5):
        while len(kube.posted) < 20:
            await asyncio.sleep(0.01)
    assert {each["metadata"]["namespace"] for each in kube.posted} == {"team"}
    hang.set()
    async with asyncio.timeout(5):
        while len(kube.posted) < 40:
            await asyncio.sleep(0.01)
    assert len(target) == 0
    running.cancel()


async def test_when_too_many_wait_the_namespace_with_the_most_loses(
    kube: _Kube, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "_WAITING", 10)
    target = _events(kube)
    _answered(target, 0, "team")
    for number in range(20):
        _answered(target, number, "many")
    await target.flush(5)
    named = [each["involvedObject"]["name"] for each in kube.posted if each["metadata"]["namespace"] == "many"]
    assert (len(kube.posted), named) == (10, [f"asked-{number}" for number in range(11, 20)])
