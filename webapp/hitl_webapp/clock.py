"""This machine's clock, which decides only while it agrees with the storage's."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

from hitl.core.documents import RequestDocument
from hitl.errors import ClockApart, StorageError
from hitl.records.records import utc_now
from hitl.storage import CLOCK_LIMIT_SECONDS, Store
from hitl_webapp.metrics import CLOCK

_log = logging.getLogger("hitl.web")
_UNKNOWN: Final = "not compared yet"
_AGREES: Final = "agrees with the storage's"


class Clock:
    """The clock of this machine beside that of the storage.

    Attributes:
        now: Returns the present moment by this machine's clock.
        state: What is known of it, in words.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.now: Callable[[], datetime] = utc_now
        self.state = _UNKNOWN

    async def require(self, now: datetime) -> None:
        """Refuse to go on with a time that is not the storage's, and say so in health, log and metric.

        Raises:
            ClockApart: when it is more than 30 s from the storage's.
            StorageUnavailable: when the storage did not answer in time.
        """
        try:
            CLOCK.set(await self._store.require_clock(now))
        except ClockApart as error:
            CLOCK.set(error.seconds)
            # Not the storage's address, which is nobody's business.
            told = f"{abs(error.seconds):.0f} s {'ahead of' if error.seconds > 0 else 'behind'} the storage's"
            if self.state in (_AGREES, _UNKNOWN):
                _log.error("nothing is recorded: %s", error)
            self.state = told
            raise
        if self.state not in (_AGREES, _UNKNOWN):
            _log.warning("the clock agrees with the storage's again")
        self.state = _AGREES

    async def agrees(self, now: datetime) -> bool:
        """Tell whether a time is the storage's, within 30 s.

        Raises:
            StorageUnavailable: when the storage did not answer in time.
        """
        try:
            await self.require(now)
        except ClockApart:
            return False
        return True

    async def rights_time(self, request: RequestDocument) -> datetime:
        """Return the present moment, as `storage_time` does where it decides who may see a question."""
        return await self.storage_time() if request.escalation else self.now()

    async def storage_time(self) -> datetime:
        """Return the present moment, by the storage's clock where this machine's is wrong.

        It decides what a page shows, and nothing that is recorded. If the storage does not answer, this machine's.
        """
        now = self.now()
        with suppress(StorageError):
            difference = await self._store.clock_difference(now)
            if abs(difference) > CLOCK_LIMIT_SECONDS:
                return now - timedelta(seconds=difference)
        return now
