"""How soon a webhook has a question that was just asked, with the operator as what sends it."""

from __future__ import annotations

import asyncio
import statistics
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx

from hitl.core import keys
from hitl.core.documents import Origin
from hitl.storage import Store
from tests.backends.plugin import Backend
from tests.backends.seaweed import BUCKET
from tests.bench.budgets import Row
from tests.bench.cluster import Namespace
from tests.bench.machines import machines
from tests.cluster.operators import OperatorProcess
from tests.library.receiver import Receiver, receiving
from tests.library.samples import create_request, draft_request

QUESTIONS: Final = 100
_MOST_SECONDS: Final = 1.0
_PAUSE_SECONDS: Final = 0.05
_HOME: Final = "told"


def measure(build: Path) -> list[Row]:
    """Measure and return the rows.

    Args:
        build: Where data and logs may lie.
    """
    home = build / "bench-notices"
    with machines(home) as (plane, s3):
        backend = Backend("s3", f"s3://{BUCKET}/notices", s3.options)
        here = Namespace(plane, _HOME)
        settings: dict[str, Any] = {"namespaces": _HOME, "lease": "", "notify_private": "allow"}
        operator = OperatorProcess(plane, backend, home, sweep_seconds="3", **settings)
        operator.start()
        try:
            return asyncio.run(_measure(here, operator, backend))
        finally:
            operator.terminate()


async def _measure(here: Namespace, operator: OperatorProcess, backend: Backend) -> list[Row]:
    store = Store(backend.url, backend.options)
    async with receiving() as receiver, httpx.AsyncClient() as client:
        here.create_target(receiver.url)
        # Its connections are open, and the storage is proven.
        await here.ask(["first"])
        await receiver.until(1)

        async def stored(number: int) -> None:
            draft = draft_request(
                request_id=keys.random_request_id(f"stored-{number}"),
                event_name="stored",
                data_type=int,
                prompt="How many?",
                timeout_seconds=86_400,
                now=datetime.now(UTC),
                origin=Origin(namespace=_HOME),
            )
            await create_request(store, draft)
            await store.mark(keys.new_marker(draft.request_id))
            await client.post(f"{operator.url}/hints/{draft.request_id}")

        async def shown(number: int) -> None:
            await here.ask([f"asked-{number}"])

        rows = []
        for what, ask in (("in Kubernetes", shown), ("through storage, with a hint", stored)):
            seconds = await _latencies(receiver, ask)
            name = f"asked {what} → webhook received"
            rows.append(Row(f"{name}, p50, s", statistics.median(seconds), 1, most=_MOST_SECONDS))
            rows.append(Row(f"{name}, p99, s", statistics.quantiles(seconds, n=100)[98], 1))
        return rows


async def _latencies(receiver: Receiver, ask: Any) -> list[float]:
    seconds = []
    for number in range(QUESTIONS):
        before, began = len(receiver.bodies), time.monotonic()
        await ask(number)
        await receiver.until(before + 1)
        seconds.append(time.monotonic() - began)
        await asyncio.sleep(_PAUSE_SECONDS)
    return seconds
