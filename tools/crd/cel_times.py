"""The rules of who may answer, now and later, and of when people are reminded, in CEL: see `tools.crd.cel`."""

from __future__ import annotations

from typing import TypeAlias

from hitl.core.escalation import MAX_LATER

Rule: TypeAlias = dict[str, str]


def respondents_rules() -> list[Rule]:
    """Return the rules of `spec.respondents`, which is pruned to nothing when each of its names is misspelt."""
    lists = [f"self.{field}" for field in ("users", "groups")]
    return [
        {
            "rule": f"({' || '.join(f'has({each})' for each in lists)}) && "
            + " && ".join(f"(!has({each}) || size({each}) > 0)" for each in lists),
            "message": "respondents names nobody: give users, groups or both, each with at least one name, or "
            "leave respondents out to let everybody answer",
        }
    ]


def rules_for_an_escalation() -> list[Rule]:
    """Return the rules of who may answer later, together with the rest of the question."""
    steps = "self.spec.escalation"
    return [
        {
            "rule": f"!has({steps}) || size({steps}) == 0 || has(self.spec.respondents)",
            "message": "escalation adds people who may answer, and everybody may already: name respondents, or "
            "leave it out",
            "fieldPath": ".spec.escalation",
        },
        {
            "rule": f"!has({steps}) || {steps}.all(s, s.afterSeconds < self.spec.timeoutSeconds)",
            "message": "each step of escalation comes before the deadline: give a smaller afterSeconds, or a "
            "larger timeoutSeconds",
            "fieldPath": ".spec.escalation",
        },
    ]


def escalation_rules() -> list[Rule]:
    """Return the rules of `spec.escalation` alone. That each time is there once, the type of the list says."""
    return [
        {
            "rule": "self.map(s, s.afterSeconds).isSorted()",
            "message": "the steps of escalation are in the order of afterSeconds, the smallest first",
        },
        {
            "rule": f"self.map(s, {_number('users')} + {_number('groups')}).sum() <= {MAX_LATER}",
            "message": f"the steps of escalation have more than {MAX_LATER} names together: name groups",
        },
    ]


def _number(field: str) -> str:
    return f"(has(s.respondents.{field}) ? size(s.respondents.{field}) : 0)"


def business_hours_rules() -> list[Rule]:
    """Return the rules of `spec.reminders.businessHours`."""
    return [
        {
            "rule": "(has(self.end) ? self.end : '17:00') > (has(self.start) ? self.start : '09:00')",
            "message": "business hours end on the day on which they start: give an end later than the start",
        }
    ]
