"""Verifies the audit of a root: each writer's lines, what others saw of them, and the outcomes they name.

Memory is bounded: what must be compared waits in a temporary database on the disk.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from typing import Final

from hitl.core import keys
from hitl.core.audit import Attempt, Head, Heads
from hitl.core.chain import Chain, Finding, Read
from hitl.core.documents import sha256_hex
from hitl.core.keys import SegmentName
from hitl.errors import DocumentDamaged, RequestNotFound
from hitl.records.index import settled_days
from hitl.records.listing import settled_rows
from hitl.records.requests import read_outcome_of, read_request
from hitl.records.segments import audit_days, head_of, segments_of
from hitl.storage import Store, all_of

_AT_ONCE: Final = 500
# A writer may write this many segments while the segments before and after them are listed.
_MOST_LATE: Final = 10
# The line about an outcome is written a second later, or once the storage answers again.
_FRESH: Final = timedelta(minutes=1)
_TABLES: Final = """
create table segment (writer text, number int, day text, primary key (writer, number, day)) without rowid;
create table head (writer text, segment int, day text, n int, hash text);
create index head_of on head (writer, segment);
create table noted (writer text, segment int, day text, n int, hash text, file text, line int);
create table told (request_id text, sha256 text, file text, line int);
create index told_of on told (request_id);
"""


@dataclass
class Counts:
    """How much was looked at.

    Args:
        lines: Lines that are as they were written.
        segments: Objects that hold them.
        writers: Processes that wrote them.
        open_writers: Those that did not say that they ended: they run, or were killed.
    """

    lines: int = 0
    segments: int = 0
    writers: int = 0
    open_writers: int = 0


class Verification:
    """One verification of a root's audit.

    Args:
        store: The root.
        now: When it begins, with a time zone.
        since: Only what was written from this day on, in UTC. None: everything.
        anchor: A line that must be there; None: none is known.

    Attributes:
        counts: How much was looked at, once `findings` is through.
    """

    def __init__(
        self, store: Store, *, now: datetime, since: date | None = None, anchor: Head | None = None
    ) -> None:
        self._store = store
        self._now = now
        self._since = since
        self._anchor = anchor
        self.counts = Counts()

    async def findings(self) -> AsyncIterator[Finding]:
        """Yield each difference from what was written, and each trace that a kill left, as it is found.

        Raises:
            StorageUnavailable: when the storage did not answer in time.
        """
        # An empty name: a file that is deleted with the connection.
        with closing(sqlite3.connect("")) as database:
            database.executescript(_TABLES)
            async for finding in self._list(database):
                yield finding
            async for finding in self._chains(database):
                yield finding
            async for finding in self._seen(database):
                yield finding
            async for finding in self._outcomes(database):
                yield finding

    async def _list(self, database: sqlite3.Connection) -> AsyncIterator[Finding]:
        for day in await audit_days(self._store):
            if self._since is not None and day < self._since:
                continue
            async for each in segments_of(self._store, day):
                if isinstance(each, str):
                    yield Finding("moved", each, None, "this is no segment of the audit")
                else:
                    _insert(database, "segment", each.writer, each.number, each.day.isoformat())

    async def _chains(self, database: sqlite3.Connection) -> AsyncIterator[Finding]:
        writers = database.execute("select distinct writer from segment order by writer")
        for (writer,) in writers:
            chain = Chain(from_first=self._since is None)
            self.counts.writers += 1
            names = self._names(database, writer)
            name = await anext(names, None)
            while name is not None:
                following = await anext(names, None)
                self.counts.segments += 1
                for found in await self._looked(chain, name, last=following is None):
                    if isinstance(found, Finding):
                        yield found
                    else:
                        self.counts.lines += 1
                        _keep(database, found)
                if chain.head is not None:
                    _insert(database, "head", *_columns(chain.head))
                name = following
            self.counts.open_writers += not chain.ended

    async def _names(self, database: sqlite3.Connection, writer: str) -> AsyncIterator[SegmentName]:
        """Yield the segments of a writer in order, with those that were written while others were listed."""
        rows = database.execute("select number, day from segment where writer = ? order by number, day", [writer])
        before: SegmentName | None = None
        for number, day in rows:
            name = SegmentName(date.fromisoformat(day), writer, number)
            if before is not None and 1 < number - before.number <= _MOST_LATE:
                for between in range(before.number + 1, number):
                    for late in sorted({before.day, name.day}):
                        found = SegmentName(late, writer, between)
                        if await self._store.exists(found.key):
                            yield found
            yield name
            before = name

    async def _looked(self, chain: Chain, name: SegmentName, *, last: bool) -> list[Read | Finding]:
        try:
            data = await self._store.read(name.key)
        except DocumentDamaged as error:
            return list(chain.unreadable(name, error.why))
        if data is None:
            return list(chain.unreadable(name, "it was deleted while the audit was verified"))
        return list(chain.look(name, data, last=last))

    async def _seen(self, database: sqlite3.Connection) -> AsyncIterator[Finding]:
        """Yield the lines that others saw, and that are not there any more."""
        if self._anchor is not None:
            _insert(database, "noted", *_columns(self._anchor), "the anchor", None)
        missing = database.execute(
            "select * from noted n where not exists (select 1 from head h where h.writer = n.writer and "
            "h.segment = n.segment and h.day = n.day and h.n = n.n and h.hash = n.hash)"
        )
        for writer, segment, day, n, own, file, line in missing:
            head = Head(day=date.fromisoformat(day), writer=writer, segment=segment, n=n, hash=own)
            if self._since is not None and head.day < self._since:
                continue
            # It may have been written while others were listed.
            if await self._head_of(head.name) != head:
                where = file if line is None else f"{file}:{line}"
                text = f"its last line was line {n} of its writer, with the hash {own}, as {where} says"
                yield Finding("missing", head.name.key, None, text)

    async def _head_of(self, name: SegmentName) -> Head | None:
        try:
            return await head_of(self._store, name)
        except DocumentDamaged:
            # Its segment was reported as unreadable already.
            return None

    async def _outcomes(self, database: sqlite3.Connection) -> AsyncIterator[Finding]:
        rows = database.execute("select request_id, sha256, file, line from told")
        while some := rows.fetchmany(_AT_ONCE):
            for finding in await all_of(partial(self._told, database, *row) for row in some):
                if finding is not None:
                    yield finding
        first = self._since or min(await audit_days(self._store), default=None)
        if first is None:
            return
        days = [day for day in await settled_days(self._store) if day >= first]
        async for row, _ in settled_rows(self._store, days):
            known = database.execute("select 1 from told where request_id = ?", [row.request_id]).fetchone()
            if known is None and (finding := await self._unlisted(row.request_id)) is not None:
                yield finding

    async def _told(
        self, database: sqlite3.Connection, request_id: str, sha256: str, file: str, line: int
    ) -> Finding | None:
        """Compare an outcome with what a line says of it. One that was deleted with its question is no fault."""
        key = keys.response_key(request_id)
        try:
            data = await self._store.read(key)
        except DocumentDamaged as error:
            return Finding("unreadable", key, None, error.why)
        if data is None or sha256_hex(data) == sha256:
            return None
        # Under the same id, another question may have been asked since.
        query = "select 1 from told where request_id = ? and sha256 = ?"
        if database.execute(query, [request_id, sha256_hex(data)]).fetchone() is not None:
            return None
        return Finding("outcome", file, line, f"{key} is not the outcome that was recorded")

    async def _unlisted(self, request_id: str) -> Finding | None:
        key = keys.response_key(request_id)
        try:
            outcome = await read_outcome_of(self._store, await read_request(self._store, request_id))
        except RequestNotFound:
            return None
        except DocumentDamaged as error:
            return Finding("unreadable", key, None, error.why)
        if outcome is None or self._now - outcome.answered_at < _FRESH:
            return None
        return Finding("unlisted", key, None, "the audit has no line for this outcome")


def _keep(database: sqlite3.Connection, found: Read) -> None:
    """Keep the facts that must be compared with other objects later."""
    line, key = found.line, found.name.key
    if isinstance(line, Heads):
        for head in line.heads:
            _insert(database, "noted", *_columns(head), key, found.number)
    elif isinstance(line, Attempt) and line.result == "recorded" and keys.is_request_id(line.request_id):
        _insert(database, "told", line.request_id, line.outcome_sha256, key, found.number)


def _columns(head: Head) -> Iterator[str | int]:
    yield from (head.writer, head.segment, head.day.isoformat(), head.n, head.hash)


def _insert(database: sqlite3.Connection, table: str, *values: str | int | None) -> None:
    marks = ", ".join("?" * len(values))
    database.execute(f"insert or ignore into {table} values ({marks})", values)  # noqa: S608 - our own names
