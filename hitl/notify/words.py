"""What a notice says to people, in plain words, for channels that send text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from hitl.core.approval import policy_sentence
from hitl.core.documents import OutcomeDocument, RequestDocument, format_time
from hitl.core.strictjson import shortened
from hitl.errors import one_line, printable
from hitl.notify.channels import Message
from hitl.notify.targets import HTTP

TEST: Final = "This is a test. Notices of questions would come here."

_MOST_CHARS: Final = 240
_HEADINGS: Final = {
    "asked": "A question waits for your answer.",
    "reminder": "A question still waits for your answer.",
    "escalated": "A question still waits for an answer. From now on, more people may give it.",
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


@dataclass(frozen=True)
class Part:
    """What is said about one question, and where it is answered.

    Args:
        message: The message.
        question: The question.
        url: Where it is answered; empty: nobody knows where the web app is.
        personal: Whether that is a link of the reader's own.
    """

    message: Message
    question: RequestDocument
    url: str
    personal: bool


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


def text_of(parts: Sequence[Part]) -> str:
    """Return what is told, as text: of one question all, of several a list; none: it is a test."""
    if not parts:
        return TEST
    if len(parts) > 1:
        return "\n\n".join([several(parts), *map(_listed, parts)])
    [part] = parts
    words = words_of(part.message, part.question)
    # Quoted, so that no line of it looks like one of ours.
    quoted = "\n".join(f"> {line}".rstrip() for line in words.prompt.splitlines())
    facts = "\n".join(f"{name}: {text}" for name, text in words.facts)
    return "\n\n".join(each for each in (words.heading, words.title, quoted, facts, way_of(part)) if each)


def several(parts: Sequence[Part]) -> str:
    """Return the line above a list of several."""
    return f"{len(parts)} notices of questions:"


def usable(url: str) -> str:
    """Return an address that people may be given: the program that asked says where its web app is."""
    return url if url.startswith(HTTP) and url.isprintable() and " " not in url else ""


def _listed(part: Part) -> str:
    return "\n".join(
        f"{'- ' if not number else '  '}{line}" for number, line in enumerate([line_of(part), way_of(part)])
    )


def line_of(part: Part) -> str:
    """Return what is said about a question in a list of several, on one line."""
    words = words_of(part.message, part.question)
    what = shortened(f"{words.title}: {one_line(words.prompt)}", _MOST_CHARS)
    return f"{what} ({_standing(part, words)})"


def _standing(part: Part, words: Words) -> str:
    outcome = part.message.outcome
    return ending(outcome) if outcome is not None else f"answer until {dict(words.facts)['Answer until']}"


def verb_of(part: Part) -> str:
    """Return what its link is for."""
    return "Answer" if part.message.outcome is None else "See the question"


def way_of(part: Part) -> str:
    """Return where it is answered, as a line of text."""
    if part.url:
        return f"{verb_of(part)}: {part.url}"
    return f"Its id is {part.question.request_id}."
