"""What is shown beside a question: a plot, a table, a report, so that people can decide.

::

    hitl.ask("Ship this model?", bool, evidence=[
        hitl.evidence.image(figure, alt="Loss by epoch"),
        hitl.evidence.table(metrics, name="metrics"),
    ])

All of it is copied to HITL's storage before the question is asked, and the recorded answer names its digests.
"""

from __future__ import annotations

import asyncio
import io
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic import ValidationError

from hitl.author import tables
from hitl.core.documents import sha256_hex
from hitl.core.evidence import (
    DIFF_MEDIA_TYPE,
    MAX_EVIDENCE,
    MAX_EVIDENCE_BYTES,
    MAX_HTML_BYTES,
    MAX_MARKDOWN_BYTES,
    MAX_PIECE_BYTES,
    MAX_PREVIEW_BYTES,
    RASTER_IMAGES,
    TABLE_MEDIA_TYPE,
    Evidence,
    EvidenceKind,
    media_type_of,
    shown_name,
    shown_size,
)
from hitl.core.faults import sentence
from hitl.core.previews import MAX_DIFF_CHARS, MAX_DIFF_LINES, DiffPreview
from hitl.errors import InvalidRequest, one_line
from hitl.records.evidence import Piece
from hitl.storage.sources import read_source, shown_place

_MOST_BYTES: Final[dict[EvidenceKind, int]] = {
    "table": MAX_PREVIEW_BYTES,
    "diff": MAX_PREVIEW_BYTES,
    "markdown": MAX_MARKDOWN_BYTES,
    "html": MAX_HTML_BYTES,
}
_WEB: Final = re.compile(r"https?://[^\s/?#]\S*")


@dataclass(frozen=True)
class Shown:
    """One thing to show beside a question. Made by the functions of `hitl.evidence`.

    Args:
        kind: How it is shown.
        name: What people read above it.
        read: Returns its bytes; called when the question is asked, in a thread.
        alt: What an image shows, in words.
        url: Where a link leads.
    """

    kind: EvidenceKind
    name: str
    read: Callable[[], bytes] = field(repr=False)
    alt: str = ""
    url: str = ""


def image(source: Any, *, name: str | None = None, alt: str = "") -> Shown:
    """Show an image: PNG, JPEG, GIF, WebP or AVIF, of at most 16 MiB.

    Args:
        source: A path, a URL, bytes, a matplotlib figure or a Flyte `File`.
        name: What people read above it; at most 128 characters. None: the file's name.
        alt: What it shows, in words, for people who cannot see it; at most 1,024 characters.

    Raises:
        InvalidRequest: `source` is none of these.
    """
    if hasattr(source, "savefig"):
        drawn = io.BytesIO()
        # Without the program's version in it, the same plot has the same bytes.
        source.savefig(drawn, format="png", metadata={"Software": None})
        return Shown("image", _named(name, "plot"), drawn.getvalue, alt=alt)
    return Shown("image", _named(name, _name_of(source, "image")), _reader(source, MAX_PIECE_BYTES), alt=alt)


def table(source: Any, *, name: str | None = None) -> Shown:
    """Show the first 50 rows and 20 columns of a table, and how large it is.

    Args:
        source: A pandas or polars DataFrame, an Arrow table, a list of dicts, a Flyte `DataFrame` or `File`, or a
            path or URL of a CSV or Parquet file. Parquet files need the extra `flyte-hitl[tables]`.
        name: What people read above it; at most 128 characters. None: the file's name.

    Raises:
        InvalidRequest: `source` is none of these.
    """
    if isinstance(source, str | os.PathLike):
        place = os.fspath(source)
        return _table(name, _name_of(source, "table"), lambda: tables.preview_of_file(place))
    if _is_of_flyte(source):
        return _flyte_table(source, name)
    # Now, as the program may go on to change it.
    preview = tables.preview_of(source)
    return _table(name, "table", lambda: preview)


