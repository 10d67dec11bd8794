"""The ends of a question as Flyte's non-recoverable errors, after which a task gets no further attempt.

Flyte asks for its own class, and an author catches HITL's. So each of these is both, and has the name of HITL's.
"""

from __future__ import annotations

from typing import Final, Literal

from flyte.errors import NonRecoverableError

from hitl import errors


class _Ended(NonRecoverableError):
    """What Flyte reads of its errors; that of a `TimeoutError` never gets to Flyte's own initialiser."""

    kind: Literal["user"] = "user"
    worker: str | None = None


class EventRejected(errors.EventRejected, _Ended):
    """Somebody refused to answer."""


class EventTimedOut(errors.EventTimedOut, _Ended):
    """Nobody answered before the deadline."""


class EventCancelled(errors.EventCancelled, _Ended):
    """The question was withdrawn."""


class EventUnusable(errors.EventUnusable, _Ended):
    """The data type's own validators refuse the answer."""


_CLASSES: Final[tuple[type[errors.EventFailed], ...]] = (
    EventRejected,
    EventTimedOut,
    EventCancelled,
    EventUnusable,
)


def not_retried(error: errors.EventFailed) -> errors.EventFailed:
    """Return the same error as one that Flyte does not answer with another attempt."""
    for known in _CLASSES:
        if isinstance(error, known.__bases__[0]):
            # Each is made of other arguments, and an OSError takes its own only from its initialiser.
            ended = known.__new__(known)
            ended.args = error.args
            ended.__dict__.update(vars(error))
            ended.code = known.__name__  # type: ignore[attr-defined]  # each is Flyte's as well
            return ended
    return error
