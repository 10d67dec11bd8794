"""The claim to be the only one who deletes under a root, for some minutes.

Two processes that delete at once could delete too much: after a pause, one would delete the outcome of a question
that was asked again since the other one deleted it. So a process that deletes creates the object
``_deleting/{n}``, n being one more than the last, which must have ended (``_deleting/{n}.ended``) or be 15
minutes old. Of any number of callers one creates it. It deletes for a third of that time, then
claims again.

``_deleting/deleted`` was written after the last question was deleted. So a missing question is missing for at
least as long, which the second step of a deletion needs to know (see `hitl.records.retention`).
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

from hitl.core import keys
from hitl.errors import StorageError, StorageUnavailable
from hitl.storage import Store, ticks

STALE: Final = timedelta(minutes=15)
_MOST_PASSED_OVER: Final = 16
# Clocks may be half a minute apart.
_APART: Final = timedelta(minutes=1)


class DeletesAlready(StorageUnavailable):
    """Another process deletes under the root, or died while it did."""


class Claim:
    """The right to delete under a root. Made by `claim`.

    Args:
        store: The root.
        number: Which claim it is.
        taken_at: What `ticks` said before it was created.
        deleted_at: A moment since which nobody deleted a question, by the storage's own clock; None: nobody ever
            did.
        unknown: Whether the claim before did not end, so that what it deleted is not known.
        stale: After which time somebody else may take over.
    """

    def __init__(
        self,
        store: Store,
        number: int,
        taken_at: float,
        deleted_at: datetime | None,
        *,
        unknown: bool,
        stale: timedelta,
    ) -> None:
        self.deleted_at = deleted_at
        self._store = store
        self._number = number
        self._taken_at = taken_at
        self._unknown = unknown
        self._stale = stale

    async def hold(self) -> None:
        """Make sure that nobody else deletes for some minutes. Called right before each deletion.

        Raises:
            StorageUnavailable: when the storage did not answer in time; `DeletesAlready`: another one took over.
        """
        if ticks() - self._taken_at <= self._stale.total_seconds() / 3:
            return
        taken_at = ticks()
        if not await self._store.create_once(keys.deletion_key(self._number + 1), b"\n"):
            raise DeletesAlready(f"{self._store.url}: another process deletes there now")
        self._number, self._taken_at = self._number + 1, taken_at

    async def end(self, *, deleted: bool) -> None:
        """Let others delete, without any wait.

        Args:
            deleted: Whether questions were deleted, so that their outcomes may follow in 15 minutes.
        """
        with suppress(StorageError):
            if deleted or self._unknown:
                await self._store.mark(keys.LAST_DELETED)
            await self._store.mark(_ended(self._number))
            found = [key async for key, _ in self._store.list_keys(keys.DELETING)]
            # The last claim stays, so that no number is ever taken twice.
            await self._store.delete_many([key for key in found if 0 < _number(key) < self._number])


async def claim(store: Store, *, now: datetime, stale: timedelta = STALE) -> Claim:
    """Claim to be the only one who deletes under a root.

    Args:
        store: The root.
        now: The present moment, with a time zone, by a clock that `Store.require_clock` accepted.
        stale: How long another claim holds.

    Raises:
        StorageUnavailable: while another one holds (`DeletesAlready`), or when the storage did not answer in time.
    """
    found = {key: written_at async for key, written_at in store.list_keys(keys.DELETING)}
    last = max(map(_number, found), default=0)
    for key in {keys.deletion_key(last), keys.LAST_DELETED} & found.keys():
        if found[key] - now > _APART:
            # The storage's clock was set back since. Its age is counted from now on.
            await store.mark(key)
            found[key] = now
    unknown = bool(last) and _ended(last) not in found
    deleted_at = found.get(keys.LAST_DELETED)
    if unknown:
        taken_at = found.get(keys.deletion_key(last), now)
        if now - taken_at < stale:
            minutes = int((taken_at + stale - now).total_seconds() // 60) + 1
            raise DeletesAlready(
                f"{store.url}: another process deletes there, or died while it did: try again in {minutes} min"
            )
        # Its holder deleted for at most a third of this time, and did not say that it was done.
        deleted_at = max(deleted_at or taken_at, taken_at + stale / 3)
    for number in range(last + 1, last + 1 + _MOST_PASSED_OVER):
        began, key = ticks(), keys.deletion_key(number)
        if await store.create_once(key, b"\n"):
            return Claim(store, number, began, deleted_at, unknown=unknown, stale=stale)
        if key in [each async for each, _ in store.list_keys(keys.DELETING)]:
            break
        # Something else has its name, such as a folder on local files: nobody can claim by that number.
    raise DeletesAlready(f"{store.url}: another process deletes there: try again later")


def _ended(number: int) -> str:
    return f"{keys.deletion_key(number)}.ended"


def _number(key: str) -> int:
    """Return which claim an object is of, or 0 for what has another name than claims get."""
    name = key.rpartition("/")[2].removesuffix(".ended")
    number = int(name) if name.isascii() and name.isdigit() else 0
    # Else one that nobody could end would hold without end.
    return number if key.removesuffix(".ended") == keys.deletion_key(number) else 0