def markdown(text: str, *, name: str = "Notes") -> Shown:
    """Show a text in Markdown, as prompts are shown; at most 64 KiB.

    Args:
        text: The text.
        name: What people read above it; at most 128 characters.

    Raises:
        InvalidRequest: it is no text.
    """
    data = _text("text", text).encode(errors="replace")
    return Shown("markdown", _named(name, "Notes"), lambda: data)


def diff(before: str, after: str, *, name: str = "Changes") -> Shown:
    """Show which lines were added and removed between two texts, with three lines around each change.

    Args:
        before: The text before; at most 262,144 characters in 5,000 lines.
        after: The text after; at most as many.
        name: What people read above it; at most 128 characters.

    Raises:
        InvalidRequest: one is no text, or longer.
    """
    for what, text in (("before", before), ("after", after)):
        if len(_text(what, text)) > MAX_DIFF_CHARS or text.count("\n") >= MAX_DIFF_LINES:
            raise InvalidRequest(
                f"{what} has more than {MAX_DIFF_CHARS:,} characters or {MAX_DIFF_LINES:,} lines: give a part"
            )
    return Shown("diff", _named(name, "Changes"), lambda: DiffPreview.of(before, after).model_dump_json().encode())


def html(source: Any, *, name: str | None = None) -> Shown:
    """Show an HTML report in a frame of its own, in which no program runs and nothing is loaded; at most 4 MiB.

    Args:
        source: The HTML, or a path, as a text without ``<`` or a `Path`, or a Flyte `File`.
        name: What people read above it; at most 128 characters. None: the file's name.

    Raises:
        InvalidRequest: `source` is none of these.
    """
    if isinstance(source, str) and "<" in source:
        data = source.encode(errors="replace")
        return Shown("html", _named(name, "Report"), lambda: data)
    return Shown("html", _named(name, _name_of(source, "Report")), _reader(source, MAX_HTML_BYTES))


def file(source: Any, *, name: str | None = None) -> Shown:
    """Let people download a file of at most 16 MiB. Images and plain text open in the browser.

    Args:
        source: A path, a URL, bytes or a Flyte `File`.
        name: The name by which it is downloaded; at most 128 characters. None: the file's own.

    Raises:
        InvalidRequest: `source` is none of these.
    """
    return Shown("file", _named(name, _name_of(source, "file")), _reader(source, MAX_PIECE_BYTES))


def link(url: str, *, name: str | None = None) -> Shown:
    """Show a link, with the host that it leads to. Nobody but the reader follows it.

    Args:
        url: ``http`` or ``https``; at most 2,048 characters.
        name: What people read; at most 128 characters. None: the host.

    Raises:
        InvalidRequest: it is no such address.
    """
    if not isinstance(url, str) or not _WEB.fullmatch(url) or not url.isprintable():
        raise InvalidRequest(f"{url!r} is no link: give an address that begins with https:// or http://")
    try:
        host = urlsplit(url).hostname or ""
    except ValueError as error:
        raise InvalidRequest(f"{url!r} is no link: {error}") from error
    return Shown("link", _named(name, host or "link"), bytes, url=url)


async def pieces_of(evidence: Sequence[Shown]) -> list[Piece]:
    """Read all that is to be shown beside a question, and check that it can be.

    Args:
        evidence: What the functions of this module returned; at most 32.

    Raises:
        InvalidRequest: saying which one cannot be shown, and why.
    """
    if isinstance(evidence, Shown) or not isinstance(evidence, Sequence):
        raise InvalidRequest("evidence is no list: give a list of what hitl.evidence returns")
    if len(evidence) > MAX_EVIDENCE:
        raise InvalidRequest(f"evidence has {len(evidence)} items: at most {MAX_EVIDENCE} can be shown")
    pieces: list[Piece] = []
    for number, each in enumerate(evidence):
        if not isinstance(each, Shown):
            raise InvalidRequest(
                f"evidence[{number}] is of type {type(each).__name__}: make it by a function of "
                "hitl.evidence, such as hitl.evidence.file(path)"
            )
        try:
            pieces.append(_piece(each, await asyncio.to_thread(each.read)))
        except InvalidRequest as error:
            raise InvalidRequest(f"evidence[{number}] ({each.kind} {each.name!r}): {error}") from error
    total = sum(piece.evidence.size_bytes for piece in pieces)
    if total > MAX_EVIDENCE_BYTES:
        raise InvalidRequest(
            f"evidence has {shown_size(total)} in all: at most {shown_size(MAX_EVIDENCE_BYTES)} can be shown; "
            "give hitl.evidence.link for what is large"
        )
    return pieces


