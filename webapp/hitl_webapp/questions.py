"""Questions and their outcomes, as pages show them: from memory where that is safe.

A question never changes, so it is kept in memory, but for less time than its deletion takes: what is asked later
under its id is another question. Whether it is settled is remembered for a second, for pages only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hitl.core import keys
from hitl.core.documents import OutcomeDocument, RequestDocument
from hitl.core.lifecycle import accepts_submissions, expiry_due, may_end_by_itself
from hitl.core.tally import Standing, standing
from hitl.errors import RequestNotFound
from hitl.records.outcomes import expire
from hitl.records.records import Records
from hitl.records.requests import StoredRequest, read_outcome_of, read_request
from hitl.records.votes import Ballots, read_ballots
from hitl.records.voting import standing_votes
from hitl.storage import ticks
from hitl_webapp.caches import Memory, Read, size_of_outcome, size_of_request
from hitl_webapp.clock import Clock

# `hitl.records.retention` takes half an hour to delete a question permanently.
_REQUEST_SECONDS: Final = 300.0
SEEN_SECONDS: Final = 1.0


class Questions:
    """The questions under one root.

    Args:
        records: Where they lie.
        clock: This machine's clock.

    Attributes:
        told: Told of each outcome that this process sees; None: nobody is.
    """

    def __init__(self, records: Records, clock: Clock) -> None:
        self._records = records
        self._clock = clock
        self._requests: Memory[StoredRequest] = Memory()
        self._pending: Memory[None] = Memory()
        self._settled: Memory[OutcomeDocument] = Memory()
        self.told: Callable[[RequestDocument, OutcomeDocument], None] | None = None

    async def request(self, request_id: str) -> StoredRequest:
        """Return a question, from memory when it was read within the last five minutes.

        Raises:
            RequestNotFound: when there is none.
        """
        return self.remembered(request_id) or (await self.read(request_id, shown=True)).value

    def remembered(self, request_id: str) -> StoredRequest | None:
        """Return a question that was read within the last five minutes, without asking the storage."""
        kept = self._requests.get(request_id)
        return kept.value if kept is not None and ticks() - kept.at < _REQUEST_SECONDS else None

    async def read(self, request_id: str, *, shown: bool) -> Read[StoredRequest]:
        """Read a question from the storage, and return it with the moment at which that began.

        Args:
            request_id: Its id.
            shown: It is read for a page, so it is remembered. Else only one is that was remembered before: a
                program answers each question once, and asks for none of them again.

        Raises:
            RequestNotFound: when there is none.
        """
        kept, began = self._requests.get(request_id), ticks()
        known = kept.value if kept is not None else None
        try:
            found = await read_request(self._records.store, request_id, known=known)
        except RequestNotFound:
            self.forget(request_id)
            raise
        if known is not None and kept is not None and found is known:
            read = Read(found, began, kept.size)
        else:
            if known is not None:
                # The former question with this id was deleted, and the outcome in memory belongs to it.
                self.forget(request_id)
            read = Read(found, began, size_of_request(found.document))
        if shown or kept is not None:
            self._requests.put(request_id, read)
        return read

    async def unanswered(self, request_id: str) -> bool:
        """Tell whether a question was seen to have no outcome. Nobody looks where who answers need not know.

        Args:
            request_id: An id, whether or not there is such a question.
        """
        if not self._records.announce:
            return False
        return not await self._records.store.exists(keys.response_key(request_id))

    async def outcome(self, request: StoredRequest) -> OutcomeDocument | None:
        """Return the outcome for a page: at most a second old, and settled here when the deadline is over.

        Where this machine's clock is not the storage's, nothing is settled here: the question stays pending.
        """
        request_id = request.request_id
        settled = self._settled.get(request_id)
        if settled is not None and settled.value.request_sha256 == request.sha256:
            return settled.value
        now = self._clock.now()
        due = expiry_due(request.document, None, now)
        if not due and self._seen_pending(request_id):
            return None
        began = ticks()
        if may_end_by_itself(request.document, now) and await self._clock.agrees(now):
            try:
                outcome = await expire(self._records, request, now=now)
            except RequestNotFound:
                self.forget(request_id)
                raise
        else:
            outcome = await read_outcome_of(self._records.store, request)
        if outcome is None:
            self._pending.put(request_id, Read(None, began))
        else:
            self.keep(request, outcome)
        return outcome

    async def standing(self, request: StoredRequest) -> Standing | None:
        """Return how far the votes on a question are, as they are now; None where one person decides."""
        votes = [each.vote for each in await standing_votes(self._records, request)]
        return standing(request.document, votes)

    async def ballots(self, request: StoredRequest) -> Ballots:
        """Return the votes on a question, and who handed it over, as they are now."""
        return await read_ballots(self._records.store, request)

    async def over(self, request: StoredRequest) -> bool:
        """Tell whether the deadline of a question has passed, so that no answer to it is taken any more.

        Raises:
            ClockApart: when it would have by this machine's clock, which is not the storage's.
        """
        now = self._clock.now()
        if accepts_submissions(request.document, None, now):
            return False
        await self._clock.require(now)
        return True

    def known_pending(self, request_id: str) -> bool:
        """Tell whether the question was seen pending within the last second, without asking the storage."""
        return self._settled.get(request_id) is None and self._seen_pending(request_id)

    def keep(self, request: StoredRequest, outcome: OutcomeDocument) -> None:
        """Remember the outcome of a question: it is final."""
        if self.told is not None:
            self.told(request.document, outcome)
        self._settled.put(outcome.request_id, Read(outcome, 0.0, size_of_outcome(outcome)))

    def forget(self, request_id: str) -> None:
        """Forget a question that was deleted."""
        self._requests.drop(request_id)
        self._pending.drop(request_id)
        self._settled.drop(request_id)

    def _seen_pending(self, request_id: str) -> bool:
        seen = self._pending.get(request_id)
        return seen is not None and ticks() - seen.at < SEEN_SECONDS
