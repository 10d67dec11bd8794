"""What the audit says of an attempt to end a question, from what is known of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from pydantic_core import to_json

from hitl.core.audit import Attempt, Right
from hitl.core.documents import OutcomeDocument, Respondent, sha256_hex
from hitl.core.escalation import may_answer
from hitl.core.respondents import Respondents
from hitl.core.values import Value
from hitl.errors import one_line
from hitl.logs import redact
from hitl.records.records import Records
from hitl.records.requests import StoredRequest
from hitl.records.submissions import Settled, Submission

# Longer answers are named by their digest: the outcome holds them.
MOST_VALUE_CHARS: Final = 1_024
# What is refused may be anything, sent by anybody.
_MOST_REFUSED_CHARS: Final = 300

_RIGHTS: Final[dict[str, Right]] = {
    "cli": "storage",
    "program": "storage",
    "timeout": "deadline",
    "operator": "operator",
    "kubectl": "kubernetes",
    "gitops": "kubernetes",
    "slack": "slack",
}


async def note_settlement(
    records: Records, request: StoredRequest, submission: Submission, settled: Settled, now: datetime
) -> None:
    """Tell the audit the result of a submission."""
    if records.audited is not None:
        await records.audited(of_settlement(request, submission, settled, now))


async def note_withdrawal(
    records: Records,
    request: StoredRequest,
    respondent: Respondent,
    settled: Settled,
    now: datetime,
    right: Right,
    to: str = "",
) -> None:
    """Tell the audit the result of an attempt to withdraw a vote, or to hand the question over to somebody."""
    if records.audited is not None:
        await records.audited(
            Attempt(
                at=now,
                request_id=request.request_id,
                result=settled.kind,
                reason=_text(str(settled.error or ""), _MOST_REFUSED_CHARS),
                to=_text(to, _MOST_REFUSED_CHARS),
                **_of_respondent(respondent, right, may_answer(request.document, now)),
                **_of_request(request),
            )
        )


async def note_expired(records: Records, request: StoredRequest, outcome: OutcomeDocument) -> None:
    """Report to the audit that a deadline was settled."""
    if records.audited is not None:
        await records.audited(of_outcome(request, outcome))


async def note_refused(
    records: Records,
    request_id: str,
    why: Exception | str,
    *,
    request: StoredRequest | None = None,
    submission: Submission | None = None,
    name: str = "",
) -> None:
    """Tell the audit of an attempt that was refused, or that failed, before it could be settled.

    Args:
        records: Where the question lies.
        request_id: The question, as the client named it.
        why: The error, or a sentence.
        request: The question, if it was read.
        submission: The attempt, if it was read.
        name: Who, where there is no submission that says it.
    """
    if records.audited is None:
        return
    reason = why if isinstance(why, str) else f"{type(why).__name__}: {why}"
    known = {"name": _text(name, _MOST_REFUSED_CHARS)} if submission is None else {}
    now = records.now()
    await records.audited(
        Attempt(
            at=now,
            request_id=_text(request_id, 63),
            result="refused",
            reason=_text(reason, _MOST_REFUSED_CHARS),
            **known,
            **({} if submission is None else _of_submission(submission, request, now)),
            **({} if request is None else _of_request(request)),
        )
    )


def of_settlement(request: StoredRequest, submission: Submission, settled: Settled, now: datetime) -> Attempt:
    """Return what the audit says of a submission that has a result.

    Args:
        request: The question.
        submission: What was submitted.
        settled: Its result.
        now: The moment of the submission, with a time zone.
    """
    standing = settled.outcome
    # An outcome that rests on votes has a line of its own, and so has each vote.
    votes = request.document.approval is not None and submission.outcome != "cancelled"
    if settled.kind == "recorded" and standing is not None and not votes:
        return of_outcome(request, standing, submission.right)
    return Attempt(
        at=now,
        request_id=request.request_id,
        result="voted" if settled.kind == "recorded" else settled.kind,
        reason=_text(str(settled.error or settled.note), _MOST_REFUSED_CHARS),
        lost_to=_text(standing.submission_id, 64) if standing is not None and settled.kind != "recorded" else "",
        **_of_submission(submission, request, now),
        **_of_request(request),
    )


def of_outcome(request: StoredRequest, outcome: OutcomeDocument, right: Right = "") -> Attempt:
    """Return what the audit says of an outcome that was recorded.

    Args:
        request: The question.
        outcome: The outcome.
        right: By which right it was recorded; empty: as its channel says.
    """
    respondent = outcome.respondent
    return Attempt(
        at=outcome.answered_at,
        request_id=outcome.request_id,
        attempt=outcome.outcome,
        result="recorded",
        reason=outcome.reason,
        submission_id=_text(outcome.submission_id, 64),
        comment=_text(outcome.comment),
        outcome_sha256=sha256_hex(outcome.to_bytes()),
        **_of_value(outcome.value_text()),
        **_of_respondent(respondent, right, may_answer(request.document, outcome.answered_at)),
        **_of_request(request),
    )


def _of_submission(submission: Submission, request: StoredRequest | None, at: datetime) -> dict[str, Any]:
    named = None if request is None else may_answer(request.document, at)
    return {
        "attempt": submission.outcome,
        "submission_id": _text(submission.submission_id, 64),
        "comment": _text(submission.comment, _MOST_REFUSED_CHARS),
        **_of_value(None if submission.value is None else _value_text(submission.value)),
        **_of_respondent(submission.respondent, submission.right, named),
    }


def _of_request(request: StoredRequest) -> dict[str, Any]:
    document = request.document
    return {
        "namespace": document.origin.namespace,
        "request_sha256": request.sha256,
        "evidence": tuple(each.sha256 for each in document.evidence if each.sha256),
    }


def _of_respondent(respondent: Respondent, right: Right, named: Respondents | None) -> dict[str, Any]:
    return {
        "name": respondent.name if respondent.verified else _text(respondent.name),
        "verified": respondent.verified,
        "on_behalf_of": respondent.on_behalf_of,
        "link": respondent.link,
        "right": right or ("link" if respondent.link else _RIGHTS.get(respondent.via, "")),
        "named": _named(respondent, named),
        "via": respondent.via,
        "commit": _text(respondent.commit),
    }


def _named(respondent: Respondent, named: Respondents | None) -> str:
    """Return how the question names a person whose name is verified."""
    if not named or not respondent.verified:
        return ""
    if (respondent.on_behalf_of or respondent.name) in named.users:
        return "user"
    group = next((each for each in respondent.groups if each in named.groups), "")
    return f"group {group}" if group else ""


def _of_value(text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    # What is no text, or looks like a token, is not repeated.
    if len(text) <= MOST_VALUE_CHARS and _text(text) == text:
        return {"value": text}
    return {"value_sha256": sha256_hex(text.encode(errors="surrogatepass"))}


def _value_text(value: Value) -> str:
    if isinstance(value, str):
        return value
    return to_json(value, serialize_unknown=True, inf_nan_mode="strings").decode()


def _text(text: str, most: int | None = None) -> str:
    """Return a text without tokens, that can be written as UTF-8, and not longer than so many characters."""
    if len(text) == 0:
        return ""
    shown = redact(text.encode(errors="replace").decode())
    return shown if most is None or len(shown) <= most else f"{one_line(shown[: most - 1])}…"
