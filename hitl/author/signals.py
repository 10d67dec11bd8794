"""Signals that end a program while it asks or waits."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

from hitl.author.context import current_action

# A terminal that closes sends SIGHUP; Windows has none.
_ENDING: Final = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]

_taken: list[signal.Signals] = []
_users = 0


@contextmanager
def signals_raise() -> Iterator[None]:
    """Let SIGTERM and SIGHUP raise `SystemExit` inside, as Ctrl-C raises `KeyboardInterrupt`.

    Only in the main thread, outside Flyte, and only where nobody handles or ignores the signal: a server and
    `nohup` have their own way, and a Flyte task that is stopped must find its question again.
    """
    global _users
    if threading.current_thread() is not threading.main_thread() or current_action() is not None:
        yield
        return
    # Waits of one event loop overlap: the last one gives the signals back.
    if _users == 0:
        _taken[:] = [each for each in _ENDING if signal.getsignal(each) is signal.SIG_DFL]
        for each in _taken:
            signal.signal(each, _end)
    _users += 1
    try:
        yield
    finally:
        _users -= 1
        if _users == 0:
            _give_back()


def _end(signum: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + signum)


def _give_back() -> None:
    for each in _taken:
        if signal.getsignal(each) is _end:
            signal.signal(each, signal.SIG_DFL)
    _taken.clear()


def _forget() -> None:
    """A forked child waits for nothing yet, and its only thread is its main thread."""
    global _users
    _users = 0
    _give_back()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
