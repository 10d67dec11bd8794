"""How far the votes on open questions are, in the inbox's index: what a list shows, and who has voted."""

from __future__ import annotations

import sqlite3
from typing import Final

from hitl.core.documents import RequestDocument, Respondent
from hitl.core.tally import standing
from hitl.core.votekeys import votes_prefix
from hitl.core.votes import voter_of
from hitl.records.requests import StoredRequest
from hitl.records.votes import Ballots, read_ballots
from hitl.storage import Store
from hitl_webapp.auth import Principal
from hitl_webapp.inbox.rows import Ballot

VOTED: Final = "EXISTS (SELECT 1 FROM voter x WHERE x.who = :voter AND x.n = q.n)"
"""Whether the visitor whose hash is bound as ``voter`` has a vote that counts on a question ``q``."""
AWAITED: Final = (
    f"NOT {VOTED} AND NOT EXISTS (SELECT 1 FROM ballot x WHERE x.n = q.n AND x.excluded != ''"  # noqa: S608 - ours
    " AND is_alike(:user, x.excluded))"
)
"""Whether that visitor, whose name is bound as ``user``, has no vote on a question ``q`` and may have one."""
_COLUMNS: Final = ("agree", "required", "declined", "needed", "unreachable", "excluded")
_SELECT: Final = f"SELECT {', '.join(_COLUMNS)} FROM ballot WHERE n = ?"  # noqa: S608 - ours
_INSERT: Final = """
INSERT INTO ballot (n, agree, required, declined, needed, unreachable, excluded)
VALUES (:n, :agree, :required, :declined, :needed, :unreachable, :excluded)
"""


async def vote_keys(store: Store, request_id: str) -> frozenset[str]:
    """Return the keys of all votes on a question, and of what ended them: others, once anything changed.

    Raises:
        StorageUnavailable: the storage did not answer in time.
    """
    return frozenset([key async for key, _ in store.list_keys(votes_prefix(request_id))])


async def read_ballot(store: Store, request: StoredRequest) -> tuple[Ballot | None, frozenset[str]]:
    """Return how far the votes on a question are, and the keys of what was read; None: one person decides.

    Raises:
        StorageError: they cannot be read.
    """
    # Before they are read: a vote that comes meanwhile has another key.
    listed = await vote_keys(store, request.request_id)
    return ballot_of(request.document, await read_ballots(store, request) if listed else Ballots()), listed


def ballot_of(request: RequestDocument, said: Ballots) -> Ballot | None:
    """Return how far the votes on a question are; None: one person decides."""
    found = standing(request, [each.vote for each in said.standing()])
    if found is None:
        return None
    return Ballot(
        agree=len(found.leading),
        required=found.approval.required,
        declined=len(found.declined),
        needed=found.needed(),
        unreachable=found.decision is None and found.unreachable,
        voters=tuple(each.voter for each in found.counted),
        excluded=request.requester if found.approval.exclude_requester else "",
    )


def voter_hash(principal: Principal) -> str:
    """Return the hash by which a visitor's votes are known."""
    return voter_of(
        Respondent(
            name=principal.name or principal.person, via="web", verified=principal.verified, link=principal.link
        )
    )


def take(connection: sqlite3.Connection, n: int, ballot: Ballot | None) -> bool:
    """Take how far the votes on a question are; tell whether that changed.

    Args:
        connection: The index.
        n: The question's number there.
        ballot: How far they are; None: it has no votes, or has an outcome.
    """
    run = connection.execute
    found = run(_SELECT, (n,)).fetchone()
    known = {} if found is None else dict(zip(_COLUMNS, found, strict=True))
    known_voters = {who for (who,) in run("SELECT who FROM voter WHERE n = ?", (n,))}
    shown = {} if ballot is None else {name: getattr(ballot, name) for name in _COLUMNS}
    voters = set() if ballot is None else set(ballot.voters)
    if (known, known_voters) == (shown, voters):
        return False
    run("DELETE FROM ballot WHERE n = ?", (n,))
    run("DELETE FROM voter WHERE n = ?", (n,))
    if shown:
        run(_INSERT, {"n": n, **shown})
        connection.executemany("INSERT INTO voter (who, n) VALUES (?, ?)", ((who, n) for who in voters))
    return True
