"""What a notice says to people, in plain words, for channels that send text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from hitl.core.approval import policy_sentence
from hitl.core.documents import OutcomeDocument, RequestDocument, format_time
from hitl.core.strictjson import shortened
from hitl.core.text import one_line, printable
from hitl.notify.channels import Message

_HEADINGS: Final = {
    "asked": "A question waits for your answer.",
    "reminder": "A question still waits for your answer.",
    "escalated": "Nobody has answered this question so far.",
    "settled": "This question is no longer open.",
}


@dataclass(frozen=True)
class Words:
    """What is said about one question.

    Args:
        heading: What happened, as a sentence.
        title: The question's name.
        prompt: The question's text, as its author wrote it.
        facts: What else people need to know: a name and a text each.
    """

    heading: str
    title: str
    prompt: str
    facts: Sequence[tuple[str, str]]


def words_of(message: Message, question: RequestDocument) -> Words:
    """Return what a message says about its question: neither the answer nor the comment."""
    origin = "/".join(each for each in (question.origin.project, question.origin.domain) if each)
    facts = [
        ("Outcome", "" if message.outcome is None else ending(message.outcome)),
        ("Answer until", "" if message.outcome is not None else format_time(question.expires_at)),
        ("Who must agree", "" if question.approval is None else policy_sentence(question.approval)),
        ("Asked for", one_line(question.requester)),
        ("Asked by", one_line(origin or question.origin.namespace)),
    ]
    return Words(
        heading=_HEADINGS.get(message.event or "", _HEADINGS["asked"]),
        title=one_line(question.event_name),
        prompt=printable(question.prompt),
        facts=[each for each in facts if each[1]],
    )


def ending(outcome: OutcomeDocument) -> str:
    """Return how a question ended, as a sentence part: neither the answer nor the comment."""
    return outcome.model_copy(update={"comment": ""}).summary()


def subject_of(message: Message) -> str:
    """Return one short line that says what a message is about: the same for all messages about a question."""
    if message.digest:
        return f"{len(message.digest)} notices of questions"
    if message.question is None:
        return "A test of notices"
    name, prompt = one_line(message.question.event_name), one_line(message.question.prompt)
    return shortened(f"{name}: {prompt}" if prompt else name)
