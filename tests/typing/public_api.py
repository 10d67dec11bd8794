"""What a type checker makes of the public API. A test lets mypy and pyright read this file; nothing runs it.

Each `type: ignore` is a test as well: it says that the call is refused, and both report one that is not needed.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Awaitable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, Optional, TypedDict, assert_type

from pydantic import BaseModel, Field

import hitl
from hitl.errors import RecordedOutcome


class Deploy(BaseModel):
    region: Literal["eu", "us"]


class Color(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Point:
    x: int


class Person(TypedDict):
    name: str


def an_answer_is_of_the_type_that_was_asked_for() -> None:
    assert_type(hitl.ask("Which deployment?", Deploy), Deploy)
    assert_type(hitl.ask("Ship it?", data_type=bool, timeout_seconds=60), bool)
    assert_type(hitl.ask("How many?", int, choices=[1, 2], default=1), int)
    assert_type(hitl.ask("Why?"), str)
    assert_type(hitl.ask("Why?", str), str)
    assert_type(hitl.ask("Which?", Color, proposed=Color.RED), Color)
    assert_type(hitl.ask("Where?", Point, attempts=3), Point)
    assert_type(hitl.ask("Who?", Person), Person)
    assert_type(hitl.ask("When?", date), date)
    assert_type(hitl.ask("How much?", Decimal), Decimal)
    assert_type(hitl.ask("Which?", list[str]), list[str])
    assert_type(hitl.ask("Which?", dict[str, int]), dict[str, int])
    assert_type(hitl.ask("Which?", tuple[int, str]), tuple[int, str])
    assert_type(hitl.ask("Which?", set[Deploy]), set[Deploy])


def names_of_types_are_types() -> None:
    assert_type(hitl.ask("How many?", "int"), int)
    assert_type(hitl.ask("How much?", "float"), float)
    assert_type(hitl.ask("Ship it?", "bool"), bool)
    assert_type(hitl.ask("Why?", "str"), str)
    assert_type(hitl.ask("What?", "json"), Any)


def several_choices_are_a_list() -> None:
    assert_type(hitl.ask("Which?", choices={"eu": "Europe", "us": "America"}, multiple=True), list[str])
    assert_type(hitl.ask("Which?", Color, multiple=True), list[Color])
    assert_type(hitl.new_event("which", Color, multiple=True), hitl.Event[list[Color]])


def what_is_no_class_is_what_the_author_says() -> None:
    note: int | None = hitl.ask("How many?", int | None)
    same: int | None = hitl.ask("How many?", Optional[int])  # noqa: UP045 - it is written like this as well
    region: Literal["eu", "us"] = hitl.ask("Where?", Literal["eu", "us"])
    small: int = hitl.ask("How many?", Annotated[int, Field(ge=1, le=9)])
    nothing: None = hitl.ask("Nothing?", None)
    print(note, same, region, small, nothing)


async def what_is_awaited_has_the_same_type() -> None:
    assert_type(await hitl.ask.aio("Which deployment?", Deploy), Deploy)
    assert_type(await hitl.ask.aio("Why?"), str)
    assert_type(await hitl.ask.aio("Which?", Color, multiple=True), list[Color])
    assert_type(hitl.ask.aio("Ship it?", bool), Awaitable[bool])
    event = await hitl.new_event.aio("deploy", Deploy, prompt="Which deployment?")
    assert_type(event, hitl.Event[Deploy])
    assert_type(await event.wait.aio(), Deploy)
    assert_type(await event.result.aio(), hitl.Outcome[Deploy])


def a_question_is_an_event_of_its_type() -> None:
    assert_type(hitl.new_event("ship", bool), hitl.Event[bool])
    assert_type(hitl.new_event("ship", "int"), hitl.Event[int])
    assert_type(hitl.new_event("ship", bool, "run", "Ship it?", 60, 1), hitl.Event[bool])
    assert_type(hitl.new_event.aio("ship", data_type=bool), Awaitable[hitl.Event[bool]])
    assert_type(hitl.Event.create("ship", bool), hitl.Event[bool])
    assert_type(hitl.Event.create.aio("ship", bool), Awaitable[hitl.Event[bool]])


def several_people_may_have_to_agree(outcome: hitl.Outcome[bool]) -> None:
    policy = hitl.Approval(required=2, groups={"sre": 1}, exclude_requester=True, comment_required="OnReject")
    assert_type(hitl.new_event("ship", bool, approval=policy, requester="ann"), hitl.Event[bool])
    assert_type(hitl.ask("Ship it?", bool, approval=hitl.Approval(required=2, allow_links=True)), bool)
    assert_type([vote.by for vote in outcome.votes], list[str])


def others_may_answer_later_and_people_are_reminded() -> None:
    later = [(timedelta(hours=1), {"groups": ["oncall"]}), (timedelta(hours=2), {"users": ["ann"]})]
    hours = hitl.BusinessHours(time_zone="Europe/Berlin", days=["Mon", "Tue"], start="08:00", holidays="DE-BY")
    named = {"users": ["bob"]}
    event = hitl.new_event(
        "ship", bool, respondents=named, escalate=later, reminders=[timedelta(hours=1), 60], business_hours=hours
    )
    assert_type(event, hitl.Event[bool])
    assert_type(hitl.ask("Ship?", bool, respondents=named, escalate=[(60, {"groups": ["oncall"]})]), bool)
    hitl.ask("Ship?", bool, reminders=timedelta(hours=1))  # type: ignore[call-overload]


def an_outcome_has_the_type_of_its_value(event: hitl.Event[int]) -> None:
    assert_type(event.result(), hitl.Outcome[int])
    assert_type(event.outcome, hitl.Outcome[int] | None)
    assert_type(event.result().value, int | None)
    assert_type(event.result().edited, bool)
    assert_type(event.result().changes, tuple[hitl.Change, ...])


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
    hitl.new_event("ship", int, on_timeout="never")  # type: ignore[call-overload]  # "fail" or "default"
    hitl.new_event("ship", int, scope="project")  # type: ignore[call-overload]  # "run" is the only one
    hitl.new_event("ship")  # type: ignore[call-overload]  # a data type is needed
    hitl.new_event("ship", int, nonsense=1)  # type: ignore[call-overload]  # there is no such option
    hitl.ask("Ship it?", bool, 60)  # type: ignore[call-overload]  # what follows is given by name
    hitl.ask("Ship it?", timeout=60)  # type: ignore[call-overload]  # it is timeout_seconds
    hitl.ask("Ship it?", nonsense=1)  # type: ignore[call-overload]  # there is no such option
    hitl.ask("Ship it?", bool, scope="run")  # type: ignore[call-overload]  # only new_event takes it
    hitl.ask("Which?", str, attempts="3")  # type: ignore[call-overload]  # a number
    hitl.ask.aio("Ship it?", nonsense=1)  # type: ignore[call-overload]  # nor has the other form


def arguments_of_methods_are_checked(event: hitl.Event[int]) -> None:
    event.wait(no_such_argument=1)  # type: ignore[call-arg]  # it takes none
    event.cancel(comment=1)  # type: ignore[arg-type]  # a text
    event.cancel("one", "two")  # type: ignore[call-arg]  # one text
    event.cancel(1, 2, nonsense=3)  # type: ignore[call-arg, arg-type]  # none of them
    event.cancel.aio(reason="no")  # type: ignore[call-arg]  # it is comment
