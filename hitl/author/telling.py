"""Telling people of the questions that this program waits for, beside the wait: it never delays or fails one.

The notices are sent by a thread of ours. They go on when a wait ends without an outcome, as the question may be
open still. When the program ends, the notices of outcomes have some seconds left.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import os
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from hitl.author.hearing import hearing
from hitl.author.loop import own_loop
from hitl.core.documents import OutcomeDocument
from hitl.errors import InvalidRequest
from hitl.records.records import Records
from hitl.records.requests import StoredRequest
from hitl.settings import Settings

if TYPE_CHECKING:
    from hitl.notify.channels import Channel
    from hitl.notify.driver import Driver

LAST_SECONDS: Final = 5.0
_AT_ONCE: Final = 8

_log = logging.getLogger("hitl")
_running: dict[str, tuple[Driver, Future[None]]] = {}


@dataclass(frozen=True)
class Telling:
    """Who is told about the questions of this program.

    Args:
        channels: The targets.
        reminders: How many seconds before the deadline to remind, each at least 1.
    """

    channels: Sequence[Channel] = ()
    reminders: Sequence[int] = ()

    def begin(self, records: Records, request: StoredRequest, outcome: OutcomeDocument | None = None) -> None:
        """Send the notices about a question from now on, unless that is done already."""
        if not self.channels or request.sha256 in _running:
            return
        from hitl.notify.driver import Driver

        driver = Driver(records, request, self.channels, self.reminders, _slot, outcome)
        done = asyncio.run_coroutine_threadsafe(self._drive(driver, records), own_loop())
        _running[request.sha256] = driver, done
        done.add_done_callback(lambda _: _running.pop(request.sha256, None))

    async def _drive(self, driver: Driver, records: Records) -> None:
        # In Slack, people answer what they are told of.
        async with hearing(self.channels, records):
            await driver.run()

    def end(self, records: Records, request: StoredRequest, outcome: OutcomeDocument) -> None:
        """Send the notices about the outcome of a question."""
        if (found := _running.get(request.sha256)) is not None:
            own_loop().call_soon_threadsafe(found[0].end, outcome)
        else:
            self.begin(records, request, outcome)


def telling_of(settings: Settings) -> Telling:
    """Return who is told, by the settings. What is wrong with them is an error in the log, and nobody is told."""
    if not (text := settings.notify.get_secret_value()):
        return Telling()
    # Loaded here: most programs tell nobody.
    from hitl.notify.opening import channels_of

    try:
        return Telling(channels_of(text, private=settings.notify_private == "allow"), settings.notify_reminders)
    except InvalidRequest as error:
        _log.error("nobody is told of questions: %s", error)
        return Telling()


def finish() -> None:
    """Wait for the notices of outcomes, for some seconds. Called when the program ends."""
    if not _running:
        return
    # The loop may not have heard of an outcome yet. It does in the order in which it is told.
    last = asyncio.run_coroutine_threadsafe(_of_outcomes(), own_loop())
    with suppress(TimeoutError):
        last.result(timeout=LAST_SECONDS)


async def _of_outcomes() -> None:
    """Wait for the notices of the outcomes that this loop knows."""
    ended = [asyncio.wrap_future(done) for driver, done in list(_running.values()) if driver.outcome is not None]
    if ended:
        await asyncio.wait(ended)


def _slot(target: str) -> asyncio.Semaphore:
    return _slots(os.getpid(), target)


@functools.cache
def _slots(_process: int, _target: str) -> asyncio.Semaphore:
    return asyncio.Semaphore(_AT_ONCE)


if hasattr(os, "register_at_fork"):
    # The parent's questions are the parent's.
    os.register_at_fork(after_in_child=_running.clear)
