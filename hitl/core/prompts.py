"""Text in prompts."""

from __future__ import annotations

import re
from typing import Final

_SPECIAL: Final = re.compile(r"[\\`*_{}\[\]()<>#+\-.!|~&=]")
_INDENT: Final = re.compile(r"^[ \t]+", re.MULTILINE)


def escape(text: str) -> str:
    """Return a text so that a prompt in Markdown shows it as it is, such as a path or the name of a table.

    Args:
        text: Any text. With many special characters, it gets up to twice as long.
    """
    escaped = _SPECIAL.sub(r"\\\g<0>", text)
    # Four blanks at the beginning of a line would make it code.
    return _INDENT.sub(lambda found: "&nbsp;" * len(found[0].expandtabs(4)), escaped)
