"""HumanInputPolicy, version v1alpha1: who must agree, and who is told when, said once for many questions.

The descriptions here are what ``kubectl explain`` shows, as those of `hitl.cluster.v1alpha1` are.
"""

from __future__ import annotations

from pydantic import Field

from hitl.cluster.shapes import Shape, ShownApproval
from hitl.cluster.times import EscalationStep, ShownReminders
from hitl.cluster.v1alpha1 import HumanInput, KubernetesObject
from hitl.core.escalation import MAX_STEPS


class HumanInputPolicySpec(Shape):
    """What a question gets that names this policy. It may change: questions that were asked keep their copy."""

    approval: ShownApproval | None = Field(
        default=None,
        description="Who must agree: several people, who vote by HumanInputResponses or in the web app. Absent: "
        "one person decides.",
    )
    escalation: list[EscalationStep] = Field(
        default=[],
        max_length=MAX_STEPS,
        description="From when on others may answer as well as the respondents, the earliest first. A step after "
        "the deadline is left out, and each where the question names no respondents.",
    )
    reminders: ShownReminders | None = Field(
        default=None, description="When people are reminded. Absent: as the settings of who tells say."
    )


class HumanInputPolicy(KubernetesObject):
    """Who must agree, who may answer later, and when people are reminded: for HumanInputs of its namespace that
    name it in `spec.policyRef`."""

    spec: HumanInputPolicySpec


def with_policy(human_input: HumanInput, policy: HumanInputPolicySpec) -> HumanInput:
    """Return a HumanInput as it would be if it said itself what its policy says."""
    spec = human_input.spec
    steps = policy.escalation if spec.respondents else []
    copied = {
        "approval": policy.approval,
        "escalation": [each for each in steps if each.after_seconds < spec.timeout_seconds],
        "reminders": policy.reminders,
    }
    return human_input.model_copy(update={"spec": spec.model_copy(update=copied)})
