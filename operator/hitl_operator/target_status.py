"""What a NotificationTarget's status says: pure decisions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from hitl.cluster.conditions import DeliveringReason, ReadyReason, TargetCondition
from hitl.cluster.notification_target import NotificationTarget, NotificationTargetStatus
from hitl.core.notices import NotDelivered
from hitl_operator.statuses import Wanted, conditions_of


@dataclass(frozen=True)
class Readiness:
    """Whether a target can be told.

    Args:
        reason: In a word.
        message: What is wrong, and what to do; empty: nothing.
    """

    reason: ReadyReason = ReadyReason.USABLE
    message: str = ""

    @property
    def ready(self) -> bool:
        """Whether it can be told."""
        return self.reason is ReadyReason.USABLE


@dataclass(frozen=True)
class Deliveries:
    """The result of a target's notices, since this operator began.

    Args:
        tried: Whether there were any.
        failing_since: When the first of the tries failed after which none succeeded.
        why: Why the last try failed; empty: it did not.
        lost: Whether a notice was given up by the last try.
        given_up: How many notices were given up.
    """

    tried: bool = False
    failing_since: datetime | None = None
    why: str = ""
    lost: bool = False
    given_up: int = 0

    def after(self, failure: NotDelivered | None, given_up: int, now: datetime) -> Deliveries:
        """Return what there is to say after a further try.

        Args:
            failure: Why it failed; None: it did not.
            given_up: How many notices were given up by it.
            now: The present moment, with a time zone.
        """
        if failure is None:
            return replace(self, tried=True, failing_since=None, why="", lost=False)
        return Deliveries(True, self.failing_since or now, failure.why, given_up > 0, self.given_up + given_up)


def status_of(
    target: NotificationTarget, readiness: Readiness, deliveries: Deliveries, waiting: int, now: datetime
) -> NotificationTargetStatus:
    """Return the status of a target.

    Args:
        target: The target, as it is now.
        readiness: Whether it can be told.
        deliveries: The results of its notices.
        waiting: How many are due and not delivered.
        now: The present moment, with a time zone.
    """
    ready = readiness.ready
    wanted: list[Wanted] = [
        (TargetCondition.READY, "True" if ready else "False", readiness.reason, readiness.message),
        _delivering(target, deliveries, waiting),
    ]
    generation = target.metadata.generation
    return NotificationTargetStatus(
        observed_generation=generation, conditions=conditions_of(target.status.conditions, wanted, generation, now)
    )


def _delivering(target: NotificationTarget, deliveries: Deliveries, waiting: int) -> Wanted:
    kind = TargetCondition.DELIVERING
    if not deliveries.tried:
        before = target.status.condition(kind)
        # What an operator before this one found still holds.
        if before is not None:
            return (kind, before.status, before.reason, before.message)
        return (kind, "Unknown", DeliveringReason.NOTHING_SENT, "")
    lost = f"given up since the operator began: {deliveries.given_up}" if deliveries.given_up else ""
    since = deliveries.failing_since
    if since is None:
        return (kind, "True", DeliveringReason.DELIVERED, lost)
    why = f"not delivered since {since.isoformat(timespec='seconds')}: {deliveries.why}"
    waits = f"notices that wait: {waiting}" if waiting else ""
    reason = DeliveringReason.GIVEN_UP if deliveries.lost else DeliveringReason.RETRYING
    return (kind, "False", reason, "; ".join(each for each in (why, waits, lost) if each))
