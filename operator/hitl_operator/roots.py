"""The roots that this operator serves, each with its store, which counts only once it proved itself."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from hitl.core.urls import form_url
from hitl.errors import ClockApart, StorageUnavailable
from hitl.storage import Store
from hitl_operator.metrics import CLOCK, DAMAGED, FOREIGN, STORAGE_REQUESTS
from hitl_operator.settings import RootSettings

_log = logging.getLogger("hitl.operator.roots")

_AWAY: Final = "the storage is out of reach"


class Root:
    """One root.

    Args:
        settings: Where it lies, and whose questions it holds.
    """

    def __init__(self, settings: RootSettings) -> None:
        self.settings = settings
        self._store = Store(settings.url, settings.options, watcher=_count)
        self._checked = False
        self.away = False
        self._apart = False
        # Shown as zero from the start, so that the first one is an increase.
        for trouble in (DAMAGED, FOREIGN):
            trouble.labels(root=settings.name)

    @property
    def name(self) -> str:
        """Its name in settings, metrics and logs."""
        return self.settings.name

    @property
    def store(self) -> Store:
        """The store, for whoever should not wait for storage that is known to be away.

        Raises:
            StorageUnavailable: while it is away, or was not found yet to create objects exclusively.
        """
        if self.away or not self._checked:
            raise StorageUnavailable(_AWAY)
        return self._store

    async def reach(self) -> Store:
        """Return the store even if it was away last, for whoever looks whether it is back.

        Raises:
            StorageUnsuitable: when it does not create objects exclusively, so that nothing may go on.
            StorageUnavailable: when it does not answer.
        """
        if not self._checked:
            await self._store.probe()
            self._checked = True
            _log.info("root %s is in reach", self.name)
        return self._store

    async def require_clock(self, now: datetime) -> None:
        """Refuse to settle anything by a time that is not the storage's, and say so in log and metric.

        Raises:
            ClockApart: when it is more than 30 s from the storage's.
            StorageUnavailable: when the storage does not answer.
        """
        difference = CLOCK.labels(root=self.name)
        try:
            difference.set(await self._store.require_clock(now))
        except ClockApart as error:
            difference.set(error.seconds)
            if not self._apart:
                _log.error("root %s: %s", self.name, error)
            self._apart = True
            raise
        if self._apart:
            _log.warning("root %s: the clock agrees with the storage's again", self.name)
        self._apart = False

    def form_url(self, request_id: str) -> str:
        """Return the address of a form, without any token; empty when nobody said where the web app is."""
        return form_url(self.settings.endpoint, request_id) if self.settings.endpoint else ""


class Roots:
    """All roots."""

    def __init__(self, settings: Sequence[RootSettings]) -> None:
        self._roots = {each.name: Root(each) for each in settings}

    def __iter__(self) -> Iterator[Root]:
        return iter(self._roots.values())

    def named(self, name: str) -> Root:
        """Return the root of a name."""
        return self._roots[name]

    def serving(self, namespace: str) -> Root | None:
        """Return the root that holds the questions of a namespace."""
        return next((root for root in self if root.settings.serves(namespace)), None)


def _count(operation: str, result: str) -> None:
    STORAGE_REQUESTS.labels(operation=operation, result=result).inc()
