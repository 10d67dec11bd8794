"""The creation of an outcome: the one place that creates `response.json`, and reads back which one stands.

The marker is written first. So an operator that sweeps markers finds an outcome whose writer died right after its
creation. A deleted question gets no outcome: a process that holds the question in memory reads it from storage
right before the creation (see `hitl.records.retention` for the other half).
"""

from contextlib import suppress
from typing import Final, NamedTuple

from hitl.core import keys
from hitl.core.documents import OutcomeDocument
from hitl.errors import RequestNotFound, StorageError, StorageUnavailable
from hitl.records.index import note_settled
from hitl.records.records import Records
from hitl.records.requests import StoredRequest, is_stored, read_outcome_of
from hitl.storage import Store

# A sweep deletes a marker without an outcome after 15 minutes, and an outcome 15 minutes after its question. So a
# look at the question that precedes the creation of an outcome must be much younger than that.
FRESH_SECONDS: Final = 60.0


class Looked(NamedTuple):
    """A look at a question in storage, before somebody answers it.

    Args:
        at: The value of `Records.ticks` before this very question was last read from storage, or when it was
            certain that nobody had deleted it.
        unanswered: Whether the look found that there is no outcome. False: nobody has looked for one.
    """

    at: float
    unanswered: bool = False


async def create_or_read(
    records: Records, request: StoredRequest, mine: OutcomeDocument, looked: Looked | None = None
) -> tuple[OutcomeDocument, bool]:
    """Create an outcome unless there is one; return the one that stands, and whether it was just created.

    Raises:
        RequestNotFound: the question is not in storage any more; nothing was written.
    """
    key = keys.response_key(request.request_id)
    created, seen_at = False, None if looked is None else looked.at
    if await _seen_settled(records, key, looked):
        standing = await _read_back(records.store, request)
    else:
        seen_at = await announce(records, request, seen_at)
        standing, created = await _created(records.store, request, mine)
    # An outcome that equals this one was created by it: only the reply was lost.
    is_mine = created or standing == mine
    if seen_at is not None:
        await require_still_there(records, request, seen_at, key if is_mine else None)
    if is_mine:
        await note_settled(records, request.document, standing)
    return standing, created


async def _seen_settled(records: Records, key: str, looked: Looked | None) -> bool:
    """Look for an outcome first where an operator listens, so that no marker announces a submission that lost.

    Elsewhere there is no marker, and the creation itself finds the outcome.
    """
    if not records.announce or (looked is not None and looked.unanswered):
        return False
    return await records.store.exists(key)


async def _created(store: Store, request: StoredRequest, mine: OutcomeDocument) -> tuple[OutcomeDocument, bool]:
    try:
        created = await store.create_once(keys.response_key(request.request_id), mine.to_bytes())
    except StorageUnavailable:
        # The object may have been created before the reply was lost. Only reading it back tells.
        standing = await read_outcome_of(store, request)
        if standing is None:
            raise
        return standing, False
    return (mine, True) if created else (await _read_back(store, request), False)


async def _read_back(store: Store, request: StoredRequest) -> OutcomeDocument:
    standing = await read_outcome_of(store, request)
    if standing is None:
        key = keys.response_key(request.request_id)
        raise StorageUnavailable(f"{key} exists but cannot be read yet: try again")
    return standing


async def announce(records: Records, request: StoredRequest, seen_at: float | None) -> float:
    """Make sure that the question is still there, write the marker, and return when it was last looked at.

    The time is taken before the calls, as the storage may have executed them long before it answered. Between the
    return and the call that creates, nothing else may be awaited.

    Raises:
        RequestNotFound: the question is not in storage any more.
    """
    while True:
        if seen_at is None:
            seen_at = records.ticks()
            if not await is_stored(records.store, request):
                raise gone(request)
        if records.announce:
            await records.store.mark(keys.answered_marker(request.request_id))
        if records.ticks() - seen_at <= FRESH_SECONDS:
            return seen_at
        seen_at = None


def gone(request: StoredRequest) -> RequestNotFound:
    """Return the error for a question that is not in storage any more."""
    return RequestNotFound(
        f"question {request.request_id} was deleted meanwhile: nothing is recorded for it any more"
    )


async def require_still_there(
    records: Records, request: StoredRequest, seen_at: float, created: str | None
) -> None:
    """Delete again an object that was created too late, for a question that was deleted meanwhile.

    Args:
        records: Where the question lies.
        request: The question.
        seen_at: The time that `announce` returned before the creation.
        created: The key of the created object; None: nothing was created.

    Raises:
        RequestNotFound: the question is not in storage any more.
    """
    if records.ticks() - seen_at <= FRESH_SECONDS or await is_stored(records.store, request):
        return
    if created is not None:
        # Without the right to delete, the object stays. An object without its question is ignored, and the
        # retention removes it.
        with suppress(StorageError):
            await records.store.delete(created)
    raise gone(request)
