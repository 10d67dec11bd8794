"""A regular expression in words, where it is simple: a row of characters and classes, each so many times."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

_MAX_PIECES: Final = 6
_MAX_SINGLES: Final = 8
_MAX_CHARS: Final = 120
_QUANTIFIER: Final = re.compile(r"\{(\d+)(?:(,)(\d*))?\}|[+*?]", re.ASCII)
_RANGES: Final = {"a-z": "small letters a-z", "A-Z": "capital letters A-Z", "0-9": "digits"}
_CLASSES: Final = {"d": ["digits"], "w": ["letters", "digits", "“_”"], "s": ["blanks"]}
_SPECIAL: Final = "()|^$*+?{"
# An escaped letter or digit stands for something else than itself.
_LITERAL: Final = re.compile(r"[^A-Za-z0-9\s]")


class _NotSimple(Exception):
    """The expression has more to it than these words can say."""


@lru_cache(maxsize=512)
def in_words(pattern: str) -> str:
    """Return what fits a pattern, such as ``3 capital letters A-Z, then “-”, then 4 digits``; empty: not simple.

    Args:
        pattern: As `hitl.core.schema` accepts it, of any length.
    """
    if len(pattern) > _MAX_CHARS:
        return ""
    begins, ends = pattern.startswith("^"), pattern.endswith("$") and not pattern.endswith("\\$")
    try:
        pieces = _pieces(pattern[begins : len(pattern) - ends])
    except _NotSimple:
        return ""
    if not pieces or len(pieces) > _MAX_PIECES:
        return ""
    if begins and ends:
        return ", then ".join(pieces) if len(pieces) > 1 else f"nothing but {pieces[0]}"
    where = "begins with" if begins else "ends with" if ends else "contains"
    return f"text that {where} {', then '.join(pieces)}"


def _pieces(pattern: str) -> list[str]:
    pieces: list[str] = []
    literal = ""
    at = 0
    while at < len(pattern):
        at, members, char = _atom(pattern, at)
        times = _QUANTIFIER.match(pattern, at)
        if times is not None:
            at = times.end()
            if pattern[at : at + 1] in ("?", "+"):
                raise _NotSimple
        if char and times is None:
            literal += char
            continue
        if literal:
            pieces.append(f"“{literal}”")
            literal = ""
        pieces.append(_times(members, times))
    return [*pieces, f"“{literal}”"] if literal else pieces


def _atom(pattern: str, at: int) -> tuple[int, list[str], str]:
    """Return where the next atom ends, what it matches, and itself where it is one character."""
    char = pattern[at]
    if char == "\\":
        escaped = pattern[at + 1 : at + 2]
        if escaped in _CLASSES:
            return at + 2, _CLASSES[escaped], ""
        if not _LITERAL.fullmatch(escaped):
            raise _NotSimple
        return at + 2, [f"“{escaped}”"], escaped
    if char == "[":
        return _class(pattern, at + 1)
    if char in _SPECIAL:
        raise _NotSimple
    if char == ".":
        return at + 1, ["characters"], ""
    return at + 1, [f"“{char}”"], char


def _class(pattern: str, at: int) -> tuple[int, list[str], str]:
    end = pattern.find("]", at + 1)
    inside = pattern[at:end]
    if end < 0 or inside.startswith("^") or "[" in inside or "&&" in inside:
        raise _NotSimple
    members: list[str] = []
    singles = ""
    place = 0
    while place < len(inside):
        if inside[place] == "\\":
            escaped = inside[place + 1 : place + 2]
            if escaped in _CLASSES:
                members += _CLASSES[escaped]
            elif _LITERAL.fullmatch(escaped):
                singles += escaped
            else:
                raise _NotSimple
            place += 2
        elif inside[place + 1 : place + 2] == "-" and place + 2 < len(inside):
            of_range = inside[place : place + 3]
            members.append(_RANGES.get(of_range, f"“{of_range[0]}” to “{of_range[2]}”"))
            place += 3
        else:
            singles += inside[place]
            place += 1
    if len(singles) > _MAX_SINGLES:
        raise _NotSimple
    return end + 1, [*members, *(f"“{each}”" for each in singles)], ""


def _times(members: list[str], times: re.Match[str] | None) -> str:
    what = members[0] if len(members) == 1 else f"{', '.join(members[:-1])} and {members[-1]}"
    if times is None:
        return f"one of {what}"
    least, comma, most = times.groups()
    match times[0]:
        case "+":
            return what
        case "*":
            return f"{what} or nothing"
        case "?":
            return f"one of {what} or nothing"
        case _ if not comma:
            return f"{least} × {what}"
        case _ if not most:
            return f"at least {least} × {what}"
        case _:
            return f"{least} to {most} × {what}"
