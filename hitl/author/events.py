"""The author's API: ask a question, wait for its typed answer."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Generic, Literal, TypeAlias, TypeVar, cast
from urllib.parse import urlencode

from pydantic import JsonValue

from hitl.author.context import Context, find_context
from hitl.author.report import report_html
from hitl.author.syncify import Syncified
from hitl.core import arguments, keys
from hitl.core.documents import OnTimeout, OutcomeDocument, RequestDocument, Respondent, Respondents
from hitl.core.jsontypes import typed
from hitl.core.lifecycle import GRACE
from hitl.core.text import printable
from hitl.core.values import Value, type_name
from hitl.engines.base import FormLink
from hitl.errors import (
    ClockApart,
    DocumentDamaged,
    EventCancelled,
    EventRejected,
    EventTimedOut,
    InvalidRequest,
    InvalidValue,
    RequestNotFound,
    StorageUnavailable,
)
from hitl.records.outcomes import Submission, expire, settle
from hitl.records.records import Records
from hitl.records.requests import (
    StoredRequest,
    add_link,
    create_request,
    draft_request,
    read_request,
    require_own,
)
from hitl.storage import ticks

T = TypeVar("T")
EventScope: TypeAlias = Literal["run"]

_log = logging.getLogger("hitl")
_FIRST_PAUSE_SECONDS: Final = 0.2
_LOOK_AGAIN_EVERY: Final = 20
_HINT_SECONDS: Final = 2.0


class Event(Generic[T]):
    """A question that was asked, and whose answer can be waited for.

    Made by `new_event`; the parameters are the old plugin's.

    Attributes:
        name: The event's name.
        scope: ``"run"``.
        data_type: What was given to `new_event`.
        prompt: The question, in Markdown.
        request_id: The id under which storage and the command know the question.
        timeout_seconds: Seconds from asking to the deadline.
        poll_interval_seconds: The longest pause between two looks at the storage.
        expires_at: The deadline, with its time zone.
    """

    def __init__(self, context: Context, request: StoredRequest, token: str, data_type: Any, poll: float) -> None:
        document = request.document
        self.name = document.event_name
        self.scope: EventScope = document.scope
        self.data_type = data_type
        self.prompt = document.prompt
        self.request_id = document.request_id
        self.timeout_seconds = (document.expires_at - document.created_at).total_seconds()
        self.poll_interval_seconds = poll
        self.expires_at = document.expires_at
        self._context = context
        self._request = request
        self._token = token
        self._now: Callable[[], datetime] = lambda: datetime.now(UTC)
        self._ticks: Callable[[], float] = ticks
        self._warned = False
        self._request_path = document.request_path
        # Scripts send this back as they find it, which is what lets them answer.
        self._response_path = f"{document.response_path}#{token}"

    @property
    def endpoint(self) -> str:
        """The web app's base URL."""
        return self._context.endpoint

    @property
    def form_url(self) -> str:
        """The link to the form. Whoever has it may answer."""
        query = urlencode({"request_path": self._request_path, "token": self._token})
        return f"{self.endpoint}/form/{self.request_id}?{query}"

    @property
    def api_url(self) -> str:
        """The URL to which a program posts its answer."""
        return f"{self.endpoint}/submit/json"

    @Syncified
    @staticmethod
    async def create(*args: Any, **kwargs: Any) -> Event[Any]:
        """Ask a question: another name for `new_event`, which the old plugin has too."""
        return await _new_event(*args, **kwargs)

    def __repr__(self) -> str:
        return f"Event(name={self.name!r}, request_id={self.request_id!r}, data_type={type_name(self.data_type)})"

    @Syncified
    async def wait(self) -> T:
        """Wait for the outcome and return the answer.

        Returns:
            The answer, of the event's data type.

        Raises:
            EventTimedOut: a `TimeoutError`; nobody answered before the deadline.
            EventRejected: somebody refused to answer.
            EventCancelled: the question was withdrawn.
            RequestNotFound: the question was deleted while it was waited for.
            DocumentDamaged: what is stored cannot be read, or belongs to another question; names the object.
        """
        action = self._context.action
        text = await (action.once(self.request_id, self._outcome_text) if action else self._outcome_text())
        # What Flyte kept of an earlier attempt is believed no more than what lies in storage.
        key = keys.response_key(self.request_id)
        outcome = require_own(self._request, OutcomeDocument.from_bytes(text.encode(), key))
        match outcome.outcome:
            case "answered":
                return cast("T", self._typed(outcome.value))
            case "rejected":
                raise EventRejected(outcome)
            case "timed_out":
                raise EventTimedOut(outcome)
            case "cancelled":
                raise EventCancelled(outcome)

    @Syncified
    async def cancel(self, comment: str = "") -> None:
        """Withdraw the question, so that nobody needs to answer it any more.

        Raises:
            AlreadySettled: when it has another outcome.
            RequestNotFound: when it was deleted.
            ClockApart: when this machine's clock is not the storage's.
        """
        submission = Submission("cancelled", Respondent(via="program"), comment=comment)
        (await settle(self._records(), self._request, submission)).outcome_or_raise()

    def _records(self) -> Records:
        return Records(self._context.store, self._context.markers, self._now, self._ticks)

    def _typed(self, value: Value) -> Any:
        try:
            return typed(self.data_type, value)
        except InvalidValue as error:
            raise DocumentDamaged(keys.response_key(self.request_id), str(error)) from error

    async def _outcome_text(self) -> str:
        pause, unreachable, looks = _FIRST_PAUSE_SECONDS, False, 0
        self._warned = False
        while True:
            now = self._now()
            try:
                if looks % _LOOK_AGAIN_EVERY == 0:
                    # A question that was damaged since cannot be answered: better told now than at the deadline.
                    await read_request(self._context.store, self.request_id)
                outcome = await self._look()
            except RequestNotFound as error:
                raise RequestNotFound(
                    f"request {self.request_id} was deleted while this program waited, so its outcome is not "
                    "known: ask again under another key, and keep requests longer (HITL_RETENTION_DAYS)"
                ) from error
            except StorageUnavailable as error:
                if not unreachable:
                    _log.warning("%s: the storage is out of reach, waiting on: %s", self.name, error)
                unreachable = True
            else:
                if unreachable:
                    _log.warning("%s: the storage is back", self.name)
                unreachable, looks = False, looks + 1
                if outcome is not None:
                    return outcome.to_bytes().decode()
            due = (self.expires_at + GRACE - now).total_seconds()
            await asyncio.sleep(min(pause, due) if due > 0 else pause)
            pause = min(pause * 1.5, float(self.poll_interval_seconds))

    async def _look(self) -> OutcomeDocument | None:
        """Return the outcome, if there is one; settle the deadline once it is due by the storage's clock too."""
        try:
            return await expire(self._records(), self._request)
        except ClockApart as error:
            if not self._warned:
                _log.warning("%s: the deadline is not settled here, waiting on: %s", self.name, error)
            self._warned = True
            return None


