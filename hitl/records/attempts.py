"""The audit's lines about submissions and outcomes, built from what is known of them."""

from __future__ import annotations

from datetime import datetime
from typing import Final, TypedDict

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

# The audit holds only the digest of a longer answer. The outcome holds the answer.
MOST_VALUE_CHARS: Final = 1_024
# Anybody may send a submission that is refused, with any content.
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


# Parts of `Attempt`: mypy checks neither the names nor the types of what a model of pydantic is called with.
class _RespondentFields(TypedDict, total=False):
    name: str
    verified: bool
    on_behalf_of: str
    link: str
    right: Right
    named: str
    via: str
    commit: str


class _ValueFields(TypedDict, total=False):
    value: str | None
    value_sha256: str


class _SubmissionFields(_RespondentFields, _ValueFields, total=False):
    attempt: str
    submission_id: str
    comment: str


class _RequestFields(TypedDict, total=False):
    namespace: str
    request_sha256: str
    evidence: tuple[str, ...]


async def note_settlement(
    records: Records, request: StoredRequest, submission: Submission, settled: Settled, now: datetime
) -> None:
    """Tell the audit the result of a submission."""
    if records.audited is not None:
        await records.audited(line_of_result(request, submission, settled, now))


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
                **_respondent_fields(respondent, right, may_answer(request.document, now)),
                **_request_fields(request),
            )
        )


async def note_outcome(records: Records, request: StoredRequest, outcome: OutcomeDocument) -> None:
    """Tell the audit of an outcome that a deadline or enough votes made."""
    if records.audited is not None:
        await records.audited(line_of_outcome(request, outcome))


async def note_refused(
    records: Records,
    request_id: str,
    why: Exception | str,
    *,
    request: StoredRequest | None = None,
    submission: Submission | None = None,
    name: str = "",
) -> None:
    """Tell the audit of a submission that was refused, or that failed, before it could be settled.

    Args:
        records: Where the question lies.
        request_id: The question, as the client named it.
        why: The error, or a sentence.
        request: The question, if it was read.
        submission: What was submitted, if it was read.
        name: Who, where there is no submission that says it.
    """
    if records.audited is None:
        return
    reason = why if isinstance(why, str) else f"{type(why).__name__}: {why}"
    now = records.now()
    sent: _SubmissionFields = {"name": _text(name, _MOST_REFUSED_CHARS)}
    if submission is not None:
        sent = _submission_fields(submission, request, now)
    asked: _RequestFields = {} if request is None else _request_fields(request)
    await records.audited(
        Attempt(
            at=now,
            request_id=_text(request_id, 63),
            result="refused",
            reason=_text(reason, _MOST_REFUSED_CHARS),
            **sent,
            **asked,
        )
    )


def line_of_result(request: StoredRequest, submission: Submission, settled: Settled, now: datetime) -> Attempt:
    """Return the audit's line about a submission that has a result.

    Args:
        request: The question.
        submission: What was submitted.
        settled: Its result.
        now: The moment of the submission, with a time zone.
    """
    standing = settled.outcome
    # Each vote gets a line, and the outcome that rests on votes gets another one (`note_outcome`).
    votes = request.document.approval is not None and submission.outcome != "cancelled"
    if settled.kind == "recorded" and standing is not None and not votes:
        return line_of_outcome(request, standing, submission.right)
    return Attempt(
        at=now,
        request_id=request.request_id,
        result="voted" if settled.kind == "recorded" else settled.kind,
        reason=_text(str(settled.error or settled.note), _MOST_REFUSED_CHARS),
        lost_to=_text(standing.submission_id, 64) if standing is not None and settled.kind != "recorded" else "",
        **_submission_fields(submission, request, now),
        **_request_fields(request),
    )


def line_of_outcome(request: StoredRequest, outcome: OutcomeDocument, right: Right = "") -> Attempt:
    """Return the audit's line about an outcome that was recorded.

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
        **_value_fields(outcome.value_text()),
        **_respondent_fields(respondent, right, may_answer(request.document, outcome.answered_at)),
        **_request_fields(request),
    )


def _submission_fields(submission: Submission, request: StoredRequest | None, at: datetime) -> _SubmissionFields:
    named = None if request is None else may_answer(request.document, at)
    return {
        "attempt": submission.outcome,
        "submission_id": _text(submission.submission_id, 64),
        "comment": _text(submission.comment, _MOST_REFUSED_CHARS),
        **_value_fields(None if submission.value is None else _value_text(submission.value)),
        **_respondent_fields(submission.respondent, submission.right, named),
    }


def _request_fields(request: StoredRequest) -> _RequestFields:
    document = request.document
    return {
        "namespace": document.origin.namespace,
        "request_sha256": request.sha256,
        "evidence": tuple(each.sha256 for each in document.evidence if each.sha256),
    }


def _respondent_fields(respondent: Respondent, right: Right, named: Respondents | None) -> _RespondentFields:
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


def _value_fields(text: str | None) -> _ValueFields:
    if text is None:
        return {}
    # The audit holds only the digest of a value that is no valid text, or that looks like a token.
    if len(text) <= MOST_VALUE_CHARS and _text(text) == text:
        return {"value": text}
    return {"value_sha256": sha256_hex(text.encode(errors="surrogatepass"))}


def _value_text(value: Value) -> str:
    if isinstance(value, str):
        return value
    return to_json(value, serialize_unknown=True, inf_nan_mode="strings").decode()


def _text(text: str, most: int | None = None) -> str:
    """Return a text without tokens, that can be written as UTF-8, and not longer than so many characters."""
    shown = redact(text if text.isascii() else text.encode(errors="replace").decode())
    return shown if most is None or len(shown) <= most else f"{one_line(shown[: most - 1])}…"
