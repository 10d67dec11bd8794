"""What the routes do, without HTTP: find the question, admit the visitor, settle, tell the operator.

A question and its links never change, so they are kept in memory; whether a question is settled is remembered for
a second, for pages only: a submission goes to the storage.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, Generic, NoReturn, TypeVar

from starlette.datastructures import Headers

from hitl import keys
from hitl.documents import LinkDocument, OutcomeDocument
from hitl.errors import AlreadySettled, DocumentDamaged, HITLError, InvalidValue, NotAllowed, RequestNotFound
from hitl.requests import StoredRequest, read_link, read_outcome, read_request
from hitl.settle import Submission, expire, settle
from hitl.storage import Store
from hitl.transitions import expiry_due
from hitl_webapp.auth import NO_LINK, SIGN_IN, Identify, Visitor
from hitl_webapp.metrics import OUTCOMES, REFUSALS
from hitl_webapp.problems import Unauthenticated
from hitl_webapp.settings import WebSettings

_audit = logging.getLogger("hitl.audit")
_log = logging.getLogger("hitl.web")
_KEPT: Final = 4_096
_KEPT_BYTES: Final = 32 * 1024 * 1024
_SETTLED_SECONDS: Final = 1.0
_HINT_SECONDS: Final = 2.0
# A well-formed id of no request: what is read for an id that could not be one, so that time tells nothing.
_NOBODY: Final = "none"

_V = TypeVar("_V")


class Kept(Generic[_V]):
    """The values used last, bounded by their number and their size in bytes."""

    def __init__(self, most: int = _KEPT, most_bytes: int = _KEPT_BYTES) -> None:
        self._values: OrderedDict[str, tuple[_V, int]] = OrderedDict()
        self._most = most
        self._most_bytes = most_bytes
        self._bytes = 0

    def get(self, key: str) -> _V | None:
        """Return a value, and count it as used."""
        found = self._values.get(key)
        if found is None:
            return None
        self._values.move_to_end(key)
        return found[0]

    def put(self, key: str, value: _V, size: int = 256) -> None:
        """Keep a value of about so many bytes, and let go of what was used least recently."""
        _, replaced = self._values.pop(key, (None, 0))
        self._values[key] = (value, size)
        self._bytes += size - replaced
        while len(self._values) > self._most or self._bytes > self._most_bytes:
            _, (_, freed) = self._values.popitem(last=False)
            self._bytes -= freed


class Service:
    """The questions under one root, as visitors may see and answer them."""

    def __init__(self, store: Store, settings: WebSettings, identify: Identify) -> None:
        self.store = store
        self.settings = settings
        self.identify = identify
        self.now: Callable[[], datetime] = lambda: datetime.now(UTC)
        self._requests: Kept[StoredRequest] = Kept()
        self._links: Kept[LinkDocument] = Kept()
        self._pending: Kept[float] = Kept()
        self._settled: Kept[OutcomeDocument] = Kept()
        self._hints: set[asyncio.Task[None]] = set()

    async def request(self, request_id: str) -> StoredRequest:
        """Return a question.

        Raises:
            RequestNotFound: when there is none.
        """
        found = self._requests.get(request_id)
        if found is None:
            found = await read_request(self.store, request_id)
            self._requests.put(request_id, found, 2_048 + 4 * len(found.document.prompt))
        return found

    async def outcome(self, request: StoredRequest) -> OutcomeDocument | None:
        """Return the outcome for a page: at most a second old, and settled here when the deadline is over."""
        request_id = request.request_id
        if (settled := self._settled.get(request_id)) is not None:
            return settled
        now = self.now()
        seen = self._pending.get(request_id)
        due = expiry_due(request.document, None, now)
        if not due and seen is not None and time.monotonic() - seen < _SETTLED_SECONDS:
            return None
        if due:
            outcome = await expire(self.store, request, now=now, markers=self.settings.markers)
        else:
            outcome = await read_outcome(self.store, request_id)
        if outcome is None:
            self._pending.put(request_id, time.monotonic())
        else:
            self._keep(outcome)
        return outcome

    def known_outcome(self, request_id: str) -> OutcomeDocument | None:
        """Return an outcome that this process has seen, without asking the storage."""
        return self._settled.get(request_id)

    def seen_pending(self, request_id: str) -> bool:
        """Tell whether the question was seen pending within the last second."""
        seen = self._pending.get(request_id)
        return (
            seen is not None
            and time.monotonic() - seen < _SETTLED_SECONDS
            and self._settled.get(request_id) is None
        )

    def keeps_link(self, request_id: str, token: str) -> bool:
        """Tell whether a link is known, and good for as long as its question."""
        link = self._links.get(f"{request_id}/{keys.hash_token(token)}")
        return link is not None and link.expires_at is None

    async def admit(self, request_id: str, token: str, headers: Headers) -> tuple[StoredRequest, Visitor]:
        """Return the question and the visitor, if they may see it.

        Args:
            request_id: As the client gave it.
            token: The link's token, or empty. It counts for a visitor whom the authenticator does not find.
            headers: In which the authenticator looks for the visitor.

        Raises:
            Unauthenticated: where visitors sign in, for whoever neither did nor brings a link that counts there.
            NotAllowed: the same whether the question exists or not, for whoever holds no link or has no right.
            RequestNotFound: for an identified visitor who may see what there is.
        """
        return await self._admit(request_id, token, await self.identify(headers))

    async def admit_submission(
        self, request_id: str, token: str, headers: Headers
    ) -> tuple[StoredRequest, Visitor]:
        """Return what `admit` returns, and keep the audit's record of who was refused.

        Raises:
            HITLError, Unauthenticated: whatever `admit` raises.
        """
        visitor: Visitor | None = None
        try:
            visitor = await self.identify(headers)
            return await self._admit(request_id, token, visitor)
        except (HITLError, Unauthenticated) as error:
            self._refused(request_id, None, visitor, error)
            raise

    async def submit(self, request: StoredRequest, visitor: Visitor, submission: Submission) -> OutcomeDocument:
        """Settle, keep the audit's record of it, and tell the operator.

        Raises:
            HITLError: whatever `hitl.settle.settle` raises, and NotAllowed.
        """
        try:
            await visitor.require_may_answer(request.document)
            outcome = await settle(self.store, request, submission, now=self.now(), markers=self.settings.markers)
        except HITLError as error:
            self._refused(request.request_id, submission, visitor, error)
            raise
        OUTCOMES.labels(outcome=outcome.outcome, via=outcome.respondent.via).inc()
        self._record(request.request_id, submission, visitor, "Recorded")
        self._keep(outcome)
        self._hint(request.request_id)
        return outcome

    async def refuse(
        self, request: StoredRequest, visitor: Visitor, submission: Submission, error: InvalidValue
    ) -> NoReturn:
        """Keep the audit's record of a submission that its form already found wrong, and say why it is refused.

        Raises:
            NotAllowed: the visitor may not answer, which matters more than what was wrong.
            AlreadySettled: there is an outcome; so does who won.
            InvalidValue: else what was wrong.
        """
        try:
            await visitor.require_may_answer(request.document)
            if (standing := await self.outcome(request)) is not None:
                raise AlreadySettled(standing)
            raise error
        except HITLError as refusal:
            self._refused(request.request_id, submission, visitor, refusal)
            raise

    async def close(self) -> None:
        """Wait for hints that are under way."""
        if self._hints:
            await asyncio.wait(self._hints, timeout=_HINT_SECONDS)

    async def _admit(self, request_id: str, token: str, visitor: Visitor | None) -> tuple[StoredRequest, Visitor]:
        auth = self.settings.auth
        if visitor is None and (auth == "kubernetes" or (auth == "proxy" and not token)):
            raise Unauthenticated(SIGN_IN[auth])
        if visitor is None:
            visitor = Visitor(link=await self._link(request_id, token))
        try:
            request = await self.request(request_id)
        except (RequestNotFound, DocumentDamaged):
            await visitor.require_may_see(None)
            raise
        await visitor.require_may_see(request.document)
        return request, visitor

    def _refused(
        self, request_id: str, submission: Submission | None, visitor: Visitor | None, error: Exception
    ) -> None:
        REFUSALS.labels(reason=type(error).__name__).inc()
        self._record(request_id, submission, visitor, type(error).__name__)

    def _record(
        self, request_id: str, submission: Submission | None, visitor: Visitor | None, result: str
    ) -> None:
        """Write the audit's line of one submission, a refused one too. It holds no token and no value."""
        if not _audit.isEnabledFor(logging.INFO):
            return
        line = {
            "request_id": request_id if keys.is_request_id(request_id) else "(malformed)",
            "submission_id": submission.submission_id if submission else None,
            "attempt": submission.outcome if submission else None,
            "name": (submission.respondent.name if submission else visitor.name if visitor else ""),
            "verified": visitor.verified if visitor else False,
            "via": submission.respondent.via if submission else None,
            "result": result,
        }
        _audit.info(line)

    def _keep(self, outcome: OutcomeDocument) -> None:
        self._settled.put(outcome.request_id, outcome, 2_048 + 4 * len(outcome.value_text() or ""))

    async def _link(self, request_id: str, token: str) -> str:
        token_hash = keys.hash_token(token)
        kept = f"{request_id}/{token_hash}"
        link = self._links.get(kept)
        if link is None:
            readable = request_id if keys.is_request_id(request_id) else _NOBODY
            link = await read_link(self.store, readable, token)
        if link is None or not link.valid(self.now()):
            raise NotAllowed(NO_LINK)
        self._links.put(kept, link)
        return token_hash

    def _hint(self, request_id: str) -> None:
        if not self.settings.hint_url:
            return
        task = asyncio.create_task(self._send_hint(request_id))
        self._hints.add(task)
        task.add_done_callback(self._hints.discard)

    async def _send_hint(self, request_id: str) -> None:
        # httpx is loaded here because most web apps never need it, and start sooner and smaller without.
        import httpx

        url = f"{self.settings.hint_url.rstrip('/')}/hints/{request_id}"
        try:
            async with httpx.AsyncClient(timeout=_HINT_SECONDS) as client:
                await client.post(url)
        except httpx.HTTPError as error:
            # The operator's sweep finds the outcome without it.
            _log.debug("no hint to the operator: %s", error)
