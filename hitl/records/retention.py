"""The only way to deletion: settled requests after their time, and what crashes left behind.

A request goes in three steps, a quarter of an hour apart, so that nobody who holds it in memory can give it a
second outcome (`hitl.records.outcomes` looks at the question at most a minute before it creates an outcome):

1. Links, markers and the question go, then the marker `_deleted/{id}` is written. Nothing is recorded for it from
   now on, and nobody can ask under its id while the outcome or that marker is there.
2. The outcome goes, and the marker is written again.
3. The marker goes.

An interrupted deletion is finished by the next one. All ages are counted by the storage's own clock.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, TypeVar

from hitl.core import keys
from hitl.core.documents import OutcomeDocument, RequestDocument
from hitl.core.lifecycle import collectable
from hitl.errors import DocumentDamaged, RequestNotFound, StorageUnsuitable
from hitl.records.requests import read_outcome, read_request, require_own
from hitl.storage import Store

STALE: Final = timedelta(minutes=15)

_TOO_LATELY: Final = (
    "a program may still wait for it: less than a day has passed since its deadline or its outcome"
)
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
    left: Callable[[str, str], None] | None = None,
) -> list[str]:
    """Delete the requests that are settled for longer than `retention`, and stale markers and probes.

    Pending requests are never deleted, nor any within a day after its deadline or its outcome. A damaged outcome
    is left alone, with a warning in the log. Outcomes go in a later call, 15 minutes after the rest.

    Args:
        store: The root.
        now: The present moment, with a time zone. It must be the storage's too.
        retention: How long a request is kept after its outcome; less than a day counts as a day.
        dry_run: Delete nothing.
        progress: Called with the number of requests looked at and the number of all.
        left: Called with the id of each request that is kept longer than `retention`, and why; else the log tells.

    Returns:
        The ids of the requests that were deleted, or would be, in their order.

    Raises:
        ClockApart: when `now` is not the storage's time; nothing is deleted.
        StorageUnavailable: when the storage did not answer in time; calling again goes on from there.
    """
    await store.require_clock(now)
    found = await store.list_request_ids()
    collected: list[str] = []
    for start in range(0, len(found), _AT_ONCE):
        batch = found[start : start + _AT_ONCE]
        due = await _all_of([_due(store, request_id, now, retention, left) for request_id in batch])
        chosen = [request_id for request_id, is_due in zip(batch, due, strict=True) if is_due]
        if not dry_run:
            gone = await _all_of([_deleted(store, request_id, left or _logged) for request_id in chosen])
            chosen = [request_id for request_id, is_gone in zip(chosen, gone, strict=True) if is_gone]
        collected += chosen
        if progress is not None:
            progress(start + len(batch), len(found))
    if not dry_run:
        await drop_stale(store, now=now)
    return collected


async def collect_one(store: Store, request_id: str, *, now: datetime, retention: timedelta) -> bool:
    """Delete one request, if it is settled for longer than `retention`; tell whether it was. As `collect` does.

    Raises:
        ClockApart: when `now` is not the storage's time; nothing is deleted.
        StorageUnavailable: when the storage did not answer in time; calling again is safe.
    """
    await store.require_clock(now)
    due = await _due(store, request_id, now, retention, None)
    if due:
        await _delete(store, request_id)
    return due


async def drop_stale(store: Store, *, now: datetime) -> list[str]:
    """Delete what served nobody for 15 minutes: markers, probes, parts of files, outcomes of deleted questions.

    Args:
        store: The root.
        now: The present moment, with a time zone. It must be the storage's too.

    Returns:
        The keys of what was deleted.

    Raises:
        ClockApart: when `now` is not the storage's time; nothing is deleted.
        StorageUnavailable: when the storage did not answer in time; calling again is safe.
    """
    await store.require_clock(now)
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
    deleted = [each for each in await store.list_markers(keys.DELETED) if now - each.written_at >= STALE]
    for start in range(0, len(deleted), _AT_ONCE):
        batch = deleted[start : start + _AT_ONCE]
        stale += await _all_of([_finish(store, each.request_id) for each in batch])
    return [*stale, *await store.drop_parts(now - STALE)]


async def _finish(store: Store, request_id: str) -> str:
    """Do the next step of a deletion whose last one is a quarter of an hour ago; return the key that went."""
    marker, outcome = keys.deleted_marker(request_id), keys.response_key(request_id)
    if await store.exists(keys.request_key(request_id)):
        # A release that does not know these markers asked it again: what lies there belongs to that question now.
        _log.warning("request %s was asked again while it was deleted: its outcome is left alone", request_id)
    elif await store.exists(outcome):
        await store.delete(outcome)
        await store.mark(marker)
        return outcome
    await store.delete(marker)
    return marker


async def _due(
    store: Store, request_id: str, now: datetime, retention: timedelta, left: Callable[[str, str], None] | None
) -> bool:
    try:
        outcome = await read_outcome(store, request_id)
        # Most requests are settled lately or not at all: the question is read only for the others.
        if outcome is None or not collectable(None, outcome, now, retention):
            if left is not None and outcome is not None and now - outcome.answered_at >= retention:
                left(request_id, _TOO_LATELY)
            return False
        due = collectable(await _question(store, request_id, outcome), outcome, now, retention)
    except (DocumentDamaged, StorageUnsuitable) as error:
        (left or _logged)(request_id, str(error))
        return False
    except RequestNotFound:
        # A deletion was interrupted, or somebody recorded an outcome for a question that was deleted.
        return not await store.exists(keys.deleted_marker(request_id))
    if left is not None and not due:
        left(request_id, _TOO_LATELY)
    return due


def _logged(request_id: str, why: str) -> None:
    _log.warning("%s left alone: %s", request_id, why)


async def _question(store: Store, request_id: str, outcome: OutcomeDocument) -> RequestDocument | None:
    try:
        request = await read_request(store, request_id)
    except DocumentDamaged:
        # It cannot be answered any more.
        return None
    require_own(request, outcome)
    return request.document


async def _deleted(store: Store, request_id: str, left: Callable[[str, str], None]) -> bool:
    try:
        await _delete(store, request_id)
    except (DocumentDamaged, StorageUnsuitable) as error:
        # One request that cannot be deleted keeps no other one.
        left(request_id, str(error))
        return False
    return True


async def _delete(store: Store, request_id: str) -> None:
    for key in [key async for key, _ in store.list_keys(keys.links_prefix(request_id))]:
        await store.delete(key)
    await store.delete(keys.new_marker(request_id))
    await store.delete(keys.answered_marker(request_id))
    await store.delete(keys.request_key(request_id))
    await store.mark(keys.deleted_marker(request_id))


async def _all_of(calls: Sequence[Awaitable[_T]]) -> list[_T]:
    # All come to an end before the first error is raised, so that nothing goes on in the background.
    results = await asyncio.gather(*calls, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]
