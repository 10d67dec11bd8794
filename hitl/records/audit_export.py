"""Exports the audit of a root in the order of time, with the outcomes without a line.

A line lies in the folder of the day on which it was written, which may be the day after. So two days at a time are
sorted, in a temporary database on the disk: memory is bounded.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, TypeAlias

from hitl.core.audit import Attempt, Omitted, unseal
from hitl.core.keys import SegmentName, response_key
from hitl.errors import DocumentDamaged, RequestNotFound
from hitl.records.attempts import line_of_outcome
from hitl.records.index import settled_days
from hitl.records.listing import settled_rows
from hitl.records.requests import read_outcome_of, read_request
from hitl.records.segments import audit_days, segments_of
from hitl.storage import Store

Shown: TypeAlias = Attempt | Omitted

_TABLES: Final = """
create table line (at int, file text, line int, said blob);
create index line_at on line (at, file, line);
create table told (request_id text primary key, at int) without rowid;
"""
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True)
class Row:
    """One row of an export.

    Args:
        file: The key of the object that says it.
        line: The line in it, counted from 1; None: it is an outcome, which has no line.
        said: What it says.
    """

    file: str
    line: int | None
    said: Shown


async def export(
    store: Store, since: date, until: date | None = None, *, left: list[str] | None = None
) -> AsyncIterator[Row]:
    """Yield what happened on some days, in the order of time.

    Args:
        store: The root.
        since: The first day, in UTC.
        until: The last day; None: today.
        left: Gets a sentence for each line or outcome that cannot be read. `hitl.records.audit_check` says more.

    Raises:
        StorageUnavailable: when the storage did not answer in time.
    """
    left = [] if left is None else left
    # The last day of the calendar has none after it.
    until = None if until is None else min(until, date.max - _DAY)
    written = [day for day in await audit_days(store) if day >= since and (until is None or day <= until + _DAY)]
    settled = [day for day in await settled_days(store) if day >= since and (until is None or day <= until)]
    # An empty name: a file that is deleted with the connection.
    with closing(sqlite3.connect("")) as database:
        database.executescript(_TABLES)
        after = {each + _DAY for each in settled}
        for day in sorted({*written, *settled, *after}):
            if day in written:
                await _read_day(store, day, database, left)
            # Now all lines about the day before are here that were written in time.
            if day in after:
                await _read_outcomes(store, day - _DAY, database, left)
            for row in _sorted(database, since, until, before=_first_of(day)):
                yield row
        for row in _sorted(database, since, until):
            yield row


async def _read_day(store: Store, day: date, database: sqlite3.Connection, left: list[str]) -> None:
    async for name in segments_of(store, day):
        if isinstance(name, str):
            left.append(f"{name}: this is no segment of the audit")
            continue
        try:
            data = await store.read(name.key)
        except DocumentDamaged as error:
            left.append(str(error))
            continue
        _insert_segment(database, name, data or b"", left)


def _insert_segment(database: sqlite3.Connection, name: SegmentName, data: bytes, left: list[str]) -> None:
    # Only a line feed ends a line, as in the verification. So both give a line the same number.
    lines = data.removesuffix(b"\n").split(b"\n") if data else []
    for number, stored in enumerate(lines, 1):
        found = unseal(stored)
        if found is None:
            left.append(f"{name.key}:{number}: it is not as it was written")
        elif isinstance(found[0], Attempt | Omitted):
            line = found[0]
            at = _microseconds(line.at)
            database.execute("insert into line values (?, ?, ?, ?)", [at, name.key, number, stored])
            if isinstance(line, Attempt) and line.result == "recorded":
                database.execute("insert or ignore into told values (?, ?)", [line.request_id, at])


async def _read_outcomes(store: Store, day: date, database: sqlite3.Connection, left: list[str]) -> None:
    """Add the outcomes of a day that have no line."""
    async for row, _ in settled_rows(store, [day]):
        if database.execute("select 1 from told where request_id = ?", [row.request_id]).fetchone() is not None:
            continue
        try:
            request = await read_request(store, row.request_id)
            outcome = await read_outcome_of(store, request)
        except RequestNotFound:
            continue
        except DocumentDamaged as error:
            left.append(str(error))
            continue
        if outcome is not None:
            said = line_of_outcome(request, outcome).model_dump_json().encode()
            values = [_microseconds(outcome.answered_at), response_key(row.request_id), None, said]
            database.execute("insert into line values (?, ?, ?, ?)", values)
    database.execute("delete from told where at < ?", [_microseconds(_first_of(day))])


def _sorted(
    database: sqlite3.Connection, since: date, until: date | None, before: datetime | None = None
) -> Iterator[Row]:
    """Yield what happened before a moment, and forget it."""
    end = None if before is None else _microseconds(before)
    chosen = "" if end is None else f" where at < {end}"
    query = f"select at, file, line, said from line{chosen} order by at, file, line"  # noqa: S608 - a number of ours
    first = _microseconds(_first_of(since))
    last = None if until is None else _microseconds(_first_of(until + _DAY))
    for at, file, line, said in database.execute(query):
        if at < first or (last is not None and at >= last):
            continue
        found = unseal(said) if line is not None else (Attempt.model_validate_json(said), "")
        if found is not None and isinstance(found[0], Attempt | Omitted):
            yield Row(file, line, found[0])
    database.execute(f"delete from line{chosen}")  # noqa: S608 - a number of ours


def _first_of(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)


def _microseconds(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
