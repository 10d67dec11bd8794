"""What one check may cost, and values shown shortly: for schemas, whose authors and answers may be hostile."""

from __future__ import annotations

from itertools import islice
from typing import Any, Final, TypeAlias

from hitl.core.strictjson import shortened
from hitl.errors import one_line

# Where something is: None at the root, else the place around it, with a property's name or an item's index.
Place: TypeAlias = "tuple[Place, str | int] | None"

_SHOWN_CHARS: Final = 60
_SHOWN_ITEMS: Final = 6
_SHOWN_BITS: Final = 200
_SHOWN_PLACES: Final = 8


class TooMuchWork(Exception):
    """A check would take longer than it may; it was given up at a place."""

    def __init__(self, at: Place) -> None:
        super().__init__(f"given up at {place_text(at)}")
        self.at = at


class Work:
    """What is left of one check's budget.

    Args:
        units: How much it may cost. A unit is about a microsecond of one core; everything that is done is paid.
        formats: Whether texts are checked for their `format`.
    """

    __slots__ = ("at", "formats", "left")

    def __init__(self, units: int, formats: bool = True) -> None:
        self.left = units
        self.formats = formats
        self.at: Place = None

    def spend(self, units: int) -> None:
        """Pay for what is done next.

        Raises:
            TooMuchWork: when less is left.
        """
        self.left -= units
        if self.left < 0:
            raise TooMuchWork(self.at)


def path_of(at: Place) -> list[str | int]:
    """Return the names and indices that lead to a place."""
    path: list[str | int] = []
    while at is not None:
        at, part = at
        path.append(part)
    path.reverse()
    return path


def place_text(at: Place) -> str:
    """Return a place as people read it, such as ``.ages[1]``; the middle of a long one is left out."""
    parts = [f"[{part}]" if isinstance(part, int) else f".{_cut(one_line(part[:200]))}" for part in path_of(at)]
    if len(parts) > _SHOWN_PLACES:
        parts = [*parts[: _SHOWN_PLACES // 2], "…", *parts[-_SHOWN_PLACES // 2 :]]
    return "".join(parts) or "the value"


def shown(value: Any, depth: int = 2) -> str:
    """Return a JSON value shortly, on one printable line, at a cost that does not grow with the value."""
    if isinstance(value, str):
        return repr(_cut(value))
    if isinstance(value, int) and value.bit_length() > _SHOWN_BITS:
        return f"a whole number of {value.bit_length():,} bits"
    if isinstance(value, list):
        return f"[{_listed((shown(item, depth - 1) for item in value), len(value), depth)}]"
    if isinstance(value, dict):
        pairs = (f"{shown(name)}: {shown(item, depth - 1)}" for name, item in value.items())
        return f"{{{_listed(pairs, len(value), depth)}}}"
    return repr(value)


def shown_list(values: list[Any]) -> str:
    """Return some values, with commas between them; of many, how many more there are."""
    return _listed((shown(value) for value in values), len(values), 1)


def _listed(texts: Any, count: int, depth: int) -> str:
    if count and depth <= 0:
        return "…"
    few = ", ".join(islice(texts, _SHOWN_ITEMS))
    return few if count <= _SHOWN_ITEMS else f"{few} and {count - _SHOWN_ITEMS:,} more"


def _cut(text: str) -> str:
    return shortened(text, _SHOWN_CHARS)
