"""Questions that were handed over: the inbox shows them to the delegates as well.

A marker says of which questions something changed, so no other question costs a request. Rights are those of a
question's respondents, so a question is taken into the index again with their delegates.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from hitl.core import votekeys
from hitl.core.delegation import delegates
from hitl.core.documents import sha256_hex
from hitl.errors import StorageError, StorageUnavailable
from hitl.records.requests import StoredRequest
from hitl.records.votes import read_ballots
from hitl.storage import Store, all_of
from hitl_webapp.inbox.ballots import ballot_of
from hitl_webapp.inbox.desk import Desk
from hitl_webapp.inbox.index import Index
from hitl_webapp.inbox.rows import Row, row_of, tie_of
from hitl_webapp.survey import read_question

# A marker younger than this may precede the change by a moment.
_FRESH: Final = timedelta(seconds=90)


class HandedOver:
    """Keeps the index like what was handed over.

    Args:
        store: The root.
        desk: The index.
        now: The present moment, with a time zone.
    """

    def __init__(self, store: Store, desk: Desk, now: Callable[[], datetime]) -> None:
        self._store = store
        self._desk = desk
        self._now = now
        self._read: dict[str, datetime] = {}
        self._shown: dict[str, tuple[str, ...]] = {}

    async def refresh(self, number: int) -> None:
        """Look at the open questions of which a marker says that something changed.

        Args:
            number: The pass over the storage in which this is done.

        Raises:
            StorageUnavailable: the storage did not answer in time.
        """
        marked = {key.rpartition("/")[2]: at async for key, at in self._store.list_keys(votekeys.HANDED)}
        waits = await self._desk.ask(_waits, list(marked))
        changed = [
            each
            for each, at in marked.items()
            if waits.get(each) and (self._read.get(each) != at or self._now() - at < _FRESH)
        ]
        await self.look(changed, number)
        self._read = {each: at for each, at in marked.items() if waits.get(each)}
        self._shown = {each: names for each, names in self._shown.items() if each in self._read}
        # Without the right to delete, the retention removes them.
        with suppress(StorageError):
            await self._store.delete_many(
                [votekeys.handed_marker(each) for each, open_ in waits.items() if not open_]
            )

    async def look(self, request_ids: Sequence[str], number: int) -> None:
        """Look who some open questions were handed over to.

        Raises:
            StorageUnavailable: the storage did not answer in time.
        """
        found = await all_of([partial(self._row, each) for each in request_ids])
        read = [each for each in found if each is not None]
        changed = [each for each in read if self._shown.get(each[0].request_id, ()) != each[1]]
        await self._desk.ask(_take_again, [row for row, _ in changed], number)
        self._shown |= {row.request_id: names for row, names in changed}

    async def _row(self, request_id: str) -> tuple[Row, tuple[str, ...]] | None:
        try:
            found = await read_question(self._store, request_id)
            if found is None:
                return None
            document, data = found
            request = StoredRequest(document, sha256_hex(data))
            said = await read_ballots(self._store, request)
        except StorageUnavailable:
            raise
        except StorageError:
            # The damage was reported by an earlier read.
            return None
        names = delegates(document, said.handed())
        return row_of(document, None, request.sha256, delegates=names, ballot=ballot_of(document, said)), names


def _waits(index: Index, request_ids: Sequence[str]) -> dict[str, bool]:
    """Return of each question that is there whether it has no outcome yet."""
    found = {
        each: index.connection.execute(
            "SELECT q.open FROM question q JOIN said s ON s.n = q.n WHERE q.tie = ? AND s.id = ?",
            (tie_of(each), each),
        ).fetchone()
        for each in request_ids
    }
    return {each: bool(row[0]) for each, row in found.items() if row is not None}


def _take_again(index: Index, rows: Sequence[Row], number: int) -> None:
    index.drop([each.request_id for each in rows])
    index.put([(each, 0.0) for each in rows], number)
