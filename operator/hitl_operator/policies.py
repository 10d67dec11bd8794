"""Who must agree on a HumanInput's question: as it says itself, as its policy says, or the default of the cluster.

The policy is read once, when the question is stored. From then on only what is stored counts.
"""

from __future__ import annotations

from hitl.cluster.agreeing import approval_of, approval_sha256, requester_of, shown_of
from hitl.cluster.policies import with_policy
from hitl.cluster.v1alpha1 import HumanInput
from hitl.core.approval import needs_verified
from hitl.core.documents import CopiedPolicy, RequestDocument
from hitl.errors import HITLError, InvalidRequest
from hitl_operator.context import Context


class PolicyNotFound(HITLError):
    """A HumanInput names a policy that is not there (yet)."""


async def with_its_policy(context: Context, human_input: HumanInput) -> tuple[HumanInput, CopiedPolicy | None]:
    """Return a HumanInput that is to be asked as its policy has it, and which policy that is.

    Raises:
        InvalidRequest: nobody could ever agree like this.
        PolicyNotFound: there is no policy of the name that the HumanInput gives.
        ClusterError: the API server does not tell.
    """
    whole, copied = await _found(context, human_input)
    approval = approval_of(whole.spec)
    if approval is not None and needs_verified(approval) and not context.settings.identity_verified:
        raise InvalidRequest(
            "several people must agree, each known by name, and this cluster cannot verify who votes: set "
            "allowLinks if they trust each other, or install with MutatingAdmissionPolicy (Kubernetes 1.36 or "
            "later)"
        )
    return whole, copied


def may_change(context: Context, human_input: HumanInput) -> bool:
    """Tell whether a part of the question is said outside the HumanInput, and may be said otherwise tomorrow."""
    spec, namespace = human_input.spec, human_input.metadata.namespace
    return spec.approval is None and bool(spec.policy_ref or context.settings.default_for(namespace))


def agreed_otherwise(human_input: HumanInput, stored: RequestDocument) -> bool:
    """Tell whether a stored question says otherwise who must agree than its HumanInput, which never changes."""
    spec, status = human_input.spec, human_input.status
    if spec.approval is not None:
        return (approval_of(spec), requester_of(spec)) != (stored.approval, stored.requester)
    copied = status.policy.approval_sha256 if status.policy else None
    return copied is not None and approval_sha256(stored) != copied


async def _found(context: Context, human_input: HumanInput) -> tuple[HumanInput, CopiedPolicy | None]:
    spec, namespace = human_input.spec, human_input.metadata.namespace
    if spec.policy_ref is None:
        default = context.settings.default_for(namespace)
        if default is None or spec.approval is not None:
            return human_input, None
        filled_in = spec.model_copy(update={"approval": shown_of(default)})
        return human_input.model_copy(update={"spec": filled_in}), CopiedPolicy()
    name = spec.policy_ref.name
    try:
        policy = await context.cluster.policy(namespace, name)
    except InvalidRequest as error:
        raise InvalidRequest(f"HumanInputPolicy {name}: {error}") from error
    if policy is None:
        raise PolicyNotFound(
            f"there is no HumanInputPolicy {name} in namespace {namespace}: the question is asked once there is"
        )
    return with_policy(human_input, policy.spec), CopiedPolicy(name=name, generation=policy.metadata.generation)
