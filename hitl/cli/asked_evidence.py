"""What `hitl ask` shows beside its question: files, each shown as what it is, and links."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from hitl.author import evidence
from hitl.author.evidence import Shown
from hitl.core.evidence import RASTER_IMAGES, media_type_of
from hitl.errors import InvalidRequest

_BY_ENDING: Final[dict[str, Callable[[Any], Shown]]] = {
    ".csv": evidence.table,
    ".parquet": evidence.table,
    ".md": lambda path: evidence.markdown(_text(path), name=path.name),
    ".markdown": lambda path: evidence.markdown(_text(path), name=path.name),
    ".htm": evidence.html,
    ".html": evidence.html,
}
_BEGINNING: Final = 512
_URL: Final = re.compile(r"https?://")


def shown_file(path: Path) -> Shown:
    """Return how a file is shown: an image by how it begins, others by their ending, and the rest to download.

    Raises:
        InvalidRequest: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            beginning = file.read(_BEGINNING)
    except OSError as error:
        raise InvalidRequest(f"--evidence: {path} cannot be read: {error.strerror}") from error
    if media_type_of(beginning) in RASTER_IMAGES:
        return evidence.image(path)
    return _BY_ENDING.get(path.suffix.lower(), evidence.file)(path)


def shown_link(given: str) -> Shown:
    """Return a link with its name, which may stand in front of it, with ``=`` between them.

    Raises:
        InvalidRequest: it is no address of the web.
    """
    name, equals, url = given.partition("=")
    if _URL.match(given) or not equals:
        return evidence.link(given)
    return evidence.link(url, name=name.strip() or None)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"--evidence: {path} cannot be read as text in UTF-8: {error}") from error
