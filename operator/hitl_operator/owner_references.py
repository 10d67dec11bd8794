"""What the operator makes for itself belongs to its Deployment, so that it goes when that goes."""

from __future__ import annotations

from typing import Any

from hitl.cluster.client import DEPLOYMENTS, Kube
from hitl.errors import ClusterError


async def owned_by(kube: Kube, deployment: str, namespace: str) -> list[dict[str, Any]]:
    """Return `ownerReferences` to the operator's own Deployment; none when it has no name.

    Raises:
        ClusterError: when there is no such Deployment, or the API server does not answer.
    """
    if not deployment:
        return []
    found = await kube.get(DEPLOYMENTS, deployment, namespace)
    if found is None:
        raise ClusterError(f"there is no Deployment {namespace}/{deployment}, which should be the operator's own")
    uid = found["metadata"]["uid"]
    return [
        {"apiVersion": DEPLOYMENTS.api_version, "kind": DEPLOYMENTS.kind, "name": deployment, "uid": uid},
    ]
