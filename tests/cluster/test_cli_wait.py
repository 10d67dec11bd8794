"""`kubectl hitl wait`: how often it looks, and at which question."""

import asyncio
from collections.abc import Iterator
from itertools import accumulate, takewhile
from pathlib import Path

import pytest

from hitl.cli import cluster_backend
from hitl.cli.cluster_backend import InCluster, Target, pauses
from hitl.errors import ClusterUnavailable
from tests.cluster.http_proxy import HttpProxy
from tests.cluster.operators import Questions


def test_a_long_wait_looks_seldom_and_a_short_one_soon() -> None:
    gaps = list(takewhile(lambda after: after <= 3600, accumulate(pauses(5.0))))

    assert gaps[0] <= 0.1
    assert len([each for each in gaps if each <= 1]) >= 4
    assert len(gaps) < 730


async def test_a_question_of_the_same_name_is_another_one(
    questions: Questions, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [await asyncio.to_thread(questions.ask, "twice")]

    def replaced(_longest: float) -> Iterator[float]:
        # Between two looks, so that neither finds nothing.
        questions.plane.kubectl("delete", "hi", "twice", "-n", questions.namespace)
        asked.append(questions.ask("twice"))
        while True:
            yield 0

    monkeypatch.setattr(cluster_backend, "pauses", replaced)
    target = Target(kubeconfig=str(questions.plane.kubeconfig), namespace=questions.namespace)
    async with asyncio.timeout(60):
        view = await InCluster(target).wait("twice")

    first, second = asked
    assert second != first
    assert (view.phase, view.request_id) == ("Cancelled", first)
    assert (questions.get("twice") or {})["status"]["phase"] == "Pending"


async def test_a_wait_outlasts_an_outage_and_ends_when_its_token_is_known_no_more(
    questions: Questions, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    await asyncio.to_thread(questions.ask, "waits")
    proxy = HttpProxy(questions.plane.url, questions.plane.tls())

    def faults(_longest: float) -> Iterator[float]:
        for status in (503, 429, 401):
            proxy.always(("status", status))
            yield 0

    monkeypatch.setattr(cluster_backend, "pauses", faults)
    target = Target(kubeconfig=str(proxy.kubeconfig(tmp_path)), namespace=questions.namespace)
    try:
        async with asyncio.timeout(60):
            with pytest.raises(ClusterUnavailable) as raised:
                await InCluster(target).wait("waits")
    finally:
        await asyncio.to_thread(proxy.stop)
    assert raised.value.status == 401
