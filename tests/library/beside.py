"""What tests show beside a question, and how it gets into a root."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

from hitl.author.evidence import Shown, pieces_of
from hitl.core.evidence import Evidence
from hitl.records.evidence import Piece, store_evidence
from hitl.storage import Store


def png(width: int = 8, height: int = 8, filler: bytes = b"") -> bytes:
    """A picture, as large as the filler makes it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    lines = b"".join(b"\0" + b"\x20\x80\xc0" * width for _ in range(height))
    parts = [chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(lines)), chunk(b"IEND", b"")]
    if filler:
        parts.insert(1, chunk(b"teXt", filler))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


async def stored(store: Store, request_id: str, shown: Sequence[Shown]) -> list[Evidence]:
    """Write evidence as an asker does, before its question; return what the question names."""
    pieces = await pieces_of(shown)
    await store_evidence(store, request_id, pieces)
    return [piece.evidence for piece in pieces]


async def stored_as(store: Store, request_id: str, evidence: Evidence, data: bytes) -> Evidence:
    """Write bytes as evidence, whatever the asker would say to them."""
    await store_evidence(store, request_id, [Piece(evidence, data)])
    return evidence
