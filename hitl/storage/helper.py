"""A process that talks to buckets for a forked child.

obstore works by threads that a child process does not inherit: in the child every call would wait without end. So
the child starts ``python -m hitl.storage.helper``, and both talk over pipes. The helper ends when the child does.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import Any, BinaryIO, Final

_ENDED: Final = "the process that talks to the storage for this one has ended: try again"


class Helper:
    """The helper of this process."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        # A session of its own: Ctrl-C must not end it before the child has asked for the last time.
        self._process = subprocess.Popen(  # noqa: S603 - this program's own module
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._lock = threading.Lock()
        self._waiting: dict[int, Future[Any]] = {}
        self._count = 0
        self.ended = False
        threading.Thread(target=self._receive, name="hitl-storage-helper", daemon=True).start()

    async def call(self, scheme: str, options: Mapping[str, Any], name: str, args: Sequence[Any]) -> Any:
        """Call a method of a bucket's filesystem in the helper.

        Args:
            scheme: The scheme of the bucket's URL.
            options: The filesystem's options.
            name: The method, a coroutine function.
            args: What it takes.

        Raises:
            OSError: what the method raised, or that the helper has ended.
        """
        # In a thread: a pipe that is full must not stop the event loop.
        future = await asyncio.to_thread(self._send, (scheme, dict(options), name, tuple(args)))
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Close this process's ends of the pipes."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    os.close(pipe.fileno())

    def _send(self, message: tuple[Any, ...]) -> Future[Any]:
        assert self._process.stdin is not None
        future: Future[Any] = Future()
        with self._lock:
            if self.ended:
                raise OSError(_ENDED)
            self._count += 1
            self._waiting[self._count] = future
            pickle.dump((self._count, *message), self._process.stdin)
            self._process.stdin.flush()
        return future

    def _receive(self) -> None:
        assert self._process.stdout is not None
        with suppress(EOFError, OSError, pickle.UnpicklingError):
            while True:
                # Written by `main` below.
                number, result, error = pickle.load(self._process.stdout)  # noqa: S301  # nosec B301
                # A caller that gave up waiting is told nothing.
                with suppress(InvalidStateError):
                    future = self._waiting.pop(number)
                    future.set_result(result) if error is None else future.set_exception(error)
        with self._lock:
            self.ended = True
        for future in self._waiting.values():
            with suppress(InvalidStateError):
                future.set_exception(OSError(_ENDED))


_helper: Helper | None = None
_lock = threading.Lock()


def helper() -> Helper:
    """Return this process's helper, started when it is needed."""
    global _helper
    with _lock:
        if _helper is None or _helper.ended:
            _helper = Helper()
        return _helper


def _forget() -> None:
    global _helper, _lock
    if _helper is not None:
        _helper.close()
    _helper, _lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


async def serve(requests: BinaryIO, replies: BinaryIO) -> None:
    """Do what is asked for, side by side, until the pipe ends.

    Args:
        requests: Where requests come from.
        replies: Where results go.
    """
    from hitl.storage.objectstores import ObjectFileSystem

    filesystems: dict[str, ObjectFileSystem] = {}
    tasks: set[asyncio.Task[None]] = set()

    async def answer(number: int, scheme: str, options: dict[str, Any], name: str, args: tuple[Any, ...]) -> None:
        result, failure = None, None
        try:
            place = repr((scheme, sorted(options.items())))
            if place not in filesystems:
                filesystems[place] = ObjectFileSystem(scheme, options)
            result = await getattr(filesystems[place], name)(*args)
        except OSError as error:
            failure = error
        except Exception as error:  # noqa: BLE001 - told to the one who asked, as text: it may not travel
            failure = OSError(f"{type(error).__name__}: {error}")
        # In one piece, as nothing is awaited in between.
        pickle.dump((number, result, failure), replies)
        replies.flush()

    while True:
        try:
            request = await asyncio.to_thread(pickle.load, requests)
        except EOFError:
            return
        task = asyncio.create_task(answer(*request))
        tasks.add(task)
        task.add_done_callback(tasks.discard)


def main() -> None:
    """Serve the process that started this one, by its standard input and output."""
    replies = os.fdopen(os.dup(1), "wb")
    # What anything else prints must not come between.
    os.dup2(2, 1)
    asyncio.run(serve(sys.stdin.buffer, replies))
    # obstore's threads may be at work still, for nobody.
    os._exit(0)


if __name__ == "__main__":
    main()
