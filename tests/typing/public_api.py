"""What a type checker makes of the public API. mypy reads this file in `make check`; nothing runs it.

Where today's type is weak, such as `Any` for the answer to `data_type=bool`, that is what is pinned. Each
`type: ignore` is a test as well: it says that mypy refuses the call, and mypy reports one that is not needed.
"""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import datetime
from typing import Any, Literal, assert_type

import hitl
from hitl.errors import RecordedOutcome


def an_answer_has_no_type_yet() -> None:
    assert_type(hitl.ask("Ship it?", data_type=bool), Any)
    assert_type(hitl.ask.aio("Ship it?", bool), Awaitable[Any])


def a_question_is_an_event() -> None:
    assert_type(hitl.new_event("ship", bool), hitl.Event[Any])
    assert_type(hitl.new_event.aio("ship", data_type=bool), Awaitable[hitl.Event[Any]])
    assert_type(hitl.Event.create("ship", bool), hitl.Event[Any])
    assert_type(hitl.Event.create.aio("ship", bool), Awaitable[hitl.Event[Any]])


async def an_event_gives_its_own_type(event: hitl.Event[int]) -> None:
    assert_type(event.wait(), int)
    assert_type(event.wait.aio(), Awaitable[int])
    assert_type(await event.wait.aio(), int)
    assert_type(event.cancel(comment="not needed"), None)
    await event.cancel.aio("not needed")


def an_event_says_what_it_is(event: hitl.Event[int]) -> None:
    assert_type(event.name, str)
    assert_type(event.scope, Literal["run"])
    assert_type(event.prompt, str)
    assert_type(event.request_id, str)
    assert_type(event.timeout_seconds, float)
    assert_type(event.poll_interval_seconds, float)
    assert_type(event.expires_at, datetime)
    assert_type(event.endpoint, str)
    assert_type(event.form_url, str)
    assert_type(event.api_url, str)


def a_failure_carries_the_outcome(event: hitl.Event[str]) -> None:
    try:
        event.wait()
    except hitl.EventFailed as failure:
        assert_type(failure.outcome, RecordedOutcome)
    except hitl.InvalidValue as refusal:
        assert_type(refusal.details, tuple[str, ...])
    except hitl.DocumentDamaged as damage:
        assert_type((damage.name, damage.why), tuple[str, str])
    try:
        event.cancel()
    except hitl.AlreadySettled as winner:
        assert_type(winner.outcome, RecordedOutcome)


def exceptions_are_of_pythons_classes_too(
    timed_out: hitl.EventTimedOut,
    not_found: hitl.RequestNotFound,
    request: hitl.InvalidRequest,
    value: hitl.InvalidValue,
) -> tuple[TimeoutError, LookupError, ValueError, ValueError]:
    return timed_out, not_found, request, value


def every_exception_is_an_hitl_error(
    settled: hitl.AlreadySettled,
    cluster: hitl.ClusterForbidden,
    failed: hitl.EventRejected | hitl.EventCancelled,
    storage: hitl.StorageUnavailable | hitl.StorageUnsuitable,
) -> list[hitl.HITLError]:
    return [settled, cluster, failed, storage]


def options_are_named_and_typed() -> None:
    hitl.new_event("ship", int, timeout_seconds=60, choices=[1, 2], default=1, on_timeout="default")
    hitl.new_event("ship", int, on_timeout="never")  # type: ignore[arg-type]  # "fail" or "default"
    hitl.new_event("ship", int, scope="project")  # type: ignore[arg-type]  # "run" is the only one
    hitl.new_event("ship")  # type: ignore[call-arg]  # a data type is needed
    hitl.ask("Ship it?", bool, 60)  # type: ignore[arg-type, call-arg]  # what follows is given by name
    hitl.ask("Ship it?", timeout=60)  # type: ignore[call-arg]  # it is timeout_seconds


def arguments_of_methods_are_checked(event: hitl.Event[int]) -> None:
    event.wait(no_such_argument=1)  # type: ignore[call-arg]  # it takes none
    event.cancel(comment=1)  # type: ignore[arg-type]  # a text
    event.cancel("one", "two")  # type: ignore[call-arg]  # one text
    event.cancel.aio(reason="no")  # type: ignore[call-arg]  # it is comment
