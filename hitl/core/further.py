"""What few questions have: as an author writes it, and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, TypeAlias, TypedDict

from hitl.core.approval import Approval
from hitl.core.business_hours import BusinessHours
from hitl.core.escalation import Step, steps_asked
from hitl.core.reminders import reminders_asked
from hitl.core.respondents import Respondents
from hitl.errors import InvalidRequest

Seconds: TypeAlias = float | timedelta
Escalation: TypeAlias = Sequence[Step | tuple[Seconds, Respondents | Mapping[str, Sequence[str]]]]


class Further(TypedDict, total=False):
    """What few questions have."""

    refused: Sequence[str]
    """What the program said of the answer before, shown above the form."""
    approval: Approval | None
    """Who must agree. None: one person decides."""
    requester: str
    """The user it is asked for; empty: nobody knows."""
    escalate: Escalation | None
    """Who may answer later as well: pairs of a time after asking, and of respondents."""
    reminders: Sequence[Seconds] | None
    """Times before the deadline. None: as the settings of who tells say."""
    business_hours: BusinessHours | None
    """When people are reminded. None: at any time."""


def checked_further(further: Further) -> dict[str, Any]:
    """Return the fields of a question that these arguments are.

    Raises:
        InvalidRequest: saying which is invalid and why.
    """
    approval = further.get("approval")
    if approval is not None and not isinstance(approval, Approval):
        kind = type(approval).__name__
        raise InvalidRequest(f"approval is of type {kind}: give hitl.Approval(required=2), or None")
    return {
        "refused": list(further.get("refused", ())),
        "approval": approval,
        "requester": further.get("requester", ""),
        "escalation": steps_asked(further.get("escalate")),
        "reminders": reminders_asked(further.get("reminders"), further.get("business_hours")),
    }
