"""The only way to deletion: settled questions after their time, and objects that crashes left behind.

A question goes in three steps, 15 minutes apart, so that no process that holds it in memory can give it a
second outcome (`hitl.records.outcomes` looks at the question at most a minute before it creates an outcome):

1. Links, evidence, files, markers and the question go. Nothing is recorded for it from now on, and nobody can
   ask under its id while the outcome is there.
2. The id is written to a list, ``_deleted/_{nn}``, then the outcome and the row of the index go. Nobody can ask
   under an id that is in such a list: the deletion of an outcome may be sent twice, and must not meet another one.
3. The list goes.

Evidence is written before its question. Evidence that is a day old and has no question is deleted by the marker
``_deleted/{id}``.

The index says which questions are due (``_settled/{day}``). A row is trusted only if it agrees with the objects
that the storage lists. Otherwise question and outcome are read. One process at a time deletes under a
root (`hitl.records.deletion`), a thousand objects at once. An interrupted deletion is finished by the next one.
All ages are counted by the storage's own clock.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from hitl.core import keys
from hitl.records import deletion
from hitl.records.due import Left, is_due, logged
from hitl.records.index import completed_at
from hitl.records.listing import Walk
from hitl.records.passes import Pass
from hitl.records.scan import Scan
from hitl.storage import Store, all_of

STALE: Final = deletion.STALE
# A question that an older release asked or settled is not in the index until a full scan finds it.
_SCANNED_EVERY: Final = timedelta(days=7)
_log = logging.getLogger(__name__)


async def collect(
    store: Store,
    *,
    now: datetime,
    retention: timedelta,
    dry_run: bool = False,
    full: bool = False,
    looked: Callable[[int], None] = lambda _: None,
    left: Left | None = None,
) -> list[str]:
    """Delete the requests that are settled for longer than `retention`, and stale markers and probes.

    Pending requests are never deleted, nor any within a day after its deadline or its outcome. A damaged outcome
    is left alone, with a warning in the log. Outcomes go in a later call, 15 minutes after the rest.

    Args:
        store: The root.
        now: The present moment, with a time zone. It must be the storage's too.
        retention: How long a request is kept after its outcome; less than a day counts as a day.
        dry_run: Delete nothing.
        full: Look at all that is there, and repair the index, even if that was done in the last week.
        looked: Called with the number of questions that were looked at since the last call.
        left: Called with the id of each request that is kept longer than `retention`, and why; else the log tells.

    Returns:
        The ids of the requests that were deleted, or would be, in their order.

    Raises:
        ClockApart: when `now` is not the storage's time; nothing is deleted.
        StorageUnavailable: when the storage did not answer in time, or another process deletes under the root;
            calling again goes on from there.
    """
    await store.require_clock(now)
    scanned_at = await completed_at(store)
    if dry_run and scanned_at is None:
        return await _would_go(store, now, retention, looked, left)
    if not dry_run and (full or scanned_at is None or abs(now - scanned_at) >= _SCANNED_EVERY):
        await scan_all(store, now=now, looked=looked, left=left)
    collected = await run_pass(store, now=now, retention=retention, dry_run=dry_run, looked=looked, left=left)
    if not dry_run:
        await drop_stale(store, now=now)
    return collected


async def scan_all(
    store: Store, *, now: datetime, looked: Callable[[int], None] = lambda _: None, left: Left | None = None
) -> None:
    """Look at all that is under a root, and write the rows of the index that are missing.

    Raises:
        StorageUnavailable: when the storage did not answer in time; calling again is safe.
    """
    scan = Scan(store, lambda _: looked(1), left or logged)
    while await scan.step(now):
        pass


async def run_pass(
    store: Store,
    *,
    now: datetime,
    retention: timedelta,
    dry_run: bool = False,
    looked: Callable[[int], None] = lambda _: None,
    left: Left | None = None,
) -> list[str]:
    """Delete what is due by the index. Arguments, result and errors as of `collect`."""
    await store.require_clock(now)
    held = None if dry_run else await deletion.claim(store, now=now, stale=STALE)
    deleted_at = None if held is None else held.deleted_at
    quiet = None if deleted_at is None else now - deleted_at >= STALE
    deleted: list[str] = []
    one = Pass(
        store, held, now=now, retention=retention, quiet=quiet, deleted=deleted.append, looked=looked, left=left
    )
    try:
        await one.run()
    except asyncio.CancelledError:
        # It may be started again.
        await _end(held, deleted=one.deleted_any)
        raise
    # After any other error, deletions may still be under way. So the claim stays until it runs out.
    await _end(held, deleted=one.deleted_any)
    return deleted


async def _end(held: deletion.Claim | None, *, deleted: bool) -> None:
    if held is not None:
        await held.end(deleted=deleted)


async def _would_go(
    store: Store, now: datetime, retention: timedelta, looked: Callable[[int], None], left: Left | None
) -> list[str]:
    """Return what would be deleted, where there is no index yet."""
    walk, found = Walk(store), []
    while (page := await walk.step()) is not None:
        settled = [each.request_id for each in page if each.settled_at is not None]
        due = await all_of([partial(is_due, store, each, now, retention, left) for each in settled])
        found += [each for each, (is_so, _) in zip(settled, due, strict=True) if is_so]
        looked(len(page))
    return found


async def drop_stale(store: Store, *, now: datetime) -> list[str]:
    """Delete what nobody needed for 15 minutes: markers, probes, parts of files, outcomes without a question.

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
        old = [each.request_id for each in await store.list_markers(prefix) if now - each.written_at >= STALE]
        there = await all_of([partial(store.exists, announced(each)) for each in old])
        stale += [marker_key(each) for each, is_there in zip(old, there, strict=True) if not is_there]
    await store.delete_many(stale)
    old = [key async for key, written_at in store.list_keys(keys.DELETED) if now - written_at >= STALE]
    lists = [key for key in old if _is_list(key)]
    await store.delete_many(lists)
    marked = [name for key in old if keys.is_request_id(name := key.rpartition("/")[2])]
    stale += [*lists, *await all_of([partial(_finish, store, each) for each in marked])]
    return [*stale, *await store.drop_parts(now - STALE)]


async def _finish(store: Store, request_id: str) -> str:
    """Go on with a deletion that an older release began, or with an outcome whose question is missing.

    The marker ``_deleted/{id}`` shows either. Nobody can ask under the id while outcome or marker are there.

    Returns:
        The key that went.
    """
    marker, outcome = keys.deleted_marker(request_id), keys.response_key(request_id)
    folder = keys.question_prefix(request_id)
    if await store.exists(keys.request_key(request_id)):
        # A release that does not know these markers asked it again. The objects belong to the new question now.
        _log.warning("request %s was asked again while it was deleted: its outcome is left alone", request_id)
    elif await store.exists(outcome):
        await store.delete(outcome)
        await store.mark(marker)
        return outcome
    elif left := [key async for key, _ in store.list_keys(folder) if key != folder]:
        # Evidence of a question that was never stored. Until the marker is gone, that question cannot be asked.
        await store.delete_many(left)
        await store.mark(marker)
        return left[0]
    await store.delete(marker)
    return marker


def _is_list(key: str) -> bool:
    return key.startswith(f"{keys.DELETED}/_")
