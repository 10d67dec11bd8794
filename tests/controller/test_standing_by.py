"""An operator without a Lease shows no trouble that another one knows better: its alerts would never end."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hitl.cluster.human_input_response import HumanInputResponse
from hitl.errors import ClockApart, StorageUnavailable, StorageUnsuitable
from hitl_operator import app, metrics
from hitl_operator.app import Operator
from hitl_operator.roots import Root
from hitl_operator.settings import OperatorSettings
from hitl_operator.shards import shard_of
from hitl_operator.work_items import CancelDeleted, HandleResponse, MirrorRequest, ReconcileHumanInput
from tests.cluster.operators import question
from tests.library.samples import NOW

_MISSING = {
    "type": "OutcomeMissing",
    "status": "True",
    "reason": "NotStored",
    "lastTransitionTime": NOW.isoformat(),
}


@pytest.fixture
def ahead() -> list[float]:
    """By how many seconds the operator's clock is ahead of the API server's."""
    return [0.0]


@pytest.fixture
def operator(tmp_path: Path, ahead: list[float]) -> Iterator[Operator]:
    """An operator that holds both of two Leases, as nobody else is there."""
    kube: Any = SimpleNamespace(
        namespace="hitl", clock_difference=lambda _: ahead[0], share_connections=lambda: None
    )
    settings = OperatorSettings(
        storage_root=f"memory://{uuid.uuid4().hex}", lease="lease", shards=2, webapp_templates=tmp_path
    )
    (tmp_path / "default.yaml").write_text("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: wrong}\n")
    found = app.Operator(kube, settings)
    found._shards._hold({0, 1})
    yield found
    found._shards._hold(set())
    metrics.FAILING.clear()


@pytest.fixture
def root(operator: Operator) -> Root:
    """Its only root."""
    [found] = operator._roots
    return found


def _shown(name: str, **labels: str) -> float:
    return metrics.REGISTRY.get_sample_value(name, labels) or 0.0


async def _pass(operator: Operator) -> None:
    """Let the operator look into its root, measure and tend once."""
    [root] = operator._roots
    with suppress(TimeoutError):
        async with asyncio.timeout(0.05), asyncio.TaskGroup() as tasks:
            tasks.create_task(operator._mirror.sweep_forever(root))
            tasks.create_task(operator._measure())
            tasks.create_task(operator._tend())


def _see(operator: Operator, *conditions: object) -> None:
    content = question("team", "asked")
    content["metadata"] |= {"uid": "uid", "generation": 1, "creationTimestamp": NOW.isoformat()}
    content["status"] = {"phase": "Answered", "observedGeneration": 1, "conditions": conditions}
    operator._changed("HumanInput", "MODIFIED", content)


async def test_outcomes_are_missing_only_in_namespaces_that_are_led(operator: Operator) -> None:
    _see(operator, _MISSING)
    await _pass(operator)
    assert _shown("hitl_missing_outcomes") == 1
    operator._shards._hold(set())
    await _pass(operator)
    assert _shown("hitl_missing_outcomes") == 0

    # Another one stored it again, and this one may be the next.
    _see(operator)
    operator._shards._hold({0, 1})
    await _pass(operator)
    assert _shown("hitl_missing_outcomes") == 0


@pytest.mark.parametrize("error", [StorageUnavailable("no answer"), StorageUnsuitable("not exclusive")])
async def test_trouble_of_a_root_is_over_for_who_looks_no_more(
    operator: Operator, root: Root, error: StorageUnavailable | StorageUnsuitable
) -> None:
    await root.reach()
    assert root.out(error)
    reason = "away" if isinstance(error, StorageUnavailable) else "unsuitable"
    assert _shown("hitl_root_trouble", root=root.name, reason=reason) == 1
    operator._shards._hold({1})
    assert root.trouble, "the other half is still its own, and it looks"
    operator._shards._hold(set())
    await _pass(operator)
    assert (root.trouble, _shown("hitl_root_trouble", root=root.name, reason=reason)) == ("", 0)
    assert operator._health.ready()[1].count("root") == 0


async def test_a_clock_that_was_apart_is_not_shown_for_ever(
    operator: Operator, root: Root, ahead: list[float]
) -> None:
    await root.reach()
    ahead[0] = 60.0
    with pytest.raises(ClockApart):
        await root.require_clock(datetime.now(UTC))
    assert _shown("hitl_api_clock_difference_seconds") == 60
    operator._shards._hold(set())
    await _pass(operator)
    assert _shown("hitl_api_clock_difference_seconds") == 0
    assert _shown("hitl_clock_difference_seconds", root=root.name) == 0
    assert _shown("hitl_root_trouble", root=root.name, reason="clock") == 0


async def test_the_web_app_is_the_trouble_of_who_tends_to_it(operator: Operator, root: Root) -> None:
    await _pass(operator)
    assert _shown("hitl_webapp_trouble", root=root.name) == 1
    operator._shards._hold(set())
    await _pass(operator)
    assert _shown("hitl_webapp_trouble", root=root.name) == 0
    operator._shards._hold({0, 1})
    await _pass(operator)
    assert _shown("hitl_webapp_trouble", root=root.name) == 1


async def test_what_others_do_now_is_not_done_here_as_well(operator: Operator, root: Root) -> None:
    mine = {shard_of(each, 2): each for each in ("team", "shop", "bank", "ops")}
    kept, lost = mine[0], mine[1]
    for namespace in (kept, lost):
        operator._queues.add(ReconcileHumanInput(namespace, "waits"))
        operator._queues.add(HandleResponse(namespace, "waits"))
        operator._queues.add_after(HandleResponse(namespace, "later"), 60)
        failed = HandleResponse(namespace, "failed")
        operator._queues.of(failed).retry(failed, "forbidden")
        operator._queues.add(CancelDeleted(namespace, "gone", "uid", "uid"))
        content: Any = {"metadata": {"name": "early"}, "spec": {"requestRef": {"name": "later"}, "value": "4"}}
        early = HumanInputResponse.from_object(content)
        operator._reconciler._responses._await(HandleResponse(namespace, "early"), early)
    operator._queues.add(MirrorRequest(root.name, "asked"))
    operator._shards._hold({0})
    [(_, queue), _] = operator._queues
    assert {(type(each), getattr(each, "namespace", "")) for each in queue.pending()} == {
        (ReconcileHumanInput, kept),
        (HandleResponse, kept),
        (CancelDeleted, kept),
        # It saw the deletion, and maybe nobody else did.
        (CancelDeleted, lost),
        (MirrorRequest, ""),
    }
    assert operator._reconciler._responses._awaited.keys() == {HandleResponse(kept, "early")}
    assert sum(operator._queues.failing().values()) == 1


async def test_what_waits_and_fails_is_nobodys_while_no_worker_works(operator: Operator, root: Root) -> None:
    work = HandleResponse("team", "given")
    operator._queues.add(HandleResponse("team", "another"))
    operator._queues.of(work).retry(work, "storage_unavailable")
    await _pass(operator)
    assert _shown("hitl_failing", root=root.name, reason="storage_unavailable") == 1
    assert _shown("hitl_queue_depth") == 1
    operator._shards._hold(set())
    await _pass(operator)
    assert _shown("hitl_failing", root=root.name, reason="storage_unavailable") == 0
    assert _shown("hitl_queue_depth") == 0
