"""A HumanInput as the commands show it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from pydantic import ValidationError

from hitl.cli.view import EscalationView, RequestView, reminders_of
from hitl.cluster.agreeing import approval_of, requester_of
from hitl.cluster.beside import evidence_of
from hitl.cluster.client import Object
from hitl.cluster.conditions import DEFAULT_USED, HumanInputCondition
from hitl.cluster.mapping import event_name_of, on_timeout_of, respondents_of, shown_origin_of, value_of
from hitl.cluster.shapes import Metadata
from hitl.cluster.times import hours_in, steps_in
from hitl.cluster.v1alpha1 import LEFT_OUT_ANNOTATION, HumanInput
from hitl.core.approval import Approval, policy_sentence
from hitl.core.evidence import Evidence
from hitl.core.faults import sentence
from hitl.core.lifecycle import phase_of
from hitl.core.reminders import Reminders
from hitl.core.respondents import Respondents
from hitl.core.values import Value
from hitl.errors import DocumentDamaged, InvalidRequest, InvalidValue
from hitl_webapp.inbox.rows import asked_by


def read(content: Object) -> HumanInput:
    """Return a HumanInput as the API server holds it.

    Raises:
        DocumentDamaged: when it cannot be read, as when a newer release wrote it.
    """
    try:
        return HumanInput.from_object(content)
    except InvalidRequest as error:
        metadata = content.get("metadata") or {}
        raise _damaged(metadata.get("namespace"), metadata.get("name"), str(error)) from error


def shown(human_input: HumanInput, *, everywhere: bool) -> RequestView:
    """Return a HumanInput as the commands show it.

    Args:
        human_input: The HumanInput.
        everywhere: Whether its id is to name its namespace.

    Raises:
        DocumentDamaged: when what it shows does not fit its question.
    """
    metadata, spec, status = human_input.metadata, human_input.spec, human_input.status
    created, origin = metadata.creation_timestamp, shown_origin_of(human_input)
    settled = status.condition(HumanInputCondition.SETTLED)
    approval, agreement = _approval(human_input), status.approval
    policy = policy_sentence(approval) if approval else ""
    expires_at = status.expires_at or (created and created + timedelta(seconds=spec.timeout_seconds))
    return _checked(
        metadata,
        {
            "id": f"{metadata.namespace}/{metadata.name}" if everywhere else metadata.name,
            "request_id": human_input.request_id,
            "namespace": metadata.namespace,
            "project": origin.project,
            "run": origin.run,
            "asked_by": asked_by(origin),
            "event_name": event_name_of(human_input),
            "prompt": spec.prompt,
            "data_type": spec.data_type,
            "choices": spec.choices,
            "choice_labels": spec.choice_labels,
            "default": spec.default,
            "proposed": spec.proposed,
            "evidence": _evidence(human_input),
            "refused": spec.refused,
            "on_timeout": on_timeout_of(spec),
            "schema_": spec.json_schema,
            "respondents": respondents_of(spec),
            "escalation": _escalation(human_input),
            "reminded_at": reminders_of(_reminders(human_input), created, expires_at),
            "approval": approval,
            "requires": agreement.requires or "" if agreement else policy,
            "agree": agreement.progress if agreement else "",
            "requester": requester_of(spec),
            "standing": settled.message if settled and settled.status != "True" and status.approval else "",
            "created_at": created,
            "form_url": status.form_url or "",
            "link_secret": status.link_secret or "",
            "expires_at": expires_at,
            "phase": status.phase or phase_of(None),
            **_ending(human_input),
            "left_out": metadata.annotations.get(LEFT_OUT_ANNOTATION, "").split(),
        },
    )


def _ending(human_input: HumanInput) -> dict[str, Any]:
    """Return what a view says of the end: nothing but defaults while the question is open."""
    status, settled = human_input.status, human_input.status.condition(HumanInputCondition.SETTLED)
    return {
        "value": _typed(human_input),
        "by": status.answered_by or "",
        "on_behalf_of": status.on_behalf_of or "",
        "via": status.answered_via or "",
        "commit": status.commit or "",
        "verified": bool(status.verified),
        "settled_at": status.answered_at,
        "reason": settled.reason if settled and settled.status == "True" else "",
        "comment": status.comment or "",
        "default_used": settled is not None and settled.reason == DEFAULT_USED,
        "edited": None if status.edited is None else [each.model_dump() for each in status.edited],
        "edits_left_out": status.edits_left_out or 0,
    }


def _typed(human_input: HumanInput) -> Value:
    metadata = human_input.metadata
    try:
        return value_of(human_input)
    except InvalidValue as error:
        raise _damaged(metadata.namespace, metadata.name, f"status.value: {error}") from error


def _escalation(human_input: HumanInput) -> list[EscalationView]:
    moments = human_input.status.escalates_at or []
    # The names in a policy are copied into the question, and not into the HumanInput.
    named = [step.respondents for step in steps_in(human_input.spec.escalation)] or [Respondents()] * len(moments)
    return [EscalationView(at=at, respondents=who) for at, who in zip(moments, named, strict=False)]


def _reminders(human_input: HumanInput) -> Reminders | None:
    metadata, given = human_input.metadata, human_input.spec.reminders
    try:
        hours = hours_in(given)
    except InvalidRequest as error:
        raise _damaged(metadata.namespace, metadata.name, f"spec.reminders: {error}") from error
    if given is None:
        return None
    return Reminders(before_deadline_seconds=given.before_deadline_seconds, business_hours=hours)


def _approval(human_input: HumanInput) -> Approval | None:
    try:
        return approval_of(human_input.spec)
    except InvalidRequest as error:
        metadata = human_input.metadata
        raise _damaged(metadata.namespace, metadata.name, f"spec.{error}") from error


def _evidence(human_input: HumanInput) -> list[Evidence]:
    try:
        return evidence_of(human_input.spec)
    except InvalidRequest as error:
        metadata = human_input.metadata
        raise _damaged(metadata.namespace, metadata.name, f"spec.{error}") from error


def _checked(metadata: Metadata, content: dict[str, Any]) -> RequestView:
    try:
        return RequestView.model_validate(content)
    except ValidationError as error:
        raise _damaged(metadata.namespace, metadata.name, sentence(error)) from error


def _damaged(namespace: str | None, name: str | None, why: str) -> DocumentDamaged:
    return DocumentDamaged(f"HumanInput {namespace}/{name}", why)
