"""A sweep finds answers, whatever else lies in a root."""

import asyncio
import uuid
from datetime import timedelta
from typing import Any

import httpx
import pytest

from hitl.core import keys
from hitl.records import retention
from hitl.storage import Store
from hitl_operator import metrics, scanner
from hitl_operator.index import Index
from hitl_operator.probes import Health, http_app, serving
from hitl_operator.queues import Queues
from hitl_operator.roots import Roots
from hitl_operator.settings import OperatorSettings
from hitl_operator.work_items import MirrorOutcome


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
    looks: Any = scanner.Scanner(nobody, roots, Index(), queues, settings, health, alone)

    def counted(result: str) -> float:
        return metrics.REGISTRY.get_sample_value("hitl_hints_total", {"result": result}) or 0

    taken, dropped = counted("taken"), counted("dropped")
    app = http_app(health, looks.hint)
    async with serving(app, "127.0.0.1", 0) as port, httpx.AsyncClient(trust_env=False) as client:
        for number in range(5):
            assert (await client.post(f"http://127.0.0.1:{port}/hints/forged-{number}")).status_code == 202
    assert len(queues) == 2
    assert (counted("taken") - taken, counted("dropped") - dropped) == (2, 3)


class Leads:
    """An operator alone."""

    leading = True

    def leads(self, _root: str) -> bool:
        return True


def root_store(url: str) -> Store:
    return Store(url)
