"""In which pace a target is told: pure decisions, no I/O, time comes in.

::

    due ──▶ quiet hours? wait ──▶ over the rate? wait ──▶ more than a digest allows? together, else alone

A notice waits for its target's sake, but never so long that it is of no use: what nears its end comes first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from hitl.core.noticekeys import NoticeBox
from hitl.core.notices import Notice

MOST_TOGETHER: Final = 100
"""How many notices one digest lists at most."""

_MINUTE: Final = timedelta(minutes=1)
_DAY: Final = timedelta(days=1)
# What ends during quiet hours is told that long before its end.
_LAST_USE: Final = timedelta(minutes=30)
# Gathering takes no more than this part of the time that there is.
_GATHERED_PART: Final = 10


@dataclass(frozen=True, slots=True)
class QuietHours:
    """When a target is not to be disturbed, each day.

    Args:
        zone: The time zone.
        start: Since when, by the clocks there.
        end: Until when, by the clocks there; before `start`: on the next day. The same: never.
    """

    zone: ZoneInfo
    start: time
    end: time

    def until(self, now: datetime) -> datetime | None:
        """Return when the quiet hours end in which a moment lies; None: it lies in none."""
        local = now.astimezone(self.zone)
        clock, over_night = local.time(), self.end < self.start
        quiet = clock >= self.start or clock < self.end if over_night else self.start <= clock < self.end
        if not quiet:
            return None
        day = local.date() + _DAY if over_night and clock >= self.start else local.date()
        return datetime.combine(day, self.end, self.zone).astimezone(now.tzinfo)


@dataclass(frozen=True, slots=True)
class Pace:
    """How much a target may be told.

    Args:
        per_minute: How many messages in any minute; 0: as many as there are.
        alone: How many notices within `window` are told alone: those beyond come together. None: all of them.
        window: How long notices are gathered.
        quiet: When only what cannot wait is told.
    """

    per_minute: int = 0
    alone: int | None = None
    window: timedelta = _MINUTE
    quiet: QuietHours | None = None

    def begin(self, now: datetime) -> tuple[Sent, ...]:
        """Return what counts as sent when a process begins: another may have sent just before. Half, then."""
        return (Sent(now, self.per_minute // 2, 0),) if self.per_minute > 1 else ()


@dataclass(frozen=True, slots=True)
class Waiting:
    """A notice that is due.

    Args:
        box: Which, of which target.
        notice: What is told.
        retry_at: No sooner than this, as it failed.
    """

    box: NoticeBox
    notice: Notice
    retry_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Sent:
    """What was sent at a moment.

    Args:
        at: When.
        messages: How many messages.
        notices: How many notices they told of.
    """

    at: datetime
    messages: int = 1
    notices: int = 1


@dataclass(frozen=True, slots=True)
class Plan:
    """What is sent now.

    Args:
        alone: A message each.
        together: One message for all of them.
        again_at: When to decide again, if nothing else happens; None: nothing waits.
    """

    alone: list[Waiting] = field(default_factory=list)
    together: list[Waiting] = field(default_factory=list)
    again_at: datetime | None = None


def plan(pace: Pace, waiting: Sequence[Waiting], sent: Sequence[Sent], now: datetime) -> Plan:
    """Return what a target is told now, and when to decide again.

    Args:
        pace: How much it may be told.
        waiting: What is due, and not being sent.
        sent: What was sent within the last minute and the last window, failures too.
        now: The present moment, with a time zone.
    """
    moments = {each: not_before(pace, each, now) for each in waiting}
    ready = sorted((each for each in waiting if moments[each] <= now), key=_urgency)
    later = [at for at in moments.values() if at > now]
    if not ready:
        return Plan(again_at=min(later, default=None))
    lately = [each for each in sent if now - each.at < _MINUTE] if pace.per_minute else []
    room = pace.per_minute - sum(each.messages for each in lately) if pace.per_minute else len(ready)
    if room <= 0:
        return Plan(again_at=min([*later, min(each.at for each in lately) + _MINUTE]))
    if pace.alone is not None:
        told = sum(each.notices for each in sent if now - each.at < pace.window)
        if told + len(ready) > max(pace.alone, 1):
            gathered_at = min(_gathered_at(pace, each) for each in ready)
            if len(ready) < MOST_TOGETHER and gathered_at > now:
                return Plan(again_at=min([*later, gathered_at]))
            return Plan(together=ready[:MOST_TOGETHER], again_at=now)
    return Plan(alone=ready[:room], again_at=now if len(ready) > room else min(later, default=None))


def not_before(pace: Pace, waiting: Waiting, now: datetime) -> datetime:
    """Return when a notice may be told at the earliest, as it failed, or as it is quiet; `now` or before: now.

    Args:
        pace: How much the target may be told.
        waiting: The notice.
        now: The present moment, with a time zone.
    """
    earliest = max(waiting.retry_at or now, now)
    quiet_until = pace.quiet.until(earliest) if pace.quiet is not None else None
    if quiet_until is None:
        return earliest
    return max(earliest, min(quiet_until, waiting.notice.until - _LAST_USE))


def _urgency(waiting: Waiting) -> tuple[datetime, datetime, str]:
    return waiting.notice.until, waiting.notice.due_at, waiting.box.prefix


def _gathered_at(pace: Pace, waiting: Waiting) -> datetime:
    notice = waiting.notice
    return notice.due_at + min(pace.window, (notice.until - notice.due_at) / _GATHERED_PART)
