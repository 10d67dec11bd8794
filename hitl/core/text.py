"""Text that other people wrote, made safe to print: in terminals, logs, exceptions and pages.

Control characters could rewrite what a terminal shows. A line feed could forge a line of a log. Characters that
override the direction of writing could show a text as another one. Each is replaced by U+FFFD.
"""

from __future__ import annotations

import re
from typing import Final

# C0 except tab and line feed, DEL, C1, embeddings, overrides and isolates of direction, halves of a pair.
_UNSAFE: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_SHOWN: Final = "\ufffd"


def printable(text: str) -> str:
    """Return a text that cannot rewrite a terminal or a page; tabs and line feeds stay."""
    return _UNSAFE.sub(_SHOWN, text)


def one_line(text: str) -> str:
    """Return a printable text on one line, with single blanks."""
    return " ".join(printable(text).split())


def ascii_controls(json_text: str) -> str:
    r"""Return the same JSON with what is unsafe to print written as ``\uXXXX``; the data stay as they are."""
    # JSON has no control characters but DEL as they are.
    if json_text.isascii() and "\x7f" not in json_text:
        return json_text
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", json_text)
