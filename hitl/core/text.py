"""Text that other people wrote, made safe to print: in terminals, logs, exceptions and pages.

Control characters could rewrite what a terminal shows. A line feed could forge a line of a log. Characters that
override the direction of writing could show a text as another one. Each is replaced by U+FFFD.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

# What an exception says is made safe by the same rule, and exceptions import nothing of ours.
from hitl.errors import UNSAFE


def ascii_controls(json_text: str) -> str:
    r"""Return the same JSON with what is unsafe to print written as ``\uXXXX``; the data stay as they are."""
    # JSON has no control characters but DEL as they are.
    if json_text.isascii() and "\x7f" not in json_text:
        return json_text
    return UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", json_text)


# Joiners belong to Persian and Indic names. Elsewhere nobody would see them, and two names would look the same.
# `re` compiles it where a name has one: its wide ranges take longer than any other pattern at a start.
_JOINER: Final = "(?<=[\u0300-\u1fff\u2070-\U0010ffff])[\u200c\u200d](?=[\u0300-\u1fff\u2070-\U0010ffff])"


def is_name(text: str) -> bool:
    """Tell whether a text can be shown as a name: printable, with no blanks around it, and with nothing hidden."""
    joined = "\u200c" in text or "\u200d" in text
    shown = (re.sub(_JOINER, "", text) if joined else text).replace("\u00a0", " ")
    return bool(shown) and shown == shown.strip() and shown.isprintable()


FILLERS: Final = (
    *((0x034F, 0x034F), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x2800, 0x2800)),
    *((0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFFA0, 0xFFA0)),
)
"""Fillers, and what changes the character before it, each from one to another: no category says that of them."""
_FILLERS: Final = frozenset(chr(each) for first, last in FILLERS for each in range(first, last + 1))
_UNSEEN: Final = ("Z", "Cc", "Cf")


def is_blank(text: str) -> bool:
    """Tell whether nothing of a text can be seen, as with a zero-width space that was copied along."""
    return all(map(_is_unseen, text))


def _is_unseen(character: str) -> bool:
    return character in _FILLERS or unicodedata.category(character).startswith(_UNSEEN)


def is_alike(name: str, other: str) -> bool:
    """Tell whether two names may be one person's, written otherwise: in capitals, or in other forms of Unicode.

    So it is only asked to keep somebody out: they may be two people's as well.
    """
    return _folded(name) == _folded(other)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
