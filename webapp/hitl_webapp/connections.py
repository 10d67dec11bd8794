"""How many connections there may be, how long each may take, and which one goes when there are too many."""

from __future__ import annotations

import asyncio
import enum
from typing import Final, NamedTuple, Protocol

LINGER_SECONDS: Final = 2.0


class Stage(enum.Enum):
    """What a connection waits for, as far as reading goes."""

    BETWEEN = enum.auto()
    """A request that has not begun."""
    HEAD = enum.auto()
    """The rest of a request line, or of header fields."""
    BODY = enum.auto()
    """The rest of a body."""
    ENDING = enum.auto()
    """A last reply that is being made; what is still sent is thrown away."""
    LINGERING = enum.auto()
    """A last reply that is being read; what is still sent is thrown away."""


class Held(Protocol):
    """A connection, as far as its times and its place are concerned."""

    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    stage: Stage
    since: float

    def waits(self) -> bool:
        """Tell whether the client has still to send something, or to read what it was sent."""
        ...

    def end_overdue(self, now: float) -> None:
        """End the connection, if what it waits for is late."""
        ...


class Limits(NamedTuple):
    """What one connection may take, and how many there may be.

    Args:
        connections: The most at once.
        header_bytes: The most bytes of a request line with its header fields.
        head_seconds: For a request line with its header fields.
        body_seconds: For a body.
        reply_seconds: For a client to read what is waiting for it.
    """

    connections: int
    header_bytes: int
    head_seconds: float
    body_seconds: float
    reply_seconds: float


class Connections:
    """The connections of one server: none stays longer than it may, and there are never more than so many."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._open: dict[Held, None] = {}
        self._sweep_task: asyncio.TimerHandle | None = None
        shortest = min(limits.head_seconds, limits.body_seconds, limits.reply_seconds, LINGER_SECONDS)
        self._interval = min(1.0, shortest / 2)

    def admit(self, connection: Held) -> bool:
        """Take a connection in; at the limit the one goes that has waited longest for a request.

        Returns:
            False where every other one is being served, so that there is no place.
        """
        while len(self._open) >= self.limits.connections:
            waiting = [each for each in self._open if each.waits()]
            if not waiting:
                return False
            oldest = min(waiting, key=lambda each: (each.stage is Stage.BODY, each.since))
            self.forget(oldest)
            oldest.transport.abort()
        self._open[connection] = None
        if self._sweep_task is None:
            self._sweep_task = connection.loop.call_later(self._interval, self._sweep, connection.loop)
        return True

    def forget(self, connection: Held) -> None:
        """Let go of a connection that has ended, or is about to."""
        self._open.pop(connection, None)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for connection in list(self._open):
            connection.end_overdue(now)
        self._sweep_task = loop.call_later(self._interval, self._sweep, loop) if self._open else None
