"""When people are reminded of a question: what it says itself, else what the settings say. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Final, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from hitl.core import arguments
from hitl.core.business_hours import BusinessHours, last_within, require_known
from hitl.core.limits import MAX_TIMEOUT_SECONDS
from hitl.core.strictjson import shortened
from hitl.errors import InvalidRequest

MAX_REMINDERS: Final = 8

_BeforeDeadline: TypeAlias = Annotated[int, Field(strict=True, ge=1, le=MAX_TIMEOUT_SECONDS)]


class Reminders(BaseModel):
    """When people are reminded of a question.

    Args:
        before_deadline_seconds: How many seconds before the deadline. None: as the settings of who tells say.
        business_hours: When they may be told. What would be due outside is told at the last moment before that is
            inside. None: at any time.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    before_deadline_seconds: list[_BeforeDeadline] | None = Field(default=None, max_length=MAX_REMINDERS)
    business_hours: BusinessHours | None = None


def reminders_asked(given: object, hours: object) -> Reminders | None:
    """Return the reminders that an author writes.

    Args:
        given: A list of times before the deadline; None: the author says nothing.
        hours: The business hours; None: at any time.

    Raises:
        InvalidRequest: saying what is invalid and why.
    """
    if given is None and hours is None:
        return None
    if hours is not None and not isinstance(hours, BusinessHours):
        raise InvalidRequest(
            f"business_hours is of type {type(hours).__name__}: give hitl.BusinessHours(...), or None"
        )
    if hours is not None:
        require_known(hours)
    return Reminders(before_deadline_seconds=_seconds(given), business_hours=hours)


def reminded_at(
    asked: Reminders | None, default: Sequence[int], created_at: datetime, expires_at: datetime
) -> list[tuple[datetime, int]]:
    """Return the moments at which people are reminded, the first one first, each with its seconds.

    One that is not after the asking tells nothing new, so it is left out.

    Args:
        asked: What the question says; None: nothing.
        default: How many seconds before the deadline, where the question says nothing of that.
        created_at: When it was asked, with a time zone.
        expires_at: Its deadline, with a time zone.
    """
    before = default if asked is None or asked.before_deadline_seconds is None else asked.before_deadline_seconds
    hours = None if asked is None else asked.business_hours
    open_for = (expires_at - created_at).total_seconds()
    found = []
    for seconds in sorted(set(before), reverse=True):
        if not 0 < seconds < open_for:
            continue
        moment: datetime | None = expires_at - timedelta(seconds=seconds)
        if hours is not None and moment is not None:
            moment = last_within(hours, moment, created_at)
        if moment is not None and moment > created_at:
            found.append((moment, seconds))
    return found


def _seconds(given: object) -> list[int] | None:
    if given is None:
        return None
    if not isinstance(given, Sequence) or isinstance(given, str | bytes):
        raise InvalidRequest(
            f"reminders is {shortened(repr(given))}: give a list such as [timedelta(hours=1)], of times before "
            "the deadline"
        )
    if len(given) > MAX_REMINDERS:
        raise InvalidRequest(f"reminders has {len(given)} times: give at most {MAX_REMINDERS}")
    return [arguments.whole_seconds(f"reminders[{number}]", each) for number, each in enumerate(given)]
