"""The command's exit codes."""

from __future__ import annotations

from enum import IntEnum

from hitl.core.lifecycle import Phase
from hitl.errors import (
    ClusterUnavailable,
    EventCancelled,
    EventTimedOut,
    Expired,
    HITLError,
    InvalidRequest,
    InvalidValue,
    RequestMismatch,
    RequestNotFound,
    ServeError,
    StorageError,
)


class Code(IntEnum):
    """Exit codes. Each means one thing, whichever command ends with it."""

    DONE = 0
    REFUSED = 1
    USAGE = 2
    TIMED_OUT = 3
    CANCELLED = 4
    UNAVAILABLE = 5
    PENDING = 6
    HUNG_UP = 129
    INTERRUPTED = 130
    TERMINATED = 143


MEANING: dict[Code, str] = {
    Code.DONE: "it was done, or a vote was saved; `ask` and `wait`: answered; `list` and `gc`: what could not be "
    "read is left out, and named on standard error",
    Code.REFUSED: "rejected, refused because of what is recorded already, or not permitted: by who may answer, "
    "the API server or the web app; `doctor` and `storage check`: something needed is broken; `audit verify`: a "
    "line or an outcome is not as it was written",
    Code.USAGE: "the command was not understood, there is no such question, or the value or question does not fit",
    Code.TIMED_OUT: "the deadline passed",
    Code.CANCELLED: "the question was withdrawn",
    Code.UNAVAILABLE: "the storage, the web app, the API server or the operator does not answer; the storage "
    "refuses or is unsuitable; or a stored object is damaged",
    Code.PENDING: "`wait --timeout`: the question still waits for an answer",
    Code.HUNG_UP: "SIGHUP: the terminal was closed",
    Code.INTERRUPTED: "Ctrl-C",
    Code.TERMINATED: "SIGTERM",
}

_BY_ERROR: tuple[tuple[tuple[type[HITLError], ...], Code], ...] = (
    ((InvalidRequest, InvalidValue, RequestNotFound, RequestMismatch), Code.USAGE),
    ((Expired, EventTimedOut), Code.TIMED_OUT),
    ((EventCancelled,), Code.CANCELLED),
    ((ClusterUnavailable, StorageError, ServeError), Code.UNAVAILABLE),
)

_BY_PHASE: dict[Phase, Code] = {
    "Pending": Code.PENDING,
    "Answered": Code.DONE,
    "Rejected": Code.REFUSED,
    "TimedOut": Code.TIMED_OUT,
    "Cancelled": Code.CANCELLED,
}


def code_of(error: HITLError) -> Code:
    """Return the exit code for an error."""
    return next((code for kinds, code in _BY_ERROR if isinstance(error, kinds)), Code.REFUSED)


def code_of_phase(phase: Phase) -> Code:
    """Return the exit code of a command that waited for a question."""
    return _BY_PHASE[phase]
