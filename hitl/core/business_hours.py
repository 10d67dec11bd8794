"""When people work, so that they are reminded then. Pure: the moment comes in, and zones and holidays are data.

A question stores these settings, not their dates. They are checked when it is asked. Who reads it later, and knows
the zone or the holidays no more, goes without them.
"""

import functools
from collections.abc import Container
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from hitl.core.faults import sentence
from hitl.errors import InvalidRequest
from hitl.extras import how_to_install

Day: TypeAlias = Literal["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]

MAX_ZONE_CHARS: Final = 64
MAX_HOLIDAYS_CHARS: Final = 16
HOLIDAYS_PATTERN: Final = r"^([A-Z]{2,3}(-[A-Z0-9]{1,8})?)?$"
TIME_PATTERN: Final = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"

_DAYS: Final[tuple[Day, ...]] = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DAY: Final = timedelta(days=1)
_MINUTE: Final = timedelta(minutes=1)


class BusinessHours(BaseModel):
    """When people work, so that they are reminded then.

    Args:
        time_zone: A zone of the IANA database, such as ``"Europe/Berlin"``.
        days: The days of the week, in English: ``"Mon"`` to ``"Sun"``. Monday to Friday by default.
        start: When work begins there, such as ``"09:00"``, which is the default.
        end: When it ends, such as ``"17:00"``, which is the default: later than `start`, on the same day.
        holidays: The country whose holidays are no working days, or the country and a part of it: ``"DE"``,
            ``"DE-BY"``, ``"US-CA"``. This needs the extra ``holidays``. Empty, the default: there are none.

    Raises:
        InvalidRequest: saying which argument is invalid and why.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    time_zone: str = Field(min_length=1, max_length=MAX_ZONE_CHARS)
    days: list[Day] = Field(default=["Mon", "Tue", "Wed", "Thu", "Fri"], min_length=1, max_length=7)
    start: str = Field(default="09:00", pattern=TIME_PATTERN)
    end: str = Field(default="17:00", pattern=TIME_PATTERN)
    holidays: str = Field(default="", max_length=MAX_HOLIDAYS_CHARS, pattern=HOLIDAYS_PATTERN)

    if not TYPE_CHECKING:
        # Type checkers see the fields.
        def __init__(self, **given: Any) -> None:
            try:
                super().__init__(**given)
            except ValidationError as error:
                raise InvalidRequest(f"business_hours: {sentence(error)}") from error

    @model_validator(mode="after")
    def _whole(self) -> "BusinessHours":
        if len(set(self.days)) < len(self.days):
            raise ValueError("days has a day twice")
        if self.end <= self.start:
            raise ValueError(f"end is {self.end}, and start is {self.start}: give a later end, on the same day")
        return self


def require_known(hours: BusinessHours) -> None:
    """Refuse a zone or holidays that are not known here.

    Raises:
        InvalidRequest: saying which, and what to do.
    """
    if _zone(hours.time_zone) is None:
        raise InvalidRequest(
            f"business_hours: time_zone {hours.time_zone!r} is not known here: give a name of the IANA database, "
            "such as Europe/Berlin"
        )
    if not hours.holidays:
        return
    try:
        import holidays  # noqa: F401 - whether it is there
    except ImportError as error:
        raise InvalidRequest(
            f"business_hours: holidays need the extra holidays: {how_to_install('holidays')}"
        ) from error
    if _holidays(hours.holidays) is None:
        raise InvalidRequest(
            f"business_hours: holidays {hours.holidays!r} are not known here: give a country such as DE, or with "
            "a part of it such as DE-BY"
        )


def last_within(hours: BusinessHours, moment: datetime, since: datetime) -> datetime | None:
    """Return the last moment of business hours that is not after a moment; None: there is none.

    Their end is one of them. Where clocks change on that day, it is exact to the minute.

    Args:
        hours: The business hours.
        moment: The moment, with a time zone.
        since: How far to look back, with a time zone.
    """
    if (zone := _zone(hours.time_zone)) is None:
        return moment
    moment = moment.astimezone(UTC)
    # Years are looked up when they are asked for, so these look empty at first.
    off: Container[date] = () if (known := _holidays(hours.holidays)) is None else known
    day = moment.astimezone(zone).date()
    first = since.astimezone(zone).date() - _DAY
    # A day that a zone left out is none of its days, so there may be one more to look at.
    while day >= first:
        if _works(hours, off, day):
            found = _last_on(hours, off, zone, day, moment)
            if found is not None:
                return found if found >= since else None
        day -= _DAY
    return None


def _last_on(
    hours: BusinessHours, off: Container[date], zone: ZoneInfo, day: date, moment: datetime
) -> datetime | None:
    begins, ends = (datetime.combine(each, time(), zone) for each in (day, day + _DAY))
    latest = min(moment, ends.astimezone(UTC))
    if begins.utcoffset() == ends.utcoffset():
        start, end = (
            datetime.combine(day, time.fromisoformat(each), zone).astimezone(UTC)
            for each in (hours.start, hours.end)
        )
        return min(latest, end) if latest >= start else None
    # Clocks change: a time of day may be there twice, or never.
    while latest >= begins.astimezone(UTC) - _DAY:
        local = latest.astimezone(zone)
        if local.date() < day:
            return None
        if _works(hours, off, local.date()) and _at_work(hours, local):
            return latest
        floor = latest.replace(second=0, microsecond=0)
        latest = floor if floor < latest else latest - _MINUTE
    return None


def _works(hours: BusinessHours, off: Container[date], day: date) -> bool:
    return _DAYS[day.weekday()] in hours.days and day not in off


def _at_work(hours: BusinessHours, local: datetime) -> bool:
    return time.fromisoformat(hours.start) <= local.time() <= time.fromisoformat(hours.end)


@functools.lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        # There is none of that name, or it is no name, such as that of a folder.
        return None


@functools.lru_cache(maxsize=64)
def _holidays(code: str) -> Container[date] | None:
    """Return the holidays of a country, or of a part of it; None: they are not known here, or there are none."""
    if not code:
        return None
    try:
        # Loaded here: few questions know holidays.
        from holidays import country_holidays
    except ImportError:
        return None
    country, _, part = code.partition("-")
    try:
        return country_holidays(country, subdiv=part or None)
    except NotImplementedError:
        return None
