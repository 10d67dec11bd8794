"""HITL: people answer the questions that automation asks.

::

    ok = hitl.ask("Ship it?", data_type=bool)

Every function has a blocking form, and an `.aio` form to be awaited.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hitl.errors import (
    AlreadySettled,
    AlreadyVoted,
    ClockApart,
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
    EventUnusable,
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

if TYPE_CHECKING:
    import flyte

    from hitl.author import evidence
    from hitl.author.events import Event, EventScope, ask, new_event
    from hitl.author.files import File
    from hitl.author.outcome import Outcome, Vote
    from hitl.core.approval import Approval
    from hitl.core.business_hours import BusinessHours
    from hitl.core.edits import Change
    from hitl.core.forms.parts import MISSING
    from hitl.core.prompts import escape
    from hitl.core.submissions import HITLSubmissionTyped
    from hitl.engines.flyte_app import EventFormLink

    env: flyte.TaskEnvironment
    """What a task that asks names in its environment's `depends_on`. Needs Flyte."""

__all__ = [
    "MISSING",
    "AlreadySettled",
    "AlreadyVoted",
    "Approval",
    "BusinessHours",
    "Change",
    "ClockApart",
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
    "EventUnusable",
    "Expired",
    "File",
    "HITLError",
    "HITLSubmissionTyped",
    "InvalidRequest",
    "InvalidValue",
    "NotAllowed",
    "Outcome",
    "RequestMismatch",
    "RequestNotFound",
    "ServeError",
    "StorageError",
    "StorageUnavailable",
    "StorageUnsuitable",
    "Vote",
    "ask",
    "env",
    "escape",
    "evidence",
    "new_event",
]


def __dir__() -> list[str]:
    # With what is not loaded yet.
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    # Loaded when asked for: web app and operator ask nothing, and a program that asks may do without Flyte.
    match name:
        case "Event" | "EventScope" | "ask" | "new_event":
            from hitl.author import events

            return getattr(events, name)
        case "escape":
            from hitl.core.prompts import escape

            return escape
        case "Change":
            from hitl.core.edits import Change

            return Change
        case "MISSING":
            from hitl.core.forms.parts import MISSING

            return MISSING
        case "File":
            from hitl.author.files import File

            return File
        case "evidence":
            from hitl.author import evidence

            return evidence
        case "Outcome" | "Vote":
            from hitl.author import outcome

            return getattr(outcome, name)
        case "Approval":
            from hitl.core.approval import Approval

            return Approval
        case "BusinessHours":
            from hitl.core.business_hours import BusinessHours

            return BusinessHours
        case "HITLSubmissionTyped":
            from hitl.core.submissions import HITLSubmissionTyped

            return HITLSubmissionTyped
        case "EventFormLink":
            from hitl.engines.flyte_app import EventFormLink

            return EventFormLink
        case "env":
            from hitl.engines.flyte_app import env

            return env()
    raise AttributeError(f"module 'hitl' has no attribute {name!r}")
