"""Messages about questions, as Slack's blocks. What others wrote is literal text. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hitl.core.approval import policy_sentence
from hitl.core.documents import OutcomeDocument, RequestDocument
from hitl.errors import one_line
from hitl.notify.channels import Message
from hitl.notify.slack.payloads import Ref
from hitl.notify.slack.texts import (
    MOST_LABEL_CHARS,
    MOST_PROMPT_CHARS,
    Block,
    escaped,
    literal,
    moment,
)
from hitl.notify.slack.ways import Buttons, SmallForm, way_of

_MOST_NAME_CHARS: Final = 140
_MOST_LINE_CHARS: Final = 2_000
_MOST_URL_CHARS: Final = 3_000
_MOST_LISTED: Final = 40

# Slack is told to look for nothing in the text that stands for the blocks in a notification.
_QUIET: Final = {"parse": "none", "link_names": False, "unfurl_links": False, "unfurl_media": False}


def asked(message: Message, question: RequestDocument, *, answers: bool, said: str = "") -> Block:
    """Return the message that a question waits.

    Args:
        message: What is told.
        question: The question.
        answers: Whether answers arrive from Slack.
        said: What else there is to say, such as how far the votes are.
    """
    context = [_until(question), *_lines([*_about(question), *filter(None, [said])])]
    return _message(
        f"A question waits: {one_line(question.event_name)}",
        [*_question(question), _context(context), *_actions(message, question, answers=answers)],
    )


def reminder(message: Message, question: RequestDocument) -> Block:
    """Return the message that a question still waits, or is open to others, for the thread of the first one."""
    what = "More people may answer now" if message.event == "escalated" else "This question still waits"
    text = f"{what}: {one_line(question.event_name)}"
    actions = _actions(message, question, answers=False)
    return _message(text, [_section(text), _context([_until(question)]), *actions])


def settled(question: RequestDocument, outcome: OutcomeDocument) -> Block:
    """Return the message that a question has ended: it says who answered, and not what."""
    return _message(
        f"A question has ended: {one_line(question.event_name)}",
        [*_question(question), _context(_lines([how_it_ended(outcome), *_about(question)]))],
    )


def how_it_ended(outcome: OutcomeDocument) -> str:
    """Return a sentence that says how a question ended: without the answer, and without the comment."""
    said = outcome.model_copy(update={"comment": ""}).summary()
    return f"{said[:1].upper()}{said[1:]}."


def digest(messages: Sequence[Message]) -> Block:
    """Return one message that lists several."""
    shown = [each for each in messages if each.question is not None][:_MOST_LISTED]
    blocks = [_listed(number, each) for number, each in enumerate(shown)]
    if len(messages) > len(shown):
        blocks.append(_section(f"and {len(messages) - len(shown)} more"))
    return _message(f"{len(messages)} notices of questions", blocks)


def test() -> Block:
    """Return the message of a test."""
    text = "This is a test of HITL. No question waits."
    return _message(text, [_section(text)])


def _listed(number: int, message: Message) -> Block:
    assert message.question is not None
    name = one_line(message.question.event_name)
    if message.outcome is not None:
        listed = _section(f"{name}: {how_it_ended(message.outcome)}")
    else:
        listed = {"type": "section", "fields": [literal(name, _MOST_NAME_CHARS), _until(message.question)]}
    url = _url(message)
    return listed | ({"accessory": _open(url, f"-{number}")} if url else {})


def _message(text: str, blocks: list[Block]) -> Block:
    return {"text": escaped(text, _MOST_LINE_CHARS), "blocks": blocks, **_QUIET}


def _question(question: RequestDocument) -> list[Block]:
    name = one_line(question.event_name)
    return [
        {"type": "header", "text": literal(name, _MOST_NAME_CHARS)},
        _section(question.prompt, MOST_PROMPT_CHARS),
    ]


def _about(question: RequestDocument) -> list[str]:
    origin = question.origin
    place = "/".join(filter(None, (origin.namespace or origin.project, origin.domain)))
    lines = [" · ".join(filter(None, (question.request_id, place)))]
    if question.approval is not None:
        lines.append(policy_sentence(question.approval))
    return lines


def _actions(message: Message, question: RequestDocument, *, answers: bool) -> list[Block]:
    elements: list[Block] = []
    ref = Ref(question.request_id, message.request_sha256)
    match way_of(question) if answers else None:
        case Buttons(offers):
            for number, (label, _) in enumerate(offers):
                elements.append(_button(f"hitl-{number}", label, ref.value(str(number))))
            elements.append(_button("hitl-decline", "Decline…", ref.value("decline")))
        case SmallForm():
            elements.append(_button("hitl-fill", "Answer…", ref.value("fill")))
            elements.append(_button("hitl-decline", "Decline…", ref.value("decline")))
    if url := _url(message):
        elements.append(_open(url))
    return [{"type": "actions", "elements": elements}] if elements else []


def _url(message: Message) -> str:
    url = message.form_url()
    known = url.startswith(("http://", "https://")) and len(url) <= _MOST_URL_CHARS
    return url if known and url.isprintable() else ""


def _open(url: str, which: str = "") -> Block:
    return _button(f"hitl-open{which}", "Open the form", "open") | {"url": url}


def _button(action: str, label: str, value: str) -> Block:
    return {"type": "button", "action_id": action, "text": literal(label, MOST_LABEL_CHARS), "value": value}


def _section(text: str, most: int = _MOST_LINE_CHARS) -> Block:
    return {"type": "section", "text": literal(text, most)}


def _until(question: RequestDocument) -> Block:
    return {"type": "mrkdwn", "text": f"Answer until {moment(question.expires_at)}.", "verbatim": True}


def _context(elements: list[Block]) -> Block:
    return {"type": "context", "elements": elements}


def _lines(lines: list[str]) -> list[Block]:
    return [literal(each, _MOST_LINE_CHARS) for each in lines]
