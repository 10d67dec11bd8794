"""Evidence in storage: it is written before its question, and trusted only if its digest is right."""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, TypeVar

from hitl.core import keys
from hitl.core.documents import sha256_hex
from hitl.core.evidence import Evidence
from hitl.errors import DocumentDamaged
from hitl.records.requests import StoredRequest
from hitl.storage import Store, all_of

PART_BYTES: Final = 1024 * 1024
"""How much is read at once."""
T = TypeVar("T")


class EvidenceChanged(DocumentDamaged):
    """The evidence in storage differs from what was asked with the question. No answer to it is taken."""


@dataclass(frozen=True)
class Piece:
    """One piece of evidence, on its way to storage.

    Args:
        evidence: As the question names it.
        data: Its bytes; none for a link.
    """

    evidence: Evidence
    data: bytes = field(default=b"", repr=False)


async def store_evidence(store: Store, request_id: str, pieces: Sequence[Piece]) -> None:
    """Write the evidence of a question that is not stored yet. Pieces that are there already are not sent again.

    Nobody sees any of it before the question is stored, which comes after this. What a program leaves that ends in
    between, `hitl.records.retention` deletes after a day.

    Raises:
        StorageUnavailable: when the storage did not answer in time; calling again sends what is missing.
        StorageUnsuitable: when it does not create exclusively, or may not be written.
    """
    wanted = {piece.evidence.sha256: piece.data for piece in pieces if piece.evidence.sha256}
    if not wanted or await store.exists(keys.request_key(request_id)):
        return
    prefix = keys.evidence_prefix(request_id)
    there = {key.rpartition("/")[2] async for key, _ in store.list_keys(prefix)}
    await store.prove()
    for sha256, data in wanted.items():
        if sha256 not in there:
            await store.create_once(keys.evidence_key(request_id, sha256), data)


async def read_evidence(store: Store, request_id: str, evidence: Evidence) -> AsyncIterator[bytes]:
    """Yield the bytes of one piece, some at a time. The last ones come only if the digest of all is right.

    Raises:
        EvidenceChanged: when it is not, or when the piece is missing.
        StorageUnavailable: when the storage did not answer in time.
    """
    key = keys.evidence_key(request_id, evidence.sha256)
    if evidence.size_bytes <= PART_BYTES:
        data = await _looked(key, store.read(key))
        if data is None or len(data) != evidence.size_bytes or sha256_hex(data) != evidence.sha256:
            raise _changed(key)
        yield data
        return
    if await _looked(key, store.size(key)) != evidence.size_bytes:
        raise _changed(key)
    digest = hashlib.sha256()
    for start in range(0, evidence.size_bytes, PART_BYTES):
        length = min(PART_BYTES, evidence.size_bytes - start)
        part = await _looked(key, store.read_part(key, start, length))
        if part is None or len(part) != length:
            raise _changed(key)
        digest.update(part)
        if start + length == evidence.size_bytes and digest.hexdigest() != evidence.sha256:
            raise _changed(key)
        yield part


async def check_evidence(store: Store, request: StoredRequest) -> None:
    """Make sure that all that is shown beside a question is in storage as it was asked.

    Raises:
        EvidenceChanged: when it is not; no answer may be taken then.
        StorageUnavailable: when the storage did not answer in time.
    """
    # The same bytes may be named twice.
    different = {(each.sha256, each.size_bytes): each for each in request.document.evidence if each.sha256}
    await all_of([partial(check_piece, store, request.request_id, each) for each in different.values()])


async def check_piece(store: Store, request_id: str, evidence: Evidence) -> None:
    """Make sure that the bytes of one piece are in storage as they were asked.

    Raises:
        EvidenceChanged: when they are not.
        StorageUnavailable: when the storage did not answer in time.
    """
    async for _ in read_evidence(store, request_id, evidence):
        pass


async def _looked(key: str, looking: Awaitable[T]) -> T:
    try:
        return await looking
    except DocumentDamaged as error:
        # It is too large, or no file.
        raise _changed(key) from error


def _changed(key: str) -> EvidenceChanged:
    return EvidenceChanged(key, "it is missing, or not what was asked with its question")
