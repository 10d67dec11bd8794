"""What takes long to set up: many namespaces, many pending questions, an empty cluster beside a full root."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

import psutil
from rich.progress import Progress

from hitl.cluster.client import HUMAN_INPUTS, Kube
from hitl.cluster.mapping import human_input_of
from hitl.cluster.v1alpha1 import OPERATOR_MANAGER, STATUS_MANAGER
from hitl.core import keys
from hitl.core.documents import Origin, RequestDocument
from hitl.core.question import Question
from hitl.records.records import Records
from hitl.records.requests import StoredRequest, create
from hitl.storage import Store
from tests.backends.plugin import Backend
from tests.backends.seaweed import BUCKET
from tests.bench.bare import pending_status
from tests.bench.budgets import Row
from tests.bench.cluster import at_once
from tests.bench.machines import machines
from tests.bench.pending import READ_SECONDS
from tests.cluster.control_plane import ControlPlane
from tests.cluster.operators import OperatorProcess

PENDING: Final = 10_000
NAMESPACES: Final = 500
IDLE_SECONDS: Final = 30
_FACTOR: Final = 10
_MIB: Final = 2**20
_PATIENCE_SECONDS: Final = 7_200
_HERE: Final = "many"


def measure(build: Path, pending: int = PENDING, namespaces: int = NAMESPACES) -> list[Row]:
    """Measure and return the rows.

    Args:
        build: Where data and logs may lie.
        pending: How many questions are pending, beside ten times as many.
        namespaces: How many namespaces are named.
    """
    home = build / "bench-many"
    with machines(home) as (plane, s3):
        plane.kubectl("create", "namespace", _HERE)
        bench = _Many(plane, Backend("s3", f"s3://{BUCKET}/many", s3.options), home)
        with Progress(transient=True) as bar:
            task = bar.add_task("namespaces", total=4)
            rows = bench.namespaces(namespaces)
            bar.update(task, advance=1, description="an empty cluster")
            rows += bench.empty_cluster(pending)
            bar.update(task, advance=1, description="pending")
            rows += bench.growth(pending)
        return rows


class _Many:
    def __init__(self, plane: ControlPlane, backend: Backend, home: Path) -> None:
        self.plane = plane
        self.backend = backend
        self.home = home
        self.asked: list[StoredRequest] = []

    @contextmanager
    def _operator(self, **settings: Any) -> Iterator[OperatorProcess]:
        operator = OperatorProcess(
            self.plane, self.backend, self.home, **{"lease": "", "sweep_seconds": "3", **settings}
        )
        operator.start()
        try:
            yield operator
        finally:
            operator.terminate()

    def namespaces(self, count: int) -> list[Row]:
        """Compare an operator of named namespaces with one of all."""
        names = [f"team-{number}" for number in range(count)]
        for name in names:
            content = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            assert self.plane.request("POST", "/api/v1/namespaces", content).code == 0
        taken = []
        for settings in ({}, {"namespaces": ",".join(names)}):
            with self._operator(**settings) as operator:
                time.sleep(10)
                process = psutil.Process(operator.pid)
                taken.append((process.memory_info().rss / _MIB, len(process.net_connections("tcp"))))
        (all_memory, all_connections), (memory, connections) = taken
        what = f"{count:,} named namespaces"
        return [
            Row(f"{what}: resident memory, MiB", memory, all_memory, "cluster-wide", most=1.5),
            Row(f"{what}: connections", connections, 1, most=100),
            Row("cluster-wide: connections", all_connections, 1),
        ]

    def empty_cluster(self, count: int) -> list[Row]:
        """Measure until all questions of a root are shown in a cluster that has none."""
        # Those stay, in a namespace that no operator watches: to delete them takes as long again.
        floor = asyncio.run(self._shown_by_hand(count))
        asyncio.run(self._ask(count))
        began = time.perf_counter()
        with self._operator(namespaces=_HERE):
            self._until_pending(count, _HERE)
            seconds = time.perf_counter() - began
        what = f"empty cluster, root with {count:,} pending: all shown, s"
        return [Row(what, seconds, floor, "creations and status writes", most=3)]

    def growth(self, count: int) -> list[Row]:
        """Compare a start and idling with so many pending questions, and with ten times as many."""
        small = self._started(count)
        asyncio.run(self._ask((_FACTOR - 1) * count))
        with self._operator(namespaces=_HERE):
            self._until_pending(_FACTOR * count, _HERE)
        large = self._started(_FACTOR * count)
        many = f"{_FACTOR * count:,} pending"
        return [
            Row(f"start → in step, {many}, s", large[0], small[0], f"{count:,}", most=10),
            Row(f"resident memory, {many}, MiB", large[1], 1, most=400),
            Row(f"idle, {many}: share of a core, %", large[2], 1, most=2),
        ]

    def _started(self, count: int) -> tuple[float, float, float]:
        """Return seconds from start to in step, memory in MiB, and the share of a core in percent when idle."""
        began = time.perf_counter()
        with self._operator(namespaces=_HERE) as operator:
            self.plane.until(
                "all are seen",
                lambda: operator.metric("hitl_pending") >= count and operator.metric("hitl_queue_depth") == 0,
                _PATIENCE_SECONDS,
            )
            seconds = time.perf_counter() - began
            process = psutil.Process(operator.pid)
            time.sleep(READ_SECONDS)
            cpu = sum(process.cpu_times()[:2])
            time.sleep(IDLE_SECONDS)
            idle = (sum(process.cpu_times()[:2]) - cpu) / IDLE_SECONDS
            return seconds, process.memory_info().rss / _MIB, idle * 100

    async def _ask(self, count: int) -> None:
        records = Records(Store(self.backend.url, self.backend.options))
        question = Question.of("many", int, "How many?", timeout_seconds=7 * 86_400)
        # No marker tells of them, as in a root that was restored.
        self.asked += await at_once(
            [
                partial(
                    create,
                    records,
                    question,
                    request_id=keys.random_request_id("many"),
                    origin=Origin(namespace=_HERE),
                    new=True,
                )
                for _ in range(count)
            ]
        )

    async def _shown_by_hand(self, count: int) -> float:
        """Return how long as many creations and status writes take by the operator's own client."""
        self.plane.kubectl("create", "namespace", "by-hand")
        question = Question.of("many", int, "How many?", timeout_seconds=7 * 86_400)
        asked_at = datetime.now(UTC)
        documents = [
            RequestDocument.asking(
                question,
                request_id=keys.random_request_id("many"),
                asked_at=asked_at,
                origin=Origin(namespace="by-hand"),
            )
            for _ in range(count)
        ]
        async with await Kube.connect(kubeconfig=str(self.plane.kubeconfig)) as kube:

            async def show(document: RequestDocument) -> None:
                content = human_input_of(document, 0).to_object()
                created = await kube.create(HUMAN_INPUTS, content, manager=OPERATOR_MANAGER)
                status = pending_status(created, document)
                await kube.apply(HUMAN_INPUTS, status, manager=STATUS_MANAGER, subresource="status")

            began = time.perf_counter()
            await at_once([partial(show, each) for each in documents], limit=64)
            return time.perf_counter() - began

    def _until_pending(self, count: int, namespace: str) -> None:
        async def pending() -> int:
            fields, found = {"status.phase": "Pending"}, 0
            async with await Kube.connect(kubeconfig=str(self.plane.kubeconfig)) as kube:
                async for _ in kube.items(HUMAN_INPUTS, namespace, fields=fields, metadata_only=True):
                    found += 1
            return found

        def all_pending() -> bool:
            # Counting costs the API server something too.
            time.sleep(count / 10_000)
            return asyncio.run(pending()) >= count

        self.plane.until(f"{count} are pending", all_pending, _PATIENCE_SECONDS)
