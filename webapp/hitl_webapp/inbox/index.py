"""The inbox's index: questions in SQLite, in memory, with full-text search.

Every method belongs to the one thread that owns the connection. Nothing in the index is the truth: what a page
shows of it is read from the storage again when somebody opens it.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from hitl.core.respondents import Respondents
from hitl.core.text import is_alike
from hitl_webapp.inbox import ballots, statements
from hitl_webapp.inbox.rows import Ended, Row, tie_of
from hitl_webapp.inbox.schema import TABLES

EVERYONE: Final = "*"
# A question that could not be read is tried again after so many passes.
_TRIED_AGAIN: Final = 10


@dataclass(frozen=True, slots=True)
class Listed:
    """A row of the root's index, as the storage listed it.

    Args:
        request_id: The question.
        at: When the row was written, in seconds since 1970.
    """

    request_id: str
    at: float


@dataclass(frozen=True, slots=True)
class Settled:
    """An outcome that this process knows.

    Args:
        request_id: The question.
        sha256: The digest of the question's bytes.
        ended: How it ended.
    """

    request_id: str
    sha256: str
    ended: Ended


class Index:
    """The questions that the inbox knows."""

    def __init__(self) -> None:
        # One thread uses it, and whichever drops it last may close it.
        self.connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self.connection.execute("PRAGMA temp_store = MEMORY")
        # Larger pages: less overhead per page.
        self.connection.execute("PRAGMA page_size = 8192")
        self.connection.executescript(TABLES)
        self.connection.create_function("is_alike", 2, is_alike, deterministic=True)
        self._last = 0
        # Grows with each change that a visitor may see.
        self.version = 0
        # The time for which the scopes of escalating questions are valid.
        self._as_of = 0.0

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Let go of everything."""
        self.connection.close()

    def put(self, rows: Iterable[tuple[Row, float]], number: int) -> None:
        """Take questions as they were read.

        Args:
            rows: The questions, each with when its row was listed, in seconds since 1970; 0: it has none.
            number: The pass over the storage in which they were read.
        """
        with self._transaction():
            for row, listed in rows:
                self._put(row, listed, number)

    def settle(self, outcomes: Iterable[Settled]) -> None:
        """Take outcomes of questions. Those of questions that are not here, or were asked again, are left out."""
        with self._transaction():
            for each in outcomes:
                found = self._find(each.request_id)
                if found is not None and found[1].hex() == each.sha256:
                    self._end(found[0], each.ended)

    def pass_time(self, now: float) -> None:
        """Tell the questions that wait from those whose deadline has passed, and who may see those that escalate.

        Args:
            now: The present moment, in seconds since 1970.
        """
        run = self.connection.execute
        over = run("UPDATE question SET open = 2 WHERE open = 1 AND expires <= ?", (now,)).rowcount
        # `now` may go back: it comes from the storage if the local clock is wrong.
        again = run("UPDATE question SET open = 1 WHERE open = 2 AND expires > ?", (now,)).rowcount
        self.version += over + again + self._escalate(now)

    def compare(self, listed: Sequence[Listed], number: int) -> list[Listed]:
        """Note which questions were listed, and return those that have to be read.

        Args:
            listed: Rows of open questions.
            number: The pass over the storage in which they were listed.
        """
        run = self.connection.execute
        with self._transaction():
            run("DELETE FROM listed")
            self.connection.executemany(
                "INSERT OR IGNORE INTO listed (id, at, tie) VALUES (?, ?, ?)",
                ((each.request_id, each.at, tie_of(each.request_id)) for each in listed),
            )
            run("UPDATE question SET pass = ? WHERE tie IN (SELECT tie FROM listed)", (number,))
            found = run(
                "SELECT l.id, l.at FROM listed l LEFT JOIN question q ON q.tie = l.tie"
                " WHERE (q.n IS NULL OR q.listed != l.at)"
                " AND l.id NOT IN (SELECT id FROM unreadable WHERE pass > ?)",
                (number - _TRIED_AGAIN,),
            )
            fresh: dict[str, float] = dict(found)
        return [each for each in listed if fresh.pop(each.request_id, None) == each.at]

    def vanished(self, number: int, until: float) -> list[str]:
        """Return the ids of open questions that a pass did not list.

        Args:
            number: The pass.
            until: It listed all rows up to this deadline, in seconds since 1970.
        """
        found = self.connection.execute(
            "SELECT s.id FROM question q JOIN said s ON s.n = q.n"
            " WHERE q.open != 0 AND q.pass < ? AND q.expires < ?",
            (number, until),
        )
        return [name for (name,) in found]

    def unreadable(self, request_ids: Iterable[str], number: int) -> list[str]:
        """Note questions that cannot be read, and return those that were not noted before."""
        fresh: list[str] = []
        with self._transaction():
            for each in request_ids:
                if not self.connection.execute("SELECT 1 FROM unreadable WHERE id = ?", (each,)).fetchone():
                    fresh.append(each)
                self._drop(each)
                self.connection.execute(
                    "INSERT OR REPLACE INTO unreadable (id, pass) VALUES (?, ?)", (each, number)
                )
        return fresh

    def all_unreadable(self) -> list[str]:
        """Return the ids of the questions that cannot be read."""
        return [name for (name,) in self.connection.execute("SELECT id FROM unreadable ORDER BY id")]

    def drop(self, request_ids: Iterable[str]) -> None:
        """Forget questions that are not there any more."""
        with self._transaction():
            for each in request_ids:
                self._drop(each)

    def drop_others(self, number: int) -> None:
        """Forget all that the last pass did not see."""
        self._drop_where("q.pass < ?", (number,))
        self.connection.execute("DELETE FROM unreadable WHERE pass < ?", (number,))

    def drop_beyond(self, number: int, deadline: float, settled: int) -> None:
        """Forget what is beyond the bounds.

        Args:
            number: The last pass.
            deadline: Open questions with a later one were not listed, in seconds since 1970.
            settled: How many settled questions are kept.
        """
        self._drop_where("q.open != 0 AND q.pass < ? AND q.expires >= ?", (number, deadline))
        self._drop_where(
            "q.n IN (SELECT n FROM question WHERE open = 0 ORDER BY ended DESC LIMIT -1 OFFSET ?)", (settled,)
        )
        run = self.connection.execute
        run("DELETE FROM scope WHERE id NOT IN (SELECT scope FROM question UNION SELECT scope FROM widens)")
        run("DELETE FROM scope_who WHERE scope NOT IN (SELECT id FROM scope)")

    def settled(self) -> set[str]:
        """Return the ids of all settled questions."""
        found = self.connection.execute("SELECT s.id FROM question q JOIN said s ON s.n = q.n WHERE q.open = 0")
        return {name for (name,) in found}

    def count(self) -> int:
        """Return how many questions are here."""
        (number,) = self.connection.execute("SELECT COUNT(*) FROM question").fetchone()
        return int(number)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self.connection.execute("BEGIN")
        try:
            yield
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")

    def _put(self, row: Row, listed: float, number: int) -> None:
        run = self.connection.execute
        run("DELETE FROM unreadable WHERE id = ?", (row.request_id,))
        found = self._find(row.request_id)
        if found is not None and found[1].hex() == row.sha256:
            # 0 means that the question was read for another reason, so the time of its row stays.
            run(
                "UPDATE question SET listed = COALESCE(NULLIF(?, 0), listed), pass = ? WHERE n = ?",
                (listed, number, found[0]),
            )
            if row.ended is not None:
                self._end(found[0], row.ended)
            elif row.ballot is not None and ballots.take(self.connection, found[0], row.ballot):
                self.version += 1
            return
        if found is not None:
            # It was deleted, and another question was asked under its id.
            self._drop(row.request_id)
        self._last += 1
        self.version += 1
        n, scope = self._last, self._scope(row.namespace, row.respondents)
        said = statements.said_values(n, row)
        run(statements.INSERT_QUESTION, statements.question_values(n, row, scope, listed, number))
        run(statements.INSERT_SAID, said)
        run(statements.INSERT_WORDS, said)
        if row.later:
            first = (n, row.asked_at.timestamp(), scope)
            later = ((n, at.timestamp(), self._scope(row.namespace, who)) for at, who in row.later)
            self.connection.executemany("INSERT INTO widens (n, at, scope) VALUES (?, ?, ?)", [first, *later])
            self._widen(n)
        if row.ended is not None:
            self._end(n, row.ended)
        elif row.ballot is not None:
            ballots.take(self.connection, n, row.ballot)

    def _escalate(self, now: float) -> int:
        """Give questions the scopes that they have now, and return of how many it is another one."""
        first, last = sorted((self._as_of, now))
        found = self.connection.execute("SELECT DISTINCT n FROM widens WHERE at > ? AND at <= ?", (first, last))
        changed, self._as_of = [n for (n,) in found], now
        return sum(map(self._widen, changed))

    def _widen(self, n: int) -> int:
        # A step of the escalation after the end has no effect.
        return self.connection.execute(
            "UPDATE question SET scope = w.scope FROM (SELECT w.scope, MAX(w.at) FROM widens w JOIN question q"
            " ON q.n = w.n WHERE w.n = :n AND w.at <= MAX(q.asked, MIN(:now, q.ended))) w"
            " WHERE n = :n AND question.scope != w.scope",
            {"n": n, "now": self._as_of},
        ).rowcount

    def _end(self, n: int, ended: Ended) -> None:
        run = self.connection.execute
        # An outcome is final, so it is taken once.
        changed = run(
            "UPDATE question SET open = 0, outcome = ?, ended = ? WHERE n = ? AND open != 0",
            (ended.outcome, ended.at.timestamp(), n),
        )
        if not changed.rowcount:
            return
        self.version += 1
        ballots.take(self.connection, n, None)
        self._widen(n)
        run(statements.INSERT_ENDED, statements.ended_values(n, ended))

    def _find(self, request_id: str) -> tuple[int, bytes] | None:
        found: tuple[int, bytes] | None = self.connection.execute(
            "SELECT q.n, s.sha256 FROM question q JOIN said s ON s.n = q.n WHERE q.tie = ? AND s.id = ?",
            (tie_of(request_id), request_id),
        ).fetchone()
        return found

    def _drop(self, request_id: str) -> None:
        self.connection.execute("DELETE FROM unreadable WHERE id = ?", (request_id,))
        found = self._find(request_id)
        if found is not None:
            self._drop_rows([found[0]])

    def _drop_where(self, condition: str, given: Sequence[object]) -> None:
        found = self.connection.execute(f"SELECT q.n FROM question q WHERE {condition}", given)  # noqa: S608 - ours
        numbers = [n for (n,) in found]
        with self._transaction():
            self._drop_rows(numbers)

    def _drop_rows(self, numbers: Iterable[int]) -> None:
        run = self.connection.execute
        for n in numbers:
            self.version += 1
            # The index of words does not store the text, so SQLite needs the text to delete the entry.
            run(
                "INSERT INTO words (words, rowid, name, prompt)"
                " SELECT 'delete', n, name, prompt FROM said WHERE n = ?",
                (n,),
            )
            for table in ("question", "said", "ended", "widens", "ballot", "voter"):
                run(f"DELETE FROM {table} WHERE n = ?", (n,))  # noqa: S608 - one of six names

    def _scope(self, namespace: str, respondents: Respondents) -> int:
        who = _who(respondents)
        digest = hashlib.sha256(json.dumps([namespace, who]).encode()).digest()
        run = self.connection.execute
        found = run("SELECT id FROM scope WHERE digest = ?", (digest,)).fetchone()
        if found is not None:
            return int(found[0])
        number = run("INSERT INTO scope (digest, namespace) VALUES (?, ?)", (digest, namespace)).lastrowid or 0
        self.connection.executemany(
            "INSERT INTO scope_who (who, scope) VALUES (?, ?)", ((each, number) for each in who)
        )
        return number


def user_key(name: str) -> str:
    """Return the key of a user, as the table of scopes has it."""
    return f"u:{name}"


def group_key(name: str) -> str:
    """Return the key of a group, as the table of scopes has it."""
    return f"g:{name}"


def _who(respondents: Respondents) -> list[str]:
    if not respondents:
        return [EVERYONE]
    return sorted({*map(user_key, respondents.users), *map(group_key, respondents.groups)})