async def _new_event(
    name: str,
    data_type: Any,
    scope: EventScope = "run",
    prompt: str = "Please provide a value",
    timeout_seconds: float = 3600,
    poll_interval_seconds: float = 5,
    *,
    key: str | None = None,
    choices: Sequence[Value] | None = None,
    default: Value = None,
    on_timeout: OnTimeout | None = None,
    schema: Mapping[str, JsonValue] | None = None,
    respondents: Respondents | Mapping[str, Sequence[str]] | None = None,
) -> Event[Any]:
    """Ask a question.

    Asked again by a task that was restarted, it is the same question with the same deadline.

    Args:
        name: Shown to people; 1 to 128 characters.
        data_type: ``int``, ``float``, ``bool``, ``str``; ``dict``, ``list``, ``dict[str, T]`` or ``list[T]``,
            where T is one of these, a union or a Literal of texts; ``None`` for null; ``"json"`` for any JSON
            value. An answer of another type is refused, and `wait` returns a value of this one.
        scope: ``"run"``, the only one there is.
        prompt: The question, in Markdown; at most 16,384 characters.
        timeout_seconds: Seconds until the deadline, over 0 and at most 366 days.
        poll_interval_seconds: The longest pause between two looks at the storage, in seconds, over 0.
        key: Names the question within its action, instead of its content and its order; outside Flyte, names it
            for good. Another question under the same key is refused.
        choices: What may be answered, for int, float and str; a list of at most 64 values, shown in this order.
            None: anything of the type.
        default: The answer at the deadline when nobody gave one. None: there is none.
        on_timeout: ``"default"`` answers with `default`, ``"fail"`` raises `EventTimedOut`, even if there is a
            default. None: ``"default"`` where there is a default, else ``"fail"``.
        schema: A JSON Schema that the answer must fit, besides the data type.
        respondents: ``{"users": […]}``, ``{"groups": […]}`` or both, each with at least one name: who may answer,
            where people sign in. None: whoever may reach the form.

    Returns:
        The event, whose `form_url` is to be given to somebody.

    Raises:
        InvalidRequest: when the question is invalid, for example a default that is not one of the choices.
        RequestMismatch: when another question is stored under this key.
        ServeError: when the web app cannot be brought up.
        ClockApart: when this machine's clock, by which the deadline would be counted, is not the storage's.
        StorageError: when the question cannot be stored.
    """
    if scope != "run":
        raise InvalidRequest(f"scope {scope!r} is not supported: use 'run'")
    if key is not None and (not isinstance(key, str) or not key.strip()):
        raise InvalidRequest(f"key is {key!r}: give a text that names the question, or leave it out")
    poll = arguments.seconds("poll_interval_seconds", poll_interval_seconds)
    context = await find_context()
    now = datetime.now(UTC)
    asked = draft_request(
        request_id="draft",
        event_name=name,
        data_type=data_type,
        prompt=prompt,
        timeout_seconds=timeout_seconds,
        now=now,
        json_schema=schema,
        choices=choices,
        default=default,
        on_timeout=on_timeout,
        respondents=respondents,
        origin=context.origin,
        endpoint=context.endpoint,
    )
    # As release 0.1.0 asked it: the schema of the data type was not part of the question, nor of its id.
    untyped = asked.model_copy(update={"json_schema": arguments.schema(schema)})
    request_id = _request_id(context, untyped, key)
    request = asked.model_copy(
        update={
            "request_id": request_id,
            "request_path": context.store.path(keys.request_key(request_id)),
            "response_path": context.store.path(keys.response_key(request_id)),
        }
    )
    # Neither a key nor an action: the id is random.
    new = key is None and context.action is None
    stored = await create_request(context.store, request, untyped=untyped, new=new, asked_at=now)
    token = await add_link(context.store, request_id, now=now, label="asked")
    if context.markers:
        await context.store.mark(keys.new_marker(request_id))
        await _hint(context, request_id)
    event: Event[Any] = Event(context, stored, token, data_type, poll)
    if context.action is not None:
        link = FormLink(context.endpoint, request_id, request.request_path, token)
        html = report_html(stored.document, event.form_url, event.api_url, event._response_path)
        await context.action.show(name, event.form_url, html, link)
    return event


