"""The loop of this process that runs on a thread of ours."""

from __future__ import annotations

import asyncio
import functools
import os
import threading


def own_loop() -> asyncio.AbstractEventLoop:
    """Return the loop, which is started if it does not run yet."""
    return _loop(os.getpid())


@functools.cache
def _loop(_process: int) -> asyncio.AbstractEventLoop:
    # One for each process: a forked child has no threads of its parent. It keeps its parent's loop and never
    # closes it, which would end the selector that both share.
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="hitl-sync", daemon=True).start()
    return loop
