"""What the operator looks at in a root, page by page."""

import logging
import uuid
from datetime import UTC, datetime, timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from hitl.core.keys import OpenRow
from hitl.storage import all_of
from hitl_operator.index import Index
from hitl_operator.queues import Queues
from hitl_operator.roots import Roots
from hitl_operator.settings import OperatorSettings
from hitl_operator.upkeep import Upkeep
from hitl_operator.work_items import MirrorRequest
from tests.backends.plugin import Backend
from tests.library.counting import Counting, filled

_MORE_THAN_A_PAGE = 1_100


async def test_the_first_round_over_the_open_questions_does_not_stop_after_a_page(s3_backend: Backend) -> None:
    settings = OperatorSettings(storage_root=s3_backend.url, storage_options=s3_backend.options)
    roots = Roots(settings.all_roots())
    [root] = list(roots)
    queues = Queues(roots)
    await root.reach()
    now = datetime.now(UTC)
    rows = [OpenRow(f"asked-{number}", now + timedelta(hours=1)).key for number in range(_MORE_THAN_A_PAGE)]
    await all_of([partial(root.store.mark, each) for each in rows])

    await Upkeep(root, roots, Index(), queues, settings).look_at_open(now + timedelta(minutes=1))

    assert all(queues.busy(MirrorRequest(root.name, f"asked-{number}")) for number in range(_MORE_THAN_A_PAGE))


async def test_a_start_costs_what_is_open_and_not_what_is_kept() -> None:
    costs = []
    for pending, kept in ((50, 100), (50, 2_000), (500, 100)):
        url = f"memory://{uuid.uuid4().hex}"
        store, settings = Counting(url), OperatorSettings(storage_root=url)
        waiting = await filled(store, settled=kept, pending=pending)
        roots = Roots(settings.all_roots())
        queues = Queues(roots)
        root: Any = SimpleNamespace(name=next(iter(roots)).name, store=store)
        upkeep = Upkeep(root, roots, Index(), queues, settings)
        later = store.time + timedelta(minutes=1)

        async def start(upkeep: Upkeep = upkeep, later: datetime = later) -> None:
            await upkeep.look_at_open(later)
            # One page of everything; the others follow one by one.
            await upkeep.look_at_all(later)

        costs.append(await store.cost(start()))
        assert all(queues.busy(MirrorRequest(root.name, each.request_id)) for each in waiting)

    assert costs[1] <= costs[0] + 5
    assert costs[2] > costs[0]


async def test_who_restored_the_storage_is_told_when_all_of_it_was_looked_at_once(
    memory_backend: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    settings = OperatorSettings(storage_root=memory_backend.url, audit_seconds=0.01)
    roots = Roots(settings.all_roots())
    [root] = list(roots)
    await root.reach()
    upkeep = Upkeep(root, roots, Index(), Queues(roots), settings)
    told = "first full scan since the start is complete"
    caplog.set_level(logging.INFO, "hitl.operator")

    assert told not in caplog.text
    for _ in range(5):
        await upkeep.look_at_all(datetime.now(UTC))
    assert caplog.text.count(told) == 1
