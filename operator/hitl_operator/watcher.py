"""kopf, in a thread and an event loop of its own: every change of an object goes to the operator's loop."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextvars import Context
from typing import Any, Final

import kopf

from hitl.cluster.client import HUMAN_INPUTS, RESPONSES, Connection, Kube, Object
from hitl.cluster.v1alpha1 import GROUP, VERSION
from hitl.errors import ClusterError

_WAIT_SECONDS: Final = 10.0

Change = Callable[[str, str, Object], None]
"""Called in the operator's loop with kind, type (``DELETED`` or another) and object."""

_log = logging.getLogger("hitl.operator.watching")


class Watching:
    """Watches both kinds, and starts again whenever kopf ends.

    Args:
        kube: The API server, to learn what it serves and how it is reached.
        namespaces: What to watch; none: all of them.
        changed: Called in the loop that runs `run`.
    """

    def __init__(self, kube: Kube, namespaces: Sequence[str], changed: Change) -> None:
        self._kube = kube
        self._namespaces = list(namespaces)
        self._changed = changed

    async def run(self, started: Callable[[], None]) -> None:
        """Watch, until cancelled.

        Args:
            started: Called each time that the watch begins.
        """
        while True:
            await self._served()
            started()
            await self._watch()
            _log.warning("the watch ended and starts again")
            await asyncio.sleep(1)

    async def _served(self) -> None:
        said = False
        while True:
            try:
                found = await self._kube.served(GROUP, VERSION)
                if {HUMAN_INPUTS.plural, RESPONSES.plural} <= set(found):
                    return
                why = f"the API server does not serve {GROUP}/{VERSION}: install the custom resource definitions"
            except ClusterError as error:
                why = str(error)
            if not said:
                _log.error("waiting: %s", why)
                said = True
            await asyncio.sleep(_WAIT_SECONDS if said else 0)

    async def _watch(self) -> None:
        """Run kopf until it ends. It cancels every task of its loop then, so nothing else lives there."""
        loop = asyncio.get_running_loop()
        # Of a threading.Event kopf would wait in a thread that nothing can end, so it could not end by itself.
        stop: Future[None] = Future()
        ended: Future[None] = Future()
        connection = await self._kube.connection()

        def changed(kind: str, event: Any) -> None:
            # In a context of its own: kopf's holds the whole object, and each timer that is set would keep that.
            loop.call_soon_threadsafe(self._changed, kind, event["type"] or "", event["object"], context=Context())

        def connect() -> Connection:
            return asyncio.run_coroutine_threadsafe(self._kube.connection(), loop).result(_WAIT_SECONDS)

        def run() -> None:
            try:
                kopf.run(
                    registry=_registry(changed, connection, connect),
                    settings=_settings(),
                    standalone=True,
                    clusterwide=not self._namespaces,
                    namespaces=self._namespaces,
                    stop_flag=stop,
                )
            except Exception as error:  # noqa: BLE001 - after any end of kopf, the watch starts again
                _log.error("the watch failed: %s", error)
            finally:
                ended.set_result(None)

        thread = threading.Thread(target=run, name="kopf", daemon=True)
        thread.start()
        try:
            # Shielded: kopf says by it that it ended, which it does after this was cancelled.
            await asyncio.shield(asyncio.wrap_future(ended))
        except asyncio.CancelledError:
            stop.set_result(None)
            await asyncio.to_thread(thread.join, 10)
            raise


def _registry(
    changed: Callable[[str, Any], None], first: Connection, connect: Callable[[], Connection]
) -> kopf.OperatorRegistry:
    registry = kopf.OperatorRegistry()
    fresh = [first]

    # A handler is called again when its credentials are refused; the call must not block kopf's loop for long.
    @kopf.on.login(registry=registry)
    async def login(**_: object) -> kopf.ConnectionInfo:
        connection = fresh.pop() if fresh else await asyncio.to_thread(connect)
        return kopf.ConnectionInfo(
            server=connection.server,
            ca_path=connection.ca_path,
            certificate_path=connection.certificate_path,
            private_key_path=connection.private_key_path,
            token=connection.token,
            insecure=connection.insecure,
            default_namespace=connection.namespace,
        )

    # Only these: a handler of any other sort writes annotations or finalizers, which GitOps would see as drift.
    @kopf.on.event(GROUP, VERSION, HUMAN_INPUTS.plural, registry=registry)
    async def question(event: kopf.RawEvent, **_: object) -> None:
        changed(HUMAN_INPUTS.kind, event)

    @kopf.on.event(GROUP, VERSION, RESPONSES.plural, registry=registry)
    async def response(event: kopf.RawEvent, **_: object) -> None:
        changed(RESPONSES.kind, event)

    return registry


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.watching.chunk_size = 500
    settings.watching.server_timeout = 600
    settings.watching.inactivity_timeout = 70
    settings.networking.request_timeout = 30
    # For so long an object that was just seen stays in memory: all 10,000 of a start, if it is long.
    settings.queueing.idle_timeout = 0.2
    return settings
