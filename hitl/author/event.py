"""A question that was asked: its outcome can be waited for."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, Protocol, TypeVar, Unpack, cast, overload

from hitl.author.asking import AskedQuestion, say_link
from hitl.author.attempts import Attempts
from hitl.author.files import File
from hitl.author.options import EventOptions, EventScope, Options
from hitl.author.outcome import Outcome
from hitl.author.syncify import Syncified
from hitl.core import keys
from hitl.core.documents import OutcomeDocument
from hitl.core.further import Seconds
from hitl.core.pythontypes import Unusable, typed
from hitl.errors import (
    DocumentDamaged,
    EventCancelled,
    EventRejected,
    EventTimedOut,
    EventUnusable,
    InvalidRequest,
    InvalidValue,
)

if TYPE_CHECKING:
    from hitl.core.edits import Change

T = TypeVar("T")
V = TypeVar("V")


class Event(Generic[T]):
    """A question that was asked, and whose answer can be waited for.

    Made by `new_event`.

    Attributes:
        name: The event's name.
        scope: ``"run"``.
        data_type: What was given to `new_event`.
        prompt: The question, in Markdown.
        request_id: The id under which storage and the command know the question.
        timeout_seconds: Seconds from asking to the deadline.
        poll_interval_seconds: The longest pause between two looks at the storage.
        expires_at: The deadline, with its time zone.
        create: Another name for `new_event`, which the old plugin has too.
    """

    name: str
    scope: EventScope
    data_type: Any
    prompt: str
    request_id: str
    timeout_seconds: float
    poll_interval_seconds: float
    expires_at: datetime
    create: ClassVar[NewEvent]

    def __init__(
        self,
        asked: AskedQuestion,
        data_type: Any,
        poll: float,
        *,
        answers: Any = None,
        attempts: Attempts | None = None,
    ) -> None:
        document = asked.document
        self.name = document.event_name
        self.scope = document.scope
        self.data_type = data_type
        self.prompt = document.prompt
        self.poll_interval_seconds = poll
        self._answers = data_type if answers is None else answers
        # What the author proposed. Asked again, it is the refused answer that the form holds.
        self._first = document
        self._outcome: Outcome[T] | None = None
        self._follow(asked, attempts)

    def _follow(self, asked: AskedQuestion, attempts: Attempts | None) -> None:
        document = asked.document
        self._asked = asked
        self._attempts = attempts
        self.request_id = document.request_id
        self.timeout_seconds = (document.expires_at - document.created_at).total_seconds()
        self.expires_at = document.expires_at
        # Scripts send these back as they find them, which lets them answer.
        self._token = asked.token
        self._request_path = document.request_path
        self._response_path = asked.response_path

    @property
    def outcome(self) -> Outcome[T] | None:
        """The outcome, once `wait` or `result` has returned or raised it; None before."""
        return self._outcome

    @property
    def endpoint(self) -> str:
        """The web app's base URL."""
        return self._asked.context.endpoint

    @property
    def form_url(self) -> str:
        """The link to the form. Everyone who has it may answer."""
        return self._asked.form_url

    @property
    def api_url(self) -> str:
        """The URL to which a program posts its answer."""
        return self._asked.api_url

    def __repr__(self) -> str:
        kind = self._asked.document.data_type
        return f"Event(name={self.name!r}, request_id={self.request_id!r}, data_type={kind})"

    @Syncified
    async def wait(self) -> T:
        """Wait for the outcome and return the answer.

        Returns:
            The answer, of the event's data type.

        Raises:
            EventTimedOut: a `TimeoutError`; nobody answered before the deadline.
            EventRejected: somebody refused to answer.
            EventCancelled: the question was withdrawn.
            EventUnusable: the data type's own validators refuse the answer, and there are no attempts left.
            RequestMismatch, StorageError: as `new_event` does, when it is asked again.
            RequestNotFound: the question was deleted while it was waited for.
            DocumentDamaged: what is stored cannot be read, or belongs to another question; names the object.
        """
        return cast("T", (await self._wait()).value)

    @Syncified
    async def result(self) -> Outcome[T]:
        """Wait for the outcome and return all of it: the answer, and who gave it, how, when and why.

        Returns:
            The outcome, whose `value` is the answer, of the event's data type.

        Raises:
            EventTimedOut, EventRejected, EventCancelled, EventUnusable: as `wait` does.
            RequestNotFound, DocumentDamaged, RequestMismatch, StorageError: as `wait` does.
        """
        return await self._wait()

    @Syncified
    async def cancel(self, comment: str = "") -> None:
        """Withdraw the question, so that nobody needs to answer it any more.

        Args:
            comment: Why, for the record; at most 4,096 characters.

        Raises:
            InvalidRequest: the comment is no text.
            AlreadySettled: when it has another outcome.
            RequestNotFound: when it was deleted.
            ClockApart: when this machine's clock is not the storage's.
        """
        if not isinstance(comment, str):
            raise InvalidRequest(f"comment is of type {type(comment).__name__}: give a text")
        await self._asked.withdraw(comment)

    async def _wait(self) -> Outcome[T]:
        # Two may wait at once: each follows from question to question by itself, and comes to the same ones.
        asked, attempts = self._asked, self._attempts
        while True:
            recorded = await asked.outcome(self.poll_interval_seconds)
            self._outcome = Outcome.of(recorded, None)
            try:
                value = self._value(asked, recorded)
            except EventUnusable as unusable:
                if attempts is None or attempts.left == 0:
                    raise
                asked, attempts = await attempts.ask_again(asked, unusable)
                self._follow(asked, attempts)
                await say_link(asked)
                continue
            self._outcome = outcome = Outcome.of(recorded, value, self._changes(recorded))
            return outcome

    def _changes(self, recorded: OutcomeDocument) -> tuple[Change, ...]:
        if self._first.proposed is None:
            return ()
        # Loaded where something was proposed: it takes as long as the form that it belongs to.
        from hitl.core.edits import edits_of

        return edits_of(self._first, recorded) or ()

    def _value(self, asked: AskedQuestion, recorded: OutcomeDocument) -> Any:
        match recorded.outcome:
            case "rejected":
                raise asked.failure(EventRejected(recorded))
            case "timed_out":
                raise asked.failure(EventTimedOut(recorded))
            case "cancelled":
                raise asked.failure(EventCancelled(recorded))
        try:
            found = typed(self._answers, recorded.value)
            return found.at(asked.context.records.store, recorded) if isinstance(found, File) else found
        except Unusable as error:
            raise asked.failure(EventUnusable(recorded, error.details)) from error
        except InvalidValue as error:
            raise DocumentDamaged(keys.response_key(asked.request_id), str(error)) from error


