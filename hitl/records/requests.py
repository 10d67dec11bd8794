"""Questions and links in storage: asked once, read by everybody, never changed."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import ModuleType
from typing import Any

from pydantic import JsonValue, ValidationError

from hitl.core import arguments, keys
from hitl.core.documents import (
    LinkDocument,
    OnTimeout,
    Origin,
    OutcomeDocument,
    RequestDocument,
    Respondents,
    sha256_hex,
)
from hitl.core.jsontypes import combined, type_schema
from hitl.core.values import Value, check_choice, format_value, parse_json, parse_text, type_name
from hitl.errors import (
    ClockApart,
    DocumentDamaged,
    InvalidRequest,
    InvalidValue,
    RequestMismatch,
    RequestNotFound,
    StorageUnavailable,
)
from hitl.storage import Store

_log = logging.getLogger("hitl")


@dataclass(frozen=True)
class StoredRequest:
    """A request as it lies in storage, with the digest of its very bytes."""

    document: RequestDocument
    sha256: str

    @property
    def request_id(self) -> str:
        """The request's id."""
        return self.document.request_id


def parse_answer(request: RequestDocument, answer: Value, *, text: bool, formats: bool = True) -> Value:
    """Return the typed value of an answer, once it fits the request in every respect.

    Args:
        request: The question, as stored.
        answer: What the respondent gave.
        text: The answer is text as a form holds it, rather than a JSON value.
        formats: Whether `format` in its schema is enforced.

    Raises:
        InvalidValue: with a sentence for the respondent.
    """
    if text:
        parsed = parse_text(request.data_type, answer if isinstance(answer, str) else "")
    else:
        parsed = parse_json(request.data_type, answer)
    check_choice(format_value(request.data_type, parsed), request.choices)
    if request.json_schema is not None:
        _schema().check_value(request.json_schema, parsed, formats=formats)
    return parsed


