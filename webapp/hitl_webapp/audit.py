"""The audit's record of each submission, refused ones too: one line of the log, and the metrics."""

from __future__ import annotations

from functools import cache

from prometheus_client import Counter

from hitl.core import keys
from hitl.core.documents import OutcomeDocument
from hitl.logs import log_submission
from hitl.records.submissions import Submission
from hitl_webapp.auth import Principal
from hitl_webapp.metrics import OUTCOMES, REFUSALS


def recorded(submission: Submission, principal: Principal, outcome: OutcomeDocument, *, first: bool) -> None:
    """Note a submission that is the outcome.

    Args:
        submission: The submission.
        principal: Whose it is.
        outcome: The outcome.
        first: It was recorded just now; else the same one had been before.
    """
    if first:
        _outcomes(outcome.outcome, outcome.respondent.via).inc()
    _write(outcome.request_id, submission, principal, "Recorded" if first else "RecordedBefore")


def voted(request_id: str, submission: Submission, principal: Principal) -> None:
    """Note a vote that waits for others."""
    _write(request_id, submission, principal, "Voted")


def done(request_id: str, principal: Principal, what: str) -> None:
    """Note what was done beside a submission, as one word: a vote was withdrawn, or a question handed over."""
    _write(request_id, None, principal, what)


def refused(request_id: str, submission: Submission | None, principal: Principal | None, error: Exception) -> None:
    """Note a submission that was refused.

    Args:
        request_id: The question, as the client named it.
        submission: The submission; None: its sender was not authorized.
        principal: Whose it is, if that is known.
        error: Why.
    """
    REFUSALS.labels(reason=type(error).__name__).inc()
    _write(request_id, submission, principal, type(error).__name__)


def _write(request_id: str, submission: Submission | None, principal: Principal | None, result: str) -> None:
    log_submission(
        request_id if keys.is_request_id(request_id) else "(malformed)",
        submission_id=submission.submission_id if submission else None,
        attempt=submission.outcome if submission else None,
        name=(submission.respondent.name if submission else principal.name if principal else ""),
        verified=principal.verified if principal else False,
        via=submission.respondent.via if submission else None,
        result=result,
    )


@cache
def _outcomes(outcome: str, via: str) -> Counter:
    # Looking a counter up by its labels takes as long as writing a small document.
    return OUTCOMES.labels(outcome=outcome, via=via)
