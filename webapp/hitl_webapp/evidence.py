"""What is shown beside a question: read from storage, checked against its digests, made ready for pages."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence, Set
from contextlib import asynccontextmanager
from functools import partial
from typing import Final, NamedTuple
from urllib.parse import quote, urlsplit
from weakref import WeakValueDictionary

from markupsafe import Markup
from pydantic import ValidationError

from hitl.core.evidence import (
    MAX_HTML_BYTES,
    MAX_MARKDOWN_BYTES,
    MAX_PREVIEW_BYTES,
    RASTER_IMAGES,
    Evidence,
    EvidenceKind,
    shown_name,
    shown_size,
)
from hitl.core.previews import DiffPreview, TablePreview
from hitl.errors import StorageUnavailable
from hitl.records.aside import Thread
from hitl.records.evidence import PART_BYTES, EvidenceChanged, check_evidence, check_piece, read_evidence
from hitl.records.requests import StoredRequest
from hitl.storage import Store, all_of
from hitl_webapp.admission import Admitted
from hitl_webapp.caches import Memory, Read
from hitl_webapp.problems import EVIDENCE_CHANGED, TooMany
from hitl_webapp.prompts import markdown_once

UNAVAILABLE: Final = (
    "What belongs beside this question cannot be read now: load this page again before you answer."
)
# Nothing is loaded but what is in the bytes; no program runs, no form is sent, and only our own pages frame it.
SANDBOX: Final = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; form-action 'none'; "
    "base-uri 'none'; frame-ancestors 'self'"
)
_INLINE: Final = frozenset({*RASTER_IMAGES, "text/plain"})
_AT_ONCE: Final = 4
# Each holds some MiB for as long as its reader takes. Slow readers of one question do not keep out all others.
_SENT_AT_ONCE: Final = 32
_SENT_OF_ONE: Final = 12
_PATIENCE_SECONDS: Final = 10.0
MOST_SHOWN_BYTES: Final = 4 * MAX_MARKDOWN_BYTES
"""As many bytes of Markdown a page shows of all pieces together."""
# Each byte of a hostile text takes 15 µs, and the event loop may go on after that.
_AT_ONCE_BYTES: Final = 1_024
_BYTES_PER_CHAR: Final = 4
_thread: Final = Thread("hitl-markdown")
# What is read whole for a page. What is larger was not written by us, and is a download.
_READ_WHOLE: Final[Mapping[EvidenceKind, int]] = {
    "table": MAX_PREVIEW_BYTES,
    "diff": MAX_PREVIEW_BYTES,
    "markdown": MAX_MARKDOWN_BYTES,
}


# Chromium connects to the hosts that these name before it asks the policy. `bgsound` may stand where they may,
# needs no end, and does nothing.
_CONNECTS: Final = re.compile(
    rb"<(?:link|meta|base|i?frame|frameset|fencedframe|portal|object|embed)(?=[\s/>])", re.IGNORECASE
)
_HARMLESS: Final = b"<bgsound"


class ShownPiece(NamedTuple):
    """One piece of evidence as a page shows it.

    Args:
        evidence: As the question names it.
        address: Where its bytes are served; of a link, where it leads.
        table: The table that it is.
        diff: The difference that it is.
        text: The Markdown that it is, as HTML.
        markdown: The Markdown as it was read, until it is made HTML.
    """

    evidence: Evidence
    address: str
    table: TablePreview | None = None
    diff: DiffPreview | None = None
    text: Markup | None = None
    markdown: str | None = None

    @property
    def size(self) -> str:
        """How large it is, for people."""
        return shown_size(self.evidence.size_bytes)

    @property
    def host(self) -> str:
        """The host that a link leads to."""
        try:
            return urlsplit(self.address).netloc.rpartition("@")[2]
        except ValueError:
            return ""


class Shown(NamedTuple):
    """All that is shown beside a question.

    Args:
        pieces: In the order of the question.
        trouble: Why it cannot be shown; the question cannot be answered then.
    """

    pieces: Sequence[ShownPiece] = ()
    trouble: str = ""

    @property
    def frames(self) -> bool:
        """Whether a page that shows it has frames."""
        return any(piece.evidence.kind == "html" for piece in self.pieces)


NOTHING: Final = Shown()


class EvidenceReader:
    """The evidence under one root.

    Args:
        store: Where it lies.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._turn = asyncio.Semaphore(_AT_ONCE)
        # What a text looks like, by its digest. The bytes are read and checked each time.
        self._texts: Memory[Markup] = Memory()
        self._making: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._sending = asyncio.Semaphore(_SENT_AT_ONCE)
        self._sending_of: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    async def require_unchanged(self, request: StoredRequest) -> None:
        """Make sure that all that is shown beside a question is as it was asked.

        Raises:
            EvidenceChanged: when it is not.
            StorageUnavailable: when the storage did not answer in time.
        """
        if request.document.evidence:
            async with self._turn:
                await check_evidence(self._store, request)

    async def beside(self, admitted: Admitted) -> Shown:
        """Return what a page shows beside a question, or why it cannot."""
        request = admitted.request
        if not request.document.evidence:
            return NOTHING
        try:
            async with self._turn:
                shown = _shown_texts(request.document.evidence)
                pieces = await all_of(
                    [partial(self._piece, admitted, each, shown) for each in request.document.evidence]
                )
        except (EvidenceChanged, ValidationError):
            return Shown(trouble=EVIDENCE_CHANGED)
        except StorageUnavailable:
            return Shown(trouble=UNAVAILABLE)
        # Others have their turn meanwhile: this may take long.
        return Shown([await self._rendered(each) for each in pieces])

    @asynccontextmanager
    async def sending(self, request_id: str) -> AsyncIterator[None]:
        """Let one piece of a question be sent while the block runs.

        Raises:
            TooMany: others are being sent for too long.
        """
        of_one = self._sending_of.setdefault(request_id, asyncio.Semaphore(_SENT_OF_ONE))
        async with _turn_of(of_one), _turn_of(self._sending):
            yield

    async def bytes_of(self, request: StoredRequest, evidence: Evidence) -> AsyncIterator[bytes]:
        """Return what yields the bytes of one piece. They are checked before the first is returned.

        Raises:
            EvidenceChanged: when they are not what was asked with the question.
            StorageUnavailable: when the storage did not answer in time.
        """
        if evidence.size_bytes > PART_BYTES:
            async with self._turn:
                await check_piece(self._store, request.request_id, evidence)
        parts = read_evidence(self._store, request.request_id, evidence)
        first = await anext(parts)

        async def whole() -> AsyncIterator[bytes]:
            yield first
            async for part in parts:
                yield part

        return whole()

    async def page_of(self, request: StoredRequest, evidence: Evidence) -> bytes:
        """Return a report as browsers get it: in UTF-8, without elements that name other hosts to connect to.

        Raises:
            EvidenceChanged, StorageUnavailable: as `bytes_of` does.
        """
        data = b"".join([part async for part in await self.bytes_of(request, evidence)])
        return _CONNECTS.sub(_HARMLESS, data.decode(errors="replace").encode())

    async def _piece(self, admitted: Admitted, evidence: Evidence, shown: Set[str]) -> ShownPiece:
        """Return a piece as a page shows it, read once: what the page holds of it, or to check it."""
        request_id = admitted.request.request_id
        if evidence.url:
            return ShownPiece(evidence, evidence.url)
        address = evidence_path(request_id, evidence, admitted.principal.link)
        most = _READ_WHOLE.get(evidence.kind)
        too_much = evidence.kind == "markdown" and evidence.sha256 not in shown
        if most is None or evidence.size_bytes > most or too_much:
            await check_piece(self._store, request_id, evidence)
            return ShownPiece(evidence, address)
        data = b"".join([part async for part in read_evidence(self._store, request_id, evidence)])
        match evidence.kind:
            case "table":
                return ShownPiece(evidence, address, table=TablePreview.model_validate_json(data))
            case "diff":
                return ShownPiece(evidence, address, diff=DiffPreview.model_validate_json(data))
        text = data.decode(errors="replace")
        return ShownPiece(evidence, address, markdown=text)

    async def _rendered(self, piece: ShownPiece) -> ShownPiece:
        text, sha256 = piece.markdown, piece.evidence.sha256
        if text is None:
            return piece
        if piece.evidence.size_bytes <= _AT_ONCE_BYTES:
            return piece._replace(text=markdown_once(text), markdown=None)
        # Several who open the page at once wait for the same.
        async with self._making.setdefault(sha256, asyncio.Lock()):
            kept = self._texts.get(sha256)
            if kept is None:
                made = await _thread.run(lambda: markdown_once(text))
                kept = Read(made, 0.0, _BYTES_PER_CHAR * len(made))
                self._texts.put(sha256, kept)
        return piece._replace(text=kept.value, markdown=None)