class NewEvent(Protocol):
    """How `new_event` is called, and what it returns.

    Type checkers know no type for what is no class, such as ``int | None`` or a ``Literal``: then it is Any.
    """

    @overload
    def __call__(self, name: str, data_type: Literal["int"], **options: Unpack[EventOptions]) -> Event[int]: ...

    @overload
    def __call__(
        self, name: str, data_type: Literal["float"], **options: Unpack[EventOptions]
    ) -> Event[float]: ...

    @overload
    def __call__(self, name: str, data_type: Literal["bool"], **options: Unpack[EventOptions]) -> Event[bool]: ...

    @overload
    def __call__(self, name: str, data_type: Literal["str"], **options: Unpack[EventOptions]) -> Event[str]: ...

    @overload
    def __call__(self, name: str, data_type: Literal["json"], **options: Unpack[EventOptions]) -> Event[Any]: ...

    @overload
    def __call__(self, name: str, data_type: None, **options: Unpack[EventOptions]) -> Event[None]: ...

    @overload
    def __call__(self, name: str, data_type: type[V], **options: Unpack[EventOptions]) -> Event[V]: ...

    @overload
    def __call__(
        self, name: str, data_type: type[V], *, multiple: Literal[True], **options: Unpack[EventOptions]
    ) -> Event[list[V]]: ...

    @overload
    def __call__(
        self,
        name: str,
        data_type: type[V],
        scope: EventScope,
        prompt: str = ...,
        timeout_seconds: Seconds = ...,
        poll_interval_seconds: Seconds = ...,
        **options: Unpack[Options],
    ) -> Event[V]: ...

    @overload
    def __call__(
        self,
        name: str,
        data_type: Any,
        scope: EventScope = ...,
        prompt: str = ...,
        timeout_seconds: Seconds = ...,
        poll_interval_seconds: Seconds = ...,
        *,
        multiple: bool = ...,
        **options: Unpack[Options],
    ) -> Event[Any]: ...

    @overload
    def aio(
        self, name: str, data_type: Literal["int"], **options: Unpack[EventOptions]
    ) -> Awaitable[Event[int]]: ...

    @overload
    def aio(
        self, name: str, data_type: Literal["float"], **options: Unpack[EventOptions]
    ) -> Awaitable[Event[float]]: ...

    @overload
    def aio(
        self, name: str, data_type: Literal["bool"], **options: Unpack[EventOptions]
    ) -> Awaitable[Event[bool]]: ...

    @overload
    def aio(
        self, name: str, data_type: Literal["str"], **options: Unpack[EventOptions]
    ) -> Awaitable[Event[str]]: ...

    @overload
    def aio(
        self, name: str, data_type: Literal["json"], **options: Unpack[EventOptions]
    ) -> Awaitable[Event[Any]]: ...

    @overload
    def aio(self, name: str, data_type: None, **options: Unpack[EventOptions]) -> Awaitable[Event[None]]: ...

    @overload
    def aio(self, name: str, data_type: type[V], **options: Unpack[EventOptions]) -> Awaitable[Event[V]]: ...

    @overload
    def aio(
        self, name: str, data_type: type[V], *, multiple: Literal[True], **options: Unpack[EventOptions]
    ) -> Awaitable[Event[list[V]]]: ...

    @overload
    def aio(
        self,
        name: str,
        data_type: type[V],
        scope: EventScope,
        prompt: str = ...,
        timeout_seconds: Seconds = ...,
        poll_interval_seconds: Seconds = ...,
        **options: Unpack[Options],
    ) -> Awaitable[Event[V]]: ...

    @overload
    def aio(
        self,
        name: str,
        data_type: Any,
        scope: EventScope = ...,
        prompt: str = ...,
        timeout_seconds: Seconds = ...,
        poll_interval_seconds: Seconds = ...,
        *,
        multiple: bool = ...,
        **options: Unpack[Options],
    ) -> Awaitable[Event[Any]]: ...
