"""HumanInputPolicy, version v1alpha1: who must agree on questions, said once for many of them.

The descriptions here are what ``kubectl explain`` shows, as those of `hitl.cluster.v1alpha1` are.
"""

from __future__ import annotations

from pydantic import Field

from hitl.cluster.shapes import Shape, ShownApproval
from hitl.cluster.v1alpha1 import KubernetesObject


class HumanInputPolicySpec(Shape):
    """What a question gets that names this policy. It may change: questions that were asked keep their copy."""

    approval: ShownApproval = Field(
        description="Who must agree: several people, who vote by HumanInputResponses or in the web app."
    )


class HumanInputPolicy(KubernetesObject):
    """Who must agree on the HumanInputs of a namespace that name it in `spec.policyRef`."""

    spec: HumanInputPolicySpec
