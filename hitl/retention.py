"""The only way to deletion: settled requests after their time, and what crashes left behind.

A request goes piece by piece, and its outcome last: were it to go first, the question would be pending again and
could get a second outcome. An interrupted deletion is finished by the next one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, TypeVar

from hitl import keys
from hitl.documents import RequestDocument
from hitl.errors import DocumentDamaged, RequestNotFound
from hitl.requests import read_outcome, read_request
from hitl.storage import Store
from hitl.transitions import collectable

STALE: Final = timedelta(minutes=15)

_AT_ONCE: Final = 16
_T = TypeVar("_T")
_log = logging.getLogger(__name__)


async def collect(
    store: Store,
    *,
    now: datetime,
    retention: timedelta,
    dry_run: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> list[str]:
    """Delete the requests that are settled for longer than `retention`, and stale markers and probes.

    Pending requests are never deleted, nor any whose deadline is still to come. A damaged outcome is left alone,
    with a warning in the log.

    Args:
        store: The root.
        now: The present moment, with a time zone.
        retention: How long a request is kept after its outcome.
        dry_run: Delete nothing.
        progress: Called with the number of requests looked at and the number of all.

    Returns:
        The ids of the requests that were deleted, or would be, in their order.

    Raises:
        StorageUnavailable: when the storage did not answer in time; calling again goes on from there.
    """
    found = await store.list_request_ids()
    collected: list[str] = []
    for start in range(0, len(found), _AT_ONCE):
        batch = found[start : start + _AT_ONCE]
        due = await _all_of([_due(store, request_id, now, retention) for request_id in batch])
        chosen = [request_id for request_id, is_due in zip(batch, due, strict=True) if is_due]
        if not dry_run:
            await _all_of([_delete(store, request_id) for request_id in chosen])
        collected += chosen
        if progress is not None:
            progress(start + len(batch), len(found))
    if not dry_run:
        await drop_stale(store, now=now)
    return collected


async def collect_one(store: Store, request_id: str, *, now: datetime, retention: timedelta) -> bool:
    """Delete one request, if it is settled for longer than `retention`; tell whether it was.

    Raises:
        StorageUnavailable: when the storage did not answer in time; calling again is safe.
    """
    due = await _due(store, request_id, now, retention)
    if due:
        await _delete(store, request_id)
    return due


async def drop_stale(store: Store, *, now: datetime) -> list[str]:
    """Delete markers that have announced nothing for 15 minutes, and probes and unfinished files as old.

    Args:
        store: The root.
        now: The present moment, with a time zone; compared with the storage's own clock.

    Returns:
        The keys of what was deleted.

    Raises:
        StorageUnavailable: when the storage did not answer in time; calling again is safe.
    """
    stale = [key async for key, written_at in store.list_keys(keys.PROBES) if now - written_at >= STALE]
    for prefix, marker_key, announced in (
        (keys.NEW, keys.new_marker, keys.request_key),
        (keys.ANSWERED, keys.answered_marker, keys.response_key),
    ):
        stale += [
            marker_key(marker.request_id)
            for marker in await store.list_markers(prefix)
            if now - marker.written_at >= STALE and not await store.exists(announced(marker.request_id))
        ]
    for key in stale:
        await store.delete(key)
    return [*stale, *await store.drop_parts(now - STALE)]


async def _due(store: Store, request_id: str, now: datetime, retention: timedelta) -> bool:
    try:
        outcome = await read_outcome(store, request_id)
    except DocumentDamaged as error:
        _log.warning("left alone: %s", error)
        return False
    # Most requests are settled lately or not at all: the question is read only for the others.
    if not collectable(None, outcome, now, retention):
        return False
    return collectable(await _question(store, request_id), outcome, now, retention)


async def _question(store: Store, request_id: str) -> RequestDocument | None:
    try:
        return (await read_request(store, request_id)).document
    except (RequestNotFound, DocumentDamaged):
        # Neither can be answered any more.
        return None


async def _delete(store: Store, request_id: str) -> None:
    for key in [key async for key, _ in store.list_keys(keys.links_prefix(request_id))]:
        await store.delete(key)
    await store.delete(keys.new_marker(request_id))
    await store.delete(keys.answered_marker(request_id))
    await store.delete(keys.request_key(request_id))
    await store.delete(keys.response_key(request_id))


async def _all_of(calls: Sequence[Awaitable[_T]]) -> list[_T]:
    # All come to an end before the first error is raised, so that nothing goes on in the background.
    results = await asyncio.gather(*calls, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]
