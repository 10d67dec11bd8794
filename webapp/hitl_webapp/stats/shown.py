"""What the statistics of one visitor show: the figures, and how far they may be believed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from hitl_webapp.auth import Principal
from hitl_webapp.inbox.index import Index
from hitl_webapp.inbox.listing import NOWHERE
from hitl_webapp.inbox.rights import Rights
from hitl_webapp.stats.counting import count, settled_from
from hitl_webapp.stats.figures import Report
from hitl_webapp.stats.queries import Wanted

if TYPE_CHECKING:
    from hitl_webapp.inbox.inbox import Inbox

# From this age on, it is said how old the figures are.
_AGED: Final = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Statistics:
    """The statistics of one visitor.

    Args:
        wanted: What was asked for.
        now: The present moment, by the storage's clock.
        report: The figures.
        whole: All questions were read that are counted; else these are the figures of a part.
        as_of: What happened after this moment may be missing; None: nothing is but the last minute.
        away: The storage does not answer, so that the figures may be old.
        nowhere: The visitor has no right in any namespace that has questions.
    """

    wanted: Wanted
    now: datetime
    report: Report
    whole: bool
    as_of: datetime | None = None
    away: bool = False
    nowhere: bool = False

    @property
    def refusal(self) -> str:
        """Why nothing is counted, as a sentence; empty: something may be."""
        return NOWHERE if self.nowhere else ""

    @property
    def cut(self) -> bool:
        """Whether fewer weeks are counted than were asked for, since no more is read."""
        return self.report.settled_from > settled_from(self.now, self.wanted, None)


async def statistics(inbox: Inbox, principal: Principal, wanted: Wanted, now: datetime) -> Statistics:
    """Return the statistics that a visitor asks for.

    Args:
        inbox: The inbox, whose index is counted.
        principal: The visitor.
        wanted: What they ask for.
        now: The present moment, by the storage's clock.

    Raises:
        StorageUnavailable: the storage did not answer, and nothing is known yet.
        ClusterError: nobody can say what this visitor may see.
    """

    def look(index: Index, rights: Rights, since: datetime | None) -> Report:
        return count(index, rights, wanted, now, since)

    seen = await inbox.overview(principal, look)
    return Statistics(
        wanted=wanted,
        now=now,
        report=seen.found,
        whole=seen.whole,
        as_of=now - seen.age if seen.age > _AGED else None,
        away=seen.away,
        nowhere=seen.nowhere,
    )
