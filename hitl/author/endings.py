"""The end of a program that asked: a question that nobody waits for is withdrawn.

Outside Flyte, a question without a key cannot be found again by its program. It is withdrawn when the wait for its
answer ends without an outcome: by `ask` at once, after `Event.wait` when the program ends. A process that is
killed (SIGKILL) withdraws nothing.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures.thread  # noqa: F401 - registers its own end, which must come after that of this module
import logging
import os
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, TypeAlias

from hitl.author.syncify import Syncified
from hitl.author.telling import finish
from hitl.errors import AlreadySettled, HITLError, RequestNotFound

NOBODY_WAITS: Final = "nobody waits for the answer any more"
# Withdraws a question, for the reason that it is given.
Withdraw: TypeAlias = Callable[[str], Awaitable[None]]

_WITHDRAW_SECONDS: Final = 5.0

_log = logging.getLogger("hitl")
_left: dict[str, Callable[[], Awaitable[None]]] = {}
_abandoning: set[asyncio.Task[None]] = set()


async def abandon(request_id: str, withdraw: Withdraw) -> None:
    """Withdraw a question that nobody waits for any more, as far as the storage answers; else the log tells.

    Args:
        request_id: The question.
        withdraw: Withdraws it.
    """
    at_exit(request_id, partial(_abandon, request_id, withdraw))
    # A cancelled task may be cancelled again at each step, as anyio's scopes do. This is done all the same:
    # by a task of its own, or else at the end of the process.
    task = asyncio.ensure_future(_abandon(request_id, withdraw))
    _abandoning.add(task)
    task.add_done_callback(_abandoning.discard)
    await asyncio.shield(task)


async def _abandon(request_id: str, withdraw: Withdraw) -> None:
    try:
        async with asyncio.timeout(_WITHDRAW_SECONDS):
            await withdraw(NOBODY_WAITS)
    except (AlreadySettled, RequestNotFound):
        pass
    except TimeoutError:
        _log.warning("question %s is left open: the storage did not answer in time", request_id)
    except HITLError as error:
        _log.warning("question %s is left open: %s", request_id, error)
    settled(request_id)


def at_exit(request_id: str, end: Callable[[], Awaitable[None]]) -> None:
    """Call something when this process ends, unless `settled` is called before.

    Args:
        request_id: The question that is waited for.
        end: What is done when nobody waits for it any more.
    """
    _left[request_id] = end


def settled(request_id: str) -> None:
    """Leave a question alone at the end of the process."""
    _left.pop(request_id, None)


async def _end_all() -> None:
    # One that fails in a way that nobody foresaw must not stop the others.
    await asyncio.gather(*(end() for end in list(_left.values())), return_exceptions=True)


def _at_exit() -> None:
    if _left:
        Syncified(_end_all)()
    finish()


# `atexit` comes too late: by then, executors take no more work, and a storage may need some.
getattr(threading, "_register_atexit", atexit.register)(_at_exit)

if hasattr(os, "register_at_fork"):
    # The parent's questions are the parent's.
    os.register_at_fork(after_in_child=_left.clear)
