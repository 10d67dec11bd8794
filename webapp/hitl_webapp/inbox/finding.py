"""Finding questions in the index: one SQL condition for rights, one for filters, pages by key.

What a visitor may see is laid down first, in the table ``visible``. Every statement joins it, so that no count, no
order and no search knows of anything else.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from hitl.core.respondents import Respondents
from hitl.core.text import is_alike
from hitl_webapp.inbox.ballots import AWAITED, VOTED
from hitl_webapp.inbox.index import Index
from hitl_webapp.inbox.queries import PAGE, Key, Query, Sort, read_key, words_of
from hitl_webapp.inbox.rights import Rights
from hitl_webapp.inbox.rows import Ballot, Ended, Row, tie_of

# So many are sorted sooner than they are looked for in an order.
_FEW: Final = 2_000
_COLUMNS: Final[dict[Sort, str]] = {
    "deadline": "q.expires",
    "age": "q.asked",
    "name": "q.name_key",
    "ended": "q.ended",
}
_ORDERED: Final[dict[Sort, str]] = {"deadline": "by_deadline", "age": "by_age", "name": "by_name"}
_VISIBLE: Final = """
INSERT INTO visible SELECT w.scope, MAX(m.kind = 'user'), MAX(m.kind = 'group'), s.namespace
FROM me m CROSS JOIN scope_who w ON w.who = m.who CROSS JOIN scope s ON s.id = w.scope
WHERE ? OR s.namespace IN (SELECT namespace FROM there) GROUP BY w.scope
"""
_SHOWN: Final = f"""
s.id, s.sha256, s.name, s.prompt, s.prompt_format, q.namespace, q.project, q.run, q.type, q.asked_by, q.asked,
q.expires, q.outcome, q.ended, e.by, e.named, e.verified, e.channel, e.value, e.shown, e.comment, e.default_used,
b.agree, b.required, b.declined, b.needed, b.unreachable, b.excluded, {VOTED}
"""
# Every part of a statement is written in this module; what a visitor gave is bound by its name. The page is found
# first, and what is shown of it is looked up afterwards.
_PAGE: Final = f"""
WITH page AS (SELECT q.n AS n, {{column}} AS sorted, q.tie AS tied {{source}} WHERE {{where}}
  ORDER BY {{order}} LIMIT :limit)
