"""Keys to look at: each at most once at a time, again after a failure, later when that was asked for.

The semantics are those of client-go's work queue: a key that is added while a worker looks at it is looked at
once more afterwards, so no change is missed, and none is worked on twice side by side. It is our own, as asyncio's
queues know neither keys nor pauses.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter, OrderedDict, deque
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)

_FIRST_RETRY_SECONDS: Final = 0.2
_LAST_RETRY_SECONDS: Final = 60.0
# What no waiting repairs is retried slowly, in case somebody repaired it unseen.
_LAST_HOPELESS_SECONDS: Final = 600.0


@dataclass(frozen=True, slots=True)
class _Failures:
    count: int
    reason: str


class WorkQueue(Generic[K]):
    """A queue of keys without duplicates. It belongs to one event loop."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[K, None] = OrderedDict()
        self._working: set[K] = set()
        self._again: set[K] = set()
        self._held: dict[str, deque[K]] = {}
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._failures: dict[K, _Failures] = {}
        # Those that a hint named and that are not done.
        self._hinted: set[K] = set()
        self._ready = asyncio.Event()

    def __len__(self) -> int:
        """Return how many keys wait to be looked at now."""
        return len(self._waiting) + sum(len(each) for each in self._held.values())

    @property
    def failing(self) -> int:
        """How many keys failed when they were looked at last."""
        return len(self._failures)

    @property
    def reasons(self) -> Counter[str]:
        """How many keys failed when they were looked at last, by the reason."""
        return Counter(each.reason for each in self._failures.values())

    def failures(self, key: K) -> int:
        """Return how many times a key failed since it succeeded last, or changed."""
        found = self._failures.get(key)
        return 0 if found is None else found.count

    def busy(self, key: K) -> bool:
        """Tell whether a key waits, is looked at, or failed and will be tried again."""
        return key in self._waiting or key in self._working or key in self._failures

    def add(self, key: K) -> None:
        """Look at a key as soon as a worker is free."""
        if key in self._working:
            self._again.add(key)
            return
        self._waiting[key] = None
        self._ready.set()

    def hint(self, key: K, most: int) -> bool:
        """Look at a key that anybody may name, unless so many of those are not done yet; tell whether.

        Args:
            key: The key.
            most: How many. What waits, fails or is looked at for another reason does not count.
        """
        if key not in self._hinted and not self.busy(key):
            if len(self._hinted) >= most:
                return False
            self._hinted.add(key)
        self.add(key)
        return True

    def add_after(self, key: K, seconds: float) -> None:
        """Look at a key after a while, unless it is to be looked at sooner anyway."""
        loop = asyncio.get_running_loop()
        when = loop.time() + max(seconds, 0.0)
        if (timer := self._timers.get(key)) is not None:
            if timer.when() <= when:
                return
            timer.cancel()
        self._timers[key] = loop.call_at(when, self._due, key)

    def retry(self, key: K, reason: str = "", *, passes: bool = True) -> float:
        """Look at a key again after a pause that grows with each failure; return its seconds.

        Args:
            key: The key.
            reason: Why it failed, in a word.
            passes: Whether that resolves automatically. Otherwise the pauses grow to ten minutes instead of one.
        """
        count = self.failures(key) + 1
        self._failures[key] = _Failures(count, reason)
        longest = _LAST_RETRY_SECONDS if passes else _LAST_HOPELESS_SECONDS
        pause = min(longest, _FIRST_RETRY_SECONDS * 2.0 ** min(count - 1, 16))
        # Half of it is chance, so that those which failed together do not come back together.
        pause *= 0.5 + random.random() / 2  # noqa: S311 - nothing secret
        self.add_after(key, pause)
        return pause

    def forget(self, key: K) -> None:
        """Count the failures of a key from none again, as it succeeded, changed or is gone."""
        self._failures.pop(key, None)

    def cancel(self, key: K) -> None:
        """Look at a key no more, as it is gone."""
        self.forget(key)
        self._waiting.pop(key, None)
        self._again.discard(key)
        self._hinted.discard(key)
        if (timer := self._timers.pop(key, None)) is not None:
            timer.cancel()

    def pending(self) -> set[K]:
        """Return the keys that wait, now or for a moment to come, and those that failed."""
        return {*self._waiting, *self._again, *self._timers, *self._failures}

    async def get(self) -> K:
        """Return the key that waits longest; call `done` with it afterwards."""
        while not self._waiting:
            self._ready.clear()
            await self._ready.wait()
        key, _ = self._waiting.popitem(last=False)
        self._working.add(key)
        return key

    def done(self, key: K) -> None:
        """Say that a key was looked at."""
        self._working.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)
        elif key not in self._failures:
            self._hinted.discard(key)

    def hold(self, key: K, group: str) -> None:
        """Keep a key that `get` returned, and that nobody looked at, until its group is released."""
        self._held.setdefault(group, deque()).append(key)

    def release(self, group: str) -> None:
        """Let `get` return next what it kept longest of a group."""
        if (held := self._held.get(group)) is None:
            return
        key = held.popleft()
        if not held:
            del self._held[group]
        self._working.discard(key)
        self._again.discard(key)
        self._waiting[key] = None
        self._waiting.move_to_end(key, last=False)
        self._ready.set()

    def _due(self, key: K) -> None:
        self._timers.pop(key, None)
        self.add(key)
