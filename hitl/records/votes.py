"""Votes in storage. A vote is created once and never changed, and so is the object that ends it.

A vote ends at most once: its voter withdraws it, or a process counts it, right before it creates an outcome that
rests on it. Both create the same object, so only one of them succeeds. So no outcome rests on a withdrawn vote,
and nobody is told that a counted vote was withdrawn. A person may cast another vote once the last one is
withdrawn; it has the next number.

A person who hands the question over stores a delegation in the place of a vote. It ends once as well: it is taken
back, or the other person uses it. So nobody votes beside somebody who acts on their behalf.
"""

import logging
from datetime import datetime
from functools import partial
from typing import Final, Generic, Literal, NamedTuple, TypeAlias, TypeGuard, TypeVar

from hitl.core.delegation import DelegationDocument, Handed, backed
from hitl.core.documents import sha256_hex
from hitl.core.votekeys import VoteKey, votes_prefix
from hitl.core.votes import VoteDocument, VoteEnd
from hitl.errors import AlreadyVoted, DocumentDamaged, StorageUnavailable
from hitl.records.creation import Looked, announce, require_still_there
from hitl.records.records import Records
from hitl.records.requests import StoredRequest
from hitl.storage import Store, all_of

End: TypeAlias = Literal["withdrawn", "counted", "used"]
Said: TypeAlias = VoteDocument | DelegationDocument
_S_co = TypeVar("_S_co", bound=Said, covariant=True)

_MOST_VOTES: Final = 100
_log = logging.getLogger("hitl")


class Cast(NamedTuple, Generic[_S_co]):
    """A vote, or a delegation in its place, as it lies in storage.

    Args:
        key: Whose it is, and which of theirs.
        vote: The vote, or the delegation.
        sha256: The digest of its very bytes.
        end: What ended it, if anything did.
        ended_by: The submission that withdrew it, if that has an id.
    """

    key: VoteKey
    vote: _S_co
    sha256: str
    end: End | None = None
    ended_by: str = ""


class Ballots(NamedTuple):
    """All votes and delegations on a question, withdrawn ones too, each person's in their order."""

    votes: tuple[Cast[VoteDocument], ...] = ()
    delegations: tuple[Cast[DelegationDocument], ...] = ()

    def handed(self) -> list[Handed]:
        """Return the delegations that were not taken back."""
        return [Handed(each.vote, each.end == "used") for each in self.delegations if each.end != "withdrawn"]

    def standing(self) -> list[Cast[VoteDocument]]:
        """Return the votes that were not withdrawn, except those on behalf of somebody who did not hand over."""
        handed = self.handed()
        return [each for each in self.votes if each.end != "withdrawn" and backed(each.vote, handed)]

    def everything(self) -> list[Cast[Said]]:
        """Return votes and delegations."""
        return [*self.votes, *self.delegations]

    def last_of(self, voter: str) -> Cast[Said] | None:
        """Return somebody's last vote or delegation, withdrawn or not."""
        theirs = [each for each in self.everything() if each.key.voter == voter]
        return max(theirs, key=lambda each: each.key.number, default=None)


async def read_ballots(store: Store, request: StoredRequest) -> Ballots:
    """Return all votes and delegations on this very question, withdrawn ones too.

    A vote does not count if it, or the object that ended it, is damaged, or if it was cast on another question. It
    is left out, with a warning in the log.

    Raises:
        StorageUnavailable: when the storage did not answer in time.
    """
    listed = [key async for key, _ in store.list_keys(votes_prefix(request.request_id))]
    named = {key: found for key in listed if (found := VoteKey.of_key(key)) is not None}
    ended = {vote for vote, is_end in named.values() if is_end}
    cast = [vote for vote, is_end in named.values() if not is_end]
    cast.sort(key=lambda each: (each.voter, each.number))
    read = await all_of([partial(_read, store, request, each, ended=each in ended) for each in cast])
    return Ballots(tuple(filter(_is_vote, read)), tuple(filter(is_delegation, read)))


async def read_votes(store: Store, request: StoredRequest) -> list[Cast[VoteDocument]]:
    """Return all votes as `read_ballots` does."""
    return list((await read_ballots(store, request)).votes)


