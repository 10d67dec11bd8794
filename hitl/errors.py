"""Everything that HITL raises on purpose.

::

    HITLError
    ├── InvalidRequest (ValueError)       the question itself is invalid
    ├── InvalidValue (ValueError)         an answer does not fit its question
    ├── RequestNotFound (LookupError)     no such request under this root
    ├── RequestMismatch                   the stored request asks something else
    ├── NotAllowed                        this visitor may not see or answer the request
    ├── AlreadySettled                    somebody else's outcome was recorded; carries it
    ├── AlreadyVoted                      this person's earlier vote stands, which says something else
    ├── Expired                           the deadline has passed; submissions are refused
    ├── EventFailed                       what `wait()` raises when no value comes
    │   ├── EventRejected
    │   ├── EventTimedOut (TimeoutError)
    │   ├── EventCancelled
    │   └── EventUnusable                 the data type's own validators refuse the answer
    ├── ServeError                        the web app could not be brought up
    ├── ClusterError                      the Kubernetes API server said no; carries its sentence
    │   ├── ClusterUnavailable            fails, is too busy, or does not know us now; trying again may help
    │   ├── ClusterForbidden              these credentials may not do that
    │   ├── ClusterConflict               somebody else wrote it in between, or it is there already
    │   └── ClusterNotFound               no such object
    └── StorageError
        ├── StorageUnavailable            does not answer now; trying again is safe
        ├── StorageUnsuitable             can never hold outcomes safely
        ├── ClockApart                    this machine's clock differs from the storage's; nothing is recorded
        └── DocumentDamaged               an object holds something that nobody of ours wrote
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final, Protocol

# C0 except tab and line feed, DEL, C1, embeddings, overrides and isolates of direction, halves of a pair.
UNSAFE: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """Return a text that cannot rewrite a terminal or a page; tabs and line feeds stay."""
    return UNSAFE.sub("\ufffd", text)


def one_line(text: str) -> str:
    """Return a printable text on one line, with single blanks."""
    return " ".join(printable(text).split())


class Sender(Protocol):
    """Whose submission became the outcome; `hitl.core.documents.Respondent` is one."""

    @property
    def name(self) -> str:
        """The respondent's name, verified or not; may be empty."""
        ...

    @property
    def via(self) -> str:
        """The channel, such as ``web`` or ``kubectl``."""
        ...

    @property
    def verified(self) -> bool:
        """Whether a proxy, the API server or Slack has authenticated the name."""
        ...

    @property
    def groups(self) -> Sequence[str]:
        """The groups of a verified sender."""
        ...


class RecordedOutcome(Protocol):
    """What an exception says about the recorded outcome; `hitl.core.documents.OutcomeDocument` is one."""

    @property
    def request_id(self) -> str:
        """The question's id."""
        ...

    @property
    def outcome(self) -> str:
        """One of ``answered``, ``rejected``, ``timed_out``, ``cancelled``."""
        ...

    @property
    def value(self) -> Any:
        """The answer as JSON has it; None where there is none."""
        ...

    @property
    def reason(self) -> str:
        """Why it ended so, as one word."""
        ...

    @property
    def comment(self) -> str:
        """What the sender added; may be empty."""
        ...

    @property
    def respondent(self) -> Sender:
        """Who sent it."""
        ...

    def summary(self) -> str:
        """Return a sentence that says who ended it and how."""
        ...


class HITLError(Exception):
    """The root of the tree: catch it to catch everything HITL raises on purpose."""


class InvalidRequest(HITLError, ValueError):
    """The question is invalid, for example a default that is not one of the choices."""


class InvalidValue(HITLError, ValueError):
    """An answer does not fit its question; the message is a sentence for the respondent.

    Args:
        message: What was wrong and what would be right.
        details: Further sentences, one for each fault, such as those of a JSON Schema.
        places: Where each of them is: the names and indices that lead to it.
    """

    def __init__(
        self, message: str, details: tuple[str, ...] = (), places: tuple[tuple[str | int, ...], ...] = ()
    ) -> None:
        super().__init__(message)
        self.details = details
        self.places = places


