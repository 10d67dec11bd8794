"""The author's API: ask a question, wait for its typed answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Generic, Literal, TypeAlias, TypeVar, cast

from pydantic import JsonValue

from hitl.author.asking import AskedQuestion, ask_question, say_link
from hitl.author.evidence import Shown, pieces_of
from hitl.author.outcome import Outcome
from hitl.author.syncify import Syncified
from hitl.core import arguments, keys
from hitl.core.documents import OnTimeout, OutcomeDocument, PromptFormat, Respondents
from hitl.core.pythontypes import Unusable, typed
from hitl.core.question import Question
from hitl.core.values import Value
from hitl.errors import (
    DocumentDamaged,
    EventCancelled,
    EventFailed,
    EventRejected,
    EventTimedOut,
    EventUnusable,
    InvalidRequest,
    InvalidValue,
)

T = TypeVar("T")
EventScope: TypeAlias = Literal["run"]


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

    def __init__(self, asked: AskedQuestion, data_type: Any, poll: float) -> None:
        document = asked.document
        self.name = document.event_name
        self.scope: EventScope = document.scope
        self.data_type = data_type
        self.prompt = document.prompt
        self.request_id = document.request_id
        self.timeout_seconds = (document.expires_at - document.created_at).total_seconds()
        self.poll_interval_seconds = poll
        self.expires_at: datetime = document.expires_at
        self._asked = asked
        self._outcome: Outcome[T] | None = None
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

    @Syncified
    @staticmethod
    async def create(*args: Any, **kwargs: Any) -> Event[Any]:
        """Ask a question: another name for `new_event`, which the old plugin has too."""
        return await _new_event(*args, **kwargs)

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
            EventUnusable: the data type's own validators refuse the answer.
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
            EventTimedOut, EventRejected, EventCancelled, RequestNotFound, DocumentDamaged: as `wait` does.
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
        recorded = await self._asked.outcome(self.poll_interval_seconds)
        self._outcome = Outcome.of(recorded, None)
        match recorded.outcome:
            case "answered":
                self._outcome = outcome = Outcome.of(recorded, self._typed(recorded))
                return outcome
            case "rejected":
                raise self._asked.failure(EventRejected(recorded))
            case "timed_out":
                raise self._asked.failure(EventTimedOut(recorded))
            case "cancelled":
                raise self._asked.failure(EventCancelled(recorded))

    def _typed(self, outcome: OutcomeDocument) -> Any:
        try:
            return typed(self.data_type, outcome.value)
        except Unusable as error:
            raise self._asked.failure(EventUnusable(outcome, error.details)) from error
        except InvalidValue as error:
            raise DocumentDamaged(keys.response_key(self.request_id), str(error)) from error


async def _new_event(
    name: str,
    data_type: Any,
    scope: EventScope = "run",
    prompt: str = "Please provide a value",
    timeout_seconds: float | timedelta = 3600,
    poll_interval_seconds: float | timedelta = 5,
    *,
    key: str | None = None,
    choices: Sequence[Value] | None = None,
    default: Value = None,
    on_timeout: OnTimeout | None = None,
    schema: Mapping[str, JsonValue] | None = None,
    respondents: Respondents | Mapping[str, Sequence[str]] | None = None,
    prompt_format: PromptFormat = "markdown",
    evidence: Sequence[Shown] = (),
) -> Event[Any]:
    """Ask a question. Its prompt and its link are printed to standard error.

    Asked again by a task that was restarted, it is the same question with the same deadline.

    Args:
        name: Shown to people; 1 to 128 characters.
        data_type: ``int``, ``float``, ``bool``, ``str``; ``dict``, ``list``, ``dict[str, T]`` or ``list[T]``,
            where T is one of these, a union or a Literal of texts; ``None`` for null; ``"json"`` for any JSON
            value. `wait` returns a value of this type.
        scope: ``"run"``, the only one there is.
        prompt: The question, in Markdown; at most 16,384 characters.
        timeout_seconds: Seconds until the deadline, over 0 and at most 366 days; or a `timedelta`.
        poll_interval_seconds: The longest pause between two looks at the storage, in seconds, over 0; or a
            `timedelta`.
        key: Names the question within its action, instead of its content and its order. Outside Flyte, names it
            permanently. Another question under the same key is refused.
        choices: At most 64 values in the order in which they are shown, for int, float and str. None: any value.
        default: The answer at the deadline when nobody gave one. None: there is none.
        on_timeout: At the deadline, ``"default"`` answers with `default`, and ``"fail"`` raises `EventTimedOut`.
            None: ``"default"`` where there is a default, else ``"fail"``.
        schema: A JSON Schema that the answer must fit, besides the data type.
        respondents: Who may answer where people sign in: ``{"users": […]}``, ``{"groups": […]}`` or both. None:
            everyone who can open the form.
        prompt_format: ``"markdown"``, or ``"plain"`` for a prompt that is shown as it is: data in it keep their
            stars, underscores and new lines. In Markdown, `hitl.escape` does that for a part.
        evidence: What is shown beside the question, made by the functions of `hitl.evidence`; at most 32.

    Returns:
        The event, whose `form_url` is to be given to somebody.

    Raises:
        InvalidRequest: the question is invalid, for example a default that is not one of the choices.
        RequestMismatch: another question is stored under this key.
        ServeError: the web app cannot be brought up.
        StorageError: the question cannot be stored, as when this machine's clock is not the storage's.
    """
    if not isinstance(scope, str) or scope != "run":
        raise InvalidRequest(f"scope {scope!r} is not supported: use 'run'")
    poll = arguments.seconds("poll_interval_seconds", poll_interval_seconds)
    pieces = await pieces_of(evidence)
    question = Question.of(
        name,
        data_type,
        prompt,
        timeout_seconds,
        choices,
        default,
        on_timeout,
        schema,
        respondents,
        prompt_format,
        evidence=[piece.evidence for piece in pieces],
    )
    asked = await ask_question(question, key=key, pieces=pieces)
    await say_link(asked)
    return Event(asked, data_type, poll)


async def _ask(
    prompt: str,
    data_type: Any = str,
    *,
    name: str = "ask",
    timeout_seconds: float | timedelta = 3600,
    poll_interval_seconds: float | timedelta = 5,
    key: str | None = None,
    choices: Sequence[Value] | None = None,
    default: Value = None,
    on_timeout: OnTimeout | None = None,
    schema: Mapping[str, JsonValue] | None = None,
    respondents: Respondents | Mapping[str, Sequence[str]] | None = None,
    prompt_format: PromptFormat = "markdown",
    evidence: Sequence[Shown] = (),
) -> Any:
    """Ask a question and wait for its answer, in any program.

    Takes what `new_event` takes, and raises what it and `Event.wait` raise.

    Returns:
        The answer, of `data_type`.
    """
    event: Event[Any] | None = None
    try:
        event = await _new_event(
            name,
            data_type,
            prompt=prompt,
            timeout_seconds=timeout_seconds,
            poll_interval_seconds=poll_interval_seconds,
            key=key,
            choices=choices,
            default=default,
            on_timeout=on_timeout,
            schema=schema,
            respondents=respondents,
            prompt_format=prompt_format,
            evidence=evidence,
        )
        return await event.wait.aio()
    except EventFailed:
        raise
    except BaseException:
        # Ctrl-C, a cancellation, a signal, an error: nobody waits any more.
        if event is not None:
            await event._asked.abandon()
        raise


async def _drop(event: Event[Any]) -> None:
    await event._asked.abandon()


new_event = Syncified(_new_event, undo=_drop)
ask = Syncified(_ask)
