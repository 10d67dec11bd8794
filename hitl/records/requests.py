"""Questions in storage, and reading their outcomes: asked once, read by everybody, never changed.

What needs no more than the storage takes a `Store`; what needs the time as well, or tells the operator, takes
`Records`.
"""

from dataclasses import dataclass, field
from datetime import datetime

from hitl.core import keys
from hitl.core.documents import Origin, OutcomeDocument, RequestDocument, sha256_hex
from hitl.core.question import Question, require_whole
from hitl.errors import (
    ClockApart,
    DocumentDamaged,
    InvalidRequest,
    RequestMismatch,
    RequestNotFound,
    StorageUnavailable,
)
from hitl.records.aside import unhurried
from hitl.records.index import note_open
from hitl.records.records import Records
from hitl.storage import Store


@dataclass(frozen=True)
class StoredRequest:
    """A request as it lies in storage, with the digest of its very bytes.

    `created` tells that the call which returned it stored it just now.
    """

    document: RequestDocument
    sha256: str
    created: bool = field(default=False, compare=False)

    @property
    def request_id(self) -> str:
        """The request's id."""
        return self.document.request_id


async def create(
    records: Records,
    question: Question,
    *,
    request_id: str,
    origin: Origin | None = None,
    endpoint: str = "",
    asked_at: datetime | None = None,
    new: bool = False,
    link_sha256: str = "",
) -> StoredRequest:
    """Store a question, or return the one that is stored under its id already.

    Args:
        records: Where it belongs.
        question: What is asked.
        request_id: See `hitl.core.keys`.
        origin: Where it comes from.
        endpoint: The web app's base URL, if known.
        asked_at: The moment from which its deadline is counted, by a clock that is right, such as the API
            server's. None: now, by this machine's clock, which is compared with the storage's.
        new: Its id is random, so it was never used. Saves two storage requests.
        link_sha256: The hash of the token of the link that goes with it, see `hitl.core.links`; empty: none does.
            One that is stored already has the link that it had.

    Raises:
        RequestMismatch: when the stored one asks something else.
        ClockApart: when there is none yet, and this machine's clock is not the storage's.
        DocumentDamaged: when the stored one cannot be read.
        StorageUnavailable: when the storage did not answer in time, or a question of this id is being deleted;
            trying again is safe.
    """
    store, moment = records.store, asked_at or records.now()
    document = RequestDocument.asking(
        question,
        request_id=request_id,
        asked_at=moment,
        root=store.url,
        endpoint=endpoint,
        origin=origin,
        link_sha256=link_sha256,
    )
    if new or not await _used(store, request_id):
        if asked_at is None:
            await _require_clock(store, request_id, moment)
        data = document.to_bytes()
        if await store.create_once(keys.request_key(request_id), data):
            await note_open(records, document)
            return StoredRequest(document, sha256_hex(data), created=True)
    return await _asked_before(store, question, request_id)


async def asked_as(store: Store, request_id: str) -> str:
    """Return the id under which a question is asked: short, unless an earlier release asked it.

    Args:
        store: Where it belongs.
        request_id: Its random or derived id, see `hitl.core.keys`.

    Raises:
        StorageUnavailable: when the storage did not answer in time.
    """
    short = keys.short_request_id(request_id)
    before = short != request_id and await store.exists(keys.request_key(request_id))
    return request_id if before else short


async def _asked_before(store: Store, question: Question, request_id: str) -> StoredRequest:
    try:
        stored = await read_request(store, request_id)
    except RequestNotFound as error:
        raise StorageUnavailable(
            f"an earlier question {request_id} was kept long enough and is being deleted: ask again when that is "
            "done (the operator takes about 40 minutes; else run `hitl gc` every 15), or use another key"
        ) from error
    if not question.asks_the_same_as(stored.document):
        raise RequestMismatch(
            f"question {request_id} is stored already and asks something else: use another key, "
            "or leave the question as it was"
        )
    return stored


