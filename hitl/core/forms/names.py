"""The names of a form's fields, and what was sent under them. `hitl.core.forms.sent` says what each name means."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from hitl.core.pointers import escaped

Sent: TypeAlias = Mapping[str, Sequence[str]]

ROOT: Final = "v"
ON: Final = "1"
FORM: Final = f"{ROOT}~form"
"""It says that an answer comes in parts, also where none of them holds anything."""
BELOW: Final = re.compile(r"[/~]|\Z")
"""Where the name of a part ends in that of a field, which may be its own."""
MAX_ROWS: Final = 64
"""So many rows of a list a form has at most."""

MOST_COUNTED: Final = 1_000
"""A place is below it."""


def below(name: str, key: str | int) -> str:
    """Return the name of a field inside a part."""
    return f"{name}/{escaped(str(key))}"


def one(sent: Sent, name: str) -> str:
    """Return what a field holds that is sent once; empty for none."""
    texts = sent.get(name, ())
    return texts[0] if texts else ""


def place_of(text: str, count: int) -> int | None:
    """Return the place that a field names among so many, from 0; None for none of them."""
    known = text.isdecimal() and text.isascii() and len(text) < 4 and int(text) < count
    return int(text) if known else None


def count_of(sent: Sent, name: str) -> int:
    """Return how many rows a list has, as the form says it."""
    return place_of(one(sent, f"{name}~rows"), MOST_COUNTED) or 0


def rows_of(sent: Sent, name: str) -> int:
    """Return how many rows of a list a form shows, which may be more than there may be."""
    return min(count_of(sent, name), MAX_ROWS)
