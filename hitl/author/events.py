"""The author's API: ask a question, wait for its typed answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Unpack, cast

from hitl.author.asking import ask_question, say_link
from hitl.author.attempts import Attempts
from hitl.author.event import Event, NewEvent
from hitl.author.evidence import pieces_of
from hitl.author.options import AnyOptions, EventScope
from hitl.author.signatures import Ask
from hitl.author.syncify import Syncified
from hitl.core import arguments
from hitl.core.further import Seconds
from hitl.core.question import Question
from hitl.core.several import list_type
from hitl.errors import EventFailed, InvalidRequest

__all__ = ["Event", "EventScope", "ask", "new_event"]

_OPTIONS: Final = frozenset(AnyOptions.__annotations__)


async def _new_event(
    name: str,
    data_type: Any,
    scope: EventScope = "run",
    prompt: str = "Please provide a value",
    timeout_seconds: Seconds = 3600,
    poll_interval_seconds: Seconds = 5,
    **options: Unpack[AnyOptions],
) -> Event[Any]:
    """Ask a question. Its prompt and its link are printed to standard error.

    Asked again by a task that was restarted, it is the same question with the same deadline.

    Args:
        name: Shown to people; 1 to 128 characters.
        data_type: ``int``, ``float``, ``bool``, ``str``; ``dict``, ``list``, ``dict[str, T]`` or ``list[T]``;
            ``None`` for null; ``"json"`` for any JSON value; and any type that pydantic knows, such as a model, a
            dataclass, an ``Enum``, a ``date``. `wait` returns a value of this type.
        scope: ``"run"``, the only one there is.
        prompt: The question, in Markdown; 1 to 16,384 characters.
        timeout_seconds: Seconds until the deadline, over 0 and at most 366 days; or a `timedelta`.
        poll_interval_seconds: The longest pause between two looks at the storage, in seconds, over 0; or a
            `timedelta`.
        options: See `hitl.author.options`.

    Returns:
        The event, whose `form_url` is to be given to somebody.

    Raises:
        InvalidRequest: the question is invalid, for example a default that is not one of the choices.
        RequestMismatch: another question is stored under this key.
        ServeError: the web app cannot be brought up.
        StorageError: the question cannot be stored, as when this machine's clock is not the storage's.
    """
    _check_names("new_event", options)
    if not isinstance(scope, str) or scope != "run":
        raise InvalidRequest(f"scope {scope!r} is not supported: use 'run'")
    poll = arguments.seconds("poll_interval_seconds", poll_interval_seconds)
    asking: dict[str, Any] = {**options}
    most, key = arguments.attempts(asking.pop("attempts", 1)), asking.pop("key", None)
    pieces = await pieces_of(asking.pop("evidence", ()))
    asking["evidence"] = [piece.evidence for piece in pieces]
    question = Question.of(name, data_type, prompt, timeout_seconds, **asking)
    asked = await ask_question(question, key=key, pieces=pieces)
    await say_link(asked)
    return Event(
        asked,
        data_type,
        poll,
        answers=list_type(data_type) if options.get("multiple") else None,
        attempts=Attempts(question, key, tuple(pieces), most - 1),
    )


async def _ask(
    prompt: str,
    data_type: Any = str,
    *,
    name: str = "ask",
    timeout_seconds: Seconds = 3600,
    poll_interval_seconds: Seconds = 5,
    **options: Unpack[AnyOptions],
) -> Any:
    """Ask a question and wait for its answer, in any program.

    Takes what `new_event` takes, and raises what it and `Event.wait` raise.

    Args:
        prompt: The question, in Markdown; 1 to 16,384 characters.
        data_type: As `new_event` takes it.
        name: Shown to people; 1 to 128 characters.
        timeout_seconds: As `new_event` takes it.
        poll_interval_seconds: As `new_event` takes it.
        options: See `hitl.author.options`.

    Returns:
        The answer, of `data_type`.
    """
    _check_names("ask", options)
    event: Event[Any] | None = None
    try:
        event = await _new_event(
            name,
            data_type,
            prompt=prompt,
            timeout_seconds=timeout_seconds,
            poll_interval_seconds=poll_interval_seconds,
            **options,
        )
        return await event.wait.aio()
    except EventFailed:
        raise
    except BaseException:
        # Ctrl-C, a cancellation, a signal, an error: nobody waits any more.
        if event is not None:
            await event._asked.abandon()
        raise


def _check_names(function: str, options: Mapping[str, Any]) -> None:
    for unknown in options.keys() - _OPTIONS:
        # As Python says it of a function whose arguments are spelled out.
        raise TypeError(f"{function}() got an unexpected keyword argument {unknown!r}")


async def _drop(event: Event[Any]) -> None:
    await event._asked.abandon()


new_event = cast("NewEvent", Syncified(_new_event, undo=_drop))
ask = cast("Ask", Syncified(_ask))
Event.create = new_event
