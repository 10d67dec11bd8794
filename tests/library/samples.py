"""Questions and submissions that tests begin with, at a fixed moment."""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel, field_validator

from hitl.author.asking import AskedQuestion
from hitl.author.context import Context
from hitl.author.events import Event
from hitl.core import keys
from hitl.core.documents import Origin, OutcomeDocument, RequestDocument, Respondent, Via, sha256_hex
from hitl.core.question import Question
from hitl.engines.base import Action
from hitl.errors import ClockApart
from hitl.records import outcomes
from hitl.records.records import Records
from hitl.records.requests import StoredRequest, create, read_request
from hitl.records.submissions import Submission
from hitl.storage import Store, ticks

NOW = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)
SECOND = timedelta(seconds=1)
TIMEOUT = 600.0
DEADLINE = NOW + timedelta(seconds=TIMEOUT)


class Even(BaseModel):
    """A type whose own validator refuses what its schema allows."""

    number: int

    @field_validator("number")
    @classmethod
    def _even(cls, number: int) -> int:
        if number % 2:
            raise ValueError("choose an even number")
        return number


class Timed(Store):
    """A real store whose own clock stands where a test puts it: real storage has no clock that could be set."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.time = NOW
        self.looks = 0
        self._written: dict[str, datetime] = {}

    async def create_once(self, key: str, data: bytes) -> bool:
        created = await super().create_once(key, data)
        if created:
            self._written[key] = self.time
        return created

    async def mark(self, key: str) -> None:
        await super().mark(key)
        self._written[key] = self.time

    async def mark_many(self, several: Sequence[str]) -> None:
        await super().mark_many(several)
        self._written |= dict.fromkeys(several, self.time)

    async def list_keys(self, prefix: str) -> AsyncIterator[tuple[str, datetime]]:
        async for key, _ in super().list_keys(prefix):
            yield key, self._written[key]

    async def list_page(self, prefix: str, after: str = "", most: int | None = None) -> list[tuple[str, datetime]]:
        return [(key, self._written[key]) for key, _ in await super().list_page(prefix, after, most)]

    async def clock_difference(self, now: datetime) -> float:
        self.looks += 1
        return (now - self.time).total_seconds()

    async def require_clock(self, now: datetime) -> float:
        if abs(seconds := await self.clock_difference(now)) > 30:
            raise ClockApart(self.url, seconds)
        return seconds


def number_question(**changes: Any) -> Question:
    """A question for a whole number, unless the changes say otherwise."""
    content = {"name": "number", "data_type": int, "prompt": "How many?", "timeout_seconds": TIMEOUT}
    return Question.of(**{**content, **changes})


async def asked(
    store: Store,
    request_id: str = "a-question",
    *,
    now: datetime = NOW,
    origin: Origin | None = None,
    endpoint: str = "",
    link_sha256: str = "",
    **changes: Any,
) -> StoredRequest:
    """Store a question for a whole number, unless the changes say otherwise, asked at `NOW`."""
    question = number_question(**_renamed(changes))
    return await create(
        Records(store),
        question,
        request_id=request_id,
        asked_at=now,
        origin=origin,
        endpoint=endpoint,
        link_sha256=link_sha256,
    )


def draft_request(
    *,
    request_id: str,
    now: datetime,
    root: str = "",
    endpoint: str = "",
    origin: Origin | None = None,
    **question: Any,
) -> RequestDocument:
    """The document of a question, which is not stored."""
    return RequestDocument.asking(
        Question.of(**_renamed(question)),
        request_id=request_id,
        asked_at=now,
        root=root,
        endpoint=endpoint,
        origin=origin,
    )


async def create_request(store: Store, document: RequestDocument) -> StoredRequest:
    """Store a document as it is, as another release might have written it."""
    data = document.to_bytes()
    if await store.create_once(keys.request_key(document.request_id), data):
        return StoredRequest(document, sha256_hex(data))
    return await read_request(store, document.request_id)


def _renamed(content: dict[str, Any]) -> dict[str, Any]:
    # Documents and authors have different words for two of them.
    words = {"event_name": "name", "json_schema": "schema"}
    return {words.get(name, name): value for name, value in content.items()}


def event_of(
    records: Records | Store, request: StoredRequest, data_type: Any = int, *, action: Action | None = None
) -> Event[Any]:
    """The event of a stored question, as `new_event` makes it in a program; looked for every 0.2 s."""
    records = Records(records) if isinstance(records, Store) else records
    context = Context(records, "http://127.0.0.1:1", "operator" if records.announce else "local", action)
    return Event(AskedQuestion(context, request, "token"), data_type, 0.2)


def person(name: str, *, via: Via = "web", verified: bool = True, link: str = "") -> Respondent:
    """Somebody who submits."""
    return Respondent(name=name, via=via, verified=verified, link=link)


def answer(value: Any = "42", by: Respondent | str = "ann", **more: Any) -> Submission:
    """A submission that answers."""
    return Submission("answered", by if isinstance(by, Respondent) else person(by), value, **more)


async def settle(
    store: Store,
    request: StoredRequest,
    submission: Submission,
    *,
    now: datetime,
    markers: bool = False,
    clock: Callable[[], float] = ticks,
) -> OutcomeDocument:
    """Settle a request; return the outcome that is the sender's, or raise what stands in its way."""
    records = Records(store, markers, ticks=clock)
    return (await outcomes.settle(records, request, submission, now=now)).outcome_or_raise()


async def expire(store: Store, request: StoredRequest, *, now: datetime, markers: bool) -> OutcomeDocument | None:
    """Settle a deadline, if it is due."""
    return await outcomes.expire(Records(store, markers), request, now=now)