def draft_request(
    *,
    request_id: str,
    event_name: str,
    data_type: Any,
    prompt: str,
    timeout_seconds: float,
    now: datetime,
    json_schema: Mapping[str, JsonValue] | None = None,
    choices: Sequence[Value] | None = None,
    default: Value = None,
    on_timeout: OnTimeout | None = None,
    respondents: Respondents | Mapping[str, Sequence[str]] | None = None,
    origin: Origin | None = None,
    endpoint: str = "",
    root: str = "",
) -> RequestDocument:
    """Return a valid question, ready to be stored.

    Args:
        request_id: See `hitl.core.keys`.
        event_name: 1 to 128 characters.
        data_type: A Python type or a type name, see `hitl.core.values.type_name`.
        prompt: Markdown, 1 to 16,384 characters.
        timeout_seconds: Seconds from `now` to the deadline, more than 0 and at most 366 days.
        now: The moment of asking, with a time zone.
        json_schema: A JSON Schema which answers must fit, besides what the type says.
        choices: Values of the type in the order in which they are shown, at most 64, all different; not for bool
            and json.
        default: A value that fits, used at the deadline unless `on_timeout` says that it is not.
        on_timeout: ``"fail"``, ``"default"``, or None for ``"default"`` where there is a default.
        respondents: Who may answer: at least one user or group. None means whoever may reach the form.
        origin: Where the question comes from.
        endpoint: The web app's base URL, if known.
        root: The root's URL, to record the paths of request and outcome.

    Raises:
        InvalidRequest: saying which argument is invalid and why.
    """
    kind = type_name(data_type)
    span = arguments.seconds("timeout_seconds", timeout_seconds)
    offered = arguments.choices(kind, choices)
    try:
        request = RequestDocument(
            request_id=request_id,
            event_name=event_name,
            prompt=prompt,
            data_type=kind,
            app_endpoint=endpoint,
            request_path=keys.path_under(root, keys.request_key(request_id)),
            response_path=keys.path_under(root, keys.response_key(request_id)),
            created_at=now,
            expires_at=now + timedelta(seconds=span),
            json_schema=combined(arguments.schema(json_schema), type_schema(data_type)),
            choices=offered,
            default=None if default is None else arguments.canonical(kind, default, "default"),
            on_timeout=at_deadline(on_timeout, default),
            respondents=Respondents.asked(respondents),
            origin=origin or Origin(),
        )
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise InvalidRequest(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    _check_whole(request)
    return request


def at_deadline(on_timeout: OnTimeout | None, default: Value) -> OnTimeout:
    """Return what the deadline does: what was said, else the default where there is one."""
    if on_timeout is not None:
        return on_timeout
    return "fail" if default is None else "default"


async def create_request(
    store: Store,
    request: RequestDocument,
    *,
    untyped: RequestDocument | None = None,
    new: bool = False,
    asked_at: datetime | None = None,
) -> StoredRequest:
    """Store a question, or return the one that is stored under its id already.

    Args:
        store: Where it belongs.
        request: The question.
        untyped: The same question as release 0.1.0 stored it, without the schema of its data type, which a task
            that was restarted since may still have asked.
        new: Its id is random, so it was never used. Saves two storage requests.
        asked_at: The moment by this machine's clock from which its deadline was counted; None: by another clock.

    Raises:
        RequestMismatch: when the stored one asks something else.
        ClockApart: when there is none yet, and `asked_at` is not the storage's time.
        DocumentDamaged: when the stored one cannot be read.
        StorageUnavailable: when the storage did not answer in time, or a question of this id is being deleted;
            trying again is safe.
    """
    request_id, data = request.request_id, request.to_bytes()
    if new or not await _used(store, request_id):
        if asked_at is not None:
            await _require_clock(store, request_id, asked_at)
        if await store.create_once(keys.request_key(request_id), data):
            return StoredRequest(request, sha256_hex(data))
    try:
        stored = await read_request(store, request_id)
    except RequestNotFound as error:
        raise StorageUnavailable(
            f"an earlier question {request_id} was kept long enough and is being deleted: ask again when that is "
            "done (the operator takes about 40 minutes; else run `hitl gc` every 15), or use another key"
        ) from error
    same = {each.question_digest() for each in (request, untyped) if each is not None}
    if stored.document.question_digest() not in same:
        raise RequestMismatch(
            f"request {request.request_id} is stored already and asks something else: use another key, "
            "or leave the question as it was"
        )
    return stored


async def read_request(store: Store, request_id: str) -> StoredRequest:
    """Return a stored question.

    Raises:
        RequestNotFound: when there is none of this id.
        DocumentDamaged: when it cannot be read.
        StorageUnavailable: when the storage did not answer in time.
    """
    key = keys.request_key(request_id)
    data = await store.read(key)
    if data is None:
        raise RequestNotFound(f"there is no request {request_id} under this root")
    document = RequestDocument.from_bytes(data, key)
    _check_own(document.request_id, request_id, key)
    try:
        # The release before this one did not enforce formats: what it stored stays readable.
        _check_whole(document, formats=False)
    except InvalidRequest as error:
        raise DocumentDamaged(key, str(error)) from error
    return StoredRequest(document, sha256_hex(data))


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


async def add_link(
    store: Store, request_id: str, *, now: datetime, label: str = "", expires_at: datetime | None = None
) -> str:
    """Write a new link to a request and return its token, which is stored nowhere.

    Raises:
        StorageUnavailable: when the storage did not answer in time.
    """
    token = keys.new_token()
    document = LinkDocument(created_at=now, label=label, expires_at=expires_at)
    key, data = keys.link_key(request_id, keys.hash_token(token)), document.to_bytes()
    # Nobody else has this key: "taken" means that the reply to this very creation was lost, or a fault.
    if not await store.create_once(key, data) and await store.read(key) != data:
        raise StorageUnavailable(f"{key} could not be written: try again")
    return token


async def read_link_of(store: Store, request_id: str, token_hash: str) -> LinkDocument | None:
    """Return the link whose token has this hash, if it is one of this request's.

    The hash is the object's name, so nothing secret is ever compared, and a request that does not exist costs the
    same one read as a token of another request.

    Raises:
        StorageUnavailable: when the storage did not answer in time.
    """
    key = keys.link_key(request_id, token_hash)
    data = await store.read(key)
    return None if data is None else LinkDocument.from_bytes(data, key)


async def list_links(store: Store, request_id: str) -> list[tuple[str, LinkDocument]]:
    """Return the links of a request with the hashes of their tokens, oldest first.

    A link that cannot be read is left out, with a warning in the log: it grants nothing.

    Raises:
        StorageUnavailable: when the storage did not answer in time.
    """
    found: list[tuple[str, LinkDocument]] = []
    async for key, _ in store.list_keys(keys.links_prefix(request_id)):
        token_hash = key.rpartition("/")[2].removesuffix(".json")
        try:
            link = await read_link_of(store, request_id, token_hash)
        except (DocumentDamaged, RequestNotFound) as error:
            _log.warning("left out: %s: %s", key, error)
            continue
        if link is not None:
            found.append((token_hash, link))
    return sorted(found, key=lambda each: each[1].created_at)


async def revoke_link(store: Store, request_id: str, token_hash: str) -> bool:
    """Delete a link, so that it grants nothing from now on; tell whether there was one.

    Raises:
        StorageUnsuitable: when these credentials may not delete.
        StorageUnavailable: when the storage did not answer in time; trying again is safe.
    """
    key = keys.link_key(request_id, token_hash)
    found = await store.exists(key)
    if found:
        await store.delete(key)
    return found


async def _used(store: Store, request_id: str) -> bool:
    # An outcome without its question is what a deletion leaves for a while, and so is its marker. A question that
    # was created beside them would seem to be answered by the old outcome, or lose its own when that is deleted.
    return await store.exists(keys.response_key(request_id)) or await store.exists(keys.deleted_marker(request_id))


async def _require_clock(store: Store, request_id: str, now: datetime) -> None:
    # By a clock that is behind, the deadline would be over before anybody could answer.
    await store.prove()
    try:
        await store.require_clock(now)
    except ClockApart:
        # A task that was restarted only reads what it asked before.
        if not await store.exists(keys.request_key(request_id)):
            raise


def _check_whole(request: RequestDocument, *, formats: bool = True) -> None:
    if request.on_timeout == "default" and request.default is None:
        raise InvalidRequest("on_timeout='default' needs a default")
    if request.json_schema is not None:
        _schema().check_schema(request.json_schema)
    for choice in request.choices:
        _check_fits(request, "choice", choice, formats)
    if request.default is not None:
        _check_fits(request, "default", request.default, formats)


def _check_fits(request: RequestDocument, what: str, text: str, formats: bool) -> None:
    try:
        parsed = parse_answer(request, text, text=True, formats=formats)
    except InvalidValue as error:
        raise InvalidRequest(f"the {what} {text!r} does not fit its own question: {error}") from error
    if format_value(request.data_type, parsed) != text:
        raise InvalidRequest(f"the {what} {text!r} is not in its canonical form")


def _schema() -> ModuleType:
    # Loaded when a question has a schema: it takes as long as everything else that a form needs.
    from hitl.core import schema

    return schema


def _check_own(written: str, request_id: str, key: str) -> None:
    # A copy of another request's object would send an answer to that request.
    if written != request_id:
        raise DocumentDamaged(key, f"it belongs to request {written!r}")
