"""SIGTERM for a container's first process, which the kernel spares: without a handler, nothing happens.

A pod that is deleted or drained would wait out its grace period. It is no sign that the question is not needed any
more: a drained pod comes again as the same attempt. So the process ends at once and leaves everything as it is.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import current_thread, main_thread
from types import FrameType
from typing import Final

_waits: Final[set[object]] = set()


def take_sigterm() -> None:
    """Take the signal, if this is a container's first process and nobody else takes it.

    Python lets only the main thread do so. Tasks that are not asynchronous wait in another one, so this is called
    when a task's module is loaded as well.
    """
    if os.getpid() == 1 and current_thread() is main_thread() and _default():
        signal.signal(signal.SIGTERM, _end)
        os.register_at_fork(after_in_child=_leave)


@contextmanager
def ends_on_sigterm() -> Iterator[None]:
    """While this lasts, in any thread, SIGTERM ends a process that has taken it."""
    take_sigterm()
    wait = object()
    _waits.add(wait)
    try:
        yield
    finally:
        _waits.discard(wait)


def _default() -> bool:
    return signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def _end(number: int, _frame: FrameType | None) -> None:
    if not _waits:
        # As the kernel has it: whatever the task does now, it may want to end by itself.
        return
    # Raised by a print that the signal interrupted.
    with suppress(RuntimeError, OSError, ValueError):
        text = "SIGTERM while waiting for an answer: this process ends, the question stays open"
        print(text, file=sys.stderr, flush=True)  # noqa: T201 - a log handler may hold a lock
        sys.stdout.flush()
    # An exception would pass through the task, and Flyte would record it as the task's own.
    os._exit(128 + number)


def _leave() -> None:
    """Give a forked child, which is no first process, the kernel's default again."""
    if signal.getsignal(signal.SIGTERM) is _end:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
