"""The operator with 1,000 and 10,000 pending questions: start, idling, and how soon a status shows an answer."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psutil
from rich.progress import Progress

from hitl.core import keys
from hitl.core.documents import Origin, Respondent
from hitl.records.index import note_open
from hitl.records.records import Records
from hitl.records.requests import read_request
from hitl.records.submissions import Submission
from hitl.storage import Store
from tests.backends.plugin import Backend
from tests.backends.seaweed import BUCKET
from tests.bench.budgets import Row
from tests.bench.machines import machines
from tests.cluster.control_plane import ControlPlane
from tests.cluster.operators import OperatorProcess
from tests.library.samples import create_request, draft_request, settle

SIZES = (1_000, 10_000)
IDLE_SECONDS = 30
# Until then after its start, the operator reads the whole index, page by page: that is no part of idling.
READ_SECONDS = 35
SWEEP_SECONDS = 3.0
HINTED = 200
SWEPT = 100
NAMESPACE = "bench"
_AT_ONCE = 32
_MIB = 2**20


def measure(build: Path, sizes: tuple[int, int] = SIZES) -> list[Row]:
    """Measure and return the rows of the operator's budget table.

    Args:
        build: Where data and logs may lie.
        sizes: How many questions are pending, first and then.
    """
    home = build / "bench-operator"
    with machines(home) as (plane, s3):
        plane.kubectl("create", "namespace", NAMESPACE)
        return _Bench(plane, Backend("s3", f"s3://{BUCKET}/bench", s3.options), home, sizes).measure()


class _Bench:
    def __init__(self, plane: ControlPlane, backend: Backend, home: Path, sizes: tuple[int, int]) -> None:
        self.plane = plane
        self.sizes = sizes
        self.backend = backend
        self.operator = OperatorProcess(plane, backend, home, sweep_seconds=str(SWEEP_SECONDS))
        self.ids: list[str] = []
        self.storage_rates: dict[int, float] = {}

    def measure(self) -> list[Row]:
        rows: list[Row] = []
        with Progress(transient=True) as bar:
            task = bar.add_task("", total=len(self.sizes) * 6)
            for size in self.sizes:

                def step(what: str, size: int = size) -> None:
                    bar.update(task, advance=1, description=f"{size:,} pending: {what}")

                rows += self._size(size, step)
        small, large = (self.storage_rates[size] for size in self.sizes)
        rows.append(
            Row(
                f"storage requests/s, idle, {self.sizes[1]:,} beside {self.sizes[0]:,} pending",
                large,
                small,
                f"{self.sizes[0]:,}",
                most=1.1,
            )
        )
        return rows

    def _size(self, size: int, step: Callable[[str], None]) -> list[Row]:
        step("asking")
        new = asyncio.run(ask(self._store(), NAMESPACE, size - len(self.ids)))
        self.ids += new
        self.operator.start()
        began = time.monotonic()
        self._until_pending(size)
        shown = len(new) / (time.monotonic() - began)
        self.operator.terminate()

        step("starting with nothing to do")
        before = self._writes()
        began = time.monotonic()
        self.operator.start()
        self.plane.until("all are seen", lambda: self.operator.metric("hitl_pending") >= size, 120)
        started = time.monotonic() - began
        time.sleep(5)
        idle_writes = self._writes() - before
        self.operator.terminate()

        step("starting with answers given meanwhile")
        late = self.ids[: size // 10]
        del self.ids[: size // 10]
        asyncio.run(self._answer_all(late))
        before = self._writes()
        started_at = time.monotonic()
        self.operator.start()
        self._until_answered(late)
        settled = time.monotonic() - started_at
        writes = (self._writes() - before) / len(late)

        step("idling")
        time.sleep(max(10, started_at + READ_SECONDS - time.monotonic()))
        process = psutil.Process(self.operator.pid)
        cpu, requests = sum(process.cpu_times()[:2]), self.operator.metric("hitl_storage_requests_total")
        time.sleep(IDLE_SECONDS)
        cpu = (sum(process.cpu_times()[:2]) - cpu) / IDLE_SECONDS
        rate = (self.operator.metric("hitl_storage_requests_total") - requests) / IDLE_SECONDS
        self.storage_rates[size] = rate
        memory = process.memory_info().rss / _MIB

        step("answers with a hint")
        hinted = asyncio.run(self._latencies(min(HINTED, size // 4), hint=True))
        step("answers without")
        swept = asyncio.run(self._latencies(min(SWEPT, size // 4), hint=False))
        self.operator.terminate()
        top = size == self.sizes[-1]

        def row(what: str, value: float, budget: float | None, *, always: bool = False) -> Row:
            return Row(f"{what}, {size:,} pending", value, 1, most=budget if top or always else None)

        return [
            row("new questions shown as HumanInputs, 1/s", shown, None),
            row("start → all seen, s", started, 60),
            row("writes to HumanInputs at a start with nothing to do", idle_writes, 0, always=True),
            row(f"start → {len(late):,} answers given meanwhile shown, s", settled, 60),
            row("writes to HumanInputs for each of those", writes, 1, always=True),
            row("idle: share of a core, %", cpu * 100, 2),
            row("resident memory, MiB", memory, 220),
            row("storage requests/s, idle", rate, None),
            row("answer → status with hint, p50, ms", statistics.median(hinted) * 1000, 100),
            row("answer → status with hint, p99, ms", p99(hinted) * 1000, 500),
            row("answer → status without hint, p99, ms", p99(swept) * 1000, SWEEP_SECONDS * 1000 + 500),
        ]

    async def _answer_all(self, ids: list[str]) -> None:
        store, limit = self._store(), asyncio.Semaphore(_AT_ONCE)

        async def answer(request_id: str) -> None:
            async with limit:
                await _answer(store, request_id)

        await asyncio.gather(*(answer(each) for each in ids))

    async def _latencies(self, count: int, *, hint: bool) -> list[float]:
        """Answer one after the other, and measure until a watch tells of the status."""
        ids = self.ids[:count]
        del self.ids[:count]
        store = self._store()
        seen: dict[str, float] = {}
        given: dict[str, float] = {}
        async with httpx.AsyncClient(timeout=None) as client:
            watching = asyncio.create_task(self._watch(set(ids), seen))
            await asyncio.sleep(1)
            for number, request_id in enumerate(ids):
                await _answer(store, request_id)
                given[request_id] = time.monotonic()
                if hint:
                    await client.post(f"{self.operator.url}/hints/{request_id}")
                # Spread over the sweeps.
                await asyncio.sleep(0.02 if hint else 0.05 + (number % 7) * 0.01)
            async with asyncio.timeout(60):
                while len(seen) < count:
                    await asyncio.sleep(0.05)
            watching.cancel()
        return [seen[each] - given[each] for each in ids]

    async def _watch(self, ids: set[str], seen: dict[str, float]) -> None:
        path = f"/apis/hitl.flyte.org/v1alpha1/namespaces/{NAMESPACE}/humaninputs"
        limits = {"watch": "true", "resourceVersion": self._version(path)}
        async with (
            httpx.AsyncClient(base_url=self.plane.url, verify=self.plane.tls(), timeout=None) as client,
            client.stream("GET", path, params=limits) as stream,
        ):
            async for line in stream.aiter_lines():
                content = json.loads(line)["object"]
                name = content["metadata"]["name"]
                if name in ids and content["status"].get("phase") == "Answered":
                    seen.setdefault(name, time.monotonic())

    def _version(self, path: str) -> str:
        found = json.loads(self.plane.request("GET", f"{path}?limit=1").out)
        return str(found["metadata"]["resourceVersion"])

    def _store(self) -> Store:
        return Store(self.backend.url, self.backend.options)

    def _until_pending(self, size: int) -> None:
        def shown() -> bool:
            # Asking the API server for all of them would cost it more than what is measured.
            time.sleep(1)
            return (
                self.operator.metric("hitl_pending") >= size
                and self.operator.metric("hitl_queue_depth") == 0
                and not asyncio.run(self._markers(keys.NEW))
            )

        self.plane.until(f"{size} are pending", shown, 900)

    def _until_answered(self, ids: list[str]) -> None:
        def answered() -> bool:
            return all(self._phase(each) == "Answered" for each in (ids[0], ids[-1])) and self._gone_markers()

        self.plane.until("all are answered", answered, 300)

    def _gone_markers(self) -> bool:
        return not asyncio.run(self._markers(keys.ANSWERED))

    async def _markers(self, prefix: str) -> int:
        return len(await self._store().list_markers(prefix))

    def _phase(self, name: str) -> str:
        return str((self.plane.get(NAMESPACE, "HumanInput", name) or {}).get("status", {}).get("phase"))

    def _writes(self) -> int:
        return self.plane.requests("humaninputs", ("POST", "PUT", "PATCH", "APPLY", "DELETE"))


async def ask(store: Store, namespace: str, count: int) -> list[str]:
    """Store so many questions of a namespace, each with its marker; return their ids."""
    limit = asyncio.Semaphore(_AT_ONCE)

    async def one(number: int) -> str:
        async with limit:
            draft = draft_request(
                request_id=keys.random_request_id(f"question-{number}"),
                event_name=f"question {number}",
                data_type=int,
                prompt="How many?",
                timeout_seconds=86_400,
                now=datetime.now(UTC),
                origin=Origin(namespace=namespace, project="bench", domain="development", run=f"r{number}"),
            )
            await create_request(store, draft)
            await note_open(Records(store), draft)
            await store.mark(keys.new_marker(draft.request_id))
            return draft.request_id

    return list(await asyncio.gather(*(one(number) for number in range(count))))


async def _answer(store: Store, request_id: str) -> None:
    request = await read_request(store, request_id)
    submission = Submission("answered", Respondent(name="ada", via="web"), value=42, text=False)
    await settle(store, request, submission, now=datetime.now(UTC), markers=True)


def p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100)[98]
