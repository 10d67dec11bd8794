"""What is told to a client when something is wrong: one table from exceptions to status, title and sentence.

Programs get RFC 9457 problem documents, people get pages; both say the same. Nothing of the storage's paths and
nothing of a stack ever leaves.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from hitl.core.documents import OutcomeDocument
from hitl.core.tally import Standing
from hitl.errors import (
    AlreadySettled,
    AlreadyVoted,
    ClockApart,
    ClusterError,
    ClusterUnavailable,
    DocumentDamaged,
    Expired,
    InvalidValue,
    NotAllowed,
    RequestNotFound,
    StorageError,
    StorageUnavailable,
)
from hitl.records.evidence import EvidenceChanged

RETRY_AFTER_SECONDS: Final = 5
_NONE: Final[Mapping[str, Any]] = MappingProxyType({})
_TELL: Final = "tell the administrators of this service."
EVIDENCE_CHANGED: Final = (
    "What belongs beside this question is missing, or was changed after it was asked. So no answer is taken: tell "
    "the sender, and the administrators of this service."
)


class BadInput(Exception):
    """A request that is malformed, or names what is not its own. The message is a sentence for the client."""


class WrongMediaType(BadInput):
    """A body in a format or an encoding that is not read here."""


class TooLarge(Exception):
    """A body larger than the question can need. The message is a sentence for the client."""


class TooSlow(Exception):
    """A body that did not arrive in time. The message is a sentence for the client."""


class TooMany(Exception):
    """More large bodies at once than are read here. The message is a sentence for the client."""


class OtherSite(Exception):
    """A submission that a page of another site sends. The message is a sentence for the client."""


class Unauthenticated(Exception):
    """Nobody trustworthy said who calls."""


class Problem(NamedTuple):
    """One refusal: HTTP status, title and sentence, with what else a client can use."""

    status: int
    title: str
    detail: str
    headers: Mapping[str, str] = _NONE
    extra: Mapping[str, Any] = _NONE
    outcome: OutcomeDocument | None = None

    def document(self) -> dict[str, Any]:
        """Return the problem document of RFC 9457."""
        return {
            "type": "about:blank",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            **self.extra,
        }


def problem_of(error: Exception) -> Problem:
    """Return what to tell a client about an exception."""
    match error:
        case WrongMediaType():
            return Problem(415, "Unsupported format", str(error))
        case TooLarge():
            return Problem(413, "Too large", str(error))
        case TooSlow():
            return Problem(408, "Too slow", str(error))
        case TooMany():
            return Problem(503, "Try again soon", str(error), {"Retry-After": str(RETRY_AFTER_SECONDS)})
        case BadInput():
            return Problem(400, "Malformed request", str(error))
        case OtherSite():
            return Problem(403, "Sent from another site", str(error))
        case Unauthenticated():
            return Problem(401, "Sign in", str(error), {"WWW-Authenticate": "Bearer"})
        case NotAllowed():
            return Problem(403, "Not allowed", str(error))
        case RequestNotFound():
            return Problem(404, "No such question", "There is no question of this id.")
        case AlreadySettled(outcome=OutcomeDocument() as outcome) if outcome.outcome == "timed_out":
            return Problem(410, "Too late", _sentence(outcome), extra=_winner(outcome), outcome=outcome)
        case AlreadySettled(outcome=OutcomeDocument() as outcome):
            return Problem(409, "Already settled", _sentence(outcome), extra=_winner(outcome), outcome=outcome)
        case AlreadyVoted():
            return Problem(409, "Already voted", str(error))
        case Expired():
            return Problem(410, "Too late", "The deadline has passed: nothing was recorded.")
        case InvalidValue(details=details):
            extra = {"errors": [{"field": "value", "detail": line} for line in details or (str(error),)]}
            return Problem(422, "The value does not fit", str(error), extra=extra)
        case EvidenceChanged():
            return Problem(502, "Not as it was asked", EVIDENCE_CHANGED)
        case DocumentDamaged():
            return Problem(502, "The question cannot be read", f"The stored question is damaged: {_TELL}")
        case ClockApart():
            sentence = (
                "The clocks of this service and of its storage disagree, so nothing was recorded. Tell the "
                "administrators of this service, and try again."
            )
            return Problem(503, "Try again soon", sentence, {"Retry-After": str(RETRY_AFTER_SECONDS)})
        case StorageUnavailable():
            sentence = "The storage does not answer, so nothing was recorded as far as is known: try again."
            return Problem(503, "Try again soon", sentence, {"Retry-After": str(RETRY_AFTER_SECONDS)})
        case ClusterUnavailable():
            sentence = (
                "The API server, which authenticates you, does not answer, so nothing was recorded: try again."
            )
            return Problem(503, "Try again soon", sentence, {"Retry-After": str(RETRY_AFTER_SECONDS)})
        case ClusterError():
            return Problem(502, "Cannot authenticate", f"The API server refuses: {_TELL}")
        case StorageError():
            return Problem(502, "Storage error", f"The storage refuses: {_TELL}")
        case _:
            return Problem(500, "Something went wrong", f"This should not happen: {_TELL}")


def public_outcome(outcome: OutcomeDocument) -> dict[str, Any]:
    """Return an outcome without what only the storage should hold: the hash of the link."""
    content = outcome.model_dump(mode="json")
    content["respondent"].pop("link")
    return content


def public_standing(standing: Standing) -> dict[str, Any]:
    """Return how far the votes on a question are, for programs."""
    return {
        "agree": len(standing.leading),
        "required": standing.approval.required,
        "declined": len(standing.declined),
        "needed": [{"group": group, "required": number} for group, number in standing.missing.items()],
        "unreachable": standing.unreachable,
        "votes": [
            {
                "name": each.respondent.name,
                "verified": each.respondent.verified,
                "on_behalf_of": each.respondent.on_behalf_of,
                "via": each.respondent.via,
                "outcome": each.outcome,
                "value": each.value,
                "comment": each.comment,
                "voted_at": each.voted_at.isoformat(),
            }
            for each in standing.counted
        ],
    }


def _sentence(outcome: OutcomeDocument) -> str:
    return f"Nothing was changed. The recorded outcome: {outcome.summary()}."


def _winner(outcome: OutcomeDocument) -> dict[str, Any]:
    return {"outcome": public_outcome(outcome)}
