"""The root, the clocks and the listeners that every operation on records needs."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import NamedTuple

from hitl.core.audit import Attempt
from hitl.storage import Store, ticks


def utc_now() -> datetime:
    """Return the present moment by this machine's clock, in UTC."""
    return datetime.now(UTC)


class Records(NamedTuple):
    """The records under one root.

    Args:
        store: Where they lie.
        announce: Whether an operator serves the root, so that markers tell it of what is new.
        now: The present moment, with a time zone, by a clock that `Store.require_clock` checks.
        ticks: Seconds that only ever grow; they tell how old a look at the storage is.
        later: Takes the rows of a settled question, the one to write and the one to delete (see
            `hitl.records.index`). None: they are written before the outcome is returned.
        audited: Takes what the audit is to say (see `hitl.records.audit`), and raises nothing. None: there is no
            audit.
    """

    store: Store
    announce: bool = False
    now: Callable[[], datetime] = utc_now
    ticks: Callable[[], float] = ticks
    later: Callable[[str, str], None] | None = None
    audited: Callable[[Attempt], Awaitable[None]] | None = None
