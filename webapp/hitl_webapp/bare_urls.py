"""Addresses of the web in a text, as people write them: a sentence may end right behind one."""

from __future__ import annotations

import re
from typing import Final

_URL: Final = re.compile(r"""\bhttps?://[^\s<>"'`]+""", re.IGNORECASE)
_AFTER_URL: Final = ".,;:!?*_~"


def is_url(text: str) -> bool:
    """Tell whether a text is one address and nothing else."""
    return _URL.fullmatch(text) is not None


def pieces(text: str) -> list[tuple[str, bool]]:
    """Return a text in pieces, each with whether it is an address of the web."""
    found: list[tuple[str, bool]] = []
    done = 0
    for each in _URL.finditer(text):
        url = each[0].rstrip(_AFTER_URL)
        while url.endswith(")") and url.count(")") > url.count("("):
            url = url[:-1].rstrip(_AFTER_URL)
        found += [(text[done : each.start()], False), (url, True)]
        done = each.start() + len(url)
    return [(piece, is_url) for piece, is_url in [*found, (text[done:], False)] if piece]
