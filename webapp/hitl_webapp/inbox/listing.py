"""What the inbox of one visitor shows."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Generic, TypeVar

from hitl_webapp.inbox.filling import Progress
from hitl_webapp.inbox.finding import Counts
from hitl_webapp.inbox.queries import Query
from hitl_webapp.inbox.rows import Row

_NONE: Final = Counts()
_AWAY: Final = "The storage does not answer, so questions may be missing here."
NOWHERE: Final = (
    "You may see no questions here: no question is in a namespace where you have the verb get or answer on "
    "humaninputs.hitl.flyte.org. An admin can give you that right."
)
"""What a visitor is told who has no right in any namespace that has questions."""
_UNREAD: Final = Progress()
_VERSION_CHARS: Final = 32

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Listing:
    """What the inbox of one visitor shows.

    Args:
        query: What was asked for.
        now: The present moment, by the storage's clock.
        rows: A page of it.
        counts: How many match, in each view.
        next, previous: The queries of the pages after and before; empty: there is none.
        settled: The questions that ended last, where the page shows some beside those that wait.
        unreadable: Ids of questions that cannot be read, for a visitor who may see every question.
        more_unreadable: How many more of them there are.
        progress: How much of the root was read.
        as_of: When all of this was read, unless that was just now.
        away: The storage does not answer, so that this may be old.
        nowhere: The visitor has no right in any namespace that has questions.
    """

    query: Query
    now: datetime
    rows: tuple[Row, ...] = ()
    counts: Counts = _NONE
    next: str = ""
    previous: str = ""
    settled: tuple[Row, ...] = ()
    unreadable: tuple[str, ...] = ()
    more_unreadable: int = 0
    progress: Progress = _UNREAD
    as_of: datetime | None = None
    away: bool = False
    nowhere: bool = False

    @property
    def notice(self) -> str:
        """Why questions may be missing, as a sentence; empty: none is known to be."""
        if self.away:
            return _AWAY
        return NOWHERE if self.nowhere else ""

    @property
    def total(self) -> int:
        """How many match, on all pages."""
        number: int = getattr(self.counts, self.query.view)
        return number

    @property
    def version(self) -> str:
        """A digest of what is shown. It leaves out what others may not see, as all of this does."""
        rows = [(each.request_id, each.ended is None, each.ballot) for each in (*self.rows, *self.settled)]
        counts = (self.counts.all, self.counts.mine, self.counts.groups)
        shown = repr((rows, counts, self.away, self.progress.whole, self.unreadable))
        return hashlib.sha256(shown.encode()).hexdigest()[:_VERSION_CHARS]


@dataclass(frozen=True, slots=True)
class Overview(Generic[_T]):
    """What was made of all questions that a visitor may see.

    Args:
        found: What was made of them.
        age: How long ago all of them were read.
        whole: All of them were read, as far back as the one that made it was told.
        away: The storage does not answer, so that this may be old.
        nowhere: The visitor has no right in any namespace that has questions.
    """

    found: _T
    age: timedelta
    whole: bool
    away: bool = False
    nowhere: bool = False
