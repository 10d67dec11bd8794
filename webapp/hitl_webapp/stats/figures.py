"""The figures: counts of questions, and how long people took, of all of them and of teams, projects and weeks.

All of it is a pure function of what the index holds of the questions that a visitor may see.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Final, Literal, TypeAlias, TypeVar

from hitl.core.documents import OutcomeKind
from hitl.core.durations import by_people

Kind: TypeAlias = Literal["group", "namespace", "none"]

# So many teams and projects are shown.
MOST_ROWS: Final = 50
_WEEK: Final = timedelta(days=7)

_K = TypeVar("_K", bound=Hashable)


@dataclass(frozen=True, slots=True, order=True)
class Team:
    """Who a question is for: a group that it names; if it names none, its namespace.

    Args:
        kind: Which of these; ``none``: it has neither.
        name: The name of the group or the namespace.
    """

    kind: Kind
    name: str = ""


@dataclass(frozen=True, slots=True)
class Open:
    """Some questions without an outcome, all of the same teams and project.

    Args:
        teams: Those that may answer.
        project: The project that asked.
        overdue: Whether their deadline has passed.
        count: How many.
        oldest: When the first of them was asked.
    """

    teams: Sequence[Team]
    project: str
    overdue: bool
    count: int
    oldest: datetime


@dataclass(frozen=True, slots=True)
class Ended:
    """A question with an outcome.

    Args:
        teams: Those that might answer.
        project: The project that asked.
        outcome: The kind of its outcome.
        default_used: Nobody answered, so the default was used.
        at: When it ended.
        seconds: From asking to the outcome.
    """

    teams: Sequence[Team]
    project: str
    outcome: OutcomeKind
    default_used: bool
    at: datetime
    seconds: float


@dataclass(slots=True)
class Figures:
    """The figures of some questions.

    Attributes:
        open: How many wait.
        oldest: When the first one that waits was asked; None: none does.
        overdue: How many are past the deadline, without an outcome.
        answered, rejected: How many people answered, or declined to answer.
        timed_out: How many nobody answered before the deadline, whether a default was used or not.
        cancelled: How many were withdrawn.
        times: The seconds from asking to the outcome, of what people answered or declined.
    """

    open: int = 0
    oldest: datetime | None = None
    overdue: int = 0
    answered: int = 0
    rejected: int = 0
    timed_out: int = 0
    cancelled: int = 0
    times: list[float] = field(default_factory=list)

    @property
    def settled(self) -> int:
        """How many have an outcome."""
        return self.answered + self.rejected + self.timed_out + self.cancelled

    def after(self, percent: int) -> float | None:
        """Return after how many seconds that part of the answers was there; None: there are none.

        Args:
            percent: From 1 to 100. The result is the time of one of the answers, never between two.
        """
        if not self.times:
            return None
        # Rounded up.
        rank = -(-percent * len(self.times) // 100)
        return sorted(self.times)[rank - 1]

    def wait(self, some: Open) -> None:
        """Count some questions without an outcome."""
        if some.overdue:
            self.overdue += some.count
            return
        self.open += some.count
        self.oldest = some.oldest if self.oldest is None else min(self.oldest, some.oldest)

    def end(self, one: Ended) -> None:
        """Count a question with an outcome."""
        if by_people(one.outcome, default_used=one.default_used):
            self.times.append(max(0.0, one.seconds))
        if one.outcome == "timed_out" or one.default_used:
            self.timed_out += 1
        elif one.outcome == "answered":
            self.answered += 1
        elif one.outcome == "rejected":
            self.rejected += 1
        else:
            self.cancelled += 1


@dataclass(frozen=True, slots=True)
class Report:
    """The figures that a visitor asked for.

    Args:
        total: Of all questions.
        teams, projects: Of each of them, those with the most open questions first; at most `MOST_ROWS`.
        more_teams, more_projects: How many more there are.
        weeks: Of what ended in each week, by the Monday on which it began (in UTC), the last one first.
        settled_from: What ended from then on is counted.
        first_ended: When the first of the counted ones ended; None: none did.
    """

    total: Figures
    teams: Mapping[Team, Figures]
    projects: Mapping[str, Figures]
    more_teams: int
    more_projects: int
    weeks: Mapping[date, Figures]
    settled_from: datetime
    first_ended: datetime | None


def report(waiting: Iterable[Open], ended: Iterable[Ended], settled_from: datetime, now: datetime) -> Report:
    """Return the figures.

    Args:
        waiting: The questions without an outcome.
        ended: Those with one; what ended before `settled_from` is left out.
        settled_from: From when on they are counted.
        now: The present moment.
    """
    total, teams, projects = Figures(), dict[Team, Figures](), dict[str, Figures]()
    weeks = {week: Figures() for week in _weeks(settled_from, now)}
    first: datetime | None = None
    for some in waiting:
        for each in (total, *_of(teams, some.teams), *_of(projects, [some.project])):
            each.wait(some)
    for one in ended:
        if one.at < settled_from:
            continue
        first = one.at if first is None else min(first, one.at)
        # Another machine's clock may be ahead by a little.
        week = monday_of(min(one.at, now))
        for each in (total, *_of(teams, one.teams), *_of(projects, [one.project]), *_of(weeks, [week])):
            each.end(one)
    return Report(
        total=total,
        teams=_most(teams),
        projects=_most(projects),
        more_teams=max(0, len(teams) - MOST_ROWS),
        more_projects=max(0, len(projects) - MOST_ROWS),
        weeks={week: weeks[week] for week in sorted(weeks, reverse=True) if first and week >= monday_of(first)},
        settled_from=settled_from,
        first_ended=first,
    )


def monday_of(moment: datetime) -> date:
    """Return the first day of a moment's week, in UTC."""
    day = moment.astimezone(UTC).date()
    return day - timedelta(days=day.weekday())


def _weeks(start: datetime, now: datetime) -> Iterable[date]:
    week, last = monday_of(start), monday_of(now)
    while week <= last:
        yield week
        week += _WEEK


def _of(table: dict[_K, Figures], keys: Sequence[_K]) -> list[Figures]:
    return [table.setdefault(key, Figures()) for key in keys]


def _most(table: Mapping[_K, Figures]) -> dict[_K, Figures]:
    names = sorted(table, key=str)
    names.sort(key=lambda name: (table[name].open, table[name].settled), reverse=True)
    return {name: table[name] for name in names[:MOST_ROWS]}
