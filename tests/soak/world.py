"""What a run takes place in: control plane, S3, web app, and operators behind faulty wires."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any, Final, Self

import httpx

from hitl.storage import Store
from tests.backends.plugin import Backend
from tests.backends.seaweed import BUCKET, Seaweed
from tests.cluster.control_plane import ControlPlane
from tests.cluster.http_proxy import HttpProxy
from tests.cluster.operators import OperatorProcess
from tests.soak.weather import Weather
from tests.web.serving import WebApp, running

NAMESPACES: Final = ("north", "south")
_ROOT: Final = f"s3://{BUCKET}/soak"
# One operator; two without any Lease; two of which one waits for it; two that share the namespaces.
ARRANGEMENTS: Final[tuple[tuple[int, dict[str, str]], ...]] = (
    (1, {"lease": ""}),
    (2, {"lease": ""}),
    (2, {}),
    (2, {"shards": "2"}),
)
# The Lease of an operator that was killed is free after 15 seconds.
_KILLS: Final = {True: (15, 40), False: (3, 12)}


class World:
    """Everything that runs. Use it as a context.

    Args:
        folder: Where data and logs lie.
        seed: What decides about the faults.
        plane: A control plane with our definitions and `NAMESPACES`.
        s3: A storage.
    """

    def __init__(self, folder: Path, seed: int, plane: ControlPlane, s3: Seaweed) -> None:
        self.folder = folder
        self.plane = plane
        self.store = Store(_ROOT, s3.options)
        self._s3 = s3
        self._random = Random(f"{seed} world")
        self._seed = seed
        self._clock = folder / "clock"
        self._ends = ExitStack()
        self.operators: list[Killable] = []
        self.weather: dict[str, Weather] = {}

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._ends.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()

    def _start(self) -> None:
        proxies = {
            "storage": HttpProxy(self._s3.endpoint),
            "api": HttpProxy(self.plane.url, self.plane.tls()),
        }
        for name, proxy in proxies.items():
            self._ends.callback(proxy.stop)
            self.weather[name] = Weather(proxy, Random(f"{self._seed} {name}"))
        self.step_clock(0)
        self.app: WebApp = self._ends.enter_context(
            running(_ROOT, self.folder, self._s3.options, HITL_MARKERS="true")
        )
        backend = Backend("s3", _ROOT, {**self._s3.options, "endpoint": proxies["storage"].url})
        kubeconfig = proxies["api"].kubeconfig(self.folder)
        count, self.arrangement = self._random.choice(ARRANGEMENTS)
        for _ in range(count):
            operator = Killable(self.plane, backend, self.folder, kubeconfig, self._clock, self.arrangement)
            self._ends.callback(operator.kill)
            operator.go()
            self.operators.append(operator)

    def step_clock(self, seconds: float) -> None:
        """Set by how much the operators' clock is ahead, from now on."""
        part = self._clock.with_suffix(".part")
        part.write_text(str(seconds))
        part.replace(self._clock)

    async def step(self) -> None:
        """Step the operators' clock now and then, until cancelled; then it is right."""
        try:
            while True:
                await asyncio.sleep(self._random.uniform(2, 8))
                self.step_clock(self._random.choice((-600, -20, -8, 8, 20, 600, 86_400)))
                await asyncio.sleep(self._random.uniform(1, 4))
                self.step_clock(0)
        finally:
            self.step_clock(0)

    async def slay(self) -> None:
        """Kill operators and start them again, until cancelled; then all run."""
        try:
            while True:
                await asyncio.sleep(self._random.uniform(*_KILLS["lease" not in self.arrangement]))
                operator = self._random.choice(self.operators)
                if self._random.random() < 0.7:
                    operator.kill()
                else:
                    await asyncio.to_thread(operator.end)
                await asyncio.sleep(self._random.uniform(0, 3))
                operator.go()
        finally:
            for operator in self.operators:
                operator.go()


class Killable(OperatorProcess):
    """An operator that is killed and started again, and that ends in no other way.

    Attributes:
        kills: How often it was killed or ended.
        died: What was wrong with how it ended.
    """

    def __init__(
        self,
        plane: ControlPlane,
        backend: Backend,
        folder: Path,
        kubeconfig: Path,
        clock: Path,
        settings: dict[str, str],
    ) -> None:
        more: dict[str, Any] = {"open_seconds": "0.5", "audit_seconds": "0.5", **settings}
        module = ("tests.soak.stepping",)
        super().__init__(plane, backend, folder, kubeconfig=kubeconfig, module=module, **more)
        self.environment |= {"TEST_CLOCK": str(clock), "TEST_SLOW": "5"}
        self._running: subprocess.Popen[bytes] | None = None
        self.kills = 0
        self.died: list[str] = []

    def go(self) -> None:
        """Start it, unless it runs."""
        self.look()
        if self._running is None:
            self._running = self.launch()

    def look(self) -> None:
        """Note it when it ended by itself."""
        if self._running is not None and (code := self._running.poll()) is not None:
            self.died.append(f"an operator ended by itself with {code}: {self.log}")
            self._running = None

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self.look()
        if self._running is not None:
            self._running.kill()
            self._running.wait()
            self._running = None
            self.kills += 1

    def end(self) -> None:
        """End it as Kubernetes does: it has 30 seconds to end by itself."""
        self.look()
        if self._running is None:
            return
        self._running.terminate()
        try:
            # One that has just been started does not hear yet.
            if (code := self._running.wait(30)) not in (0, -signal.SIGTERM):
                self.died.append(f"an operator ended with {code} at SIGTERM: {self.log}")
        except subprocess.TimeoutExpired:
            self.died.append(f"an operator did not end at SIGTERM: {self.log}")
            self._running.kill()
            self._running.wait()
        self._running = None
        self.kills += 1

    def metrics(self) -> dict[str, float] | None:
        """Return the sum of each metric's values, None while it does not answer."""
        found: dict[str, float] = {}
        try:
            text = httpx.get(f"{self.url}/metrics", timeout=5).text
        except httpx.HTTPError:
            return None
        for line in text.splitlines():
            if not line.startswith("#"):
                name = line.partition(" ")[0].partition("{")[0]
                found[name] = found.get(name, 0.0) + float(line.rpartition(" ")[2])
        return found
