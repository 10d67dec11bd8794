"""The next step of the retention for a settled question, by its rows in the index and its objects in storage."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, TypeAlias

from hitl.core.documents import OutcomeDocument, RequestDocument
from hitl.core.keys import SettledRow
from hitl.core.lifecycle import KEPT_AT_LEAST, collectable
from hitl.errors import DocumentDamaged, RequestNotFound, StorageUnsuitable
from hitl.records.listing import Listed
from hitl.records.requests import read_outcome, read_request, require_own
from hitl.storage import Store

Left: TypeAlias = Callable[[str, str], None]
Row: TypeAlias = tuple[SettledRow, datetime]
"""A row, and when it was written, by the storage's own clock."""

Verdict: TypeAlias = Literal["keep", "read", "delete", "finish", "orphan", "drop row"]

TOO_LATELY: Final = "a program may still wait for it: less than a day has passed since its deadline or its outcome"
# An outcome at midnight may be written on the next day, and clocks may be half a minute apart.
_AROUND_MIDNIGHT: Final = timedelta(minutes=2)
_log = logging.getLogger("hitl.records.retention")


def verdict(
    listed: Listed, rows: Sequence[Row], *, now: datetime, retention: timedelta, quiet: bool | None
) -> Verdict:
    """Return what is to be done about a question that has a row in the index.

    Args:
        listed: What the storage lists of it.
        rows: Its rows.
        now: The present moment, with a time zone.
        retention: How long it is kept after its outcome; less than a day counts as a day.
        quiet: Whether nobody deleted a question for 15 minutes; None: nobody ever did.

    Returns:
        ``keep``: nothing. ``read``: read question and outcome, the row alone does not say. ``delete``: the first
        step. ``finish``: the second. ``orphan``: its question is missing, and nobody deleted it. ``drop row``: the
        row is stale.
    """
    if not listed.objects or (listed.settled_at is None and listed.asked_at is not None):
        return "drop row"
    if listed.asked_at is None:
        if quiet is None and listed.settled_at is not None:
            return "orphan"
        return "finish" if quiet is not False else "keep"
    assert listed.settled_at is not None
    # Of several rows only the question says which has its deadline.
    row = rows[0][0] if len(rows) == 1 and _tells_of(*rows[0], listed.settled_at) else None
    # If the question is younger than its outcome, a release that does not know of deletions asked it again.
    if row is None or listed.asked_at > listed.settled_at:
        return "read"
    if now - listed.settled_at < max(retention, KEPT_AT_LEAST):
        return "keep"
    if now - row.expires_by >= KEPT_AT_LEAST:
        return "delete"
    # If the row does not hold the exact deadline, only the question tells whether it has passed.
    return "keep" if row.expires_at is not None else "read"


def surely_kept(row: SettledRow, written_at: datetime, *, now: datetime, retention: timedelta) -> bool:
    """Tell whether a row alone says that its question is not due, so that nothing else need be listed."""
    if row.expires_at is not None and now - row.expires_at < KEPT_AT_LEAST:
        return True
    # A row of the same day was written right after its outcome, and never before it.
    same_day = written_at.astimezone(UTC).date() == row.day
    return same_day and now - written_at < max(retention, KEPT_AT_LEAST)


async def is_due(
    store: Store, request_id: str, now: datetime, retention: timedelta, left: Left | None
) -> tuple[bool, SettledRow | None]:
    """Read question and outcome, and tell whether they may be deleted; and the row that they should have.

    Raises:
        StorageUnavailable: when the storage did not answer in time.
    """
    try:
        outcome = await read_outcome(store, request_id)
        if outcome is None:
            return False, None
        request = await _question(store, request_id, outcome)
    except (DocumentDamaged, StorageUnsuitable) as error:
        (left or logged)(request_id, str(error))
        return False, None
    except RequestNotFound:
        return False, None
    due = collectable(request, outcome, now, retention)
    if left is not None and not due and now - outcome.answered_at >= retention:
        left(request_id, TOO_LATELY)
    expires_at = request.expires_at if request is not None else outcome.expires_at
    return due, SettledRow.of(request_id, outcome.answered_at, expires_at or outcome.answered_at)


def logged(request_id: str, why: str) -> None:
    """Write to the log why something was left alone."""
    _log.warning("%s left alone: %s", request_id, why)


async def _question(store: Store, request_id: str, outcome: OutcomeDocument) -> RequestDocument | None:
    try:
        request = await read_request(store, request_id)
    except DocumentDamaged:
        # A damaged question can no longer be answered, so its outcome alone decides.
        return None
    require_own(request, outcome)
    return request.document


def _tells_of(row: SettledRow, written_at: datetime, settled_at: datetime) -> bool:
    # A row of an outcome that was replaced since, or of an earlier question under the same id, is older, or of
    # another day.
    days = {(settled_at + by).astimezone(UTC).date() for by in (-_AROUND_MIDNIGHT, _AROUND_MIDNIGHT)}
    return written_at >= settled_at and row.day in days
