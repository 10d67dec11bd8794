"""The roots that this operator serves, each with its store, which counts only once it proved itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from functools import cache
from typing import Final

from prometheus_client import Counter

from hitl.core import keys
from hitl.core.urls import form_url
from hitl.errors import ClockApart, StorageError, StorageUnavailable, StorageUnsuitable
from hitl.records.audit import AuditWriter
from hitl.storage import Store
from hitl_operator.metrics import API_CLOCK, CLOCK, DAMAGED, FOREIGN, ROOT_TROUBLE, STORAGE_REQUESTS
from hitl_operator.settings import RootSettings

# A deadline is settled this long after it (`hitl.core.lifecycle.GRACE`): by a clock that is more than that ahead,
# a question would end before its time.
CLOCK_LIMIT_SECONDS: Final = 10.0

_AWAY: Final = "the storage does not answer"
_UNSUITABLE: Final = "the storage cannot hold outcomes, see the operator's log"
_APART: Final = "the operator's clock is not the storage's or the API server's"
_UNWRITTEN: Final = "the storage refuses to be written, see the operator's log"
_TROUBLES: Final = {"away": (_AWAY,), "unsuitable": (_UNSUITABLE, _UNWRITTEN), "clock": (_APART,)}

# Not deletions: who may write need not be allowed to delete.
_WRITES: Final = ("create", "mark")

_log = logging.getLogger("hitl.operator.roots")


class Root:
    """One root.

    Args:
        settings: Where it lies, and whose questions it holds.
        api_clock: Says by how many seconds a clock is ahead of the API server's; None: not known yet.

    Attributes:
        audit: What this operator says of the questions there.
        looked: Set once it was looked into for the first time, with or without success.
    """

    def __init__(self, settings: RootSettings, api_clock: Callable[[datetime], float | None]) -> None:
        self.settings = settings
        self.looked = asyncio.Event()
        self._api_clock = api_clock
        self._store = settings.open_store(self._watched)
        self.audit = AuditWriter(self._store, "operator")
        self._checked = False
        self._out = ""
        # A write failed, so the next look tries one.
        self._doubted = False
        # Its trouble, if that was refused; and whether that is over, and nobody looked at what waited for it.
        self._refuses = ""
        self._mended = False
        self._apart = False
        self._clock = CLOCK.labels(root=settings.name)
        # Shown as zero from the start, so that the first one is an increase.
        for trouble in (DAMAGED, FOREIGN):
            trouble.labels(root=settings.name)
        for reason in _TROUBLES:
            ROOT_TROUBLE.labels(root=settings.name, reason=reason)

    @property
    def name(self) -> str:
        """Its name in settings, metrics and logs."""
        return self.settings.name

    @property
    def away(self) -> bool:
        """Whether its storage cannot be used now."""
        return bool(self._out)

    @property
    def trouble(self) -> str:
        """What is wrong with it, in few words and without its address; empty: nothing."""
        return self._out or self._refuses or (_APART if self._apart else "")

    @property
    def store(self) -> Store:
        """The store, for callers that should not wait for storage that is known to be unavailable.

        Raises:
            StorageUnavailable: while it does not answer, or was not found yet to create objects exclusively.
        """
        if self._out or not self._checked:
            raise StorageUnavailable(self._out or _AWAY)
        return self._store

    async def reach(self) -> Store:
        """Return the store even if it did not answer last, for the one who looks whether it is back.

        Raises:
            StorageUnsuitable: when it does not create objects exclusively, so that nothing is recorded there.
            StorageUnavailable: when it does not answer.
        """
        if not self._checked:
            await self._store.probe()
            self._checked = True
            _log.info("root %s is in reach", self.name)
        if self._doubted:
            await self._try_to_write()
        return self._store

    def out(self, error: StorageError) -> bool:
        """Take note that its storage cannot be used; True when it could before."""
        before = self._out
        unsuitable = isinstance(error, StorageUnsuitable)
        self._out = _UNSUITABLE if unsuitable else _AWAY
        if self._out != before:
            level = logging.ERROR if unsuitable else logging.WARNING
            _log.log(level, "root %s does not answer, and is retried automatically: %s", self.name, error)
            self._show()
        return not before

    def back(self) -> bool:
        """Take note that its storage can be used; True when it could not before, or not be written."""
        before, self._out, self._mended = self._out or self._mended, "", False
        if before:
            _log.warning("root %s is in reach again", self.name)
            self._show()
        return bool(before)

    def stand_by(self) -> None:
        """Show no trouble any more: another operator looks now, and knows more."""
        if self.trouble:
            self._out, self._refuses, self._apart = "", "", False
            self._show()
        for gauge in (self._clock, API_CLOCK):
            gauge.set(0)

    async def require_clock(self, now: datetime) -> None:
        """Refuse to settle or delete anything by a time that others do not share; say so in log and metric.

        Raises:
            ClockApart: when it is more than 10 s from the API server's, or from the storage's.
            StorageUnavailable: when the storage does not answer.
        """
        try:
            await self._require_clocks(now)
        except ClockApart as error:
            if not self._apart:
                _log.error("root %s: %s", self.name, error)
            self._apart = True
            self._show()
            raise
        if self._apart:
            _log.warning("root %s: the clock agrees with the storage's and the API server's again", self.name)
            self._apart = False
            self._show()

    def form_url(self, request_id: str) -> str:
        """Return the address of a form, without any token; empty when nobody said where the web app is."""
        return form_url(self.settings.endpoint, request_id) if self.settings.endpoint else ""

    async def _require_clocks(self, now: datetime) -> None:
        api = self._api_clock(now)
        if api is not None:
            API_CLOCK.set(api)
        try:
            storage = await self._store.require_clock(now)
        except ClockApart as error:
            self._clock.set(error.seconds)
            raise
        self._clock.set(storage)
        for whose, difference in ((self._store.url, storage), ("the API server", api or 0.0)):
            if abs(difference) > CLOCK_LIMIT_SECONDS:
                raise ClockApart(whose, difference)

    async def _try_to_write(self) -> None:
        """Find out whether it can be written as well: storage that lists and reads may refuse just that."""
        self._doubted, key = False, keys.probe_key()
        try:
            await self._store.create_once(key, b"probe\n")
        except StorageUnsuitable as error:
            if not self._refuses:
                _log.error("root %s refuses to be written, and is retried automatically: %s", self.name, error)
            self._doubted, self._refuses = True, _UNWRITTEN
        else:
            self._mended |= bool(self._refuses)
            self._refuses = ""
            with suppress(StorageError):
                await self._store.delete(key)
        self._show()

    def _watched(self, operation: str, result: str) -> None:
        self._doubted |= operation in _WRITES and result == "error"
        _counter(operation, result).inc()

    def _show(self) -> None:
        for reason, troubles in _TROUBLES.items():
            given = self._apart if reason == "clock" else (self._out or self._refuses) in troubles
            ROOT_TROUBLE.labels(root=self.name, reason=reason).set(int(given))


class Roots:
    """All roots.

    Args:
        settings: Where each lies, and whose questions it holds.
        api_clock: Says by how many seconds a clock is ahead of the API server's; None: not known yet.
    """

    def __init__(
        self,
        settings: Sequence[RootSettings],
        api_clock: Callable[[datetime], float | None] = lambda _: None,
    ) -> None:
        self._roots = {each.name: Root(each, api_clock) for each in settings}
        # Asked for each change of each object, and there may be hundreds of namespaces.
        self._by_namespace = {
            namespace: root for root in reversed(list(self)) for namespace in root.settings.namespaces
        }
        self._any = next((root for root in self if not root.settings.namespaces), None)

    def __iter__(self) -> Iterator[Root]:
        return iter(self._roots.values())

    def named(self, name: str) -> Root:
        """Return the root of a name."""
        return self._roots[name]

    def serving(self, namespace: str) -> Root | None:
        """Return the root that holds the questions of a namespace."""
        return self._by_namespace.get(namespace, self._any)


@cache
def _counter(operation: str, result: str) -> Counter:
    return STORAGE_REQUESTS.labels(operation=operation, result=result)
