"""An outcome that storage lost is put back, by somebody's decision, and only where there is no other one."""

from __future__ import annotations

from hitl.core import keys
from hitl.core.documents import OutcomeDocument
from hitl.errors import StorageUnavailable
from hitl.records.requests import StoredRequest, read_outcome_of, require_own
from hitl.storage import Store


async def put_back(store: Store, request: StoredRequest, outcome: OutcomeDocument) -> OutcomeDocument:
    """Store an outcome that was recorded before and that a restored backup lacks; return the one that stands.

    Args:
        store: Where the request lies.
        request: The request as read from that store just now.
        outcome: The outcome, as it was shown elsewhere.

    Raises:
        DocumentDamaged: when it is another question's outcome, or what is stored cannot be read.
        StorageUnavailable: whether it was stored is not known; trying again is safe.
    """
    key = keys.response_key(request.request_id)
    if await store.create_once(key, require_own(request, outcome).to_bytes()):
        return outcome
    standing = await read_outcome_of(store, request)
    if standing is None:
        raise StorageUnavailable(f"{key} exists but cannot be read yet: try again")
    return standing