def _shown_texts(pieces: Sequence[Evidence]) -> Set[str]:
    """Return the digests of the texts that a page shows. Those beyond the bound of a page are links."""
    left, shown = MOST_SHOWN_BYTES, set()
    for each in pieces:
        if each.kind == "markdown" and each.size_bytes <= min(left, MAX_MARKDOWN_BYTES):
            left -= each.size_bytes
            shown.add(each.sha256)
    return shown


@asynccontextmanager
async def _turn_of(places: asyncio.Semaphore) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await places.acquire()
    except TimeoutError as error:
        raise TooMany("Too much evidence is loaded at the same time: try again.") from error
    try:
        yield
    finally:
        places.release()


def evidence_path(request_id: str, evidence: Evidence, link: str) -> str:
    """Return the path of a piece's bytes.

    Args:
        request_id: The question.
        evidence: The piece.
        link: The hash of the link by which the visitor came, which shows evidence and answers nothing; empty for
            who signed in.
    """
    query = f"?key={link}" if link else ""
    return f"/evidence/{request_id}/{evidence.sha256}{query}"


def evidence_headers(evidence: Evidence) -> dict[str, str]:
    """Return the header fields with which the bytes of a piece are sent."""
    kind, media_type = evidence.kind, evidence.media_type
    if is_page(evidence):
        media_type = "text/html; charset=utf-8"
    elif kind == "markdown" or media_type == "text/plain":
        media_type = "text/plain; charset=utf-8"
    elif kind in ("table", "diff"):
        media_type = "application/json"
    elif media_type not in RASTER_IMAGES:
        # The media type is hidden unless we show the file: some browsers open a PDF even as a download.
        media_type = "application/octet-stream"
    inline = kind == "markdown" or is_page(evidence) or evidence.media_type in _INLINE
    name = shown_name(evidence.name)
    plain = "".join(each if each.isascii() and (each.isalnum() or each in " ._-") else "_" for each in name)
    how = "inline" if inline else "attachment"
    return {
        "Content-Type": media_type,
        "Content-Disposition": f"{how}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}",
        "Content-Security-Policy": SANDBOX,
        "X-DNS-Prefetch-Control": "off",
        "Accept-Ranges": "none",
    }


def is_page(evidence: Evidence) -> bool:
    """Tell whether a piece is a report that browsers show."""
    return evidence.kind == "html" and evidence.size_bytes <= MAX_HTML_BYTES


def listed(request: StoredRequest, sha256: str) -> Evidence | None:
    """Return the piece of a question's evidence that has a digest; None: it lists none."""
    return next((each for each in request.document.evidence if each.sha256 and each.sha256 == sha256), None)
