"""What may take long, on a thread of its own: the event loop serves others meanwhile."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, TypeVar

from hitl.errors import HITLError

if TYPE_CHECKING:
    from hitl.core.schema.work import Work

_T = TypeVar("_T")

# In units of a check's work, of about a microsecond. Usual questions and answers cost less.
_AT_ONCE: Final = 10_000


class Thread:
    """One thread of this process, on which work takes its turns.

    Args:
        name: Its name.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._pool: ThreadPoolExecutor | None = None
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)

    async def run(self, work: Callable[[], _T]) -> _T:
        """Return what some work gives that is done on the thread."""
        self._pool = self._pool or ThreadPoolExecutor(1, thread_name_prefix=self._name)
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def _forget(self) -> None:
        # A child process has none of its parent's threads, and a pool would not notice.
        self._pool = None


_thread: Final = Thread("hitl-checks")


async def unhurried(check: Callable[[Work | None], _T], *, formats: bool = True) -> _T:
    """Return what a check finds: at once if it is short, else from a thread.

    Args:
        check: It is called with the little work that it may do at once; if that is not enough, again with None,
            and then its own bounds count. It changes nothing.
        formats: Whether the little work enforces `format`.

    Raises:
        HITLError: what the check raises.
    """
    # Loaded when a question has a schema: it takes as long as everything else that a form needs.
    from hitl.core.schema.work import Work

    little = Work(_AT_ONCE, formats)
    try:
        found = check(little)
    except HITLError:
        if little.left >= 0:
            raise
    else:
        if little.left >= 0:
            return found
    return await _thread.run(lambda: check(None))
