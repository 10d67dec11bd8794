"""Whether a form shows a value: whether what it sends back, unchanged, is that value."""

from __future__ import annotations

import json
import re
from typing import Final

from pydantic import JsonValue

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
