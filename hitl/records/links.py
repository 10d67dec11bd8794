"""Links in storage: everyone who has the token may answer one question, until the link is revoked or ends.

A personal link is one that a notice takes to one person. Its token is made of a key and the question, so that a
notice that is sent again holds the same link.
"""

from __future__ import annotations

import logging
from datetime import datetime

from hitl.core import keys
from hitl.core.documents import LinkDocument
from hitl.core.personal import personal_token, revoked_marker
from hitl.errors import DocumentDamaged, RequestNotFound, StorageUnavailable
from hitl.records.requests import StoredRequest
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


async def personal_link(store: Store, request: StoredRequest, person: str, *, key: bytes, now: datetime) -> str:
    """Write a person's link to a question, unless it is there, and return its token; empty: it was revoked.

    It answers until the question ends, then shows the outcome, and is deleted with the question.

    Args:
        store: Where the question lies.
        request: The question.
        person: Who gets the link.
        key: The secret that the token is made of.
        now: The present moment, with a time zone.

    Raises:
        StorageUnavailable: when the storage did not answer in time.
    """
    token = personal_token(key, request.sha256, person)
    token_hash = keys.hash_token(token)
    document = LinkDocument(created_at=now, label=person, person=person)
    await store.create_once(keys.link_key(request.request_id, token_hash), document.to_bytes())
    # Looked at last: who revokes writes the marker first, so that a link which is made meanwhile is found here.
    if await store.exists(revoked_marker(request.request_id, token_hash)):
        await store.delete(keys.link_key(request.request_id, token_hash))
        return ""
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
    if not await store.exists(key):
        return False
    # Also for a link that is nobody's, and for one that cannot be read: no notice makes those.
    await store.mark(revoked_marker(request_id, token_hash))
    await store.delete(key)
    return True
