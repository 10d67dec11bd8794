"""Who must agree, between a HumanInput and storage, and how far the votes are. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from hitl.cluster.shapes import Agreement, AppliedPolicy, Requester, ShownApproval
from hitl.cluster.v1alpha1 import HumanInputSpec
from hitl.core.approval import MAX_REQUIRED, Approval
from hitl.core.documents import OutcomeDocument, RequestDocument, named_as
from hitl.core.tally import Standing
from hitl.core.votes import VoteDocument


def approval_of(spec: HumanInputSpec) -> Approval | None:
    """Return who must agree; None: one person decides.

    Raises:
        InvalidRequest: when the policy never could be fulfilled.
    """
    shown = spec.approval
    return None if shown is None else Approval(**shown.model_dump(by_alias=True, exclude_none=True))


def requester_of(spec: HumanInputSpec) -> str:
    """Return the user that the question is asked for; empty: nobody knows."""
    return "" if spec.requester is None else spec.requester.username


def approval_shown(request: RequestDocument) -> tuple[ShownApproval | None, Requester | None]:
    """Return who must agree, and the requester, as a HumanInput shows them."""
    approval, name = request.approval, request.requester
    if approval is None:
        return None, None
    return shown_of(approval), Requester(username=name) if name else None


def shown_of(approval: Approval) -> ShownApproval:
    """Return who must agree, as an object in Kubernetes says it."""
    return ShownApproval.model_validate(approval.model_dump(by_alias=True, exclude_defaults=True))


def policy_shown(request: RequestDocument) -> AppliedPolicy | None:
    """Return which policy a question has a copy of, as a status shows it; None: none."""
    copied = request.origin.policy
    if copied is None:
        return None
    return AppliedPolicy(
        name=copied.name or None, generation=copied.generation or None, approval_sha256=approval_sha256(request)
    )


def approval_sha256(request: RequestDocument) -> str:
    """Return a digest of who must agree. It is the same in every release: what is not given is no part of it."""
    approval = request.approval
    rule = None if approval is None else approval.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return hashlib.sha256(json.dumps([rule, request.requester], sort_keys=True).encode()).hexdigest()


def agreement(standing: Standing, outcome: OutcomeDocument | None) -> Agreement:
    """Return how far the votes are, as a status shows it.

    Args:
        standing: How far they are.
        outcome: The outcome, if there is one. It names the votes that it rests on.
    """
    agreed, declined = _names(standing.leading), _names(standing.declined)
    if outcome is not None and outcome.votes:
        named = [each.by() for each in outcome.votes]
        agreed, declined = (named, declined) if outcome.outcome == "answered" else (agreed, named)
    return Agreement(
        requires=standing.policy(),
        progress=f"{len(agreed)}/{standing.approval.required}",
        needed=None if outcome is not None else standing.needed() or None,
        agreed=agreed[:MAX_REQUIRED] or None,
        declined=declined[:MAX_REQUIRED] or None,
    )


def _names(votes: Sequence[VoteDocument]) -> list[str]:
    several = [each.respondent for each in votes]
    return [named_as(each.name, each.verified, each.on_behalf_of) for each in several]
