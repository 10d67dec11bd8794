"""The operator's work beside its floor: CPU, calls and time for new questions and for answers by patch."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Final
from urllib.parse import urlsplit

import psutil

from tests.backends.plugin import Backend
from tests.backends.processes import ServerProcess, free_ports
from tests.backends.seaweed import BUCKET, Seaweed
from tests.bench.bare import Bare
from tests.bench.budgets import Row
from tests.bench.cluster import Namespace
from tests.bench.machines import machines
from tests.cluster.control_plane import ControlPlane
from tests.cluster.operators import OperatorProcess

QUESTIONS: Final = 1_000
# A machine's speed drifts: each round has one of the floor just before it, and of CPU the medians of both are
# compared. The least of each would be of two moments.
_ROUNDS: Final = 5
ADDED_SECONDS: Final = 0.03
_PATIENCE_SECONDS: Final = 900
# An operator that has nothing to do takes less of a core.
_IDLE_SHARE: Final = 0.02
# What is deleted many at a time counts a little for each.
_SHARED: Final = 0.1
# What the operator asks for beside Events, its Lease and watches.
_RESOURCES: Final = ("humaninputs", "humaninputresponses", "secrets", "namespaces", "customresourcedefinitions")
_VERBS: Final = ("GET", "LIST", "POST", "PUT", "PATCH", "APPLY", "DELETE")
# Nothing is looked for meanwhile, so every call to the storage is for a question.
_QUIET: Final[dict[str, Any]] = dict.fromkeys(("sweep_seconds", "open_seconds", "audit_seconds"), "3600")


@dataclass(frozen=True)
class Cost:
    """What so many pieces of work took.

    Args:
        seconds: All of them together.
        cpu: Seconds of the operator's CPU for each.
        api: Calls to the API server for each, without Events and watches.
        storage: Calls to the storage for each.
        floor: Seconds of CPU that a pair of the floor took just before; 0: it was not measured.
    """

    seconds: float
    cpu: float
    api: float
    storage: float
    floor: float = 0

    @staticmethod
    def of(rounds: Sequence[Cost]) -> Cost:
        """Return the least time of several rounds, and the medians of all else.

        Once in many rounds the operator looks for something that is nobody's question.
        """
        return Cost(
            min(each.seconds for each in rounds),
            median(each.cpu for each in rounds),
            median(each.api for each in rounds),
            median(each.storage for each in rounds),
            median(each.floor for each in rounds),
        )


def measure(build: Path, questions: int = QUESTIONS) -> list[Row]:
    """Measure and return the rows.

    Args:
        build: Where data and logs may lie.
        questions: How many questions are asked, and answered at once.
    """
    home = build / "bench-answers"
    with machines(home) as (plane, s3):
        backend = Backend("s3", f"s3://{BUCKET}/answers", s3.options)
        bare = Bare(plane, backend, questions)
        asked, answered = _costs(plane, backend, home, "near", questions, bare)
        with _slow(home, s3) as slow:
            _, slowly = _costs(plane, slow, home, "far", questions)
        return _rows(bare.seconds(), asked, answered, slowly, questions)


@contextmanager
def _slow(home: Path, s3: Seaweed) -> Iterator[Backend]:
    """Yield a root on the same storage, to which each call takes longer."""
    [port] = free_ports(1)
    target = urlsplit(s3.endpoint).port
    command = [sys.executable, "-m", "tests.bench.slow_wire", str(port), str(target), str(ADDED_SECONDS)]
    wire = ServerProcess(command, home / "wire.log", lambda: _listens(port))
    wire.start()
    try:
        yield Backend("s3", f"s3://{BUCKET}/slow", {**s3.options, "endpoint": f"http://127.0.0.1:{port}"})
    finally:
        wire.kill()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _costs(
    plane: ControlPlane,
    backend: Backend,
    home: Path,
    namespace: str,
    questions: int,
    bare: Bare | None = None,
) -> tuple[Cost, Cost]:
    """Return what new questions cost, and what their answers do; measure the floor before each round."""
    here = Namespace(plane, namespace)
    rounds = [[f"q-{turn}-{number}" for number in range(questions)] for turn in range(_ROUNDS)]
    operator = OperatorProcess(plane, backend, home, namespaces=namespace, lease="", **_QUIET)
    operator.start()
    try:
        # Its connections are open, and the storage is proven.
        asyncio.run(_cost(plane, operator, here, 1, "Pending", lambda: here.ask(["first"])))

        def measured(phase: str, work: Callable[[], Awaitable[object]]) -> Cost:
            floor = bare.measure().cpu if bare else 0
            return replace(asyncio.run(_cost(plane, operator, here, questions, phase, work)), floor=floor)

        # Answered before the next are asked: the operator remembers so many questions that are pending.
        found = [
            (measured("Pending", partial(here.ask, names)), measured("Answered", partial(here.answer, names)))
            for names in rounds
        ]
        return Cost.of([asked for asked, _ in found]), Cost.of([answered for _, answered in found])
    finally:
        operator.terminate()


async def _cost(
    plane: ControlPlane,
    operator: OperatorProcess,
    here: Namespace,
    count: int,
    phase: str,
    work: Callable[[], Awaitable[object]],
) -> Cost:
    """Give the operator all its work at one moment, and measure until a watch has told of every status."""
    process = psutil.Process(operator.pid)
    async with here.until_shown(count, phase) as shown:
        storage = operator.metric("hitl_storage_requests_total")
        os.kill(operator.pid, signal.SIGSTOP)
        try:
            await work()
            api, cpu = _api_calls(plane), _cpu(process)
        finally:
            os.kill(operator.pid, signal.SIGCONT)
        began = time.perf_counter()
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await shown.wait()
        seconds = time.perf_counter() - began
    # What it does afterwards, as Events and rows of the index, belongs to it too, and to nothing else.
    used = await _used_once_idle(process) - cpu
    return Cost(
        seconds,
        used / count,
        (_api_calls(plane) - api) / count,
        (operator.metric("hitl_storage_requests_total") - storage) / count,
    )


def _cpu(process: psutil.Process) -> float:
    return sum(process.cpu_times()[:2])


async def _used_once_idle(process: psutil.Process) -> float:
    """Wait until a process has done nothing for a second; return its seconds of CPU.

    It is asked for nothing meanwhile: a page of metrics costs as much as an answer.
    """
    before = _cpu(process)
    while True:
        await asyncio.sleep(1)
        if (now := _cpu(process)) - before <= _IDLE_SHARE:
            return now
        before = now


def _api_calls(plane: ControlPlane) -> int:
    return sum(plane.requests(each, _VERBS) for each in _RESOURCES)


def _rows(floor_seconds: float, asked: Cost, answered: Cost, slowly: Cost, questions: int) -> list[Row]:
    def ms(seconds: float) -> float:
        return seconds * 1000

    many = f"{questions:,}"
    return [
        Row("one status PATCH and one exclusive creation: CPU, ms", ms(answered.floor), 1),
        Row(f"{many} of each, as many in flight as pay, s", floor_seconds, 1),
        Row("one answer by patch → status: CPU, ms", ms(answered.cpu), ms(answered.floor), "floor", most=2),
        Row("one new question → Pending: CPU, ms", ms(asked.cpu), ms(asked.floor), "floor", most=3),
        Row("API calls for one answer, without Events", answered.api, 1, most=1),
        Row("API calls for one new question, without Events", asked.api, 1, most=2),
        Row("storage calls for one answer, shared deletions too", answered.storage, 1, most=2 + _SHARED),
        Row("storage calls for one new question", asked.storage, 1, most=2),
        Row(f"{many} answers at once, all shown, s", answered.seconds, floor_seconds, "floor", most=2.5),
        Row("the same with 30 ms added to the storage, s", slowly.seconds, answered.seconds, "without", most=1.5),
        Row(f"{many} new questions at once, all Pending, s", asked.seconds, floor_seconds, "floor"),
    ]
