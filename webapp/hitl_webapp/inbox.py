"""The inbox: which questions wait for this visitor, oldest first, and the outcomes of the others."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from hitl.errors import NotAllowed, StorageUnavailable
from hitl.storage import Store
from hitl_webapp.auth import Principal
from hitl_webapp.service import Service
from hitl_webapp.survey import Entry, Survey, survey

SHOWN_PENDING: Final = 200
SHOWN_SETTLED: Final = 50
SHOWN_UNREADABLE: Final = 50
_AT_ONCE: Final = 16
# Longer than a survey takes by its own bounds: one that hangs in the operating system has no others.
_PATIENCE_SECONDS: Final = 20.0
# What took a second to read is shown for ten, so that reading takes a tenth of the time at most.
_KEPT_FACTOR: Final = 10.0
_KEPT_SECONDS: Final = 600.0
# From this age on, the page says how old it is.
_AGED_SECONDS: Final = 5.0

_T = TypeVar("_T")


class Surveys:
    """One survey of a root at a time, in a thread of its own, however many visitors want it.

    Args:
        store: The root's store.
        clock: Seconds that only ever grow.
        tends: Whether a survey writes what is missing in the index, since no operator does.
    """

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic, *, tends: bool = False) -> None:
        self._store = store
        self._clock = clock
        self._tends = tends
        self._running: asyncio.Future[Survey] | None = None
        self._last: Survey | None = None
        self._fresh_until = 0.0
        self._read_at = 0.0

    def age(self) -> float:
        """Return how many seconds ago the last survey began."""
        return self._clock() - self._read_at

    async def current(self) -> Survey:
        """Return a survey that is fresh, or the last one where a new one takes too long.

        Raises:
            StorageError: whatever `survey` raises.
            StorageUnavailable: also when the first survey takes too long.
        """
        if self._last is not None and self._clock() < self._fresh_until:
            return self._last
        if self._running is None:
            self._running = _in_thread(lambda: survey(self._store, self._last, tends=self._tends))
            self._running.add_done_callback(self._ended(self._clock()))
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                return await asyncio.shield(self._running)
        except TimeoutError as error:
            if self._last is not None:
                return self._last
            raise StorageUnavailable(f"the questions were not read within {_PATIENCE_SECONDS:g} s") from error

    def _ended(self, started: float) -> Callable[[asyncio.Future[Survey]], None]:
        def ended(running: asyncio.Future[Survey]) -> None:
            self._running = None
            if running.cancelled() or running.exception() is not None:
                return
            self._last = running.result()
            self._read_at = started
            now = self._clock()
            self._fresh_until = now + min(_KEPT_SECONDS, _KEPT_FACTOR * (now - started))

        return ended


@dataclass(frozen=True)
class Listing:
    """What the inbox of one visitor shows.

    Args:
        pending: Questions that can be answered, the oldest first.
        settled: Questions that can no longer be answered, the last one first.
        unreadable: Ids of questions that cannot be read, for a visitor who may see every question.
        more_pending, more_unreadable: How many more of them there are.
        as_of: When all of this was read, unless that was just now.
        survey: What all of this was taken from.
    """

    pending: list[Entry]
    settled: list[Entry]
    unreadable: list[str]
    more_pending: int
    more_unreadable: int
    survey: Survey
    as_of: datetime | None = None


async def listing(surveys: Surveys, service: Service, principal: Principal) -> Listing:
    """Return what this visitor may see: at most 200 pending, 50 settled and 50 unreadable questions.

    Raises:
        StorageUnavailable: when the storage did not answer in time.
        ClusterError: when nobody can say what this visitor may see.
    """
    found = await surveys.current()
    now, age = await service.clock.storage_time(), surveys.age()
    entries = await _visible(principal, found.entries.values())
    # What this process recorded after the survey is known all the same.
    entries = [_as_known(each, service) for each in entries]
    pending = sorted((each for each in entries if _open(each, now)), key=lambda each: each.request.created_at)
    settled = sorted((each for each in entries if not _open(each, now)), key=_ended_at, reverse=True)
    unreadable = found.unreadable if await _may_see_all(principal) else ()
    return Listing(
        pending=pending[:SHOWN_PENDING],
        settled=settled[:SHOWN_SETTLED],
        unreadable=list(unreadable[:SHOWN_UNREADABLE]),
        more_pending=max(0, len(pending) - SHOWN_PENDING),
        more_unreadable=max(0, len(unreadable) - SHOWN_UNREADABLE),
        survey=found,
        as_of=now - timedelta(seconds=age) if age > _AGED_SECONDS else None,
    )


def _as_known(entry: Entry, service: Service) -> Entry:
    outcome = service.questions.known_outcome(entry.request.request_id) if entry.outcome is None else None
    if outcome is None or outcome.request_sha256 != entry.sha256:
        return entry
    return replace(entry, outcome=outcome)


def _open(entry: Entry, now: datetime) -> bool:
    return entry.outcome is None and now < entry.request.expires_at


def _ended_at(entry: Entry) -> datetime:
    return entry.request.expires_at if entry.outcome is None else entry.outcome.answered_at


async def _visible(principal: Principal, entries: Iterable[Entry]) -> list[Entry]:
    # A visitor's rights may have to be asked for, some at once; in between others have their turn.
    all_of_them = list(entries)
    visible: list[Entry] = []
    for start in range(0, len(all_of_them), _AT_ONCE):
        some = all_of_them[start : start + _AT_ONCE]
        may = await asyncio.gather(*(principal.may_list(each.request) for each in some))
        visible += [each for each, shown in zip(some, may, strict=True) if shown]
    return visible


async def _may_see_all(principal: Principal) -> bool:
    try:
        await principal.require_may_see(None)
    except NotAllowed:
        return False
    return True


def _in_thread(work: Callable[[], Coroutine[Any, Any, _T]]) -> asyncio.Future[_T]:
    """Run a coroutine on a loop and a thread of its own, which does not keep the process from ending."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[_T] = loop.create_future()

    def finish(result: _T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]  # without an error there is a result

    def run() -> None:
        result, error = None, None
        try:
            result = asyncio.run(work())
        except Exception as raised:  # noqa: BLE001 - the future carries it
            error = raised
        # The web app may have ended meanwhile.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(finish, result, error)

    threading.Thread(target=run, name="hitl-inbox", daemon=True).start()
    return future
