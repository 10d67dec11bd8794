"""Deadlines that nobody settled, as when the program that asked was killed and no operator serves the root."""

from __future__ import annotations

from hitl.core.lifecycle import GRACE
from hitl.errors import DocumentDamaged, RequestNotFound
from hitl.records.index import open_rows
from hitl.records.outcomes import expire
from hitl.records.records import Records
from hitl.records.requests import read_request


async def settle_due(records: Records) -> list[str]:
    """Settle each question of the index whose deadline is due.

    Damaged questions are skipped: the readers of the index find and report them.

    Args:
        records: Where the questions lie.

    Returns:
        The ids of the questions that have an outcome now.

    Raises:
        ClockApart: when the records' clock is not the storage's; nothing is settled.
        StorageUnavailable: when the storage did not answer in time; calling again goes on from there.
    """
    now = records.now()
    await records.store.require_clock(now)
    # A row has whole seconds. Only the question has the exact deadline.
    due = [row.request_id async for row, _ in open_rows(records.store) if row.expires_at + GRACE <= now]
    settled = []
    for request_id in sorted(due):
        try:
            request = await read_request(records.store, request_id)
            if await expire(records, request, now=now) is not None:
                settled.append(request_id)
        except (DocumentDamaged, RequestNotFound):
            continue
    return settled
