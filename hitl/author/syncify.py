"""One function, two forms: called, it blocks and returns; its `.aio` is the coroutine function.

The blocking form runs on a thread of ours with a loop of its own, so that it works in plain programs and inside
coroutines alike, and with the caller's context variables, so that it is still inside the caller's Flyte action.

anyio's blocking portal does nearly the same. It is not used because a `SystemExit` in one call ends it for all,
and because leaving it joins its thread: in a forked child, which has no such thread, that never ends.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
from collections.abc import Awaitable, Callable, Coroutine
from concurrent import futures
from concurrent.futures import Future
from typing import Any, Concatenate, Final, Generic, ParamSpec, TypeVar, overload

from hitl.author.loop import own_loop
from hitl.author.signals import signals_raise

_P = ParamSpec("_P")
_Q = ParamSpec("_Q")
_R = TypeVar("_R")
_S = TypeVar("_S")

_TIDY_SECONDS: Final = 10.0


class Syncified(Generic[_P, _R]):
    """A coroutine function that can also be called from code that is not asynchronous.

    Args:
        function: The coroutine function.
        undo: Awaited with a result that its caller never gets, because a signal came just then.
    """

    def __init__(
        self,
        function: Callable[_P, Coroutine[Any, Any, _R]],
        undo: Callable[[_R], Coroutine[Any, Any, None]] | None = None,
    ) -> None:
        functools.update_wrapper(self, function)
        self._function = function
        self._undo = undo

    def __call__(self, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        """Run to the end and return the result. Blocks the calling thread."""
        done: Future[_R] = Future()
        try:
            with signals_raise():
                return _run(self._function(*args, **kwargs), done)
        except BaseException:
            # A signal may come even while the way back from it is given up: then nobody gets the result either.
            if self._undo is not None and done.done() and done.exception() is None:
                undoing = asyncio.run_coroutine_threadsafe(self._undo(done.result()), own_loop())
                futures.wait([undoing], timeout=_TIDY_SECONDS)
            raise

    def aio(self, *args: _P.args, **kwargs: _P.kwargs) -> Awaitable[_R]:
        """Return the coroutine, to be awaited."""
        return self._function(*args, **kwargs)

    @overload
    def __get__(self, instance: None, owner: type | None = None) -> Syncified[_P, _R]: ...

    @overload
    def __get__(
        self: Syncified[Concatenate[_S, _Q], _R], instance: _S, owner: type | None = None
    ) -> Syncified[_Q, _R]: ...

    def __get__(self, instance: Any, owner: type | None = None) -> Syncified[..., _R]:
        """Bind to an instance, as a method."""
        return self if instance is None else Syncified(functools.partial(self._function, instance))


def _run(coroutine: Coroutine[Any, Any, _R], done: Future[_R]) -> _R:
    loop = own_loop()
    task: list[asyncio.Task[None]] = []

    async def supervised() -> None:
        try:
            done.set_result(await coroutine)
        except BaseException as error:  # noqa: BLE001 - handed to the caller's thread, which raises it
            done.set_exception(error)

    context = contextvars.copy_context()
    loop.call_soon_threadsafe(lambda: task.append(loop.create_task(supervised(), context=context)))
    try:
        return done.result()
    except BaseException:
        # Ctrl-C reaches the waiting thread only: nothing may go on behind it. What it has to put in order first,
        # it may; a second Ctrl-C ends that.
        # In the turn after the next, so that a coroutine that was only just begun can know of its end.
        loop.call_soon_threadsafe(loop.call_soon, lambda: [each.cancel() for each in task])
        futures.wait([done], timeout=_TIDY_SECONDS)
        raise