async def cast(records: Records, request: StoredRequest, said: Said, looked: Looked | None) -> Cast[Said]:
    """Store a vote or a delegation, unless its author has one that stands; return the one that stands then.

    Args:
        records: Where the question lies.
        request: The question.
        said: The vote, or the delegation.
        looked: What was seen of the question before. None: it is read again.

    Raises:
        AlreadyVoted: its author withdrew too many, or this very submission; nothing was written.
        RequestNotFound: the question is not in storage any more; nothing was written.
        StorageUnavailable: whether it was stored is not known; casting the same again is safe.
    """
    data, key, seen_at = said.to_bytes(), VoteKey(said.voter), None if looked is None else looked.at
    for _ in range(_MOST_VOTES):
        seen_at = await announce(records, request, seen_at)
        created = await records.store.create_once(name := key.of(request.request_id), data)
        await require_still_there(records, request, seen_at, name if created else None)
        if created:
            return Cast(key, said, sha256_hex(data))
        standing = await _standing(records.store, request, key)
        if standing.end != "withdrawn":
            return standing
        if standing.vote.submission_id == said.submission_id:
            raise AlreadyVoted("This was sent before, and you took it back since: send a new submission.")
        key = VoteKey(said.voter, key.number + 1)
    raise AlreadyVoted(f"You withdrew your vote {_MOST_VOTES} times: that is enough.")


async def end(
    store: Store, request: StoredRequest, said: Cast[Said], how: End, now: datetime, submission_id: str = ""
) -> bool:
    """End a vote or a delegation, unless it was ended otherwise; tell whether it is ended like this.

    Args:
        store: Where the question lies.
        request: The question.
        said: The vote, or the delegation.
        how: What ends it.
        now: The present moment, with a time zone.
        submission_id: What withdraws it, if that has an id.

    Raises:
        DocumentDamaged: what ended it cannot be read.
        StorageUnavailable: whether it was ended is not known; ending it again in the same way is safe.
    """
    if said.end is not None:
        return said.end == how
    key = said.key.end_of(request.request_id)
    ends = VoteEnd(end=how, ended_at=now, submission_id=submission_id)
    if await store.create_once(key, ends.to_bytes()):
        return True
    found = await _ended(store, key)
    if found is None:
        raise StorageUnavailable(f"{key} exists but cannot be read yet: try again")
    return found.end == how


async def handed_over(store: Store, request: StoredRequest, voter: str) -> Handed | None:
    """Return the delegation that somebody made and did not take back, by one read for each that they did.

    Raises:
        DocumentDamaged: what they said cannot be read.
        StorageUnavailable: when the storage did not answer in time.
    """
    for number in range(_MOST_VOTES):
        found = await _read(store, request, VoteKey(voter, number), ended=True)
        if found is None or not isinstance(found.vote, DelegationDocument):
            return None
        if found.end != "withdrawn":
            return Handed(found.vote, found.end == "used")
    return None


def is_delegation(said: Cast[Said] | None) -> TypeGuard[Cast[DelegationDocument]]:
    """Tell whether what somebody said is a delegation."""
    return said is not None and isinstance(said.vote, DelegationDocument)


def _is_vote(said: Cast[Said] | None) -> TypeGuard[Cast[VoteDocument]]:
    return said is not None and isinstance(said.vote, VoteDocument)


async def _standing(store: Store, request: StoredRequest, key: VoteKey) -> Cast[Said]:
    found = await _read(store, request, key, ended=True)
    if found is None:
        raise DocumentDamaged(
            key.of(request.request_id), "it cannot be read, so its voter cannot cast another one"
        )
    return found


async def _read(store: Store, request: StoredRequest, key: VoteKey, *, ended: bool) -> Cast[Said] | None:
    name = key.of(request.request_id)
    try:
        data = await store.read(name)
        if data is None:
            # It was deleted together with its question, after it was listed.
            return None
        said = _said(data, name)
        if (said.request_id, said.request_sha256) != (request.request_id, request.sha256):
            raise DocumentDamaged(name, "it is a vote on another question")
        of_its_type = isinstance(said, DelegationDocument) or said.data_type == request.document.data_type
        if said.voter != key.voter or not of_its_type:
            raise DocumentDamaged(name, "it is not this person's vote, or not of the question's type")
        how = await _ended(store, key.end_of(request.request_id)) if ended else None
    except DocumentDamaged as error:
        _log.warning("left out: %s", error)
        return None
    if how is None:
        return Cast(key, said, sha256_hex(data))
    return Cast(key, said, sha256_hex(data), how.end, how.submission_id)


def _said(data: bytes, name: str) -> Said:
    try:
        return VoteDocument.from_bytes(data, name)
    except DocumentDamaged as error:
        try:
            return DelegationDocument.from_bytes(data, name)
        except DocumentDamaged:
            raise error from None


async def _ended(store: Store, key: str) -> VoteEnd | None:
    data = await store.read(key)
    return None if data is None else VoteEnd.from_bytes(data, key)
