"""Dates and times as people type them, in the one form in which they are recorded. No zone is ever guessed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from hitl.core.forms.parts import LineKind
from hitl.core.strictjson import show
from hitl.errors import InvalidValue

_KINDS: Final[dict[str, LineKind]] = {
    "date": "date",
    "time": "time",
    "date-time": "moment",
    "date-time-local": "local",
}
# How releases until 0.2.0 asked for a datetime that has no zone.
_LOCAL: Final = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}"
_CLOCK: Final = r"(?P<clock>\d\d:\d\d)(?P<seconds>:\d\d(?:\.\d+)?)?"
_ZONE: Final = r"(?P<zone>[Zz]|UTC|GMT|[+\u2212-]\d\d(?::?\d\d)?)"
_MOMENT: Final = rf"(?P<date>\d{{4}}-\d\d-\d\d)(?:[Tt]|[ \u00a0]+){_CLOCK}[ \u00a0]*{_ZONE}?"
_TIME: Final = rf"{_CLOCK}[ \u00a0]*{_ZONE}?"


def kind_of(schema: Mapping[str, Any]) -> LineKind | None:
    """Return which date or time a schema asks for; None: none."""
    kind = _KINDS.get(str(schema.get("format")))
    return "local" if kind is None and str(schema.get("pattern")).startswith(_LOCAL) else kind


def canonical(kind: LineKind, text: str) -> str:
    """Return what was typed as RFC 3339 writes it; what is no such date or time, without blanks around it.

    Args:
        kind: What the field holds.
        text: What was typed, such as ``2026-02-28 09:30 +01:00``.

    Raises:
        InvalidValue: it lacks the zone that it needs, or has one that nobody may give.
    """
    text = text.strip()
    # The regular expressions are made when somebody answers, so that no start waits for them.
    found = None if kind == "date" else re.fullmatch(_TIME if kind == "time" else _MOMENT, text, re.ASCII)
    if found is None:
        return text
    zone = found["zone"]
    if kind == "local" and "T" in text and not zone:
        # It needs no seconds.
        return text
    clock = found["clock"] + (found["seconds"] or ":00")
    if kind == "time":
        return clock + _zone(zone) if zone else clock
    moment = f"{found['date']}T{clock}"
    if kind == "local":
        if zone:
            raise InvalidValue(f"{show(text)} has a zone, and none is asked for: write {moment}.")
        return moment
    if not zone:
        raise InvalidValue(
            f"{show(text)} has no zone, so it could be several moments. Write its difference from UTC behind it, "
            f"such as {text} +01:00, or {text} UTC."
        )
    return moment + _zone(zone)


def _zone(zone: str) -> str:
    if zone in ("Z", "z", "UTC", "GMT"):
        return "Z"
    digits = zone[1:].replace(":", "").ljust(4, "0")
    return f"{'+' if zone[0] == '+' else '-'}{digits[:2]}:{digits[2:]}"
