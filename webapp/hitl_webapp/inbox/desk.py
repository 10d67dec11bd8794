"""The two threads of an inbox: one reads the storage, one owns the index."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Concatenate, ParamSpec, TypeVar

from hitl_webapp.inbox.index import Index

_T = TypeVar("_T")
_P = ParamSpec("_P")


class Desk:
    """The index, in the one thread that uses it."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="hitl-inbox-index")
        self._index: Index | None = None

    async def ask(self, work: Callable[Concatenate[Index, _P], _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Have something done with the index, from any event loop."""

        def done() -> _T:
            if self._index is None:
                self._index = Index()
            return work(self._index, *args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(self._thread, done)

    @property
    def version(self) -> int:
        """A number that grows with each change of the index that a visitor may see."""
        return 0 if self._index is None else self._index.version

    def close(self) -> None:
        """Let go of the index."""
        self._thread.shutdown(wait=False, cancel_futures=True)


class Background:
    """An event loop in a thread of its own, for a storage whose calls may take long or hang."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self, work: Coroutine[Any, Any, _T]) -> Future[_T]:
        """Begin something, which goes on if nobody waits for it any more."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            threading.Thread(target=self._run, args=(self._loop,), name="hitl-inbox", daemon=True).start()
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def close(self) -> None:
        """End what is under way, at its next step."""
        if self._loop is not None:
            loop, self._loop = self._loop, None
            loop.call_soon_threadsafe(loop.stop)

    @staticmethod
    def _run(loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
        finally:
            left = asyncio.all_tasks(loop)
            for task in left:
                task.cancel()
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            loop.close()
