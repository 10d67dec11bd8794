"""How long something takes, in words."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Final

_UNITS: Final = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))
_SHORT: Final = {"day": "d", "hour": "h", "minute": "min", "second": "s"}


def duration(span: timedelta) -> str:
    """Return a span of time in its largest unit, rounded down, such as ``3 hours``; at least one second."""
    seconds = max(1, int(span.total_seconds()))
    size, unit = next((size, unit) for size, unit in _UNITS if seconds >= size)
    count = seconds // size
    return f"{count:,} {unit}{'' if count == 1 else 's'}"


def span(seconds: float) -> str:
    """Return some seconds in their two largest units, rounded down, such as ``2 d 3 h``; below one, ``0 s``."""
    left = int(seconds)
    for (size, unit), (below, less) in pairwise((*_UNITS, (0, ""))):
        if left >= size:
            rest = left % size // below if below else 0
            return f"{left // size:,} {_SHORT[unit]}" + (f" {rest} {_SHORT[less]}" if rest else "")
    return "0 s"
