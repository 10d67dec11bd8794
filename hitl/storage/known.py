"""What this process found out about a root: that it creates exclusively, or not, and what its clock says.

It is kept for each root and its options, whatever number of stores a program opens on it.
"""

import asyncio
import json
import os
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

# Further apart than this, this machine's clock decides about no deadline.
CLOCK_LIMIT_SECONDS: Final = 30.0
# A clock that drifts by 1 % is found long before it is that far apart.
_READING_SECONDS: Final = 600.0
# Repeated refusals do not read the storage's clock each time.
_AGAIN_SECONDS: Final = 5.0


def ticks() -> float:
    """Return seconds that only grow; where the system can tell, those that it slept through count."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot is None else time.clock_gettime(boot)


class Reading(NamedTuple):
    """The storage's clock, as it was read.

    Args:
        storage_time: What it said.
        at: What `ticks` said then, in seconds.
    """

    storage_time: datetime
    at: float

    @classmethod
    def of_object(cls, written_at: datetime, began: float, ended: float) -> "Reading":
        """Return the reading that an object gives.

        Args:
            written_at: Its time by the storage's clock. S3 leaves out what is below a second.
            began: What `ticks` said before it was written.
            ended: What `ticks` said afterwards.
        """
        half = timedelta(0) if written_at.microsecond else timedelta(seconds=0.5)
        return cls(written_at + half, (began + ended) / 2)

    def difference(self, now: datetime, at: float) -> float:
        """Return by how many seconds a time is ahead of the storage's; negative when behind.

        Args:
            now: The time that is compared, with a time zone.
            at: What `ticks` said at that time.
        """
        return (now - self.storage_time).total_seconds() - (at - self.at)

    def is_old(self, at: float) -> bool:
        """Tell whether the clock should be read again before anything is decided by it."""
        return at - self.at > _READING_SECONDS

    def may_refuse(self, at: float) -> bool:
        """Tell whether it was read so lately that somebody may be refused by it."""
        return at - self.at <= _AGAIN_SECONDS


class Flight:
    """Lets one caller work, and all who come meanwhile share what came of it, over event loops and threads."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Start again: in a child process, the threads of the parent do not exist."""
        self._lock = threading.Lock()
        self._going: Future[bool] | None = None

    async def share(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do the work, unless somebody does it now; then wait until it is done.

        Raises:
            Exception: what the work raised, to everybody who waited for it.
        """
        while True:
            with self._lock:
                going = self._going
                if going is None:
                    mine = self._going = Future[bool]()
            if going is None:
                return await self._lead(mine, work)
            # Shielded: one who stops waiting must not stop the others.
            if await asyncio.shield(asyncio.wrap_future(going)):
                return None

    async def _lead(self, mine: Future[bool], work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except Exception as error:
            self._end()
            mine.set_exception(error)
            raise
        except BaseException:
            # Cancelled: the work is somebody else's now.
            self._end()
            mine.set_result(False)
            raise
        self._end()
        mine.set_result(True)

    def _end(self) -> None:
        with self._lock:
            self._going = None


@dataclass
class Known:
    """What this process knows of one root.

    Args:
        proven: It was found to create objects exclusively.
        refused: The sentence by which it was found not to; empty before.
        reading: Its clock, as read last.
    """

    proven: bool = False
    refused: str = ""
    reading: Reading | None = None
    proving: Flight = field(default_factory=Flight)
    reading_clock: Flight = field(default_factory=Flight)


_known: dict[tuple[str, str], Known] = {}


def known_of(url: str, options: Mapping[str, Any]) -> Known:
    """Return what is known of a root with these options, which all its stores share."""
    # setdefault is atomic: two threads get the same one.
    return _known.setdefault((url, json.dumps(options, sort_keys=True, default=repr)), Known())


def _forget_flights() -> None:
    for known in list(_known.values()):
        known.proving.forget()
        known.reading_clock.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_flights)
