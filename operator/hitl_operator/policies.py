"""Who must agree on a HumanInput's question: as it says itself, as its policy says, or the default of the cluster.

The policy is read once, when the question is stored. From then on only what is stored counts.
"""

from __future__ import annotations

from hitl.cluster.agreeing import approval_from, approval_of
from hitl.cluster.v1alpha1 import HumanInput
from hitl.core.approval import Approval, needs_verified
from hitl.core.documents import CopiedPolicy
from hitl.errors import HITLError, InvalidRequest
from hitl_operator.context import Context


class PolicyNotFound(HITLError):
    """A HumanInput names a policy that is not there (yet)."""


async def policy_for(context: Context, human_input: HumanInput) -> tuple[Approval | None, CopiedPolicy | None]:
    """Return who must agree on a question that is to be asked, and of which policy that is a copy.

    Raises:
        InvalidRequest: nobody could ever agree like this.
        PolicyNotFound: there is no policy of the name that the HumanInput gives.
        ClusterError: the API server does not tell.
    """
    approval, copied = await _found(context, human_input)
    if approval is not None and needs_verified(approval) and not context.settings.identity_verified:
        raise InvalidRequest(
            "several people must agree, each known by name, and this cluster cannot verify who votes: set "
            "allowLinks if they trust each other, or install with MutatingAdmissionPolicy (Kubernetes 1.36 or "
            "later)"
        )
    return approval, copied


def may_change(context: Context, human_input: HumanInput) -> bool:
    """Tell whether who must agree is said outside the HumanInput, so that it may be said otherwise tomorrow."""
    spec, namespace = human_input.spec, human_input.metadata.namespace
    return spec.approval is None and bool(spec.policy_ref or context.settings.default_for(namespace))


async def _found(context: Context, human_input: HumanInput) -> tuple[Approval | None, CopiedPolicy | None]:
    spec, namespace = human_input.spec, human_input.metadata.namespace
    if spec.approval is not None:
        return approval_of(spec), None
    if spec.policy_ref is None:
        default = context.settings.default_for(namespace)
        return default, None if default is None else CopiedPolicy()
    name = spec.policy_ref.name
    try:
        policy = await context.cluster.policy(namespace, name)
        if policy is not None:
            return approval_from(policy.spec.approval), CopiedPolicy(
                name=name, generation=policy.metadata.generation
            )
    except InvalidRequest as error:
        raise InvalidRequest(f"HumanInputPolicy {name}: {error}") from error
    raise PolicyNotFound(
        f"there is no HumanInputPolicy {name} in namespace {namespace}: the question is asked once there is"
    )
