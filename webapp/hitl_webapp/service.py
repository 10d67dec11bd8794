"""What the routes do, without HTTP: find the question, admit the visitor, settle, tell the operator.

A question never changes, so it is kept in memory, but for less time than its deletion takes: what is asked later
under its id is another question. Links, and whether a question is settled, are remembered for a second, for pages
only: a submission goes to the storage.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final, Generic, NoReturn, TypeVar

from starlette.datastructures import Headers

from hitl.core import keys
from hitl.core.documents import LinkDocument, OutcomeDocument, RequestDocument
from hitl.core.lifecycle import accepts_submissions, expiry_due
from hitl.core.values import format_value
from hitl.errors import (
    AlreadySettled,
    ClockApart,
    DocumentDamaged,
    HITLError,
    InvalidValue,
    NotAllowed,
    RequestNotFound,
    StorageError,
)
from hitl.records.index import Later
from hitl.records.links import read_link_of
from hitl.records.outcomes import Settled, Submission, expire, settle
from hitl.records.records import Records
from hitl.records.requests import StoredRequest, read_outcome_of, read_request
from hitl.storage import CLOCK_LIMIT_SECONDS, Store, ticks
from hitl_webapp.auth import NO_LINK, SIGN_IN, Authenticator, Principal
from hitl_webapp.metrics import CLOCK, OUTCOMES, REFUSALS
from hitl_webapp.problems import Unauthenticated
from hitl_webapp.settings import WebSettings

_audit = logging.getLogger("hitl.audit")
_log = logging.getLogger("hitl.web")
_KEPT: Final = 4_096
_KEPT_BYTES: Final = 32 * 1024 * 1024
# About what JSON takes in memory for each character of its text: a list of empty ones takes more, a schema less.
_JSON_BYTES_PER_CHAR: Final = 16
_TEXT_BYTES_PER_CHAR: Final = 4
# `hitl.records.retention` takes half an hour to delete a question for good.
_REQUEST_SECONDS: Final = 300.0
_SEEN_SECONDS: Final = 1.0
_HINT_SECONDS: Final = 2.0
_UNKNOWN: Final = "not compared yet"
_AGREES: Final = "agrees with the storage's"
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

    def drop(self, key: str) -> None:
        """Let go of a value, if it is kept."""
        _, freed = self._values.pop(key, (None, 0))
        self._bytes -= freed

    def put(self, key: str, value: _V, size: int = 256) -> None:
        """Keep a value of about so many bytes, and let go of what was used least recently."""
        _, replaced = self._values.pop(key, (None, 0))
        self._values[key] = (value, size)
        self._bytes += size - replaced
        while len(self._values) > self._most or self._bytes > self._most_bytes:
            _, (_, freed) = self._values.popitem(last=False)
            self._bytes -= freed


def _size_of_request(question: RequestDocument) -> int:
    names = [*question.respondents.users, *question.respondents.groups]
    texts = [question.prompt, question.default or "", *question.choices, *names]
    schema = 0 if question.json_schema is None else len(format_value("json", question.json_schema))
    # A text has some bytes besides its characters.
    chars = sum(len(each) + 16 for each in texts)
    return 2_048 + _TEXT_BYTES_PER_CHAR * chars + _JSON_BYTES_PER_CHAR * schema


def _size_of_outcome(outcome: OutcomeDocument) -> int:
    per_char = _JSON_BYTES_PER_CHAR if outcome.data_type == "json" else _TEXT_BYTES_PER_CHAR
    texts = [outcome.comment, outcome.reason, *outcome.respondent.groups]
    chars = sum(len(each) + 16 for each in texts)
    return 2_048 + per_char * len(outcome.value_text() or "") + _TEXT_BYTES_PER_CHAR * chars


class Service:
    """The questions under one root, as visitors may see and answer them."""

    def __init__(self, store: Store, settings: WebSettings, authenticate: Authenticator) -> None:
        self.store = store
        self._later = Later(store)
        self.records = Records(store, settings.markers, later=self._later.add)
        self.settings = settings
        self.authenticate = authenticate
        self.now: Callable[[], datetime] = lambda: datetime.now(UTC)
        self.clock = _UNKNOWN
        self._requests: Kept[tuple[StoredRequest, float]] = Kept()
        self._links: Kept[tuple[LinkDocument, float]] = Kept()
        self._pending: Kept[float] = Kept()
        self._settled: Kept[OutcomeDocument] = Kept()
        self._hints: set[asyncio.Task[None]] = set()

    async def request(self, request_id: str) -> StoredRequest:
        """Return a question.

        Raises:
            RequestNotFound: when there is none.
        """
        kept = self._requests.get(request_id)
        if kept is not None and ticks() - kept[1] < _REQUEST_SECONDS:
            return kept[0]
        began = ticks()
        try:
            found = await read_request(self.store, request_id)
        except RequestNotFound:
            self._forget(request_id)
            raise
        if kept is not None and kept[0].sha256 != found.sha256:
            self._forget(request_id)
        self._requests.put(request_id, (found, began), _size_of_request(found.document))
        return found

    async def outcome(self, request: StoredRequest) -> OutcomeDocument | None:
        """Return the outcome for a page: at most a second old, and settled here when the deadline is over.

        Where this machine's clock is not the storage's, nothing is settled here: the question stays pending.
        """
        request_id = request.request_id
        settled = self._settled.get(request_id)
        if settled is not None and settled.request_sha256 == request.sha256:
            return settled
        now = self.now()
        seen = self._pending.get(request_id)
        due = expiry_due(request.document, None, now)
        if not due and seen is not None and ticks() - seen < _SEEN_SECONDS:
            return None
        if due and await self._agrees(now):
            try:
                outcome = await expire(self.records, request, now=now)
            except RequestNotFound:
                self._forget(request_id)
                raise
        else:
            outcome = await read_outcome_of(self.store, request)
        if outcome is None:
            self._pending.put(request_id, ticks())
        else:
            self._keep(outcome)
        return outcome

    def known_outcome(self, request_id: str) -> OutcomeDocument | None:
        """Return an outcome that this process has seen, without asking the storage."""
        return self._settled.get(request_id)

    async def over(self, request: StoredRequest) -> bool:
        """Tell whether the deadline of a question has passed, so that no answer to it is taken any more.

        Raises:
            ClockApart: when it would have by this machine's clock, which is not the storage's.
        """
        now = self.now()
        if accepts_submissions(request.document, None, now):
            return False
        await self.require_clock(now)
        return True

    def seen_pending(self, request_id: str, link: str) -> bool:
        """Tell whether the question was seen pending, and the link good, within the last second.

        Args:
            request_id: The question.
            link: The hash of the link's token.
        """
        pending, seen = self._pending.get(request_id), self._links.get(f"{request_id}/{link}")
        if pending is None or seen is None or self._settled.get(request_id) is not None:
            return False
        return ticks() - min(pending, seen[1]) < _SEEN_SECONDS

    def keeps_link(self, request_id: str, token: str) -> bool:
        """Tell whether a link is known, and good for as long as its question."""
        kept = self._links.get(f"{request_id}/{keys.hash_token(token)}")
        return kept is not None and kept[0].expires_at is None

    async def require_clock(self, now: datetime) -> None:
        """Refuse to go on with a time that is not the storage's, and say so in health, log and metric.

        Raises:
            ClockApart: when it is more than 30 s from the storage's.
            StorageUnavailable: when the storage did not answer in time.
        """
        try:
            CLOCK.set(await self.store.require_clock(now))
        except ClockApart as error:
            CLOCK.set(error.seconds)
            # Not the storage's address, which is nobody's business.
            told = f"{abs(error.seconds):.0f} s {'ahead of' if error.seconds > 0 else 'behind'} the storage's"
            if self.clock in (_AGREES, _UNKNOWN):
                _log.error("nothing is recorded: %s", error)
            self.clock = told
            raise
        if self.clock not in (_AGREES, _UNKNOWN):
            _log.warning("the clock agrees with the storage's again")
        self.clock = _AGREES

    async def storage_time(self) -> datetime:
        """Return the present moment, by the storage's clock where this machine's is wrong.

        It decides what a page shows, and nothing that is recorded. While the storage is away it is this machine's.
        """
        now = self.now()
        with suppress(StorageError):
            difference = await self.store.clock_difference(now)
            if abs(difference) > CLOCK_LIMIT_SECONDS:
                return now - timedelta(seconds=difference)
        return now

    async def admit(self, request_id: str, token: str, headers: Headers) -> tuple[StoredRequest, Principal]:
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
        return await self._admit(request_id, token, await self.authenticate(headers))

    async def admit_submission(
        self, request_id: str, token: str, headers: Headers
    ) -> tuple[StoredRequest, Principal]:
        """Return what `admit` returns, and keep the audit's record of who was refused.

        Raises:
            HITLError, Unauthenticated: whatever `admit` raises.
        """
        principal: Principal | None = None
        try:
            principal = await self.authenticate(headers)
            # Links of any age will do here: `submit` reads them again.
            return await self._admit(request_id, token, principal, link_seconds=math.inf)
        except (HITLError, Unauthenticated) as error:
            self._refused(request_id, None, principal, error)
            raise

    async def submit(self, request: StoredRequest, principal: Principal, submission: Submission) -> Settled:
        """Settle, keep the audit's record of it, and tell the operator.

        The link is read from the storage, and the clock compared with the storage's.

        Raises:
            HITLError: whatever `hitl.records.outcomes.settle` raises, NotAllowed, and ClockApart.
        """
        now = self.now()
        try:
            await self.require_clock(now)
            if principal.link:
                await self._require_link(request.request_id, principal.link, now)
            await principal.require_may_answer(request.document)
            settled = await settle(self.records, request, submission, now=now)
            outcome = settled.outcome_or_raise()
        except HITLError as error:
            if isinstance(error, RequestNotFound):
                self._forget(request.request_id)
            self._refused(request.request_id, submission, principal, error)
            raise
        # What was sent twice was recorded by the first one.
        first = settled.kind == "recorded"
        if first:
            OUTCOMES.labels(outcome=outcome.outcome, via=outcome.respondent.via).inc()
        self._record(request.request_id, submission, principal, "Recorded" if first else "RecordedBefore")
        self._keep(outcome)
        self._hint(request.request_id)
        return settled

    async def refuse(
        self, request: StoredRequest, principal: Principal, submission: Submission, error: InvalidValue
    ) -> NoReturn:
        """Keep the audit's record of a submission that its form already found wrong, and say why it is refused.

        Raises:
            NotAllowed: the visitor may not answer, which matters more than what was wrong.
            AlreadySettled: there is an outcome; so does who won.
            InvalidValue: else what was wrong.
        """
        try:
            if principal.link:
                await self._require_link(request.request_id, principal.link, self.now())
            await principal.require_may_answer(request.document)
            if (standing := await self.outcome(request)) is not None:
                raise AlreadySettled(standing)
            raise error
        except HITLError as refusal:
            self._refused(request.request_id, submission, principal, refusal)
            raise

    async def close(self) -> None:
        """Wait for hints and rows of the index that are under way."""
        await self._later.close()
        if self._hints:
            await asyncio.wait(self._hints, timeout=_HINT_SECONDS)

    async def _admit(
        self, request_id: str, token: str, principal: Principal | None, *, link_seconds: float = _SEEN_SECONDS
    ) -> tuple[StoredRequest, Principal]:
        auth = self.settings.auth
        if principal is None and (auth == "kubernetes" or (auth == "proxy" and not token)):
            raise Unauthenticated(SIGN_IN[auth])
        if principal is None:
            principal = Principal(link=await self._link(request_id, token, link_seconds))
        try:
            request = await self.request(request_id)
        except (RequestNotFound, DocumentDamaged):
            await principal.require_may_see(None)
            raise
        await principal.require_may_see(request.document)
        return request, principal

    def _refused(
        self, request_id: str, submission: Submission | None, principal: Principal | None, error: Exception
    ) -> None:
        REFUSALS.labels(reason=type(error).__name__).inc()
        self._record(request_id, submission, principal, type(error).__name__)

    def _record(
        self, request_id: str, submission: Submission | None, principal: Principal | None, result: str
    ) -> None:
        """Write the audit's line of one submission, a refused one too. It holds no token and no value."""
        if not _audit.isEnabledFor(logging.INFO):
            return
        line = {
            "request_id": request_id if keys.is_request_id(request_id) else "(malformed)",
            "submission_id": submission.submission_id if submission else None,
            "attempt": submission.outcome if submission else None,
            "name": (submission.respondent.name if submission else principal.name if principal else ""),
            "verified": principal.verified if principal else False,
            "via": submission.respondent.via if submission else None,
            "result": result,
        }
        _audit.info(line)

    def _keep(self, outcome: OutcomeDocument) -> None:
        self._settled.put(outcome.request_id, outcome, _size_of_outcome(outcome))

    def _forget(self, request_id: str) -> None:
        self._requests.drop(request_id)
        self._pending.drop(request_id)
        self._settled.drop(request_id)

    async def _agrees(self, now: datetime) -> bool:
        try:
            await self.require_clock(now)
        except ClockApart:
            return False
        return True

    async def _link(self, request_id: str, token: str, most_seconds: float) -> str:
        token_hash = keys.hash_token(token)
        kept = self._links.get(f"{request_id}/{token_hash}")
        if kept is not None and ticks() - kept[1] < most_seconds and await self._valid(kept[0], self.now()):
            return token_hash
        readable = request_id if keys.is_request_id(request_id) else _NOBODY
        await self._require_link(readable, token_hash, self.now())
        return token_hash

    async def _require_link(self, request_id: str, token_hash: str, now: datetime) -> None:
        kept, began = f"{request_id}/{token_hash}", ticks()
        link = await read_link_of(self.store, request_id, token_hash)
        if link is None or not await self._valid(link, now):
            self._links.drop(kept)
            raise NotAllowed(NO_LINK)
        self._links.put(kept, (link, began))

    async def _valid(self, link: LinkDocument, now: datetime) -> bool:
        # By a clock that is wrong, a link has neither ended nor not.
        if link.expires_at is not None:
            await self.require_clock(now)
        return link.valid(now)

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
