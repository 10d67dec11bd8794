"""The process: kopf owns its event loop and its signals, and starts and ends the operator in it."""

from __future__ import annotations

import asyncio
import gc
import itertools
import logging
from collections.abc import Iterator
from functools import cache
from typing import Final

import kopf
import uvloop
from prometheus_client import Counter

from hitl.cluster.client import Kube
from hitl.errors import ClusterError
from hitl_operator.app import Operator
from hitl_operator.metrics import API_REQUESTS
from hitl_operator.settings import OperatorSettings

_BACKOFFS: Final = (1, 1, 2, 3, 5, 8, 13, 21)
_LAST_BACKOFF: Final = 30
# Kubernetes grants 30 s. What does not end in time loses nothing: it is what a crash would do.
_END_SECONDS: Final = 10.0
# So many new objects, net, until Python looks for cycles among them. Most of ours are gone before: a thousand
# answers at once hold about 80 each.
_YOUNG: Final = 50_000
_KILL_SECONDS: Final = 25.0

_log = logging.getLogger("hitl.operator")


def run(settings: OperatorSettings) -> None:
    """Run the operator until SIGTERM or SIGINT.

    Raises:
        ClusterError: when there are no credentials.
        BaseException: whatever ended a part of the operator: its end is the process's end.
    """
    process = _Process(settings)
    try:
        # kopf's own command does the same.
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            kopf.run(
                loop=runner.get_loop(),
                registry=process.registry(),
                settings=_settings(),
                standalone=True,
                clusterwide=True,
                stop_flag=process.stop,
            )
    except Exception:
        # What kopf says then is only that something of ours failed.
        if process.error is None:
            raise
    if process.error is not None:
        raise process.error


class _Process:
    """What kopf calls.

    Args:
        settings: The operator's settings.

    Attributes:
        stop: Set when the operator ended by itself.
        error: Why it did.
    """

    def __init__(self, settings: OperatorSettings) -> None:
        self._settings = settings
        self._kube: Kube | None = None
        self._operator: Operator | None = None
        self._running: asyncio.Task[None] | None = None
        self.stop = asyncio.Event()
        self.error: BaseException | None = None

    def registry(self) -> kopf.OperatorRegistry:
        """Return the handlers. There is none for objects: see docs/decisions/0023-watches-of-our-own.md."""
        registry = kopf.OperatorRegistry()
        kopf.on.startup(registry=registry)(self._start)
        kopf.on.cleanup(registry=registry, errors=kopf.ErrorsMode.PERMANENT)(self._end)
        kopf.on.login(registry=registry)(self._login)
        return registry

    async def _start(self, **_: object) -> None:
        settings = self._settings
        try:
            self._kube = await Kube.connect(
                kubeconfig=settings.kubeconfig, context=settings.context, watcher=_count_request
            )
        except ClusterError as error:
            self.error = error
            raise kopf.PermanentError(str(error)) from error
        self._operator = Operator(self._kube, settings)
        # What was loaded stays: Python need not look for cycles in it again and again.
        gc.freeze()
        gc.set_threshold(_YOUNG)
        self._running = asyncio.create_task(self._operator.run(), name="operator")
        self._running.add_done_callback(self._ended)

    def _ended(self, running: asyncio.Task[None]) -> None:
        if not running.cancelled():
            self.error = self.error or _first(running.exception())
        self.stop.set()

    async def _end(self, **_: object) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running], timeout=_END_SECONDS)
            if not self._running.done():
                _log.error("the operator did not end within %.0f s", _END_SECONDS)
        if self._operator is not None:
            await self._operator.close()
        if self._kube is not None:
            await self._kube.close()

    async def _login(self, **_: object) -> kopf.ConnectionInfo:
        assert self._kube is not None
        assert self._operator is not None
        # kopf asks once what the API server serves, and would end by an answer that it does not expect.
        await self._operator.seen()
        connection = await self._kube.connection()
        return kopf.ConnectionInfo(
            server=connection.server,
            ca_path=connection.ca_path,
            certificate_path=connection.certificate_path,
            private_key_path=connection.private_key_path,
            token=connection.token,
            insecure=connection.insecure,
            default_namespace=connection.namespace,
        )


class _Endless:
    """Pauses between attempts, of which there is always one more."""

    def __iter__(self) -> Iterator[float]:
        return itertools.chain(_BACKOFFS, itertools.repeat(_LAST_BACKOFF))


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.networking.error_backoffs = _Endless()
    settings.networking.request_timeout = 30
    settings.process.ultimate_exiting_timeout = _KILL_SECONDS
    return settings


def _first(error: BaseException | None) -> BaseException | None:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _count_request(verb: str, status: int) -> None:
    _counter(verb, status).inc()


@cache
def _counter(verb: str, status: int) -> Counter:
    return API_REQUESTS.labels(verb=verb, status=str(status or "none"))