async def _ask(
    prompt: str,
    data_type: Any = str,
    *,
    name: str = "ask",
    timeout_seconds: float = 3600,
    poll_interval_seconds: float = 5,
    key: str | None = None,
    choices: Sequence[Value] | None = None,
    default: Value = None,
    on_timeout: OnTimeout | None = None,
    schema: Mapping[str, JsonValue] | None = None,
    respondents: Respondents | Mapping[str, Sequence[str]] | None = None,
) -> Any:
    """Ask a question and wait for its answer, in any program. The link is printed to standard error.

    Takes what `new_event` takes, and raises what it and `Event.wait` raise.

    Returns:
        The answer, of `data_type`.
    """
    event = await _new_event(
        name,
        data_type,
        "run",
        prompt,
        timeout_seconds,
        poll_interval_seconds,
        key=key,
        choices=choices,
        default=default,
        on_timeout=on_timeout,
        schema=schema,
        respondents=respondents,
    )
    print(printable(f"{prompt}\nAnswer at {event.form_url}"), file=sys.stderr, flush=True)  # noqa: T201 - meant for whoever runs it
    return await event.wait.aio()


def _request_id(context: Context, asked: RequestDocument, key: str | None) -> str:
    origin = asked.origin
    where = (origin.org, origin.project, origin.domain, origin.run, origin.action)
    if key is not None:
        return keys.derived_request_id(asked.event_name, *where, "key", key)
    if context.action is None:
        return keys.random_request_id(asked.event_name)
    digest = asked.question_digest()
    return keys.derived_request_id(
        asked.event_name, *where, digest, str(context.action.count(asked.event_name, digest))
    )


async def _hint(context: Context, request_id: str) -> None:
    if not context.hint_url:
        return
    import httpx

    try:
        async with httpx.AsyncClient(timeout=_HINT_SECONDS) as client:
            await client.post(f"{context.hint_url.rstrip('/')}/hints/{request_id}")
    except httpx.HTTPError as error:
        # The operator's sweep finds the marker without it.
        _log.debug("no hint to the operator: %s", error)


new_event = Syncified(_new_event)
ask = Syncified(_ask)
