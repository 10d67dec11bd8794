"""Who may answer later, and when people are reminded, as the API server holds it and as storage does. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, TypeAlias

from pydantic import Field

from hitl.cluster.shapes import Respondents, Shape
from hitl.core.business_hours import (
    HOLIDAYS_PATTERN,
    MAX_HOLIDAYS_CHARS,
    MAX_ZONE_CHARS,
    TIME_PATTERN,
    BusinessHours,
    Day,
)
from hitl.core.escalation import Step
from hitl.core.limits import MAX_TIMEOUT_SECONDS
from hitl.core.reminders import MAX_REMINDERS, Reminders
from hitl.core.respondents import Respondents as StoredRespondents

_Seconds: TypeAlias = Annotated[int, Field(ge=1, le=MAX_TIMEOUT_SECONDS)]


class EscalationStep(Shape):
    """From when on others may answer as well."""

    after_seconds: _Seconds = Field(description="Seconds from creation, before the deadline.")
    respondents: Respondents = Field(description="Who may answer from then on: at least one user or group.")


class ShownBusinessHours(Shape):
    """When people work, so that they are reminded then."""

    time_zone: str = Field(
        min_length=1,
        max_length=MAX_ZONE_CHARS,
        description="A zone of the IANA database, such as Europe/Berlin.",
    )
    days: list[Day] | None = Field(
        default=None, min_length=1, max_length=7, description="The days of the week. Absent: Mon to Fri."
    )
    start: str | None = Field(
        default=None,
        max_length=5,
        pattern=TIME_PATTERN,
        description="When work begins there, such as 09:00. Absent: 09:00.",
    )
    end: str | None = Field(
        default=None,
        max_length=5,
        pattern=TIME_PATTERN,
        description="When it ends, on the same day, such as 17:00. Absent: 17:00.",
    )
    holidays: str | None = Field(
        default=None,
        max_length=MAX_HOLIDAYS_CHARS,
        pattern=HOLIDAYS_PATTERN,
        description="The country whose holidays are no working days, or a part of it: DE, DE-BY. Absent: there "
        "are none.",
    )


class ShownReminders(Shape):
    """When people are reminded of the question."""

    before_deadline_seconds: list[_Seconds] | None = Field(
        default=None,
        max_length=MAX_REMINDERS,
        description="How many seconds before the deadline; an empty list: never. Absent: as the settings of who "
        "tells say.",
    )
    business_hours: ShownBusinessHours | None = Field(
        default=None,
        description="What would be due outside is told at the last moment before that is inside. Absent: at any "
        "time.",
    )


def steps_in(shown: Sequence[EscalationStep]) -> list[Step]:
    """Return who may answer later, as a question has it.

    Raises:
        InvalidRequest: a step names nobody.
    """
    return [
        Step(
            after_seconds=each.after_seconds,
            respondents=StoredRespondents.asked(each.respondents.model_dump(exclude_defaults=True)),
        )
        for each in shown
    ]


def steps_shown(steps: Sequence[Step]) -> list[EscalationStep]:
    """Return who may answer later, as a HumanInput shows it."""
    return [EscalationStep.model_validate(each.model_dump()) for each in steps]


def hours_in(shown: ShownReminders | None) -> BusinessHours | None:
    """Return the business hours, as a question has them.

    Raises:
        InvalidRequest: they make no sense.
    """
    hours = None if shown is None else shown.business_hours
    return None if hours is None else BusinessHours(**hours.model_dump(exclude_none=True))


def reminders_shown(reminders: Reminders | None) -> ShownReminders | None:
    """Return when people are reminded, as a HumanInput shows it."""
    if reminders is None:
        return None
    return ShownReminders.model_validate(reminders.model_dump(exclude_defaults=True))
