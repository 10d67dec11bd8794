"""Small forms as Slack's views, and what was filled in. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from pydantic import JsonValue

from hitl.core.documents import RequestDocument
from hitl.core.forms import MISSING, ROOT, Part, PartFault, filled, read
from hitl.core.forms.held import start_of
from hitl.core.forms.hints import hint_of
from hitl.core.forms.names import place_of
from hitl.core.forms.parts import Choice, Flag, Line, Several, options_of
from hitl.core.forms.places import whole_faults
from hitl.core.question import parse_answer
from hitl.core.text import is_blank
from hitl.errors import InvalidValue, one_line
from hitl.notify.slack.payloads import VIEW, Place, Ref, Sent, metadata
from hitl.notify.slack.texts import MOST_FIELD_CHARS, MOST_LABEL_CHARS, MOST_PROMPT_CHARS, Block, literal
from hitl.notify.slack.ways import SmallForm

_COMMENT: Final = "comment"
_FIELD: Final = "field"
_MOST_TITLE_CHARS: Final = 24
_MOST_HINT_CHARS: Final = 1_000


@dataclass(frozen=True)
class Read:
    """What a form holds.

    Args:
        value: The answer.
        comment: The comment, or the reason for declining.
        faults: What is wrong, by the id of the block: then nothing else counts.
    """

    value: JsonValue = None
    comment: str = ""
    faults: Mapping[str, str] = field(default_factory=dict)


def answer_view(question: RequestDocument, form: SmallForm, ref: Ref, place: Place) -> Block:
    """Return the form in which a question is answered.

    Args:
        question: The question.
        form: Its form.
        ref: How it is named.
        place: The message from which it is opened.
    """
    typed = filled(form.part, start_of(question))
    blocks = [_input(number, name, part, typed) for number, (name, part) in enumerate(form.fields)]
    comment = _text_input(_COMMENT, "Comment", multiline=True, optional=not form.comment)
    return _view(question, metadata(ref, "fill", place), "Answer", [*blocks, comment])


def decline_view(question: RequestDocument, ref: Ref, place: Place) -> Block:
    """Return the form in which somebody declines, with a reason."""
    reason = _text_input(_COMMENT, "Reason", multiline=True)
    return _view(question, metadata(ref, "decline", place), "Decline", [reason])


def read_declined(sent: Sent) -> Read:
    """Return why somebody declines."""
    comment = _comment(sent)
    return Read(comment=comment, faults={} if comment else {_COMMENT: "Write why you decline to answer."})


def read_answer(question: RequestDocument, form: SmallForm, sent: Sent) -> Read:
    """Return what was filled in, and what is wrong with it.

    Args:
        question: The question.
        form: Its form.
        sent: What was sent.
    """
    blocks = {name: _block(number) for number, (name, _) in enumerate(form.fields)}
    typed = {name: _texts(part, _filled(sent, blocks[name])) for name, part in form.fields}
    value, wrong = read(form.part, typed)
    if not wrong and value is not MISSING:
        try:
            parse_answer(question, value, text=False)
        except InvalidValue as error:
            wrong = [PartFault(ROOT, str(error))]
            if error.details:
                wrong = whole_faults(form.part, typed, question.json_schema or {}, value, error)
    elif not wrong:
        wrong = [PartFault(ROOT, "An answer is needed.")]
    comment = _comment(sent)
    faults = {blocks.get(each.name, _block(0)): each.why for each in reversed(wrong)}
    if form.comment and not comment:
        faults[_COMMENT] = "Write why you decide like this."
    return Read(None if value is MISSING else value, comment, faults)


def _view(question: RequestDocument, said: str, title: str, blocks: Sequence[Block]) -> Block:
    name = one_line(question.event_name)
    prompt: Block = {"type": "section", "text": literal(question.prompt, MOST_PROMPT_CHARS)}
    return {
        "type": "modal",
        "callback_id": VIEW,
        "private_metadata": said,
        "title": literal(name, _MOST_TITLE_CHARS),
        "submit": literal(title, _MOST_TITLE_CHARS),
        "close": literal("Back", _MOST_TITLE_CHARS),
        "blocks": [prompt, *blocks],
    }


def _input(number: int, name: str, part: Part, typed: Mapping[str, Sequence[str]]) -> Block:
    held = list(typed.get(name, ()))
    label, block = part.label or "Your answer", _block(number)
    match part:
        case Flag() | Choice() | Several():
            options = [_option(place, text) for place, (text, _) in enumerate(options_of(part))]
            return _select(block, label, part, options, [options[each] for each in _places(part, held)])
        case Line(kind="date"):
            date = {"type": "datepicker", "action_id": _FIELD} | ({"initial_date": held[0]} if any(held) else {})
            return _labelled(block, label, date, part)
        case Line():
            return _text_input(
                block,
                label,
                multiline=part.kind == "long",
                optional=_may_be_empty(part),
                hint=" ".join(filter(None, (part.help, hint_of(part)))),
                initial=held[0] if held else "",
            )
    raise TypeError(f"{type(part).__name__} is no field of a small form")


def _select(block: str, label: str, part: Part, options: list[Block], chosen: list[Block]) -> Block:
    element: Block = {"action_id": _FIELD, "options": options}
    if isinstance(part, Several):
        element |= {"type": "multi_static_select"} | ({"initial_options": chosen} if chosen else {})
    else:
        element |= {"type": "static_select"} | ({"initial_option": chosen[0]} if chosen else {})
    return _labelled(block, label, element, part)


def _labelled(block: str, label: str, element: Block, part: Part) -> Block:
    hint = {"hint": literal(part.help, _MOST_HINT_CHARS)} if part.help else {}
    return {
        "type": "input",
        "block_id": block,
        "label": literal(one_line(label), _MOST_HINT_CHARS),
        "element": element,
        "optional": _may_be_empty(part),
        **hint,
    }


def _text_input(
    block: str,
    label: str,
    *,
    multiline: bool = False,
    optional: bool = False,
    hint: str = "",
    initial: str = "",
) -> Block:
    element = {
        "type": "plain_text_input",
        "action_id": _FIELD,
        "multiline": multiline,
        "max_length": MOST_FIELD_CHARS,
    }
    if initial:
        element["initial_value"] = initial
    return {
        "type": "input",
        "block_id": block,
        "label": literal(one_line(label), _MOST_HINT_CHARS),
        "element": element,
        "optional": optional,
        **({"hint": literal(hint, _MOST_HINT_CHARS)} if hint else {}),
    }


def _option(place: int, label: str) -> Block:
    return {"text": literal(label, MOST_LABEL_CHARS), "value": str(place)}


def _may_be_empty(part: Part) -> bool:
    return part.optional or isinstance(part, Several) or part.default not in (MISSING, None)


def _places(part: Part, held: Sequence[str]) -> list[int]:
    """Return which options are chosen at first; of those that are searched, the form holds the label."""
    options = options_of(part)
    if isinstance(part, Choice) and part.searched:
        return [number for number, (label, _) in enumerate(options) if label in held]
    return [place for each in held if (place := place_of(each, len(options))) is not None]


def _texts(part: Part, texts: list[str]) -> list[str]:
    if not (isinstance(part, Choice) and part.searched):
        return texts
    places = [place_of(each, len(part.options)) for each in texts]
    return [part.options[each][0] for each in places if each is not None]


def _filled(sent: Sent, block: str) -> list[str]:
    found = sent.state.get(block, {}).get(_FIELD)
    return [] if found is None else found.texts()


def _comment(sent: Sent) -> str:
    comment = "".join(_filled(sent, _COMMENT))
    return "" if is_blank(comment) else comment.strip()


def _block(number: int) -> str:
    return f"field-{number}"
