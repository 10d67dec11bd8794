"""The outbox: each notice reaches its target at least once, also if processes are killed.

A try is claimed by creating ``{n}.try``, n being one more than the last, so that of any number of processes one
sends. Its claim holds for two minutes, by the storage's own clock. Its result is an object as well:
``done.json``, ``dead.json``, or ``{n}.failed.json``, which says when the next try is due. If a process is killed
after it sent and before it stored the result, its claim runs out. Then the notice is sent again, under its old id.

A library for retries within one process (tenacity, stamina) does not fit: these tries go on in other processes.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from pydantic import AwareDatetime

from hitl.core.documents import Document
from hitl.core.noticekeys import NoticeBox, NoticeKey, notices_prefix
from hitl.core.notices import NotDelivered, Notice, next_try_at
from hitl.errors import DocumentDamaged, StorageUnavailable
from hitl.records.records import Records
from hitl.storage import Store

CLAIM: Final = timedelta(minutes=2)
"""How long a claim holds: much longer than sending takes, even if two clocks are half a minute apart."""
SEND_SECONDS: Final = 15.0

_log = logging.getLogger("hitl")

_HELD_UP_SECONDS: Final = 30.0
_PAUSE_SECONDS: Final = 1.0


class Claimed(Document):
    """A claim to a try."""

    at: AwareDatetime


class Failed(Document):
    """How a try failed, and when the next one is due."""

    at: AwareDatetime
    why: str
    retry_at: AwareDatetime


class Ended(Document):
    """The end of a notice: it was delivered, alone or in a digest, or why it is given up.

    The receipt is the target's own.
    """

    at: AwareDatetime
    tries: int
    why: str = ""
    receipt: str = ""
    digest: str = ""


@dataclass(frozen=True)
class NoticeState:
    """Where a notice to a target stands.

    Args:
        box: Which notice and which target.
        tries: How often it was tried.
        ended: ``done``, ``dead``, or empty while it is tried.
        why: Why the last try failed, if it did.
    """

    box: NoticeBox
    tries: int
    ended: str
    why: str


@dataclass(frozen=True)
class _Seen:
    tries: int = 0
    claimed_at: datetime | None = None
    failed: bool = False
    ended: str = ""


@dataclass(frozen=True)
class Attempt:
    """A try that this process may make, and nobody else.

    Args:
        box: Of which notice to which target.
        number: The how many-th it is.
        began: Since when it counts, by `Records.ticks`.
    """

    box: NoticeBox
    number: int
    began: float


async def deliver(
    records: Records,
    box: NoticeBox,
    notice: Notice,
    send: Callable[[], Awaitable[str]],
    still: Callable[[], Awaitable[bool]],
) -> datetime | None:
    """Try to deliver a notice, unless somebody else does, or it is too early to try again.

    Args:
        records: Where the question lies.
        box: Where the notice lies.
        notice: What is told.
        send: Sends it, and returns the target's receipt; raises `NotDelivered`.
        still: Tells, right before it is sent, whether it is still true.

    Returns:
        When to look again; None: there is nothing more to do about it.

    Raises:
        StorageError: when the storage did not answer before it was sent, or the clocks are apart.
    """
    claimed = await claim(records, box, still)
    if not isinstance(claimed, Attempt):
        return claimed
    if held_up(records, claimed):
        return records.now() + CLAIM
    return await note(records, claimed, notice, await sent_by(send))


async def claim(
    records: Records, box: NoticeBox, still: Callable[[], Awaitable[bool]]
) -> Attempt | datetime | None:
    """Claim the next try of a notice, for two minutes.

    Args:
        records: Where the question lies.
        box: Where the notice lies.
        still: Tells whether it is still true.

    Returns:
        The try; when to look again, as it is another's or too early; None: there is nothing more to do about it.

    Raises:
        StorageError: when the storage did not answer, or the clocks are apart.
    """
    now, began = records.now(), records.ticks()
    await records.store.require_clock(now)
    seen = await _look(records.store, box)
    if seen.ended:
        return None
    free_at = await _free_at(records.store, box, seen)
    if free_at is not None and free_at > now:
        return free_at
    number = seen.tries + 1
    if not await records.store.create_once(box.claim(number), Claimed(at=now).to_bytes()):
        return now + CLAIM
    return Attempt(box, number, began) if await still() else None


def held_up(records: Records, attempt: Attempt) -> bool:
    """Tell whether this process was stopped since it claimed a try: the claim may be somebody else's soon."""
    return records.ticks() - attempt.began > _HELD_UP_SECONDS


async def sent_by(send: Callable[[], Awaitable[str]]) -> NotDelivered | str:
    """Send, within a bound; return the target's receipt, or why it did not take it."""
    try:
        async with asyncio.timeout(SEND_SECONDS):
            return await send()
    except NotDelivered as failure:
        return failure
    except TimeoutError:
        return NotDelivered(f"it took more than {SEND_SECONDS:.0f} s")


