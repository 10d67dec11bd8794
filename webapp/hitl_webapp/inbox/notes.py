"""Outcomes that this process has seen, applied to the index until a reading that began after them is through."""

from __future__ import annotations

from typing import Final

from hitl.core.documents import OutcomeDocument, RequestDocument
from hitl_webapp.inbox.index import Settled
from hitl_webapp.inbox.rows import ended_of

_MOST: Final = 2_000


class Notes:
    """The outcomes, those from before the reading that is under way and those since.

    Attributes:
        taken: How many there were; it only grows.
    """

    def __init__(self) -> None:
        self.taken = 0
        self._since: dict[str, Settled] = {}
        self._before: dict[str, Settled] = {}

    def take(self, request: RequestDocument, outcome: OutcomeDocument) -> None:
        """Take an outcome, unless there are many since the last reading began: that finds it."""
        if len(self._since) < _MOST:
            self.taken += 1
            ended = ended_of(outcome, request)
            self._since[outcome.request_id] = Settled(outcome.request_id, outcome.request_sha256, ended)

    def begin_reading(self) -> None:
        """Drop those from before the last reading began: it is through."""
        self._before, self._since = self._since, {}

    def all(self) -> list[Settled]:
        """Return the outcomes, the first ones first."""
        return [*self._before.values(), *self._since.values()]
