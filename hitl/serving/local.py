"""Local mode: the web app in a thread of this process, with an event loop of its own, on loopback.

One for each process and root, and those of a root share a port; a forked child gets one of its own. Nothing of it
lives on the caller's loop, so that a caller who blocks that loop is still answered.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures.thread  # noqa: F401 - registers its own end, which must come after that of this module
import logging
import os
import socket
import threading
from importlib import import_module
from typing import Final, Protocol

from hitl.core.urls import inbox_url
from hitl.errors import HITLError, ServeError
from hitl.extras import how_to_install
from hitl.serving.keys import inbox_key
from hitl.serving.ports import LOOPBACK, listen
from hitl.serving.programs import this_user
from hitl.settings import Settings
from hitl.storage import open_store

# An extra, and above this package: loaded by its name when it is needed, as a server loads an application.
_WEBAPP: Final = "hitl_webapp.serving"
_START_SECONDS: Final = 30.0
_FINISH_SECONDS: Final = 3.0
_log = logging.getLogger("hitl")
_lock = threading.Lock()
_endpoints: dict[str, str] = {}
_sockets: list[socket.socket] = []


class _Server(Protocol):
    """A uvicorn server, as far as it is used here."""

    started: bool
    should_exit: bool

    async def serve(self, sockets: list[socket.socket] | None = None) -> None: ...


_running: list[tuple[_Server, threading.Thread]] = []


async def serve_locally(settings: Settings) -> str:
    """Serve the root's questions on loopback, unless this process does so already.

    Args:
        settings: The root, and the data folder, in which the port is remembered.

    Returns:
        The web app's base URL.

    Raises:
        ServeError: when it cannot be started; says what to do.
        StorageError: when the root cannot be used.
    """
    return await asyncio.to_thread(_serve_once, settings)


def local_inbox(settings: Settings, endpoint: str) -> str:
    """Return the address of this user's inbox, which is to be given to nobody else; empty: there is none.

    Args:
        settings: The data folder, in which the inbox's key lies.
        endpoint: The base URL of the web app on loopback.
    """
    key = inbox_key(settings)
    return inbox_url(endpoint, key) if key else ""


def _serve_once(settings: Settings) -> str:
    root = settings.root()
    with _lock:
        if root not in _endpoints:
            _endpoints[root] = _start(settings)
        return _endpoints[root]


def _start(settings: Settings) -> str:
    try:
        webapp = import_module(_WEBAPP)
    except ImportError as error:
        raise ServeError(f"the web app is not installed: {how_to_install('webapp')} ({error})") from error
    listening = listen(settings)
    port = listening.getsockname()[1]
    store = open_store(settings)
    server: _Server = webapp.embedded_server(settings, store, port, inbox_key(settings), this_user())
    ready = threading.Event()
    failure: list[HITLError] = []

    async def serve() -> None:
        try:
            await store.probe()
        except HITLError as error:
            failure.append(error)
            return
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        while not server.started and not serving.done():  # noqa: ASYNC110 - uvicorn sets a flag, no event
            await asyncio.sleep(0.005)
        ready.set()
        await serving

    def run() -> None:
        try:
            asyncio.run(serve())
        finally:
            ready.set()

    thread = threading.Thread(target=run, name="hitl-webapp", daemon=True)
    thread.start()
    if not ready.wait(_START_SECONDS) or failure or not server.started:
        listening.close()
        raise failure[0] if failure else ServeError("the local web app did not start: see the log")
    _sockets.append(listening)
    _running.append((server, thread))
    return f"http://{LOOPBACK}:{port}"


def _finish() -> None:
    """Let replies under way be sent before the program ends.

    A program goes on as soon as its answer lies in storage, and often ends then. Who answered would only see that
    the connection broke.
    """
    for server, _ in _running:
        server.should_exit = True
    for _, thread in _running:
        thread.join(_FINISH_SECONDS)


# `atexit` comes too late: by then, executors take no more work, and replies need some. What is registered here is
# called first, as this module has loaded the executors.
getattr(threading, "_register_atexit", atexit.register)(_finish)


def _forget() -> None:
    """Start again in a forked child: nothing serves there, and the socket belongs to its parent."""
    global _lock  # another thread of the parent may have held it
    _lock = threading.Lock()
    _endpoints.clear()
    for each in _sockets:
        each.close()
    _sockets.clear()
    _running.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
