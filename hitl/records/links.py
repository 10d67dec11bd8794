"""Links in storage: everyone who has the token may answer one question, until the link is revoked or ends.

Whether a token opens a question is decided here, by `find_link`. Most links are objects of their own. The hash of
one may be in the question itself: so the operator saves a write as it asks, see `hitl.core.links`.

A personal link is one that a notice takes to one person. Its token is made of a key and the question, so that a
notice that is sent again holds the same link.
"""

from __future__ import annotations

import logging
from datetime import datetime

from hitl.core import keys
from hitl.core.documents import RequestDocument
from hitl.core.links import LinkDocument, handed_out, is_handed_out
from hitl.core.personal import personal_token, revoked_marker
from hitl.errors import DocumentDamaged, RequestNotFound, StorageUnavailable
from hitl.records.requests import StoredRequest, read_request
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
    # A revocation writes the marker first. So this check after the creation finds a revocation at the same time.
    if await store.exists(revoked_marker(request.request_id, token_hash)):
        await store.delete(keys.link_key(request.request_id, token_hash))
        return ""
    return token


async def find_link(
    store: Store, request_id: str, token_hash: str, question: RequestDocument | None
) -> LinkDocument | None:
    """Return the link whose token has this hash, if it opens this question.

    It takes one call of the storage, whatever the question and the token are: time tells nothing of either.

    Args:
        store: Where the question lies.
        request_id: Its id.
        token_hash: The hash of the token.
        question: The question as it is stored; None: there is none, or none that can be read.

    Raises:
        DocumentDamaged: the link cannot be read.
        StorageUnavailable: when the storage did not answer in time.
    """
    if question is not None and is_handed_out(question, token_hash):
        return None if await store.exists(revoked_marker(request_id, token_hash)) else handed_out(question)
    return await _read_link(store, request_id, token_hash)


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
            link = await _read_link(store, request_id, token_hash)
        except (DocumentDamaged, RequestNotFound) as error:
            _log.warning("left out: %s: %s", key, error)
            continue
        if link is not None:
            found.append((token_hash, link))
    question = await _question(store, request_id)
    if question is not None and question.link_sha256:
        link = await find_link(store, request_id, question.link_sha256, question)
        found += [] if link is None else [(question.link_sha256, link)]
    return sorted(found, key=lambda each: each[1].created_at)


async def revoke_link(store: Store, request_id: str, token_hash: str) -> bool:
    """Revoke a link, so that it grants nothing from now on; tell whether there was one.

    Raises:
        StorageUnsuitable: when these credentials may not delete.
        StorageUnavailable: when the storage did not answer in time; trying again is safe.
    """
    key, marker = keys.link_key(request_id, token_hash), revoked_marker(request_id, token_hash)
    if await store.exists(key):
        # Links of no person and damaged links get the marker as well. It does no harm: no notice makes them again.
        await store.mark(marker)
        await store.delete(key)
        return True
    question = await _question(store, request_id)
    if question is None or not is_handed_out(question, token_hash) or await store.exists(marker):
        return False
    await store.mark(marker)
    return True


async def _read_link(store: Store, request_id: str, token_hash: str) -> LinkDocument | None:
    key = keys.link_key(request_id, token_hash)
    data = await store.read(key)
    return None if data is None else LinkDocument.from_bytes(data, key)


async def _question(store: Store, request_id: str) -> RequestDocument | None:
    try:
        return (await read_request(store, request_id)).document
    except (RequestNotFound, DocumentDamaged):
        return None
