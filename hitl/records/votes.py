"""Votes in storage: each is created once and never changed, and so is what ended it.

A vote ends at most once: by its voter, who withdraws it, or by a process that is about to create an outcome which
rests on it. Both create the same object, so one of them succeeds. So no outcome rests on a vote that was
withdrawn, and nobody is told that a vote was withdrawn which is counted. A person may cast another vote once the
last one is withdrawn; it has the next number.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final, Literal, TypeAlias

from hitl.core.documents import sha256_hex
from hitl.core.votekeys import VoteKey, votes_prefix
from hitl.core.votes import VoteDocument, VoteEnd
from hitl.errors import DocumentDamaged, StorageUnavailable
from hitl.records.creation import announce, require_still_there
from hitl.records.records import Records
from hitl.records.requests import StoredRequest
from hitl.storage import Store, all_of

End: TypeAlias = Literal["withdrawn", "counted"]

_MOST_VOTES: Final = 100
_log = logging.getLogger("hitl")


@dataclass(frozen=True)
class Cast:
    """A vote as it lies in storage.

    Args:
        key: Whose it is, and which of theirs.
        vote: The vote.
        sha256: The digest of its very bytes.
        end: What ended it, if anything did.
    """

    key: VoteKey
    vote: VoteDocument
    sha256: str
    end: End | None = None


async def read_votes(store: Store, request: StoredRequest) -> list[Cast]:
    """Return all votes on this very question, withdrawn ones too, each person's in their order.

    What is damaged, or was cast on another question, is left out, with a warning in the log: it does not count.

    Raises:
        StorageUnavailable: when the storage did not answer in time.
    """
    listed = [key async for key, _ in store.list_keys(votes_prefix(request.request_id))]
    named = {key: found for key in listed if (found := VoteKey.of_key(key)) is not None}
    ended = {vote for vote, is_end in named.values() if is_end}
    cast = [vote for vote, is_end in named.values() if not is_end]
    cast.sort(key=lambda each: (each.voter, each.number))
    read = await all_of([partial(_read, store, request, each, ended=each in ended) for each in cast])
    return [each for each in read if each is not None]


async def cast(records: Records, request: StoredRequest, vote: VoteDocument, looked: float | None) -> Cast:
    """Store a vote, unless its voter has one that stands; return the one that stands then.

    Args:
        records: Where the question lies.
        request: The question.
        vote: The vote.
        looked: What `records.ticks` said before the question was last read from storage. None: it is read again.

    Raises:
        RequestNotFound: the question is not in storage any more; nothing was written.
        StorageUnavailable: whether it was stored is not known; casting the same vote again is safe.
    """
    data, key = vote.to_bytes(), VoteKey(vote.voter)
    for _ in range(_MOST_VOTES):
        looked = await announce(records, request, looked)
        created = await records.store.create_once(name := key.of(request.request_id), data)
        await require_still_there(records, request, looked, name if created else None)
        if created:
            return Cast(key, vote, sha256_hex(data))
        standing = await _standing(records.store, request, key)
        if standing.end != "withdrawn":
            return standing
        key = VoteKey(vote.voter, key.number + 1)
    raise StorageUnavailable(f"question {request.request_id}: too many votes of one person were withdrawn")


async def end(store: Store, request: StoredRequest, vote: Cast, how: End, now: datetime) -> bool:
    """End a vote, unless it was ended otherwise; tell whether it is ended like this.

    Args:
        store: Where the question lies.
        request: The question.
        vote: The vote.
        how: What ends it.
        now: The present moment, with a time zone.

    Raises:
        DocumentDamaged: what ended it cannot be read.
        StorageUnavailable: whether it was ended is not known; ending it again in the same way is safe.
    """
    if vote.end is not None:
        return vote.end == how
    key = vote.key.end_of(request.request_id)
    if await store.create_once(key, VoteEnd(end=how, ended_at=now).to_bytes()):
        return True
    found = await _ended(store, key)
    if found is None:
        raise StorageUnavailable(f"{key} exists but cannot be read yet: try again")
    return found == how


def last_of(votes: Sequence[Cast], voter: str) -> Cast | None:
    """Return somebody's last vote that was not withdrawn, if there is one."""
    return next((each for each in reversed(votes) if each.key.voter == voter and each.end != "withdrawn"), None)


async def _standing(store: Store, request: StoredRequest, key: VoteKey) -> Cast:
    found = await _read(store, request, key, ended=True)
    if found is None:
        raise DocumentDamaged(
            key.of(request.request_id), "it cannot be read, so its voter cannot cast another one"
        )
    return found


async def _read(store: Store, request: StoredRequest, key: VoteKey, *, ended: bool) -> Cast | None:
    name = key.of(request.request_id)
    data = await store.read(name)
    if data is None:
        # It was deleted since it was listed, with its question.
        return None
    try:
        vote = VoteDocument.from_bytes(data, name)
        if (vote.request_id, vote.request_sha256) != (request.request_id, request.sha256):
            raise DocumentDamaged(name, "it is a vote on another question")
        if (vote.voter, vote.data_type) != (key.voter, request.document.data_type):
            raise DocumentDamaged(name, "it is not this person's vote, or not of the question's type")
    except DocumentDamaged as error:
        _log.warning("left out: %s", error)
        return None
    how = await _ended(store, key.end_of(request.request_id)) if ended else None
    return Cast(key, vote, sha256_hex(data), how)


async def _ended(store: Store, key: str) -> End | None:
    data = await store.read(key)
    return None if data is None else VoteEnd.from_bytes(data, key).end