SELECT p.sorted, p.tied, {_SHOWN} FROM page p CROSS JOIN question q ON q.n = p.n JOIN said s ON s.n = p.n
LEFT JOIN ended e ON e.n = p.n LEFT JOIN ballot b ON b.n = p.n ORDER BY {{order}}
"""  # noqa: S608 - as said
_BY_WORDS: Final = """
FROM (SELECT n FROM question WHERE tie = :tie_of_id UNION SELECT rowid FROM words WHERE words MATCH :words) f
CROSS JOIN question q ON q.n = f.n CROSS JOIN visible v ON v.scope = q.scope
"""


@dataclass(frozen=True, slots=True)
class Counts:
    """How many questions match, in each of the views.

    Args:
        all: Those that the visitor may see.
        mine: Of these, those that name the visitor.
        groups: Of these, those that name a group of the visitor.
    """

    all: int = 0
    mine: int = 0
    groups: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """One page of what was found.

    Args:
        rows: The questions, in the order that was asked for.
        counts: How many match, on all pages.
        next, previous: The places from which the pages before and after go on; None: there is none.
    """

    rows: tuple[Row, ...] = ()
    counts: Counts = Counts()
    next: Key | None = None
    previous: Key | None = None


def namespaces(index: Index) -> list[str]:
    """Return the namespaces of all questions."""
    return [name for (name,) in index.connection.execute("SELECT DISTINCT namespace FROM scope")]


def find(index: Index, rights: Rights, query: Query, now: datetime, limit: int = PAGE) -> Found:
    """Return a page of the questions that match.

    Args:
        index: The index.
        rights: What the visitor may see.
        query: What is looked for.
        now: The present moment, with a time zone.
        limit: How many questions a page has.
    """
    index.pass_time(now.timestamp())
    lay_down(index.connection, rights)
    search = _Search(index.connection, query, rights)
    counts = search.counts()
    total = getattr(counts, query.view)
    key, backwards = read_key(query), bool(query.before)
    rows = search.page(key, backwards=backwards, few=total <= _FEW, limit=limit + 1) if total else []
    more = len(rows) > limit
    rows = rows[:limit]
    if backwards:
        rows.reverse()
    ends = [Key(row[0], row[1]) for row in (rows[0], rows[-1])] if rows else [None, None]
    return Found(
        rows=tuple(_row(row[2:], rights.user) for row in rows),
        counts=counts,
        next=ends[1] if more or backwards else None,
        previous=ends[0] if (more if backwards else key is not None) else None,
    )


def lay_down(connection: sqlite3.Connection, rights: Rights) -> None:
    """Lay down what a visitor may see, in the table ``visible``, for the statements that follow."""
    for table in ("me", "there", "visible"):
        connection.execute(f"DELETE FROM {table}")  # noqa: S608 - one of three names
    connection.executemany("INSERT OR IGNORE INTO me VALUES (?, ?)", rights.keys())
    connection.executemany("INSERT OR IGNORE INTO there VALUES (?)", ((each,) for each in rights.namespaces or ()))
    connection.execute(_VISIBLE, (rights.namespaces is None,))
    if rights.owns:
        connection.execute("INSERT OR IGNORE INTO visible SELECT id, 0, 0, namespace FROM scope")


def conditions_of(asked: object, names: Sequence[str]) -> tuple[list[str], dict[str, Any]]:
    """Return what filters say of a question ``q`` of a visible scope ``v``, and what is bound to it by name.

    Args:
        asked: What has the filters as attributes; an empty one is none.
        names: Which ones.
    """
    given = {name: wanted for name in names if (wanted := getattr(asked, name))}
    # A namespace belongs to the scope, of which there are few.
    return [f"{'v' if name == 'namespace' else 'q'}.{name} = :{name}" for name in given], given


class _Search:
    """One query over what is visible."""

    def __init__(self, connection: sqlite3.Connection, query: Query, rights: Rights) -> None:
        self._connection = connection
        self._query = query
        filters, self._given = conditions_of(query, ("namespace", "project", "run", "type", "asked_by"))
        self._given |= {"voter": rights.voter, "user": rights.user}
        self._conditions = [self._state(), *filters]
        if query.voted:
            self._conditions.append(VOTED if query.voted == "yes" else AWAITED)
        if query.run:
            # SQLite uses the partial index of runs only with this condition.
            self._conditions.append("q.run != ''")
        if query.text:
            self._given |= {"words": words_of(query.text), "tie_of_id": tie_of(query.text)}

    def counts(self) -> Counts:
        """Return how many questions match, in each view."""
        statement = f"SELECT COUNT(*), SUM(v.mine), SUM(v.team) {self._from()} WHERE {self._where()}"
        numbers = [int(each or 0) for each in self._connection.execute(statement, self._given).fetchone()]
        return Counts(*numbers)

    def page(self, key: Key | None, *, backwards: bool, few: bool, limit: int) -> list[tuple[Any, ...]]:
        """Return a page's rows, each after its key; backwards in the opposite order."""
        query, column = self._query, _COLUMNS[self._query.sort]
        conditions = [self._where()]
        if query.view != "all":
            conditions.append("v.mine" if query.view == "mine" else "v.team")
        descending = (query.sort == "ended") != backwards
        if key is not None:
            conditions.append(f"({column}, q.tie) {'<' if descending else '>'} (:key, :tie)")
            self._given |= {"key": key.value, "tie": key.tie}
        way = "DESC" if descending else "ASC"
        # The page is found first, and what is shown of it is looked up afterwards.
        order = f"{column} {way}, q.tie {way}"
        statement = _PAGE.format(
            column=column, source=self._from(ordered=not few), where=" AND ".join(conditions), order=order
        )
        return self._connection.execute(statement, {**self._given, "limit": limit}).fetchall()

    def _from(self, *, ordered: bool = False) -> str:
        query = self._query
        if query.text:
            return _BY_WORDS
        if query.run:
            return "FROM question q INDEXED BY by_run CROSS JOIN visible v ON v.scope = q.scope"
        if ordered and query.state == "open" and query.sort in _ORDERED:
            return f"FROM question q INDEXED BY {_ORDERED[query.sort]} CROSS JOIN visible v ON v.scope = q.scope"
        return "FROM visible v CROSS JOIN question q INDEXED BY by_scope ON q.scope = v.scope"

    def _where(self) -> str:
        return " AND ".join(self._conditions)

    def _state(self) -> str:
        match self._query.state:
            case "open":
                return "q.open = 1"
            case "overdue":
                return "q.open = 2"
            case "settled":
                return "q.open IN (0, 2)"
            case "any":
                return "q.open IN (0, 1, 2)"
            case _:
                self._given["outcome"] = self._query.state
                return "q.open = 0 AND q.outcome = :outcome"


def _row(row: tuple[Any, ...], visitor: str) -> Row:
    request_id, sha256, name, prompt, prompt_format, namespace, project, run, data_type, asked_by, *others = row
    asked, expires, outcome, ended, by, named, verified, channel, value, shown, comment, default_used, *votes = (
        others
    )
    agree, required, declined, needed, unreachable, excluded, voted = votes
    end = None
    barred = bool(excluded) and is_alike(visitor, excluded)
    if outcome:
        flags = (bool(named), bool(verified))
        end = Ended(outcome, _moment(ended), by, *flags, channel, value, shown, comment, bool(default_used))
    return Row(
        *(request_id, sha256.hex(), name, prompt, prompt_format, namespace, project, run, data_type, asked_by),
        asked_at=_moment(asked),
        expires_at=_moment(expires),
        # A list does not tell which users and groups a question names.
        respondents=Respondents(),
        ended=end,
        ballot=None
        if required is None
        else Ballot(agree, required, declined, needed, bool(unreachable), voted=bool(voted), barred=barred),
    )


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
