"""The API server's own clock, as its replies tell it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache

# A reply says the second in which it was written.
_RESOLUTION_SECONDS = 1.0


@dataclass(frozen=True)
class ServerClock:
    """One reading.

    Args:
        told: What the server said.
        at: When the reply came, in seconds that only ever grow.
        took: How many seconds the request took.
    """

    told: datetime
    at: float
    took: float

    @classmethod
    def of_header(cls, date: str, at: float, took: float) -> ServerClock | None:
        """Read a `Date` header; None when it is none."""
        told = _moment(date)
        return None if told is None else cls(told, at, took)

    def difference(self, now: datetime, at: float) -> float:
        """Return by how many seconds a clock is surely ahead of the server's; negative when behind.

        Args:
            now: The present moment by the clock in question, with a time zone.
            at: The present moment, as `at` above.
        """
        ahead = (now - self.told).total_seconds() - (at - self.at)
        # The moment of the header lies anywhere in its second, and anywhere within the request.
        if ahead > 0:
            return max(0.0, ahead - _RESOLUTION_SECONDS - self.took)
        return ahead


# Hundreds of replies say the same second.
@lru_cache(maxsize=8)
def _moment(date: str) -> datetime | None:
    try:
        told = parsedate_to_datetime(date)
    except ValueError:
        return None
    return None if told.tzinfo is None else told
