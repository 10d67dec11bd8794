"""The one way to wait for an outcome, for programs and the command alike.

A wait looks at the storage again and again, less and less often. It settles the deadline itself when that is due.
While the storage does not answer, the wait continues. While the storage refuses, as it may when credentials are
renewed, it continues for at most five minutes.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from hitl.core.documents import OutcomeDocument
from hitl.core.lifecycle import GRACE
from hitl.errors import ClockApart, RequestNotFound, StorageError, StorageUnavailable, StorageUnsuitable
from hitl.records.outcomes import expire
from hitl.records.records import Records
from hitl.records.requests import StoredRequest, read_request

_FIRST_PAUSE_SECONDS: Final = 0.2
_PAUSE_GROWS: Final = 1.5
_READ_QUESTION_EVERY: Final = 20
_REFUSED_SECONDS: Final = 300.0

_log = logging.getLogger("hitl")


async def wait_for_outcome(records: Records, request: StoredRequest, *, longest_pause: float) -> OutcomeDocument:
    """Return the outcome of a question, once there is one, which its deadline makes certain.

    Args:
        records: Where the question lies.
        request: The question.
        longest_pause: The longest pause between two looks at the storage, in seconds, over 0.

    Raises:
        RequestNotFound: the question was deleted while it was waited for.
        DocumentDamaged: what is stored cannot be read, or belongs to another question.
        StorageUnsuitable: the storage has refused these credentials for five minutes.
    """
    looks, pause = _Looks(records, request), _FIRST_PAUSE_SECONDS
    while True:
        if (outcome := await looks.next()) is not None:
            return outcome
        now = records.now()
        due = (request.document.expires_at + GRACE - now).total_seconds()
        await asyncio.sleep(min(pause, due) if due > 0 else pause)
        pause = min(pause * _PAUSE_GROWS, longest_pause)


class _Looks:
    """The looks at one question, and the trouble that was reported, so that each is reported once."""

    def __init__(self, records: Records, request: StoredRequest) -> None:
        self._records = records
        self._request = request
        self._name = request.document.event_name
        self._count = 0
        self._away = False
        self._refused_since: float | None = None
        self._apart = False

    async def next(self) -> OutcomeDocument | None:
        """Return the outcome, if there is one and the storage answers."""
        try:
            outcome = await self._look()
        except RequestNotFound as error:
            raise RequestNotFound(
                f"question {self._request.request_id} was deleted while this program waited, so its outcome is "
                "not known: ask again under another key, and keep questions longer (HITL_RETENTION_DAYS)"
            ) from error
        except StorageUnavailable as error:
            # The storage did not refuse, so the five minutes of refusals start again.
            self._refused_since = None
            self._told("the storage does not answer, waiting on: %s", error)
            return None
        except StorageUnsuitable as error:
            now = self._records.ticks()
            self._refused_since = now if self._refused_since is None else self._refused_since
            if now - self._refused_since >= _REFUSED_SECONDS:
                raise
            self._told("the storage refuses, waiting on for at most five minutes: %s", error)
            return None
        if self._away:
            _log.warning("%s: the storage is back", self._name)
        self._away, self._refused_since = False, None
        self._count += 1
        return outcome

    def _told(self, what: str, error: StorageError) -> None:
        if not self._away:
            _log.warning(f"%s: {what}", self._name, error)
        self._away = True

    async def _look(self) -> OutcomeDocument | None:
        if self._count % _READ_QUESTION_EVERY == 0:
            # A question that was damaged since cannot be answered. Say so now, not at the deadline.
            await read_request(self._records.store, self._request.request_id)
        try:
            return await expire(self._records, self._request)
        except ClockApart as error:
            # A clock that differs from the storage's must not settle a deadline.
            if not self._apart:
                _log.warning("%s: the deadline is not settled here, waiting on: %s", self._name, error)
            self._apart = True
            return None
