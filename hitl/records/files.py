"""Files that answer, in storage: in parts, before the outcome that names them, and believed by their digest."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from typing import Final

from hitl.core import keys
from hitl.core.evidence import media_type_of
from hitl.core.files import FILE_PART_BYTES, FileValue
from hitl.errors import DocumentDamaged, InvalidValue
from hitl.storage import Store

_FILES_EACH: Final = 16


class FileTooLarge(InvalidValue):
    """The file has more bytes than it may have."""


async def require_room(store: Store, request_id: str, most: int) -> None:
    """Refuse another file for a question for which much was sent already, none of which became its answer.

    Nobody can tell here which of it an outcome will name, so all of it lies until the question is deleted.

    Args:
        store: Where the question lies.
        request_id: The question.
        most: How many bytes a file may have.

    Raises:
        FileTooLarge: there is as much as 16 of the largest files. Small ones count as one part each.
        StorageUnavailable: when the storage did not answer in time.
    """
    room = _FILES_EACH * -(-most // FILE_PART_BYTES)
    async for _ in store.list_keys(keys.answers_prefix(request_id)):
        room -= 1
        if room <= 0:
            raise FileTooLarge(
                "Too much was sent for this question that did not become its answer: nothing more is taken. "
                "Decline to answer, or ask the sender to ask again."
            )


async def upload(
    store: Store, request_id: str, submission_id: str, name: str, data: AsyncIterable[bytes], most: int
) -> FileValue:
    """Write a file, and return the value that an answer has for it. Only one part of it is in memory at a time.

    This records no outcome. The file lies with the question, and is deleted with it.

    Args:
        store: Where the question lies.
        request_id: The question.
        submission_id: The submission that will name the file. It must be new: a random one.
        name: What the sender calls it.
        data: Its bytes, in pieces of any size.
        most: How many bytes it may have.

    Raises:
        InvalidValue: it is empty. `FileTooLarge`: it is larger.
        StorageUnavailable: when the storage did not answer in time.
    """

    async def write(number: int, part: bytes) -> None:
        if not await store.create_once(keys.answer_part_key(request_id, submission_id, number), part):
            raise InvalidValue("This submission was sent before: send it again as a new one.")

    return await _received(name, data, most, write)


async def describe(name: str, data: AsyncIterable[bytes], most: int) -> FileValue:
    """Return the value that an answer has for a file, whose bytes are not kept.

    Arguments and errors are those of `upload`.
    """

    async def leave(_number: int, _part: bytes) -> None:
        """Keep nothing."""

    return await _received(name, data, most, leave)


async def _received(
    name: str, data: AsyncIterable[bytes], most: int, write: Callable[[int, bytes], Awaitable[None]]
) -> FileValue:
    digest, size, number, kept, media_type = hashlib.sha256(), 0, 0, bytearray(), ""
    async for piece in data:
        size += len(piece)
        if size > most:
            raise FileTooLarge(f"The file has more than {most:,} bytes: nothing was recorded.")
        digest.update(piece)
        kept += piece
        while len(kept) >= FILE_PART_BYTES:
            media_type = media_type or media_type_of(bytes(kept[:FILE_PART_BYTES]))
            await write(number, bytes(kept[:FILE_PART_BYTES]))
            number += 1
            del kept[:FILE_PART_BYTES]
    if not size:
        raise InvalidValue("The file is empty: choose another one.")
    if kept:
        media_type = media_type or media_type_of(bytes(kept))
        await write(number, bytes(kept))
    return FileValue.named(name, media_type, size, digest.hexdigest())


async def download(store: Store, request_id: str, submission_id: str, file: FileValue) -> AsyncIterator[bytes]:
    """Yield the bytes of a file that answered, some at a time. The last ones come only if the digest is right.

    Args:
        store: Where the question lies.
        request_id: The question.
        submission_id: The outcome's submission.
        file: The outcome's value.

    Raises:
        DocumentDamaged: when a part is missing or was changed.
        StorageUnavailable: when the storage did not answer in time.
    """
    digest, left, number = hashlib.sha256(), file.size_bytes, 0
    while left:
        key = keys.answer_part_key(request_id, submission_id, number)
        part = await store.read(key)
        if part is None or len(part) != min(FILE_PART_BYTES, left):
            raise DocumentDamaged(key, "it is missing, or not what was uploaded")
        digest.update(part)
        left, number = left - len(part), number + 1
        if not left and digest.hexdigest() != file.sha256:
            raise DocumentDamaged(key, "the file is not what was uploaded: its digest differs")
        yield part
