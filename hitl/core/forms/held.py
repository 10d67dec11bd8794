"""What a form holds at first, and whether it shows a value: whether it sends that back, unchanged."""

from __future__ import annotations

import json
import re
from typing import Final

from pydantic import JsonValue

from hitl.core.asked import Asked
from hitl.core.forms.parts import MISSING, Maybe
from hitl.core.values import parse_text

# What pages replace, see `hitl.errors.UNSAFE`, but for ends of lines, and for what turns the direction of writing:
# a field keeps that.
_REPLACED: Final = "[\x00-\x08\x0b-\x1f\x7f-\x9f]"


def sent_back(text: str) -> str:
    """Return what a field of a form sends that shows a text and was not touched.

    Browsers make one kind of line end of all, and pages hold no control characters.
    """
    if text.isascii() and text.isprintable():
        return text
    return re.sub(_REPLACED, "\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))


def holds(value: JsonValue, wanted: JsonValue) -> bool:
    """Tell whether a value is the wanted one, but for names that a default fills in and for the order of a set.

    Numbers are compared by what they are worth: 2 is 2.0.
    """
    if isinstance(value, dict) and isinstance(wanted, dict):
        return all(name in value and holds(value[name], each) for name, each in wanted.items())
    if isinstance(value, list) and isinstance(wanted, list) and len(value) == len(wanted):
        held = all(map(holds, value, wanted))
        return held or sorted(map(_text, value)) == sorted(map(_text, wanted))
    if _is_number(value) and _is_number(wanted):
        return value == wanted
    return _text(value) == _text(wanted)


def _is_number(value: JsonValue) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _text(value: JsonValue) -> str:
    return json.dumps(value, sort_keys=True)


def initial(asked: Asked) -> str | None:
    """Return what the form holds at first, as canonical text: what is proposed, else the default, if any."""
    return asked.default if asked.proposed is None else asked.proposed


def start_of(asked: Asked) -> Maybe:
    """Return what the form holds at first, as a value; `MISSING` for nothing.

    Raises:
        InvalidValue: it is none of the type, as where somebody else wrote it.
    """
    text = initial(asked)
    return MISSING if text is None else parse_text(asked.data_type, text, empty=True)