def _piece(shown: Shown, data: bytes) -> Piece:
    most = _MOST_BYTES.get(shown.kind, MAX_PIECE_BYTES)
    if len(data) > most:
        raise InvalidRequest(
            f"it has {shown_size(len(data))}: at most {shown_size(most)} can be shown; give "
            "hitl.evidence.link for what is large"
        )
    media_type = _media_type(shown.kind, data) if shown.kind != "link" else ""
    try:
        evidence = Evidence(
            name=shown.name,
            kind=shown.kind,
            media_type=media_type,
            size_bytes=len(data),
            sha256=sha256_hex(data) if shown.kind != "link" else "",
            url=shown.url,
            alt=shown.alt,
        )
    except ValidationError as error:
        raise InvalidRequest(sentence(error)) from error
    return Piece(evidence, data)


def _media_type(kind: EvidenceKind, data: bytes) -> str:
    if not data:
        raise InvalidRequest("it is empty: leave it out")
    found = media_type_of(data)
    match kind:
        case "image" if found not in RASTER_IMAGES:
            raise InvalidRequest(
                "it is no PNG, JPEG, GIF, WebP or AVIF image; SVG can hold programs: attach it by "
                "hitl.evidence.file"
            )
        case "html" if found != "text/plain":
            raise InvalidRequest("it is no text in UTF-8, as HTML is")
        case "html":
            return "text/html"
        case "markdown":
            return "text/markdown"
        case "table":
            return TABLE_MEDIA_TYPE
        case "diff":
            return DIFF_MEDIA_TYPE
    return found


def _table(name: str | None, default: str, preview: Callable[[], Any]) -> Shown:
    return Shown("table", _named(name, default), lambda: preview().model_dump_json().encode())


def _flyte_table(source: Any, name: str | None) -> Shown:
    in_memory = getattr(source, "val", None)
    if in_memory is not None:
        preview = tables.preview_of(in_memory)
        return _table(name, "table", lambda: preview)
    place = _place_of_flyte(source)
    return _table(name, _name_of(source, "table"), lambda: tables.preview_of_folder(place, _filesystem(place)))


def _reader(source: Any, most: int) -> Callable[[], bytes]:
    if isinstance(source, bytes | bytearray | memoryview):
        data = bytes(source)
        return lambda: data
    if isinstance(source, str | os.PathLike):
        place = os.fspath(source)
        if isinstance(place, str) and place:
            return lambda: read_source(place, most)
    if _is_of_flyte(source) and (path := _place_of_flyte(source)):
        return lambda: read_source(path, most, _filesystem(path))
    raise InvalidRequest(f"{type(source).__name__} is no file: give a path, a URL, bytes or a Flyte File")


def _filesystem(place: str) -> Any:
    from hitl.engines.flyte_files import filesystem_of  # who has such an object has Flyte

    return filesystem_of(place)


def _is_of_flyte(source: Any) -> bool:
    return any(each.__module__.startswith("flyte.io") for each in type(source).__mro__)


def _name_of(source: Any, default: str) -> str:
    place = _place_of_flyte(source) if _is_of_flyte(source) else source
    if not isinstance(place, str | os.PathLike) or not isinstance(place := os.fspath(place), str):
        return default
    return shown_name(shown_place(place)) if place else default


def _place_of_flyte(source: Any) -> str:
    # A DataFrame has the one, a File the other.
    return str(getattr(source, "uri", None) or getattr(source, "path", None) or "")


def _named(name: str | None, default: str) -> str:
    return shown_name(default) if name is None else one_line(_text("name", name)) or shown_name(default)


def _text(what: str, value: Any) -> str:
    if not isinstance(value, str):
        raise InvalidRequest(f"{what} is of type {type(value).__name__}: give a text")
    return value
