"""What people are told about a question, and when: pure decisions, no I/O, time comes in.

::

    asked ──▶ escalated ──▶ reminder ──▶ reminder ──▶ (the question ends) ──▶ settled

Nothing is told before it is true, and only ``settled`` after the question ended. Of several reminders whose
time has come, only the last is sent. Each time that others may answer is told once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Final, Literal, TypeAlias

from hitl.core.documents import OutcomeDocument, RequestDocument
from hitl.core.escalation import steps_of
from hitl.core.lifecycle import KEPT_AT_LEAST
from hitl.core.reminders import reminded_at

NoticeEvent: TypeAlias = Literal["asked", "reminder", "escalated", "settled"]

_FIRST_PAUSE: Final = timedelta(seconds=2)
_LONGEST_PAUSE: Final = timedelta(minutes=15)
_MOST_DOUBLINGS: Final = 16


class NotDelivered(Exception):
    """A channel could not deliver a notice.

    Args:
        why: A sentence part for people, without secrets and without anything that the other side wrote.
        wait: The least time until the next try, if the other side asked for one.
        gone: The other side will never take a notice again.
    """

    def __init__(self, why: str, *, wait: timedelta | None = None, gone: bool = False) -> None:
        self.why = why
        self.wait = wait
        self.gone = gone
        super().__init__(why)


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that is told about a question.

    Args:
        event: What is told.
        due_at: From when on it is true.
        until: When trying to deliver it ends.
        seconds: How long before the deadline a reminder was asked for, or how long after the asking others may
            answer, in whole seconds; else 0.
    """

    event: NoticeEvent
    due_at: datetime
    until: datetime
    seconds: int = 0

    @property
    def name(self) -> str:
        """What sets it apart from the other notices about its question, such as ``asked`` or ``reminder-3600``."""
        return f"{self.event}-{self.seconds}" if self.seconds else self.event

    def id_of(self, request_id: str, request_sha256: str) -> str:
        """Return the id by which a receiver knows it: the same at each try, and for no other notice.

        Args:
            request_id: The question.
            request_sha256: The digest of the question, as another may be asked under the same id much later.
        """
        # No dot: signatures join it with what follows by one.
        return f"{request_id}_{self.name}_{hashlib.sha256(request_sha256.encode()).hexdigest()[:12]}"


def due(
    asked: RequestDocument, outcome: OutcomeDocument | None, reminders: Sequence[int], now: datetime
) -> tuple[Notice, ...]:
    """Return what is to be told now, the oldest first; what was delivered already is for the caller to know.

    Args:
        asked: The question.
        outcome: Its outcome, if there is one.
        reminders: How many seconds before the deadline to remind, each at least 1, unless the question says it.
        now: The present moment, with a time zone.
    """
    if outcome is not None:
        until = outcome.answered_at + KEPT_AT_LEAST
        return (Notice("settled", outcome.answered_at, until),) if now < until else ()
    if now >= asked.expires_at:
        return ()
    told = Notice("asked", asked.created_at, asked.expires_at)
    later = [each for each in _escalated(asked) if each.due_at <= now]
    later += [each for each in _reminders(asked, reminders) if each.due_at <= now][-1:]
    return told, *sorted(later, key=attrgetter("due_at"))


def next_due_at(asked: RequestDocument, reminders: Sequence[int], now: datetime) -> datetime | None:
    """Return when the next notice is due while the question is open; None: there are no more.

    Args:
        asked: The question.
        reminders: How many seconds before the deadline to remind, each at least 1, unless the question says it.
        now: The present moment, with a time zone.
    """
    told = [*_escalated(asked), *_reminders(asked, reminders)]
    return min((each.due_at for each in told if each.due_at > now), default=None)


def next_try_at(now: datetime, tries: int, wait: timedelta | None, spread: float, until: datetime) -> datetime:
    """Return when to try again: later after each failure, and no sooner than the other side asked for.

    A pause that would last beyond the end takes half of the time that is left, unless that is a few seconds: the
    other side may be back by then.

    Args:
        now: When the last try failed.
        tries: How many there were, at least 1.
        wait: The least time that the other side asked for.
        spread: A random number from 0 to 1, so that those who failed together do not meet again.
        until: When trying ends.
    """
    doublings: int = min(tries - 1, _MOST_DOUBLINGS)
    pause = min(_FIRST_PAUSE * (1 << doublings), _LONGEST_PAUSE) * (0.5 + spread / 2)
    if pause >= (left := until - now) > 2 * _FIRST_PAUSE:
        pause = left / 2
    try:
        return now + max(pause, wait or timedelta())
    except OverflowError:
        return datetime.max.replace(tzinfo=now.tzinfo)


def _escalated(asked: RequestDocument) -> list[Notice]:
    return [Notice("escalated", at, asked.expires_at, step.after_seconds) for at, step in steps_of(asked)]


def _reminders(asked: RequestDocument, reminders: Sequence[int]) -> list[Notice]:
    found = reminded_at(asked.reminders, reminders, asked.created_at, asked.expires_at)
    return [Notice("reminder", at, asked.expires_at, seconds) for at, seconds in found]
