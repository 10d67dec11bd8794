"""How a question is named on the command line: by its id, enough of the id's beginning, or a form's URL."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from urllib.parse import parse_qs, urlsplit

from hitl.errors import InvalidRequest

SHORTEST: Final = 4
"""How many characters the beginning of an id has at least."""
_SHOWN: Final = 5


def id_of(typed: str) -> str:
    """Return what was typed for a question, or the id in it if it is a form's URL.

    Its token goes no further: errors repeat ids.
    """
    return read_url(typed)[0] if "://" in typed else typed


def read_url(url: str) -> tuple[str, str]:
    """Return the id and the token in a form's URL; each is empty when there is none."""
    try:
        address = urlsplit(url)
        return address.path.rstrip("/").rpartition("/")[2], (parse_qs(address.query).get("token") or [""])[0]
    except ValueError:
        return "", ""


def meant(typed: str, ids: Iterable[str]) -> str | None:
    """Return the one id that begins with what was typed, or None when none does.

    Args:
        typed: What was typed.
        ids: All ids, of settled questions too. Among those that wait, the same word would soon mean another one.

    Raises:
        InvalidRequest: when several begin with it. An answer to the wrong question could not be taken back.
    """
    if len(typed) < SHORTEST:
        return None
    found = sorted(each for each in ids if each.startswith(typed))
    if typed in found:
        return typed
    if len(found) > 1:
        shown = ", ".join(found[:_SHOWN]) + (", …" if len(found) > _SHOWN else "")
        raise InvalidRequest(f"{len(found)} questions begin with {typed!r}: give more of the id: {shown}")
    return found[0] if found else None


def too_short(typed: str) -> str:
    """Return what an error adds for a question that was not found: empty, if enough was typed."""
    return f" (the beginning of an id has at least {SHORTEST} characters)" if len(typed) < SHORTEST else ""
