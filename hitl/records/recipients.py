"""The recipients of one notice that were told, when a target could tell only some of them.

Each is stored like a notice to a target of its own, and ``hitl notify status`` shows it. Only the process that
holds the claim of the notice writes it.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Final

from hitl.core.noticekeys import NoticeBox, NoticeKey, notices_prefix
from hitl.errors import StorageUnavailable
from hitl.records.outbox import Ended
from hitl.storage import Store

_PAUSE_SECONDS: Final = 0.5


async def ended_boxes(store: Store, request_id: str) -> frozenset[NoticeBox]:
    """Return the notices about a question that were delivered, or given up.

    Raises:
        StorageUnavailable: when the storage did not answer in time.
    """
    found = [NoticeKey.of(request_id, key) async for key, _ in store.list_keys(notices_prefix(request_id))]
    return frozenset(each.box for each in found if each is not None and each.kind in ("done", "dead"))


async def note_recipient(store: Store, box: NoticeBox, now: datetime, why: str) -> None:
    """Note that a recipient was told, until the storage answers: giving up would tell them again.

    Args:
        store: Where the question lies.
        box: Where the notice to the recipient lies.
        now: The present moment, with a time zone.
        why: Why it is given up; empty: it was delivered.
    """
    data = Ended(at=now, tries=1, why=why).to_bytes()
    while True:
        try:
            await store.create_once(box.dead if why else box.done, data)
        except StorageUnavailable:
            await asyncio.sleep(_PAUSE_SECONDS)
        else:
            return
