"""Links in storage: everyone who has the token may answer one question, until the link is revoked or ends."""

from __future__ import annotations

import logging
from datetime import datetime

from hitl.core import keys
from hitl.core.documents import LinkDocument
from hitl.errors import DocumentDamaged, RequestNotFound, StorageUnavailable
from hitl.storage import Store

_log = logging.getLogger("hitl")


async def add_link(
    store: Store, request_id: str, *, now: datetime, label: str = "", expires_at: datetime | None = None
) -> str:
    """Write a new link to a request and return its token, which is stored nowhere.

    Raises:
        StorageUnavailable: when the storage did not answer in time.
    """
    token = keys.new_token()
    document = LinkDocument(created_at=now, label=label, expires_at=expires_at)
    key, data = keys.link_key(request_id, keys.hash_token(token)), document.to_bytes()
    # Nobody else has this key: "taken" means that the reply to this very creation was lost, or a fault.
    if not await store.create_once(key, data) and await store.read(key) != data:
        raise StorageUnavailable(f"{key} could not be written: try again")
    return token


async def read_link_of(store: Store, request_id: str, token_hash: str) -> LinkDocument | None:
    """Return the link whose token has this hash, if it is one of this request's.

    The hash is the object's name, so nothing secret is ever compared, and a request that does not exist costs the
    same one read as a token of another request.

    Raises:
        StorageUnavailable: when the storage did not answer in time.
    """
    key = keys.link_key(request_id, token_hash)
    data = await store.read(key)
    return None if data is None else LinkDocument.from_bytes(data, key)


async def list_links(store: Store, request_id: str) -> list[tuple[str, LinkDocument]]:
    """Return the links of a request with the hashes of their tokens, oldest first.

    A link that cannot be read is left out, with a warning in the log: it grants nothing.

    Raises:
        StorageUnavailable: when the storage did not answer in time.
    """
    found: list[tuple[str, LinkDocument]] = []
    async for key, _ in store.list_keys(keys.links_prefix(request_id)):
        token_hash = key.rpartition("/")[2].removesuffix(".json")
        try:
            link = await read_link_of(store, request_id, token_hash)
        except (DocumentDamaged, RequestNotFound) as error:
            _log.warning("left out: %s: %s", key, error)
            continue
        if link is not None:
            found.append((token_hash, link))
    return sorted(found, key=lambda each: each[1].created_at)


async def revoke_link(store: Store, request_id: str, token_hash: str) -> bool:
    """Delete a link, so that it grants nothing from now on; tell whether there was one.

    Raises:
        StorageUnsuitable: when these credentials may not delete.
        StorageUnavailable: when the storage did not answer in time; trying again is safe.
    """
    key = keys.link_key(request_id, token_hash)
    found = await store.exists(key)
    if found:
        await store.delete(key)
    return found
