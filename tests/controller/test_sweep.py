"""A sweep finds answers, whatever else lies in a root."""

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from hitl.cluster.v1alpha1 import HumanInput
from hitl.core import keys
from hitl.errors import ClusterForbidden
from hitl.records import retention
from hitl.storage import Store
from hitl_operator import metrics, scanner
from hitl_operator.index import Index
from hitl_operator.probes import Health, http_app, serving
from hitl_operator.queues import Queues
from hitl_operator.roots import Roots
from hitl_operator.settings import OperatorSettings
from hitl_operator.work_items import MirrorOutcome, MirrorRequest, ReconcileHumanInput
from tests.backends.processes import PATIENCE
from tests.library.samples import create_request, draft_request


async def test_markers_of_nobody_do_not_hold_up_the_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (retention, scanner):
        monkeypatch.setattr(module, "STALE", timedelta())
    url = f"memory://{uuid.uuid4().hex}"
    roots = Roots(OperatorSettings(storage_root=url).all_roots())
    [root] = roots
    for number in range(50):
        await root_store(url).create_once(keys.request_key(f"old-{number}"), b"{}")
        await root_store(url).mark(keys.new_marker(f"old-{number}"))
    await root_store(url).mark(keys.answered_marker("answered"))
    queues, asked = Queues(roots), asyncio.Event()
    # A sweep asks nothing of the API server, and only whether it leads.
    nobody: Any = None
    alone: Any = Leads()
    looks: Any = scanner.Scanner(
        nobody,
        roots,
        Index(),
        queues,
        OperatorSettings(storage_root=url),
        Health(3),
        alone,
        lambda: True,
    )

    async def hangs(self: Store, key: str) -> bool:
        asked.set()
        await asyncio.Event().wait()
        return True

    await looks.sweep(root)
    monkeypatch.setattr(Store, "exists", hangs)
    looks._looks[root.name].dropped -= 10_000
    scan = asyncio.ensure_future(looks.scan(root))
    await asyncio.wait_for(asked.wait(), 30)
    await asyncio.wait_for(looks.sweep(root), 30)
    assert queues.busy(MirrorOutcome(root.name, "answered"))
    assert not scan.done(), "it still asks about old markers"
    scan.cancel()


async def test_hints_of_questions_that_nobody_has_seen_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanner, "_HINTED", 2)
    settings = OperatorSettings(storage_root=f"memory://{uuid.uuid4().hex}")
    roots = Roots(settings.all_roots())
    queues, health = Queues(roots), Health(3)
    nobody: Any = None
    alone: Any = Leads()
    looks: Any = scanner.Scanner(nobody, roots, Index(), queues, settings, health, alone, lambda: True)

    def counted(result: str) -> float:
        return metrics.REGISTRY.get_sample_value("hitl_hints_total", {"result": result}) or 0

    taken, dropped = counted("taken"), counted("dropped")
    app = http_app(health, looks.hint)
    async with serving(app, "127.0.0.1", 0) as port, httpx.AsyncClient(trust_env=False) as client:
        for number in range(5):
            assert (await client.post(f"http://127.0.0.1:{port}/hints/forged-{number}")).status_code == 202
    assert len(queues) == 2
    assert (counted("taken") - taken, counted("dropped") - dropped) == (2, 3)


async def test_pending_questions_are_looked_at_once_the_clock_was_set() -> None:
    # A timer that was set while the clock was ten minutes behind ends ten minutes after the deadline.
    settings = OperatorSettings(storage_root=f"memory://{uuid.uuid4().hex}")
    roots = Roots(settings.all_roots())
    [root] = roots
    queues, index, behind = Queues(roots), Index(), [timedelta()]
    index.put(HumanInput.from_object({**OBJECT, "status": {"phase": "Pending"}}))
    nobody: Any = None
    alone: Any = Leads()
    looks = scanner.Scanner(
        nobody,
        roots,
        index,
        queues,
        settings,
        Health(3),
        alone,
        lambda: True,
        lambda: datetime.now(UTC) - behind[0],
    )
    work = ReconcileHumanInput("team", "asked")

    async def looked_at_after(step: timedelta) -> bool:
        behind[0] = step
        await looks.sweep(root)
        found = queues.busy(work)
        if found:
            assert await queues.of(work).get() == work
            queues.of(work).done(work)
        return found

    assert [await looked_at_after(timedelta(minutes=each)) for each in (0, 0, 10, 10, 0)] == [
        *(False, False, True, False, True)
    ]


async def test_what_was_not_listed_yet_does_not_seem_missing() -> None:
    # With 100,000 pending, the list takes longer than the pause before the first look. Each question that it had
    # not told of cost a read of the API server, and three of the storage.
    url = f"memory://{uuid.uuid4().hex}"
    settings = OperatorSettings(storage_root=url, open_seconds=0.01)
    roots = Roots(settings.all_roots())
    [root] = roots
    queues, listed, asked_about = Queues(roots), asyncio.Event(), Counter[bool]()

    def complete() -> bool:
        asked_about[listed.is_set()] += 1
        return listed.is_set()

    nobody: Any = None
    alone: Any = Leads()
    looks = scanner.Scanner(
        nobody,
        roots,
        Index(),
        queues,
        settings,
        Health(3),
        alone,
        complete,
        # One that was asked just now is about to be shown.
        lambda: datetime.now(UTC) + timedelta(minutes=1),
    )
    question = draft_request(
        request_id="asked", event_name="e", data_type="int", prompt="p", timeout_seconds=60, now=datetime.now(UTC)
    )
    await create_request(root_store(url), question)
    work = MirrorRequest(root.name, "asked")
    await root.reach()
    scanning = asyncio.create_task(looks.scan_forever(root))
    async with asyncio.timeout(PATIENCE):
        while asked_about[False] < 3:
            await asyncio.sleep(0.01)
        assert not queues.busy(work)
        listed.set()
        while not queues.busy(work):
            await asyncio.sleep(0.01)
    scanning.cancel()


async def test_one_forbidden_namespace_hides_no_deletion_in_another() -> None:
    class Kube:
        """The API server, as far as it is asked."""

        async def items(self, _: object, namespace: str, **_how: object) -> AsyncIterator[Any]:
            if namespace == "forbidden":
                raise ClusterForbidden("humaninputs is forbidden", status=403)
            return
            yield  # a list of nothing

    settings = OperatorSettings(
        storage_root=f"memory://{uuid.uuid4().hex}", namespaces=("forbidden", "team", "other")
    )
    roots = Roots(settings.all_roots())
    queues, index = Queues(roots), Index()
    for namespace in settings.namespaces:
        metadata = {**OBJECT["metadata"], "namespace": namespace, "uid": namespace}
        index.put(HumanInput.from_object({**OBJECT, "metadata": metadata}))
    kube: Any = Kube()
    alone: Any = Leads()
    await scanner.Scanner(kube, roots, index, queues, settings, Health(3), alone, lambda: True).verify()
    found = [each for each in settings.namespaces if queues.busy(ReconcileHumanInput(each, "asked"))]
    assert found == ["team", "other"]


OBJECT: Any = {
    "apiVersion": "hitl.flyte.org/v1alpha1",
    "kind": "HumanInput",
    "metadata": {"name": "asked", "namespace": "team", "uid": "u1"},
    "spec": {"prompt": "How many?", "dataType": "int"},
}


class Leads:
    """An operator alone."""

    leading = True

    def leads(self, _root: str) -> bool:
        return True


def root_store(url: str) -> Store:
    return Store(url)
