"""Texts that others wrote, as Slack shows them literally: no mention, no link, no emphasis."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, TypeAlias

from hitl.core.documents import format_time
from hitl.errors import printable

Block: TypeAlias = dict[str, Any]

MOST_PROMPT_CHARS: Final = 2_900
MOST_FIELD_CHARS: Final = 3_000
"""So much a text field takes."""
MOST_LABEL_CHARS: Final = 75
"""So long a button's text, or that of an option, may be."""

# In each text of Slack's, these begin what is no text, such as <!channel>.
_ESCAPES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def escaped(text: str, most: int) -> str:
    """Return a text so that Slack shows it as it is; what is longer than so many characters is cut off."""
    shown = _escaped(text)
    if len(shown) <= most:
        return shown
    kept = _lines(text)[: most - 1]
    while len(shown := _escaped(kept)) > most - 1:
        kept = kept[: -max(1, (len(shown) - most + 1) // len("&amp;"))]
    return f"{shown}…"


def fits(text: str, most: int) -> bool:
    """Tell whether `escaped` cuts nothing off, and hides nothing."""
    return bool(text.strip()) and printable(shown := _lines(text)) == shown and len(_escaped(text)) <= most


def literal(text: str, most: int) -> Block:
    """Return a text object in which Slack looks for nothing: no mentions, links, emphasis or emoji."""
    return {"type": "plain_text", "text": escaped(text, most) or " ", "emoji": False}


def moment(at: datetime) -> str:
    """Return a moment as a markup that each reader sees in the own time zone."""
    shown = "<!date^{}^{{date_short_pretty}} {{time}}|{}>"
    return shown.format(int(at.timestamp()), escaped(format_time(at), 100))


def _escaped(text: str) -> str:
    return "".join(_ESCAPES.get(each, each) for each in printable(_lines(text)))


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n")
