"""Several notices to one target in one message, each with its own claim and its own result in the outbox.

If a process is killed between the sending and the results, its claims run out. Then these notices are sent once
more, together or alone, each under its own id.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from hitl.core.pacing import Waiting
from hitl.errors import DocumentDamaged, RequestNotFound, StorageError
from hitl.records.outbox import CLAIM, Attempt, claim, held_up, note, sent_by
from hitl.records.records import Records

Results: TypeAlias = dict[Waiting, datetime | None]
"""When to look again at each notice; None: there is nothing more to do about it."""

STORAGE_AWAY: Final = timedelta(seconds=10)
"""When to look again after the storage did not answer."""

_AT_ONCE: Final = 16


async def deliver_together(
    records: Records,
    members: Sequence[Waiting],
    send: Callable[[Sequence[Waiting]], Awaitable[tuple[str, str]]],
    still: Callable[[Waiting], Awaitable[bool]],
) -> Results:
    """Try to deliver several notices in one message: those that nobody else delivers, and that are still true.

    Args:
        records: Where the questions lie.
        members: The notices.
        send: Sends some of them, and returns the target's receipt and the digest's id; raises `NotDelivered`.
        still: Tells whether one of them is still true.
    """
    slots, results, attempts = asyncio.Semaphore(_AT_ONCE), Results(), dict[Waiting, Attempt]()

    async def begin(member: Waiting) -> None:
        async with slots:
            try:
                claimed = await claim(records, member.box, lambda: still(member))
            except (DocumentDamaged, RequestNotFound):
                # The others need not wait for this one. The next look at the question reports the trouble.
                claimed = None
            except StorageError:
                claimed = records.now() + STORAGE_AWAY
        if isinstance(claimed, Attempt):
            attempts[member] = claimed
        else:
            results[member] = claimed

    await asyncio.gather(*map(begin, members))
    if any(held_up(records, each) for each in attempts.values()):
        return results | dict.fromkeys(attempts, records.now() + CLAIM)
    if not attempts:
        return results
    # The order is that of the caller, not that of the claims.
    chosen, digest = [each for each in members if each in attempts], ""

    async def send_chosen() -> str:
        nonlocal digest
        receipt, digest = await send(chosen)
        return receipt

    sent = await sent_by(send_chosen)

    async def end(member: Waiting) -> None:
        async with slots:
            results[member] = await note(records, attempts[member], member.notice, sent, digest)

    await asyncio.gather(*map(end, chosen))
    return results
