"""The operator's HTTP port: probes, metrics and hints."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from hitl.core import keys
from hitl_operator.metrics import HINTS, REGISTRY
from hitl_operator.roots import Roots
from hitl_operator.watcher import Sight

_LAG_SECONDS: Final = 10.0
_SWEEPS_MISSED: Final = 20
_LEAST_SECONDS: Final = 60.0
_TOLD: Final = 20

_log = logging.getLogger("hitl.operator.probes")


@dataclass
class Health:
    """What the probes look at. An unavailable storage or API server is no reason to restart the operator.

    Args:
        sweep_seconds: Seconds between two sweeps.
        sights: What each watch knows of itself.
        roots: The roots.
        clock: Seconds that only ever grow.
    """

    sweep_seconds: float
    sights: Sequence[Sight] = ()
    roots: Roots | None = None
    clock: Callable[[], float] = time.monotonic
    swept: dict[str, float] = field(default_factory=dict, init=False)
    beat: float = field(init=False)

    def __post_init__(self) -> None:
        self.beat = self.clock()
        self.swept = {root.name: self.beat for root in self.roots or ()}

    def sweep(self, root: str) -> None:
        """Note that somebody looks for markers in a root, or would if this operator led."""
        self.swept[root] = self.clock()

    def alive(self) -> str:
        """Return what is wrong with this process, or an empty text."""
        now = self.clock()
        if now - self.beat > _LAG_SECONDS:
            return f"the event loop hung for {now - self.beat:.0f} s"
        for root, swept in self.swept.items():
            if now - swept > max(_LEAST_SECONDS, _SWEEPS_MISSED * self.sweep_seconds):
                return f"nobody looked for markers in root {root} for {now - swept:.0f} s"
        for sight in self.sights:
            if sight.stuck:
                return f"the watch of {sight} hangs"
        return ""

    def unseen(self) -> list[str]:
        """Return which kinds are not seen where, and why."""
        return [f"{sight}: {sight.unseen}" for sight in self.sights if sight.unseen]

    def ready(self) -> tuple[bool, str]:
        """Tell whether anything at all is watched, and what is not, or which root is in trouble."""
        unseen = self.unseen()
        faults = [f"not seen: {each}" for each in unseen]
        faults += [f"root {root.name}: {root.trouble}" for root in self.roots or () if root.trouble]
        if len(faults) > _TOLD:
            faults[_TOLD:] = [f"and {len(faults) - _TOLD} more"]
        ready = any(not each.unseen for each in self.sights if each.needed)
        return ready, "; ".join(["ok", *faults] if ready else faults)

    async def run(self) -> None:
        """Show that the event loop turns, until cancelled."""
        while True:
            self.beat = self.clock()
            await asyncio.sleep(1)


def http_app(health: Health, hint: Callable[[str], bool]) -> web.Application:
    """Return the HTTP application.

    Args:
        health: What the probes look at.
        hint: Called with the id of a request that somebody says to look at; tells whether it is looked at.
    """

    async def healthz(_: web.Request) -> web.Response:
        wrong = health.alive()
        return web.Response(text=wrong or "ok", status=503 if wrong else 200)

    async def readyz(_: web.Request) -> web.Response:
        ready, text = health.ready()
        return web.Response(text=text, status=200 if ready else 503)

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def hints(request: web.Request) -> web.Response:
        request_id = request.match_info["request_id"]
        if not keys.is_request_id(request_id):
            return web.Response(text="this is not a request id", status=400)
        # A forged hint costs one look.
        HINTS.labels(result="taken" if hint(request_id) else "dropped").inc()
        return web.Response(status=202)

    app = web.Application(client_max_size=1024)
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics)
    app.router.add_post("/hints/{request_id}", hints)
    return app


@asynccontextmanager
async def serving(app: web.Application, host: str, port: int) -> AsyncIterator[int]:
    """Serve the application; yields the port."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        actual: int = runner.addresses[0][1]
        _log.info("probes, metrics and hints on port %d", actual)
        yield actual
    finally:
        await runner.cleanup()
