"""Finds the segments of the audit: by day, by writer, and the newest of each writer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date

from hitl.core import keys
from hitl.core.audit import Head, unseal
from hitl.core.keys import SegmentName
from hitl.storage import Store


async def audit_days(store: Store) -> list[date]:
    """Return the days on which segments were written, the first one first.

    Raises:
        StorageUnavailable: when the storage did not answer in time.
    """
    found = (keys.day_of(name) for name in await store.list_folders(keys.AUDIT))
    return sorted(day for day in found if day is not None)


async def segments_of(store: Store, day: date) -> AsyncIterator[SegmentName | str]:
    """Yield the segments that were written on a day, and the keys of all other objects there, in any order.

    Raises:
        StorageUnavailable: when the storage did not answer in time.
    """
    async for key, _ in store.list_keys(keys.audit_prefix(day)):
        yield SegmentName.of_key(key) or key


async def newest_of_day(store: Store, day: date, seen: dict[str, SegmentName]) -> dict[str, SegmentName]:
    """Return the newest segment of each writer that wrote one on a day, if it is newer than what was seen.

    What was seen of a writer is not listed again, so that a day costs a request for a thousand new segments, and
    one for each writer of many.

    Args:
        store: The root.
        day: The day.
        seen: The newest segment that was seen of each writer.

    Raises:
        StorageUnavailable: when the storage did not answer in time.
    """
    newest: dict[str, SegmentName] = {}
    prefix = f"{keys.audit_prefix(day)}/"
    after = ""
    while page := await store.list_page(prefix, after):
        after = page[-1][0]
        for key, _ in page:
            name = SegmentName.of_key(key)
            if name is not None and (name.writer not in seen or name > seen[name.writer]):
                newest[name.writer] = max(name, newest.get(name.writer, name))
        last = SegmentName.of_key(after)
        known = None if last is None else seen.get(last.writer)
        if known is not None and known.day == day:
            after = max(after, known.key)
    return newest


async def head_of(store: Store, name: SegmentName) -> Head | None:
    """Return the last line of a segment; None: there is no segment, or its last line is not as it was written.

    Raises:
        StorageUnavailable: when the storage did not answer in time.
        DocumentDamaged: when it cannot be read.
    """
    data = await store.read(name.key)
    if data is None or not data.endswith(b"\n"):
        return None
    found = unseal(data[data.rfind(b"\n", 0, -1) + 1 : -1])
    if found is None:
        return None
    return Head(day=name.day, writer=name.writer, segment=name.number, n=found[0].n, hash=found[1])
