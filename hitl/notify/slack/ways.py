"""How a question can be answered in Slack, if it can: by buttons, or by a small form. Pure.

Nobody decides on less than the form shows. So what Slack cannot show as a whole is answered in the form alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from pydantic import JsonValue

from hitl.core.documents import RequestDocument
from hitl.core.escalation import may_ever_answer
from hitl.core.files import asks_for_file
from hitl.core.forms import MISSING, ROOT, Part, filled, plan
from hitl.core.forms.held import initial, sent_back, start_of
from hitl.core.forms.names import below
from hitl.core.forms.offers import offered
from hitl.core.forms.parts import Choice, Constant, Flag, Group, Line, LineKind, Several, options_of
from hitl.core.forms.sent import sends_back
from hitl.core.values import DataType, parse_text
from hitl.errors import InvalidValue
from hitl.notify.slack.texts import MOST_FIELD_CHARS, MOST_LABEL_CHARS, MOST_PROMPT_CHARS, fits

MOST_BUTTONS: Final = 5
MOST_FIELDS: Final = 5
MOST_OPTIONS: Final = 100
"""So many options Slack shows in one list."""

# None that an API server has put a prefix before, such as "oidc:".
_ADDRESS: Final = re.compile("[A-Za-z0-9._%+'-]+@[A-Za-z0-9.-]+")
_LINES: Final[dict[DataType, LineKind]] = {"int": "int", "float": "number", "str": "long"}
_JSON_TYPES: Final[dict[DataType, str]] = {"int": "integer", "float": "number", "str": "string"}


@dataclass(frozen=True)
class Buttons:
    """A button for each answer.

    Args:
        offers: The answers, each with what the button says.
    """

    offers: Sequence[tuple[str, JsonValue]]


@dataclass(frozen=True)
class SmallForm:
    """A form of a few fields.

    Args:
        part: The form of the whole answer.
        fields: Those of its parts that are filled in, each with the name of its field.
        comment: Whether a comment must be written.
    """

    part: Part
    fields: Sequence[tuple[str, Part]]
    comment: bool


Way: TypeAlias = Buttons | SmallForm


def way_of(question: RequestDocument) -> Way | None:
    """Return how a question can be answered in Slack; None: in the form alone."""
    if not _shown_whole(question):
        return None
    part = _part_of(question)
    approval = question.approval
    comment = approval is not None and approval.comment_required == "Always"
    if isinstance(part, Flag | Choice) and not part.nullable and question.proposed is None and not comment:
        offers = options_of(part)
        if len(offers) <= MOST_BUTTONS and _told_apart(offers):
            return Buttons(offers)
    fields = _fields_of(part)
    fitting = fields and all(_fits(each) for _, each in fields) and _sends_back(question, part, fields)
    return SmallForm(part, fields, comment) if fitting else None


def _sends_back(question: RequestDocument, part: Part, fields: Sequence[tuple[str, Part]]) -> bool:
    """Tell whether the fields alone, untouched, mean what they hold: a name without a field would be lost."""
    try:
        if (value := start_of(question)) is MISSING:
            return True
        shown = filled(part, value)
    except InvalidValue:
        # It takes too long to find out.
        return False
    sent = {name: list(map(sent_back, shown.get(name, ()))) for name, _ in fields}
    return sends_back(part, sent, value)


def _shown_whole(question: RequestDocument) -> bool:
    if question.evidence or question.refused or asks_for_file(question):
        return False
    named, approval = may_ever_answer(question), question.approval
    # Slack knows the users of a workspace, and none of the groups that a question may name.
    if (named and not named.users) or (approval is not None and approval.groups):
        return False
    # Nor does it know names that are no addresses, so it could not tell that somebody is the requester.
    if approval is not None and approval.exclude_requester and not _ADDRESS.fullmatch(question.requester):
        return False
    return fits(question.prompt, MOST_PROMPT_CHARS) and len(initial(question) or "") <= MOST_FIELD_CHARS


def _part_of(question: RequestDocument) -> Part:
    kind = question.data_type
    if offers := offered(question):
        return Choice(options=tuple((label, parse_text(kind, text, empty=True)) for text, label in offers))
    if kind == "bool":
        return Flag()
    schema = dict(question.json_schema or {})
    if kind == "json":
        return plan(schema)
    part = plan(schema or {"type": _JSON_TYPES[kind]})
    return part if isinstance(part, Line) and not part.nullable else Line(kind=_LINES[kind], schema=schema)


def _fields_of(part: Part) -> list[tuple[str, Part]]:
    if not isinstance(part, Group):
        return [(ROOT, part)]
    if part.optional:
        return []
    inside = [(below(ROOT, name), each) for name, each in part.fields if not isinstance(each, Constant)]
    return inside if len(inside) <= MOST_FIELDS else []


def _fits(part: Part) -> bool:
    if isinstance(part, Choice | Several):
        return len(part.options) <= MOST_OPTIONS and _told_apart(part.options)
    return isinstance(part, Line | Flag)


def _told_apart(options: Sequence[tuple[str, JsonValue]]) -> bool:
    labels = [label for label, _ in options]
    return len(set(labels)) == len(labels) and all(fits(each, MOST_LABEL_CHARS) for each in labels)
