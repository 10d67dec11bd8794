"""A message as a CDEvent about an approval, carried by a CloudEvent (https://cdevents.dev).

These events are in the draft of CDEvents 0.6.0, and may change until it is released.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from pydantic_core import to_json

from hitl.core.documents import OutcomeDocument, RequestDocument
from hitl.core.notices import NoticeEvent
from hitl.notify.channels import Message
from hitl.notify.cloudevents import cloud_event, data_of, source_of

SPEC_VERSION: Final = "0.6.0-draft"
TYPES: Final = "dev.cdevents.approval.{}.0.1.0"

_SCHEDULE: Final = "urn:hitl:schedule"
_PREDICATES: Final[dict[NoticeEvent, str]] = {"asked": "created", "settled": "closed"}


def cd_event(message: Message) -> bytes:
    """Return a message as the body of a request.

    A test and a digest are of no single approval: they are as `cloud_event` has them.
    """
    question = message.question
    if question is None or message.event is None:
        return cloud_event(message)
    kind = TYPES.format(_PREDICATES.get(message.event, "updated"))
    source = source_of(question)
    context = {
        "specversion": SPEC_VERSION,
        "id": message.id,
        "source": source,
        "type": kind,
        "timestamp": message.at,
    }
    subject = {"id": question.request_id, "source": source, "content": _content(message, question)}
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": message.id,
        "source": source,
        "type": kind,
        "subject": question.request_id,
        "time": message.at,
        "datacontenttype": "application/json",
        "data": {"context": context, "subject": subject, "customData": data_of(message, question)},
    }
    return to_json(event)


def _content(message: Message, question: RequestDocument) -> dict[str, str]:
    content = {
        "approvalDetailsUrl": message.form_url() or f"urn:hitl:question:{question.request_id}",
        "resourceTargetUrl": _gated(question),
    }
    if message.event == "asked":
        return {
            **content,
            "requestor": f"urn:user:{quote(question.requester, '')}" if question.requester else _SCHEDULE,
        }
    if message.outcome is None:
        decision = "escalated" if message.event == "escalated" else "deferred"
        return {**content, "responder": _SCHEDULE, "decision": decision}
    decision, status = _ended(message.outcome)
    return {**content, "responder": _responder(message.outcome), "decision": decision, "status": status}


def _gated(question: RequestDocument) -> str:
    """Return what waits for the answer: the run, else the question itself."""
    origin = question.origin
    if not origin.run:
        return f"urn:hitl:question:{question.request_id}"
    parts = (origin.org, origin.project, origin.domain, origin.run)
    return f"urn:flyte:run:{':'.join(quote(each, '') for each in parts if each)}"


def _responder(outcome: OutcomeDocument) -> str:
    who = outcome.respondent
    if not who.name:
        return "urn:unverified:somebody" if who.via not in ("timeout", "operator", "program") else _SCHEDULE
    return f"urn:{'user' if who.verified else 'unverified'}:{quote(who.name, '')}"


def _ended(outcome: OutcomeDocument) -> tuple[str, str]:
    """Return the decision and the status. Where nobody decided, the format has no word for the decision."""
    match outcome.outcome:
        case "answered" if not outcome.default_used:
            decided = "rejected" if outcome.value is False else "approved"
            return decided, decided
        case "rejected":
            return "rejected", "rejected"
        case "cancelled":
            return "deferred", "cancelled"
        case _:
            return "deferred", "expired"