async def note(
    records: Records, attempt: Attempt, notice: Notice, sent: NotDelivered | str, digest: str = ""
) -> datetime | None:
    """Store the result of a try. While the storage does not answer, this goes on.

    Args:
        records: Where the question lies.
        attempt: The try.
        notice: What was told.
        sent: The target's receipt, or why it did not take it.
        digest: The id of the digest in which it was told; empty: it was told alone.

    Returns:
        When to try again; None: there is nothing more to do about it.
    """
    box, now = attempt.box, records.now()
    if isinstance(sent, str):
        await _insist(records.store, box.done, Ended(at=now, tries=attempt.number, receipt=sent, digest=digest))
        return None
    retry_at = next_try_at(now, attempt.number, sent.wait, random.random(), notice.until)  # noqa: S311 - no secret
    if sent.gone or retry_at >= notice.until:
        await _insist(records.store, box.dead, Ended(at=now, tries=attempt.number, why=sent.why))
        _log.warning("%s: the notice %r to %s is given up: %s", box.request_id, box.notice, box.target, sent.why)
        return None
    await _insist(records.store, box.failed(attempt.number), Failed(at=now, why=sent.why, retry_at=retry_at))
    return retry_at


async def ended_notices(store: Store, request_id: str) -> frozenset[NoticeBox]:
    """Return the notices about a question that were delivered or given up. It costs one request.

    Raises:
        StorageUnavailable: when the storage did not answer in time.
    """
    found = await _all_seen(store, request_id, notices_prefix(request_id))
    return frozenset(box for box, seen in found.items() if seen.ended)


async def notice_states(store: Store, request_id: str) -> list[NoticeState]:
    """Return where the notices about a question stand, in the order of their names.

    Raises:
        StorageUnavailable: when the storage did not answer in time.
    """
    found = await _all_seen(store, request_id, notices_prefix(request_id))
    return [
        NoticeState(box, seen.tries, seen.ended, await _why(store, box, seen))
        for box, seen in sorted(found.items(), key=lambda each: each[0].prefix)
    ]


async def receipts(store: Store, request_id: str, target: str) -> Mapping[str, str]:
    """Return what a target gave for the notices about a question that it took, by their names.

    Raises:
        StorageUnavailable: when the storage did not answer in time.
    """
    found: dict[str, str] = {}
    for box, seen in (await _all_seen(store, request_id, notices_prefix(request_id))).items():
        if box.target == target and seen.ended == "done" and (data := await store.read(box.done)) is not None:
            # A damaged result counts as one without a receipt.
            with suppress(DocumentDamaged):
                found[box.notice] = Ended.from_bytes(data, box.done).receipt
    return {notice: receipt for notice, receipt in found.items() if receipt}


async def _look(store: Store, box: NoticeBox) -> _Seen:
    return (await _all_seen(store, box.request_id, box.prefix)).get(box, _Seen())


async def _all_seen(store: Store, request_id: str, prefix: str) -> dict[NoticeBox, _Seen]:
    listed: dict[NoticeBox, dict[tuple[str, int], datetime]] = {}
    async for key, written_at in store.list_keys(prefix):
        if (said := NoticeKey.of(request_id, key)) is not None:
            listed.setdefault(said.box, {})[said.kind, said.number] = written_at
    return {box: _seen(found) for box, found in listed.items()}


def _seen(found: dict[tuple[str, int], datetime]) -> _Seen:
    tries = max((number for kind, number in found if kind == "try"), default=0)
    ended = next((kind for kind in ("done", "dead") if (kind, 0) in found), "")
    return _Seen(tries, found.get(("try", tries)), ("failed", tries) in found, ended)


async def _free_at(store: Store, box: NoticeBox, seen: _Seen) -> datetime | None:
    if seen.claimed_at is None:
        return None
    if seen.failed:
        try:
            if (data := await store.read(box.failed(seen.tries))) is not None:
                return Failed.from_bytes(data, box.failed(seen.tries)).retry_at
        except DocumentDamaged:
            # As if it had never been written.
            pass
    return seen.claimed_at + CLAIM


async def _why(store: Store, box: NoticeBox, seen: _Seen) -> str:
    try:
        if seen.ended == "dead" and (data := await store.read(box.dead)) is not None:
            return Ended.from_bytes(data, box.dead).why
        if not seen.ended and seen.failed and (data := await store.read(box.failed(seen.tries))) is not None:
            return Failed.from_bytes(data, box.failed(seen.tries)).why
    except DocumentDamaged as error:
        return str(error)
    return ""


async def _insist(store: Store, key: str, document: Document) -> None:
    # The notice was sent. If this gave up, it would be sent again. So it tries until the storage answers.
    while True:
        try:
            await store.create_once(key, document.to_bytes())
        except StorageUnavailable:
            await asyncio.sleep(_PAUSE_SECONDS)
        else:
            return
