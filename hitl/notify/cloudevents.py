"""A message as a CloudEvent 1.0 in its JSON format (https://cloudevents.io), structured mode."""

from __future__ import annotations

from typing import Any, Final

from pydantic import JsonValue
from pydantic_core import to_json

from hitl.core.documents import OutcomeDocument, RequestDocument
from hitl.core.escalation import may_answer
from hitl.notify.channels import Message
from hitl.notify.words import ending

CONTENT_TYPE: Final = "application/cloudevents+json; charset=utf-8"
TYPES: Final = "org.flyte.hitl.question"

# The program and the action say nothing to people, and a HumanInput has the namespace.
_ORIGIN: Final = {"org", "project", "domain", "run", "namespace"}


def cloud_event(message: Message) -> bytes:
    """Return a message as the body of a request.

    It holds the prompt, and says that there is an answer, who gave it and when. It holds neither the answer nor
    the comment, nor anything by which somebody could answer. A digest lists what it stands for in `data.notices`.
    """
    question = message.question
    content: dict[str, Any] = {
        "specversion": "1.0",
        "id": message.id,
        "source": "hitl" if question is None else source_of(question),
        "type": f"{TYPES}.{message.event or ('digest' if message.digest else 'test')}",
        "time": message.at,
        "datacontenttype": "application/json",
    }
    if message.digest:
        content["data"] = {
            "notices": [
                {"id": each.id, "event": each.event, "time": each.at, **data_of(each, each.question)}
                for each in message.digest
                if each.question is not None
            ]
        }
    if question is not None:
        content |= {"subject": question.request_id, "data": data_of(message, question)}
    return to_json(content)


def source_of(question: RequestDocument) -> str:
    """Return where the events about a question come from: its web app, if that is known."""
    return question.app_endpoint or "hitl"


def data_of(message: Message, question: RequestDocument) -> dict[str, Any]:
    """Return what a receiver is told of a question."""
    return {
        "request_id": question.request_id,
        "event_name": question.event_name,
        "prompt": question.prompt,
        "prompt_format": question.prompt_format,
        "data_type": question.data_type,
        "respondents": may_answer(question, message.at).model_dump(mode="json"),
        "requester": question.requester,
        "approval": None
        if question.approval is None
        else question.approval.model_dump(mode="json", by_alias=True),
        "created_at": question.created_at,
        "expires_at": question.expires_at,
        "origin": question.origin.model_dump(mode="json", include=_ORIGIN),
        "form_url": message.form_url(),
        "outcome": None if message.outcome is None else _outcome(message.outcome),
    }


def _outcome(outcome: OutcomeDocument) -> dict[str, JsonValue]:
    respondent = outcome.respondent
    return {
        "outcome": outcome.outcome,
        "reason": outcome.reason,
        "answered_at": outcome.answered_at.isoformat(),
        "by": {
            "name": respondent.name,
            "verified": respondent.verified,
            "via": respondent.via,
            "on_behalf_of": respondent.on_behalf_of,
        },
        "summary": ending(outcome),
    }
