"""Questions that come, are answered and go, for minutes: the operator's memory stays what it is."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Final

import psutil
from rich.progress import Progress

from tests.backends.plugin import Backend
from tests.backends.seaweed import BUCKET
from tests.bench.budgets import Row
from tests.bench.cluster import Namespace
from tests.bench.machines import machines
from tests.cluster.operators import OperatorProcess

MINUTES: Final = 1.0
_BATCH: Final = 50
_PATIENCE_SECONDS: Final = 120
_MIB: Final = 2**20


def measure(build: Path, minutes: float = MINUTES) -> list[Row]:
    """Measure and return the rows.

    Args:
        build: Where data and logs may lie.
        minutes: For how long. The first third is for warming up, and the last one is compared with the second.
    """
    home = build / "bench-churn"
    with machines(home) as (plane, s3):
        here = Namespace(plane, "churn")
        backend = Backend("s3", f"s3://{BUCKET}/churn", s3.options)
        operator = OperatorProcess(plane, backend, home, namespaces="churn", lease="", sweep_seconds="3")
        operator.start()
        try:
            samples = _churn(here, operator, minutes * 60)
            plane.until("nothing is pending", lambda: operator.metric("hitl_pending") == 0)
        finally:
            operator.terminate()
    third = len(samples) // 3
    before, after = max(samples[third : 2 * third]), max(samples[2 * third :])
    return [
        Row(f"questions that came and went in {minutes:g} min", len(samples) * _BATCH, 1),
        Row("resident memory, MiB", after, before, "a third of the time before", most=1.05),
    ]


def _churn(here: Namespace, operator: OperatorProcess, seconds: float) -> list[float]:
    """Return the operator's memory after each batch."""
    process, samples, began = psutil.Process(operator.pid), list[float](), time.monotonic()
    with Progress(transient=True) as bar:
        task = bar.add_task("churn", total=seconds)
        while len(samples) < 3 or time.monotonic() - began < seconds:
            asyncio.run(_batch(here, [f"q-{len(samples)}-{number}" for number in range(_BATCH)]))
            samples.append(process.memory_info().rss / _MIB)
            bar.update(task, completed=time.monotonic() - began)
    return samples


async def _batch(here: Namespace, names: list[str]) -> None:
    async with asyncio.timeout(_PATIENCE_SECONDS):
        async with here.until_shown(len(names), "Pending") as shown:
            await here.ask(names)
            await shown.wait()
        async with here.until_shown(len(names), "Answered") as shown:
            await here.answer(names)
            await shown.wait()
        await here.delete(names)
