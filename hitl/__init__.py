"""HITL: people answer the questions that automation asks.

::

    ok = hitl.ask("Ship it?", data_type=bool)

Every function has a blocking form, and an `.aio` form to be awaited.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hitl.errors import (
    AlreadySettled,
    ClusterConflict,
    ClusterError,
    ClusterForbidden,
    ClusterNotFound,
    ClusterUnavailable,
    DocumentDamaged,
    EventCancelled,
    EventFailed,
    EventRejected,
    EventTimedOut,
    Expired,
    HITLError,
    InvalidRequest,
    InvalidValue,
    NotAllowed,
    RequestMismatch,
    RequestNotFound,
    ServeError,
    StorageError,
    StorageUnavailable,
    StorageUnsuitable,
)
from hitl.events import Event, EventScope, ask, new_event
from hitl.submissions import HITLSubmissionTyped

if TYPE_CHECKING:
    import flyte

    from hitl.flyte_binding import EventFormLink

    env: flyte.TaskEnvironment

__all__ = [
    "AlreadySettled",
    "ClusterConflict",
    "ClusterError",
    "ClusterForbidden",
    "ClusterNotFound",
    "ClusterUnavailable",
    "DocumentDamaged",
    "Event",
    "EventCancelled",
    "EventFailed",
    "EventFormLink",
    "EventRejected",
    "EventScope",
    "EventTimedOut",
    "Expired",
    "HITLError",
    "HITLSubmissionTyped",
    "InvalidRequest",
    "InvalidValue",
    "NotAllowed",
    "RequestMismatch",
    "RequestNotFound",
    "ServeError",
    "StorageError",
    "StorageUnavailable",
    "StorageUnsuitable",
    "ask",
    "env",
    "new_event",
]


def __getattr__(name: str) -> Any:
    # These need flyte, which a program that only asks does without.
    if name in ("env", "EventFormLink"):
        from hitl import flyte_binding

        return flyte_binding.env() if name == "env" else flyte_binding.EventFormLink
    raise AttributeError(f"module 'hitl' has no attribute {name!r}")
