"""Counting in the index: what the figures are made of, of the questions that a visitor may see."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from functools import cache
from typing import Any, Final

from hitl_webapp.inbox.filling import MOST_SETTLED
from hitl_webapp.inbox.finding import conditions_of, lay_down
from hitl_webapp.inbox.index import Index, group_key
from hitl_webapp.inbox.rights import Rights
from hitl_webapp.stats.figures import Ended, Open, Report, Team, monday_of, report
from hitl_webapp.stats.queries import Wanted

_HOUR: Final = timedelta(hours=1)
# Most of the table is open, so it is read as it lies: looking up each question by an index takes twice as long.
_WAITING: Final = """
SELECT q.scope, q.project, q.open = 2, COUNT(*), MIN(q.asked)
FROM question q NOT INDEXED CROSS JOIN visible v ON v.scope = q.scope
WHERE q.open != 0 AND {where} GROUP BY 1, 2, 3
"""
_ENDED: Final = """
SELECT q.scope, q.project, q.outcome, e.default_used, q.ended, q.ended - q.asked
FROM visible v CROSS JOIN question q INDEXED BY by_scope ON q.scope = v.scope JOIN ended e ON e.n = q.n
WHERE q.open = 0 AND q.ended >= :since AND {where}
"""
# From the groups to the scopes, as the table is sorted: there may be as many scopes as questions.
_GROUPS: Final = """
SELECT w.scope, w.who FROM scope_who w CROSS JOIN visible v ON v.scope = w.scope
WHERE w.who >= :first AND w.who < :beyond
"""
_LAST: Final = "SELECT COUNT(*), MIN(ended) FROM question WHERE open = 0"


def count(index: Index, rights: Rights, wanted: Wanted, now: datetime, since: datetime | None) -> Report:
    """Return the figures of the questions that match.

    Args:
        index: The index.
        rights: What the visitor may see.
        wanted: Which of these are counted.
        now: The present moment, with a time zone.
        since: From when on all settled questions are known; None: all that are kept are.
    """
    index.pass_time(now.timestamp())
    lay_down(index.connection, rights)
    start = settled_from(now, wanted, _known_since(index, since))
    conditions, given = conditions_of(wanted, ("namespace", "project", "type", "asked_by"))
    if wanted.view != "all":
        conditions.append("v.mine" if wanted.view == "mine" else "v.team")
    if wanted.group:
        conditions.append("q.scope IN (SELECT scope FROM scope_who WHERE who = :who)")
        given["who"] = group_key(wanted.group)
    where = " AND ".join(conditions) or "1"
    run, teams = index.connection.execute, _teams(index)
    waiting = run(_WAITING.format(where=where), given)
    ended = run(_ENDED.format(where=where), {**given, "since": start.timestamp()})
    return report(_open(waiting, teams), _settled(ended, teams), start, now)


def settled_from(now: datetime, wanted: Wanted, since: datetime | None) -> datetime:
    """Return from when on settled questions are counted.

    Args:
        now: The present moment.
        wanted: How many weeks are asked for.
        since: From when on all are known. It is rounded up to an hour, so that it tells nothing of one question.
    """
    first = monday_of(now) - timedelta(weeks=int(wanted.weeks) - 1)
    start = datetime.combine(first, time(), UTC)
    if since is None or since <= start:
        return start
    hour = since.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return hour if hour == since else hour + _HOUR


def _known_since(index: Index, since: datetime | None) -> datetime | None:
    number, first = index.connection.execute(_LAST).fetchone()
    if number < MOST_SETTLED:
        return since
    # The index holds no more: some that ended before the first one may have been dropped.
    kept = datetime.fromtimestamp(first, UTC)
    return kept if since is None else max(since, kept)


def _teams(index: Index) -> dict[int, tuple[Team, ...]]:
    """Return the teams of each scope: the same object for the same teams."""
    run, kind = index.connection.execute, group_key("")
    groups: dict[int, tuple[str, ...]] = {}
    # A group's key is its kind and its name, so all of them lie between the kind and what comes after it.
    beyond = kind[:-1] + chr(ord(kind[-1]) + 1)
    for scope, who in run(_GROUPS, {"first": kind, "beyond": beyond}):
        groups[scope] = (*groups.get(scope, ()), who.removeprefix(kind))

    @cache
    def of_groups(names: tuple[str, ...]) -> tuple[Team, ...]:
        return tuple(Team("group", name) for name in names)

    @cache
    def of_namespace(name: str) -> tuple[Team, ...]:
        return (Team("namespace", name) if name else Team("none"),)

    return {
        scope: of_groups(groups[scope]) if scope in groups else of_namespace(namespace)
        for scope, namespace in run("SELECT scope, namespace FROM visible")
    }


def _open(rows: Any, teams: Mapping[int, tuple[Team, ...]]) -> Iterator[Open]:
    # There may be as many scopes as questions, but of few teams: what is of the same ones is added up first.
    found: dict[tuple[int, str, int], tuple[tuple[Team, ...], int, float]] = {}
    for scope, project, overdue, number, oldest in rows:
        its = teams[scope]
        key = (id(its), project, overdue)
        _, before, first = found.get(key, (its, 0, oldest))
        found[key] = (its, before + number, min(first, oldest))
    for (_, project, overdue), (its, number, oldest) in found.items():
        yield Open(its, project, bool(overdue), number, datetime.fromtimestamp(oldest, UTC))


def _settled(rows: Any, teams: Mapping[int, Sequence[Team]]) -> Iterator[Ended]:
    for scope, project, outcome, default_used, ended, seconds in rows:
        at = datetime.fromtimestamp(ended, UTC)
        yield Ended(teams[scope], project, outcome, bool(default_used), at, seconds)
