"""The rules of who must agree, in CEL: see `tools.crd.cel`."""

from __future__ import annotations

from typing import TypeAlias

Rule: TypeAlias = dict[str, str]


def rules_for_an_approval() -> list[Rule]:
    """Return the rules of who must agree, together with the rest of the question."""
    approval, named = "self.spec.approval", "self.spec.respondents"
    links = f"(has({approval}.allowLinks) && {approval}.allowLinks)"
    excludes = f"(has({approval}.excludeRequester) && {approval}.excludeRequester)"
    voters = (
        f"{named}.users.filter(u, !{excludes} || !has(self.spec.requester) || u != self.spec.requester.username)"
    )
    return [
        {
            "rule": f"!has({approval}) || !has(self.spec.response)",
            "message": "several people must agree on this question, and response holds one response: create a "
            "HumanInputResponse for each vote, as `kubectl hitl answer` does",
            "fieldPath": ".spec.response",
        },
        {
            "rule": f"!has(self.spec.policyRef) || !(has({approval}) || has(self.spec.escalation) || "
            "has(self.spec.reminders))",
            "message": "policyRef stands for approval, escalation and reminders: give it, or some of them",
            "fieldPath": ".spec.policyRef",
        },
        {
            "rule": f"!has({approval}) || !{links} || !has({named})",
            "message": "allowLinks lets links vote, and respondents names who may: leave one of them out",
            "fieldPath": ".spec.approval",
        },
        {
            "rule": f"!has({approval}) || !has({named}) || !has({named}.users) || has({named}.groups) || "
            f"has(self.spec.escalation) || size({voters}) >= {approval}.requiredResponses",
            "message": "more people must agree than respondents names, without the requester who may not vote: "
            "name more, or a group",
            "fieldPath": ".spec.approval",
        },
    ]


def approval_rules() -> list[Rule]:
    """Return the rules of `spec.approval` alone."""
    grouped = "(has(self.groups) && size(self.groups) > 0)"
    excludes = "(has(self.excludeRequester) && self.excludeRequester)"
    return [
        {
            "rule": f"!{grouped} || self.groups.map(g, g.required).sum() <= self.requiredResponses",
            "message": "the groups need more people than requiredResponses, as each person counts for one group",
        },
        {
            "rule": f"!has(self.allowLinks) || !self.allowLinks || !({grouped} || {excludes})",
            "message": "a link does not say who uses it: leave out allowLinks, or groups and excludeRequester",
        },
    ]


def policy_rules() -> list[Rule]:
    """Return the rules of HumanInputPolicy, beside those of its fields."""
    given = " || ".join(f"has(self.spec.{field})" for field in ("approval", "escalation", "reminders"))
    return [
        {
            "rule": given,
            "message": "this policy says nothing: give approval, escalation or reminders",
            "fieldPath": ".spec",
        }
    ]
