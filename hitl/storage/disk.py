"""Threads for what takes a disk long, so that no event loop waits for it."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any, Final, TypeAlias, TypeVar

# A disk brings together what several ask for at the same time.
_LANES: Final = 16
_THREADS: Final = 16

_T = TypeVar("_T")
_Job: TypeAlias = tuple[Callable[[], Any], Callable[[], None], asyncio.AbstractEventLoop, "asyncio.Future[Any]"]


class Disk:
    """Threads of this process for what takes a disk long."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: SimpleQueue[_Job] = SimpleQueue()
        self._lanes = 0
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="hitl-disk")

    async def run(self, work: Callable[[], _T]) -> _T:
        """Return what some work gives that is done in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    async def create(self, work: Callable[[], None], close: Callable[[], None]) -> None:
        """Do what ends a creation, and then close what it needed, even if nobody waits for it any more.

        A pool of `concurrent.futures` would do the same at three times the cost for each job.

        Args:
            work: What takes long.
            close: What is done afterwards, on the event loop where there still is one.

        Raises:
            Exception: what the work raises.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        # What nobody has taken yet tells that all lanes are busy.
        if self._lanes < _LANES and (self._lanes == 0 or not self._jobs.empty()):
            self._add_lane()
        self._jobs.put((work, close, loop, done))
        await done

    def _add_lane(self) -> None:
        with self._lock:
            if self._lanes >= _LANES:
                return
            self._lanes += 1
        threading.Thread(target=self._serve, name="hitl-disk", daemon=True).start()

    def _serve(self) -> None:
        while True:
            work, close, loop, done = self._jobs.get()
            error: BaseException | None = None
            try:
                work()
            except BaseException as raised:  # noqa: BLE001 - it is raised where somebody waits
                error = raised
            try:
                loop.call_soon_threadsafe(_tell, done, error, close)
            except RuntimeError:
                # A loop that has ended has nobody who waits. It may end at any moment, so it is not asked before.
                close()


def _tell(done: asyncio.Future[None], error: BaseException | None, close: Callable[[], None]) -> None:
    close()
    if done.done():
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)


_lock = threading.Lock()
_disk: Disk | None = None


def disk() -> Disk:
    """Return this process's threads."""
    global _disk  # made when it is needed
    with _lock:
        if _disk is None:
            _disk = Disk()
        return _disk


def _forget() -> None:
    global _disk, _lock  # a child process has none of its parent's threads
    _disk, _lock = None, threading.Lock()


os.register_at_fork(after_in_child=_forget)
