"""What is submitted by Kubernetes becomes the outcome, or is refused; either way there is a line about it."""

from __future__ import annotations

from hitl.cluster.v1alpha1 import Identity
from hitl.errors import AlreadySettled, Expired, InvalidValue
from hitl.logs import log_submission
from hitl.records.outcomes import Submission, settle
from hitl.records.records import Records
from hitl.records.requests import StoredRequest, read_outcome_of
from hitl_operator import metrics
from hitl_operator.context import Context
from hitl_operator.decide import Refusal
from hitl_operator.roots import Root


async def record(
    context: Context, root: Root, request: StoredRequest, submission: Submission, identity: Identity | None
) -> Refusal | None:
    """Try to make a submission the outcome; return why it was refused, if it was.

    Args:
        context: The operator's parts.
        root: Where the question lies.
        request: The question.
        submission: What an object says.
        identity: Who it says made it.

    Raises:
        RequestNotFound: when the question was deleted meanwhile.
        DocumentDamaged: when the stored outcome cannot be read, or is another question's.
        ClockApart: when this machine's clock is not the storage's; trying again is safe.
        StorageUnavailable: trying again is safe.
    """
    refusal = None
    try:
        refusal = await _not_allowed(root, request, submission, identity)
        if refusal is None:
            now = context.now()
            await root.require_clock(now)
            settled = await settle(Records(root.store, announce=True), request, submission, now=now)
            settled.outcome_or_raise()
    except AlreadySettled as error:
        refusal = Refusal("Superseded", f"not recorded, as the question was {error.outcome.summary()}")
    except Expired:
        refusal = Refusal("Expired", "not recorded, as the deadline has passed")
    except InvalidValue as error:
        refusal = Refusal("Invalid", " ".join((str(error), *error.details)))
    if refusal is not None:
        metrics.REFUSED.labels(reason=refusal.reason).inc()
    log_submission(
        request.request_id,
        submission_id=submission.submission_id,
        attempt=submission.outcome,
        name=submission.respondent.name,
        verified=submission.respondent.verified,
        via=submission.respondent.via,
        result=refusal.reason if refusal else "Recorded",
    )
    return refusal


async def _not_allowed(
    root: Root, request: StoredRequest, submission: Submission, identity: Identity | None
) -> Refusal | None:
    named = request.document.respondents
    if not named:
        return None
    groups = list(identity.groups) if identity else []
    if submission.respondent.verified and named.allow(submission.respondent.name, groups):
        return None
    if (standing := await read_outcome_of(root.store, request)) is not None:
        raise AlreadySettled(standing)
    if not submission.respondent.verified:
        return Refusal(
            "NotAllowed",
            "the question names who may answer, and this cluster does not vouch for who writes: answer it in "
            "the web app",
        )
    return Refusal("NotAllowed", f"the question is for others to answer; this was {submission.respondent.name}")