async def read_request(store: Store, request_id: str, *, known: StoredRequest | None = None) -> StoredRequest:
    """Return a stored question.

    Args:
        store: Where it lies.
        request_id: Its id.
        known: The question as it was read before. It is returned as it is, if the same bytes still lie there.

    Raises:
        RequestNotFound: when there is none of this id.
        DocumentDamaged: when it cannot be read.
        StorageUnavailable: when the storage did not answer in time.
    """
    key = keys.request_key(request_id)
    data = await store.read(key)
    if data is None:
        raise RequestNotFound(f"there is no question {request_id} under this root")
    sha256 = sha256_hex(data)
    if known is not None and known.sha256 == sha256:
        return known
    document = RequestDocument.from_bytes(data, key)
    _check_own(document.request_id, request_id, key)
    try:
        # An earlier release did not enforce formats. The questions that it stored stay readable.
        await _require_whole(document)
    except InvalidRequest as error:
        raise DocumentDamaged(key, str(error)) from error
    return StoredRequest(document, sha256)


async def read_outcome(store: Store, request_id: str) -> OutcomeDocument | None:
    """Return the outcome of a request, or None while it is pending.

    Raises:
        DocumentDamaged: when it cannot be read.
        StorageUnavailable: when the storage did not answer in time.
    """
    key = keys.response_key(request_id)
    data = await store.read(key)
    if data is None:
        return None
    outcome = OutcomeDocument.from_bytes(data, key)
    _check_own(outcome.request_id, request_id, key)
    return outcome


async def read_outcome_of(store: Store, request: StoredRequest) -> OutcomeDocument | None:
    """Return the outcome of this very question, or None while it is pending.

    Raises:
        DocumentDamaged: when it cannot be read, or is the outcome of another question or of another type.
        StorageUnavailable: when the storage did not answer in time.
    """
    outcome = await read_outcome(store, request.request_id)
    return None if outcome is None else require_own(request, outcome)


def require_own(request: StoredRequest, outcome: OutcomeDocument) -> OutcomeDocument:
    """Return an outcome, once it is certain that it belongs to this very question.

    Raises:
        DocumentDamaged: when it belongs to another one, or is of another type.
    """
    key = keys.response_key(request.request_id)
    _check_own(outcome.request_id, request.request_id, key)
    if outcome.request_sha256 != request.sha256:
        raise DocumentDamaged(key, "its request_sha256 is not that of request.json: it answers another question")
    if outcome.data_type != request.document.data_type:
        asked = request.document.data_type
        raise DocumentDamaged(key, f"its data_type is {outcome.data_type}, and the question's is {asked}")
    return outcome


async def is_stored(store: Store, request: StoredRequest) -> bool:
    """Tell whether this very question still lies in storage, byte by byte.

    Raises:
        StorageUnavailable: when the storage did not answer in time.
    """
    data = await store.read(keys.request_key(request.request_id))
    return data is not None and sha256_hex(data) == request.sha256


async def _used(store: Store, request_id: str) -> bool:
    # A deletion leaves the outcome for a while, and then the id in a list, or a marker. The old outcome would seem
    # to answer a question that is created beside it, or the deletion would take the new question's outcome.
    if await store.exists(keys.response_key(request_id)) or await store.exists(keys.deleted_marker(request_id)):
        return True
    gone = await store.read(keys.gone_key(request_id))
    return gone is not None and request_id in gone.decode(errors="replace").split("\n")


async def _require_clock(store: Store, request_id: str, now: datetime) -> None:
    # If this clock were behind, the deadline would pass before anybody could answer.
    await store.prove()
    try:
        await store.require_clock(now)
    except ClockApart:
        # A restarted task only reads the question that it asked before.
        if not await store.exists(keys.request_key(request_id)):
            raise


async def _require_whole(document: RequestDocument) -> None:
    if document.json_schema is None:
        require_whole(document, formats=False)
    else:
        await unhurried(lambda work: require_whole(document, formats=False, work=work), formats=False)


def _check_own(written: str, request_id: str, key: str) -> None:
    # A copy of another request's object would send an answer to that request.
    if written != request_id:
        raise DocumentDamaged(key, f"it belongs to request {written!r}")
