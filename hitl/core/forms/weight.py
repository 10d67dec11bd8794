"""How long the page of a form is, before it is made: a schema or an answer may be larger than a page can be."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from hitl.core.forms.names import ROOT, Sent, below, one, rows_of
from hitl.core.forms.parts import MISSING, Choice, Fixed, Group, Line, OneOf, Part, Raw, Rows, Several
from hitl.core.values import format_value

MAX_CHARS: Final = 500_000
"""More than this, and the answer is JSON as text instead."""
MAX_CHARS_LATER: Final = 800_000
"""So long may it get when rows are added."""

# What surrounds each field, each option and each character that HTML writes as a reference.
_PER_PART: Final = 700
_PER_OPTION: Final = 200
_PER_CHAR: Final = 6
# How often a field says its name, and a part its label.
_NAMES: Final = 9
_LABELS: Final = 4


class _TooLong(Exception):
    """The page would be longer."""


def fits_a_page(part: Part, sent: Sent, most: int = MAX_CHARS) -> bool:
    """Tell whether a form is short enough for a page.

    Args:
        part: What it is made of.
        sent: What its fields hold.
        most: How many characters the page may have. The work is bounded by them, too.
    """
    try:
        _Weight(sent, most).add(part, ROOT)
    except _TooLong:
        return False
    return True


class _Weight:
    def __init__(self, sent: Sent, most: int) -> None:
        self._sent = sent
        self._left = most

    def add(self, part: Part, name: str) -> None:
        """Count a part and those inside it, as often as the page shows them."""
        usual = "" if part.default is MISSING else format_value("json", part.default)
        self._spend(_PER_PART + _NAMES * len(quote(name)))
        self._spend(_PER_CHAR * (_LABELS * len(part.label) + len(part.help) + min(len(usual), _PER_PART)))
        match part:
            case Line() | Raw():
                self._spend(_PER_CHAR * len(one(self._sent, name)))
            case Choice() | Several():
                for label, _ in part.options:
                    self._spend(_PER_OPTION + len(quote(name)) + 2 * _PER_CHAR * len(label))
            case Rows():
                for number in range(rows_of(self._sent, name)):
                    self._spend(_PER_PART + _LABELS * _PER_CHAR * len(part.label))
                    self.add(part.item, below(name, number))
            case Group() if not part.optional or f"{name}~on" in self._sent:
                for key, inside in part.fields:
                    self._spend(_PER_CHAR * len(key))
                    self.add(inside, below(name, key))
            case Fixed() if not part.optional or f"{name}~on" in self._sent:
                for number, inside in enumerate(part.items):
                    self.add(inside, below(name, number))
            case OneOf():
                for number, (label, branch) in enumerate(part.branches):
                    self._spend(_PER_OPTION + _LABELS * _PER_CHAR * len(label))
                    self.add(branch, f"{name}~{number}")

    def _spend(self, chars: int) -> None:
        self._left -= chars
        if self._left < 0:
            raise _TooLong
