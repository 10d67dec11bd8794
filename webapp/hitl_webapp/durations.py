"""How long something takes, in words."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

_UNITS: Final = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


def duration(span: timedelta) -> str:
    """Return a span of time in its largest unit, rounded down, such as ``3 hours``; at least one second."""
    seconds = max(1, int(span.total_seconds()))
    size, unit = next((size, unit) for size, unit in _UNITS if seconds >= size)
    count = seconds // size
    return f"{count:,} {unit}{'' if count == 1 else 's'}"
