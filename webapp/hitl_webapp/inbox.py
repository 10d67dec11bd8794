"""The inbox: which questions wait for this visitor, oldest first, and what became of the others."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from hitl.documents import OutcomeDocument, RequestDocument
from hitl.errors import DocumentDamaged, RequestNotFound
from hitl_webapp.auth import Visitor
from hitl_webapp.service import Service

_SHOWN_SETTLED = 50
_SHOWN_PENDING = 200
_AT_ONCE = 16


@dataclass(frozen=True)
class Entry:
    """One line of the inbox."""

    request: RequestDocument
    outcome: OutcomeDocument | None


async def entries(service: Service, visitor: Visitor) -> tuple[list[Entry], list[Entry]]:
    """Return the pending and the settled questions that a visitor may see, at most 200 and 50.

    Raises:
        StorageUnavailable: when the storage did not answer in time.
        ClusterError: when nobody can say what this visitor may see.
    """
    limit = asyncio.Semaphore(_AT_ONCE)

    async def entry(request_id: str) -> Entry | None:
        async with limit:
            try:
                stored = await service.request(request_id)
                if not await visitor.may_list(stored.document):
                    return None
                return Entry(stored.document, await service.outcome(stored))
            except (DocumentDamaged, RequestNotFound):
                # One damaged question must not hide the others; its own page says what is wrong.
                return None

    found = await asyncio.gather(*(entry(each) for each in await service.store.list_request_ids()))
    seen = [each for each in found if each is not None]
    pending = sorted((each for each in seen if each.outcome is None), key=lambda each: each.request.created_at)
    settled = sorted(
        ((each.outcome.answered_at, each) for each in seen if each.outcome is not None),
        key=lambda pair: pair[0],
        reverse=True,
    )
    return pending[:_SHOWN_PENDING], [each for _, each in settled[:_SHOWN_SETTLED]]
