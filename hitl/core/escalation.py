"""Who may answer a question at a moment: those that it names, and later others as well. Pure, time comes in.

Nothing is written when a question escalates, so every channel says the same: it asks here.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from pydantic import BaseModel, ConfigDict, Field, field_validator

from hitl.core import arguments
from hitl.core.limits import MAX_TIMEOUT_SECONDS
from hitl.core.respondents import Respondents
from hitl.core.strictjson import shortened
from hitl.errors import InvalidRequest

MAX_STEPS: Final = 8
# Of all steps together: what shows a question has room for so many.
MAX_LATER: Final = 128

_WRITE_STEPS: Final = 'give a list such as [(timedelta(hours=1), {"groups": ["oncall"]})]'


class Step(BaseModel):
    """From when on others may answer a question as well.

    Args:
        after_seconds: Seconds from asking.
        respondents: Who may answer from then on: at least one user or group.
    """

    # As with respondents: passing over what is unknown could let somebody answer who must not.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    after_seconds: int = Field(strict=True, ge=1, le=MAX_TIMEOUT_SECONDS)
    respondents: Respondents

    @field_validator("respondents")
    @classmethod
    def _somebody(cls, given: Respondents) -> Respondents:
        if not given:
            raise ValueError("it names nobody: give users, groups or both")
        return given


class Named(Protocol):
    """What says who may answer."""

    @property
    def respondents(self) -> Respondents:
        """Who may answer from the beginning; nobody in it: everybody."""
        ...

    @property
    def escalation(self) -> Sequence[Step]:
        """Who may answer later, too."""
        ...


class Escalating(Named, Protocol):
    """What says who may answer, and was asked."""

    @property
    def created_at(self) -> datetime:
        """When it was asked."""
        ...


def may_answer(asked: Escalating, at: datetime) -> Respondents:
    """Return who may answer a question at a moment; nobody in it: everybody.

    Args:
        asked: The question.
        at: The moment, with a time zone. A step counts from its very moment on.
    """
    if not asked.escalation:
        return asked.respondents
    return together(asked.respondents, [step.respondents for moment, step in steps_of(asked) if moment <= at])


def may_ever_answer(asked: Named) -> Respondents:
    """Return who may answer a question at any time until its deadline; nobody in it: everybody."""
    return together(asked.respondents, [step.respondents for step in asked.escalation])


def together(first: Respondents, others: Sequence[Respondents]) -> Respondents:
    """Return who may answer if others may as well; nobody in it: everybody.

    Args:
        first: Who may answer without them.
        others: The others, somebody in each.
    """
    if not first or not others:
        return first
    named = [first, *others]
    # Each was checked. Together they may be more than one list may name.
    return Respondents.model_construct(
        users=list(dict.fromkeys(user for each in named for user in each.users)),
        groups=list(dict.fromkeys(group for each in named for group in each.groups)),
    )


def named_shortly(respondents: Respondents) -> str:
    """Return those who are named, as people read it, such as ``ann, group sre``."""
    return ", ".join([*respondents.users, *(f"group {each}" for each in respondents.groups)])


def steps_of(asked: Escalating) -> list[tuple[datetime, Step]]:
    """Return the steps of a question, each with its moment, the first one first."""
    return [(asked.created_at + timedelta(seconds=step.after_seconds), step) for step in asked.escalation]


def steps_asked(given: object) -> list[Step]:
    """Return the steps that an author writes.

    Args:
        given: Pairs of a time after asking, and of respondents as an author writes them; None: there are none.

    Raises:
        InvalidRequest: saying which of them is invalid and why.
    """
    if given is None:
        return []
    if not isinstance(given, Sequence) or isinstance(given, str | bytes):
        raise InvalidRequest(f"escalate is {shortened(repr(given))}: {_WRITE_STEPS}")
    return [_step(number, each) for number, each in enumerate(given)]


def require_sensible(asked: Named, timeout_seconds: float) -> None:
    """Refuse steps that would change nothing.

    Args:
        asked: The question.
        timeout_seconds: Seconds from asking to the deadline.

    Raises:
        InvalidRequest: saying what is wrong.
    """
    steps = asked.escalation
    if steps and not asked.respondents:
        raise InvalidRequest(
            "escalation adds people who may answer, and everybody may already: name respondents, or leave it out"
        )
    if (later := sum(len(step.respondents.users) + len(step.respondents.groups) for step in steps)) > MAX_LATER:
        raise InvalidRequest(
            f"escalation has {later} names in all its steps: give at most {MAX_LATER}, or name groups"
        )
    for before, step in zip([None, *steps], steps, strict=False):
        if before is not None and step.after_seconds <= before.after_seconds:
            raise InvalidRequest(
                f"escalation: {step.after_seconds} s come after {before.after_seconds} s: give the earliest "
                "first, and each time once"
            )
        if step.after_seconds >= timeout_seconds:
            raise InvalidRequest(
                f"escalation after {step.after_seconds} s, and the deadline is after {timeout_seconds:g} s: "
                "give an earlier time, or a later deadline"
            )


def _step(number: int, given: object) -> Step:
    if isinstance(given, Step):
        return given
    where = f"escalate[{number}]"
    if not isinstance(given, Sequence) or isinstance(given, str | bytes) or len(given) != 2:
        raise InvalidRequest(f"{where} is {shortened(repr(given))}: {_WRITE_STEPS}")
    after: Any = given[0]
    named: Any = given[1]
    if not isinstance(named, Respondents | Mapping):
        raise InvalidRequest(f"{where} names {shortened(repr(named))}: {_WRITE_STEPS}")
    try:
        respondents = Respondents.asked(named)
    except InvalidRequest as error:
        raise InvalidRequest(f"{where}: {error}") from error
    return Step(after_seconds=arguments.whole_seconds(where, after), respondents=respondents)
