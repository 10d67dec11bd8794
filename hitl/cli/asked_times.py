"""What `hitl ask` says of later: who may answer then as well, and when people are reminded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final, TypeAlias

import typer

from hitl.cli.options import span
from hitl.core.business_hours import BusinessHours
from hitl.core.further import Escalation
from hitl.core.strictjson import read_json
from hitl.errors import InvalidRequest, InvalidValue

_KINDS: Final = {"user": "users", "users": "users", "group": "groups", "groups": "groups"}

Escalate: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TIME=WHO",
        help="Who may answer later as well, such as 1h=group=oncall or 30m=ann; give it once for each.",
        show_default=False,
    ),
]
Remind: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TIME",
        help="When people are reminded, before the deadline: 90, 90s, 15m, 8h or 2d; give it once for each. Else "
        "as HITL_NOTIFY_REMINDERS says.",
        show_default=False,
    ),
]
Hours: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--business-hours",
        metavar="JSON",
        help="When they may be reminded, such as "
        '\'{"time_zone": "Europe/Berlin", "start": "09:00", "end": "17:00", "holidays": "DE-BY"}\'.',
        show_default=False,
    ),
]


def respondents_of(named: Sequence[str], option: str = "--respondents") -> dict[str, list[str]] | None:
    """Return who may answer. A name may hold ``=``, as those of LDAP do, so only known words in front count.

    Args:
        named: What was typed.
        option: The option that it was typed for.

    Raises:
        InvalidRequest: one of them names nobody.
    """
    given: dict[str, list[str]] = {}
    for each in named:
        kind, equals, name = each.partition("=")
        field = _KINDS.get(kind.strip().lower()) if equals else None
        if not (name if field else each).strip():
            raise InvalidRequest(f"{option} has {each!r}, which names nobody: write user=NAME or group=NAME")
        given.setdefault(field or "users", []).append(name if field else each)
    return given or None


def escalation_of(given: Sequence[str]) -> Escalation:
    """Return who may answer later: those of the same time together, the earliest first.

    Raises:
        InvalidRequest: one of them is no time with somebody.
    """
    later: dict[float, list[str]] = {}
    for each in given:
        time, equals, who = each.partition("=")
        if not equals:
            raise InvalidRequest(f"--escalate is {each!r}: write a time and who, such as 1h=group=oncall")
        later.setdefault(_span("--escalate", time), []).append(who)
    return [(after, respondents_of(names, "--escalate") or {}) for after, names in sorted(later.items())]


def reminders_of(given: Sequence[str] | None) -> list[float] | None:
    """Return when people are reminded, in seconds before the deadline; None: nothing is said of it."""
    return None if given is None else [_span("--remind", each) for each in given]


def _span(option: str, text: str) -> float:
    """Return the seconds of a span, whose option typer does not know here."""
    try:
        return span(text)
    except typer.BadParameter as error:
        raise InvalidRequest(f"{option}: {error.message}") from error


def hours_of(text: str | None) -> BusinessHours | None:
    """Return when people may be reminded.

    Raises:
        InvalidRequest: it is no JSON object, or makes no sense.
    """
    if text is None:
        return None
    try:
        given: Any = read_json(text)
    except InvalidValue as error:
        raise InvalidRequest(f"--business-hours: {error}") from error
    if not isinstance(given, dict):
        raise InvalidRequest("--business-hours: give a JSON object, with at least the time_zone")
    # Every field is checked by the model itself.
    return BusinessHours(**given)
