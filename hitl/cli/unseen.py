"""What `hitl doctor` says of new questions that no operator shows."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Final

from hitl.core import keys
from hitl.errors import HITLError
from hitl.records.requests import read_outcome, read_request
from hitl.settings import Settings
from hitl.storage import Store, open_store

_TAKEN_WITHIN: Final = timedelta(minutes=1)
_MOST_READ: Final = 20


async def unseen_namespaces(settings: Settings) -> dict[str, int]:
    """Return the namespaces in which open questions wait to be shown for over a minute, with how many do.

    At most 20 questions are read.

    Raises:
        StorageError: when the root cannot be read.
    """
    store = open_store(settings)
    # The storage's clock wrote the markers.
    ahead = await store.clock_difference(now := datetime.now(UTC))
    before = now - timedelta(seconds=ahead) - _TAKEN_WITHIN
    late = [marker.request_id for marker in await store.list_markers(keys.NEW) if marker.written_at < before]
    found: Counter[str] = Counter()
    for request_id in late[:_MOST_READ]:
        if (namespace := await _namespace(store, request_id)) is not None:
            found[namespace] += 1
    return dict(found)


async def _namespace(store: Store, request_id: str) -> str | None:
    try:
        if await read_outcome(store, request_id) is not None:
            return None
        return (await read_request(store, request_id)).document.origin.namespace
    except HITLError:
        # A marker alone, or a damaged question: the operator reports those.
        return None
