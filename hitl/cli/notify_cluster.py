"""The NotificationTargets of a namespace, read with the rights of the user who runs the command."""

from __future__ import annotations

from hitl.cli.place import Place
from hitl.cluster.client import NOTIFICATION_TARGETS, SECRETS, Kube
from hitl.cluster.notification_target import NotificationTarget
from hitl.errors import InvalidRequest, RequestNotFound
from hitl.notify.channels import Channel
from hitl.notify.named import channel_to, decoded


async def channels_in(place: Place, name: str | None, *, private: bool) -> list[Channel]:
    """Return channels to NotificationTargets, with what their Secrets hold.

    Args:
        place: Which cluster, and which namespace.
        name: Only this target. None: each of the namespace.
        private: Whether http, and addresses that are not public, are allowed.

    Raises:
        RequestNotFound: there is no such target.
        InvalidRequest: a target, or its Secret, cannot be used; it says why.
        ClusterError: the API server does not answer, or refuses.
    """
    if place.everywhere:
        raise InvalidRequest("a test is for one namespace: give -n instead of -A")
    async with await Kube.connect(kubeconfig=place.kubeconfig, context=place.context) as kube:
        namespace = place.namespace or kube.namespace
        if name is None:
            found = [each async for each in kube.items(NOTIFICATION_TARGETS, namespace)]
        else:
            one = await kube.get(NOTIFICATION_TARGETS, name, namespace)
            found = [] if one is None else [one]
        if not found:
            which = f"no NotificationTarget {name}" if name else "no NotificationTarget"
            raise RequestNotFound(f"namespace {namespace} has {which}: `kubectl get nt -A` shows them")
        targets = [NotificationTarget.from_object(each) for each in found]
        return [channel_to(each, await _secret(kube, each), private=private) for each in targets]


async def _secret(kube: Kube, target: NotificationTarget) -> dict[str, str]:
    named, namespace = target.spec.secret_ref, target.metadata.namespace
    if named is None:
        return {}
    found = await kube.get(SECRETS, named.name, namespace)
    if found is None:
        raise InvalidRequest(f"there is no Secret {named.name} in namespace {namespace}, which the target names")
    return decoded(found)
