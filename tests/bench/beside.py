"""Answers in the form until the status shows them: this operator and web app, beside those of another revision.

Both run at the same time, each with a root and a namespace of its own, on one API server and one storage. They are
asked in turns, so that whatever else the machine does slows down both.
"""

from __future__ import annotations

import asyncio
import io
import json
import statistics
import subprocess
import tarfile
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import httpx
from rich.progress import Progress

from hitl.core import keys
from hitl.records.links import add_link
from hitl.storage import Store
from tests.backends.plugin import Backend
from tests.backends.seaweed import BUCKET, Seaweed
from tests.bench.budgets import Row
from tests.bench.machines import machines
from tests.bench.pending import ask, p99
from tests.cluster.control_plane import ControlPlane
from tests.cluster.operators import OperatorProcess
from tests.web.serving import running

ANSWERS: Final = 400
_HERE: Final = Path(__file__).parents[2]
# Where the packages of a revision lie.
_PACKAGES: Final = ("", "operator", "webapp")
_PATIENCE_SECONDS: Final = 1_800


def measure(build: Path, revision: str, pending: int, answers: int = ANSWERS) -> list[Row]:
    """Measure and return the rows.

    Args:
        build: Where data, logs and the other revision's code may lie.
        revision: The other revision, as git knows it, such as the tag or commit of a release.
        pending: How many questions are pending on each side.
        answers: How many of them are answered on each side.
    """
    home = build / "bench-beside"
    with machines(home) as (plane, s3), ExitStack() as ends, Progress(transient=True) as bar:
        task = bar.add_task("asking", total=2)
        sides = []
        for name, code in (("before", _checked_out(revision, home / "code")), ("now", _HERE)):
            side = _Side(plane, s3, home, name, code, ends)
            side.ask(pending)
            bar.update(task, advance=1)
            sides.append(side)
        before, now = asyncio.run(_in_turns(sides, answers))

    def row(what: str, now: float, before: float, most: float | None = None) -> Row:
        return Row(f"answer in the form → status, {pending:,} pending, {what}, ms", now, before, revision, most)

    return [
        row("p50", statistics.median(now) * 1000, statistics.median(before) * 1000),
        row("p99", p99(now) * 1000, p99(before) * 1000, 0.7),
    ]


def _checked_out(revision: str, folder: Path) -> Path:
    """Return where the code of a revision lies, which is written there."""
    done = subprocess.run(["git", "archive", revision], cwd=_HERE, check=True, capture_output=True)
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder


class _Side:
    """The operator and the web app of one revision, with a root and a namespace of their own."""

    def __init__(
        self, plane: ControlPlane, s3: Seaweed, home: Path, name: str, code: Path, ends: ExitStack
    ) -> None:
        plane.kubectl("create", "namespace", name)
        self.name, self._plane = name, plane
        folder = home / name
        folder.mkdir()
        # Without the folder in which this is run, where this revision's own packages lie.
        python = {"PYTHONPATH": ":".join(str(code / each) for each in _PACKAGES), "PYTHONSAFEPATH": "1"}
        backend = Backend("s3", f"s3://{BUCKET}/{name}", s3.options)
        self.store = Store(backend.url, backend.options)
        self.operator = OperatorProcess(plane, backend, folder, namespaces=name, lease="", sweep_seconds="3")
        self.operator.environment |= python
        self.operator.start()
        ends.callback(self.operator.kill)
        hints = {"HITL_MARKERS": "true", "HITL_HINT_URL": self.operator.url, **python}
        self.app = ends.enter_context(running(backend.url, folder, s3.options, **hints))
        self.ids: list[str] = []

    def ask(self, count: int) -> None:
        """Ask so many questions, and wait until all are shown."""
        self.ids = asyncio.run(ask(self.store, self.name, count))

        def shown() -> bool:
            time.sleep(1)
            seen = self.operator.metric("hitl_pending") >= count and not self.operator.metric("hitl_queue_depth")
            return seen and not asyncio.run(self.store.list_markers(keys.NEW))

        self._plane.until(f"{count} are pending", shown, _PATIENCE_SECONDS)

    async def answered_in(self, client: httpx.AsyncClient, shown: dict[str, asyncio.Event]) -> float:
        """Answer one question in the form; return the seconds until a watch told of its status."""
        request_id = self.ids.pop()
        token = await add_link(self.store, request_id, now=datetime.now(UTC))
        told = shown[request_id] = asyncio.Event()
        content = {"request_id": request_id, "token": token, "value": "42"}
        began = time.perf_counter()
        (await client.post(f"{self.app.url}/submit", data=content)).raise_for_status()
        await told.wait()
        return time.perf_counter() - began

    @asynccontextmanager
    async def watching(self, shown: dict[str, asyncio.Event]) -> AsyncIterator[None]:
        """Tell of each question whose status shows an answer, until the block ends."""
        path = f"/apis/hitl.flyte.org/v1alpha1/namespaces/{self.name}/humaninputs"
        async with httpx.AsyncClient(base_url=self._plane.url, verify=self._plane.tls(), timeout=None) as client:
            listed = (await client.get(path, params={"limit": 1})).raise_for_status().json()
            query = {"watch": "true", "resourceVersion": listed["metadata"]["resourceVersion"]}

            async def watch() -> None:
                async with client.stream("GET", path, params=query) as stream:
                    async for line in stream.aiter_lines():
                        content = json.loads(line)["object"]
                        name = content["metadata"]["name"]
                        if name in shown and content.get("status", {}).get("phase") == "Answered":
                            shown[name].set()

            running = asyncio.create_task(watch())
            try:
                yield
            finally:
                running.cancel()


async def _in_turns(sides: list[_Side], answers: int) -> list[list[float]]:
    """Return how long each answer of each side took."""
    shown: dict[str, asyncio.Event] = {}
    taken: list[list[float]] = [[] for _ in sides]
    first, second = sides
    async with first.watching(shown), second.watching(shown), httpx.AsyncClient(timeout=60) as client:
        for side in sides:
            # Its connections are open.
            await side.answered_in(client, shown)
        for number in range(2 * answers):
            turn = number % 2
            async with asyncio.timeout(_PATIENCE_SECONDS):
                taken[turn].append(await sides[turn].answered_in(client, shown))
    return taken