class RequestNotFound(HITLError, LookupError):
    """No request of this id lies under the root."""


class RequestMismatch(HITLError):
    """A request of this id is stored already, and it asks something else."""


class NotAllowed(HITLError):
    """The visitor may not see or answer this request."""


class AlreadySettled(HITLError):
    """The request has an outcome that is not this submission's.

    Args:
        outcome: The outcome that stands.
    """

    def __init__(self, outcome: RecordedOutcome) -> None:
        super().__init__(f"question {outcome.request_id} is already settled: {outcome.summary()}")
        self.outcome = outcome


class AlreadyVoted(HITLError):
    """This person voted before, and that vote stands: it may be withdrawn, and not be changed."""


class Expired(HITLError):
    """The deadline has passed, so submissions are refused."""


class EventFailed(HITLError):
    """The event ended without a value.

    Args:
        outcome: The outcome that was recorded instead of an answer.
    """

    def __init__(self, outcome: RecordedOutcome) -> None:
        super().__init__(f"question {outcome.request_id}: {outcome.summary()}")
        self.outcome = outcome


class EventRejected(EventFailed):
    """Somebody refused to answer; the outcome's comment says why."""


class EventTimedOut(EventFailed, TimeoutError):
    """Nobody answered before the deadline."""


class EventCancelled(EventFailed):
    """The question was withdrawn before anybody answered."""


class EventUnusable(EventFailed):
    """The answer fits what was asked for, and the data type's own validators refuse it.

    Args:
        outcome: The outcome, which stands.
        details: A sentence for each fault.
    """

    def __init__(self, outcome: RecordedOutcome, details: tuple[str, ...]) -> None:
        super().__init__(outcome)
        self.args = (f"question {outcome.request_id}: the answer is of no use: {' '.join(details)}",)
        self.details = details


class ServeError(HITLError):
    """The web app could not be started; the message says what to do."""


class ClusterError(HITLError):
    """The Kubernetes API server refused something; the message is its own sentence.

    Args:
        status: The HTTP status with which it answered; 0 when it did not.
    """

    def __init__(self, message: str = "", *, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class ClusterUnavailable(ClusterError):
    """The API server cannot be reached, fails, has too much to do, or does not know these credentials (401).

    Trying again is safe. Credentials become known again, as when a token is renewed.
    """


class ClusterForbidden(ClusterError):
    """The API server does not permit these credentials that."""


class ClusterConflict(ClusterError):
    """Somebody else changed or created the object in between."""


class ClusterNotFound(ClusterError):
    """There is no such object. That its kind is not served is another `ClusterError`."""


class StorageError(HITLError):
    """Something is wrong with the storage under the root."""


class StorageUnavailable(StorageError):
    """The storage cannot be reached or is too slow. Nothing is known to be recorded; trying again is safe."""


class StorageUnsuitable(StorageError):
    """The storage cannot create objects exclusively, or is of a kind that HITL does not serve."""


class ClockApart(StorageError):
    """This machine's clock and the storage's differ too much: nothing is accepted, nothing expires.

    Args:
        root: The root's URL.
        seconds: By how many seconds this machine's clock is ahead of the storage's; negative when behind.
    """

    def __init__(self, root: str, seconds: float) -> None:
        super().__init__(
            f"this machine's clock is {abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'} the clock of "
            f"{root}: nothing is recorded until they agree, so set the clock"
        )
        self.seconds = seconds


class DocumentDamaged(StorageError):
    """A stored object is damaged: it cannot be read, or is not what it should be.

    Args:
        name: The object's key under the root.
        why: What is wrong with it.
    """

    def __init__(self, name: str, why: str) -> None:
        # Why may repeat what lies there.
        super().__init__(f"{one_line(name)} is damaged: {one_line(why)}")
        self.name = name
        self.why = why
