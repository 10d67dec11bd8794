"""Syncs of a disk, which callers share: while it is at work for some, others gather, and go together next."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final, TypeAlias, TypeVar

from hitl.storage.folders import sync

# Together they keep a disk busy that writes several things at once; each of them serves all who wait.
_LANES: Final = 4
_THREADS: Final = 16

_T = TypeVar("_T")
_Waiting: TypeAlias = tuple[Sequence[int], asyncio.AbstractEventLoop, "asyncio.Future[None]"]


class Disk:
    """Threads of this process for what takes a disk long."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[_Waiting] = []
        self._lanes = 0
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="hitl-disk")

    async def run(self, work: Callable[[], _T]) -> _T:
        """Return what some work gives that is done in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    async def sync(self, files: Sequence[int]) -> None:
        """Bring open files and folders to the disk, one after another; -1 stands for everything.

        Raises:
            OSError: when the disk fails.
        """
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        with self._lock:
            self._waiting.append((files, loop, done))
            another = self._lanes < _LANES
            self._lanes += another
        if another:
            self._pool.submit(self._serve)
        await done

    def _serve(self) -> None:
        while True:
            with self._lock:
                # As many as wait for each lane, so that no lane idles while another one has all of the work.
                count = -(-len(self._waiting) // self._lanes)
                batch, self._waiting = self._waiting[:count], self._waiting[count:]
                if not batch:
                    self._lanes -= 1
                    return
            synced: set[tuple[int, int]] = set()
            for files, loop, done in batch:
                error = _synced(files, synced)
                # A loop that has ended has nobody who waits. It may end at any moment, so it is not asked before.
                with suppress(RuntimeError):
                    loop.call_soon_threadsafe(_tell, done, error)


def _synced(files: Sequence[int], before: set[tuple[int, int]]) -> OSError | None:
    """Sync what was not synced in this round; all in it was written before the round began."""
    try:
        for file in files:
            if file < 0:
                sync([file])
                continue
            found = os.fstat(file)
            if (found.st_dev, found.st_ino) not in before:
                sync([file])
                before.add((found.st_dev, found.st_ino))
    except OSError as error:
        return error
    return None


def _tell(done: asyncio.Future[None], error: OSError | None) -> None:
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
