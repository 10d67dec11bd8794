"""Which channel wrote a field of an object, and from which commit: as far as the API server knows it.

The API server records a field manager for each writer, and which fields that wrote. It tells a GitOps controller
from `kubectl`, as each names itself. It does not tell a person from a pipeline that calls `kubectl`. A pipeline
can say by itself which commit it applies, in an annotation that it writes together with the response.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from hitl.cluster.shapes import Metadata
from hitl.cluster.v1alpha1 import CLI_MANAGER, COMMIT_ANNOTATION
from hitl.core.documents import Via

# By these names the controllers of Argo CD, Flux and Helm apply what Git holds.
_GITOPS: Final = ("argocd", "argo-cd", "kustomize-controller", "helm", "flux")
_MAX_COMMIT_CHARS: Final = 256


def via_of(managed_fields: Sequence[dict[str, Any]], field: str) -> Via:
    """Return over which channel a field of `spec` was written, as the API server recorded it.

    Args:
        managed_fields: `metadata.managedFields` of the object.
        field: The field's name in `spec`.

    Returns:
        ``cli`` for `kubectl hitl`, ``gitops`` for a controller of Argo CD, Flux or Helm, ``kubectl`` for kubectl,
        from any caller, and ``api`` for every other client.
    """
    for entry in _writers(managed_fields, field):
        manager = entry.get("manager", "")
        if manager == CLI_MANAGER:
            return "cli"
        if manager.startswith("kubectl"):
            return "kubectl"
        return "gitops" if manager.startswith(_GITOPS) else "api"
    return "kubectl"


def commit_of(metadata: Metadata, field: str) -> str:
    """Return the commit that a field of `spec` came from, if the field's writer wrote the annotation as well.

    One that the question came with says nothing about an answer that somebody else gave.

    Args:
        metadata: The object's.
        field: The field's name in `spec`.
    """
    commit = metadata.annotations.get(COMMIT_ANNOTATION, "")[:_MAX_COMMIT_CHARS]
    if not metadata.managed_fields:
        return commit
    for entry in _writers(metadata.managed_fields, field):
        annotations = entry.get("fieldsV1", {}).get("f:metadata", {}).get("f:annotations", {})
        if f"f:{COMMIT_ANNOTATION}" in annotations:
            return commit
    return ""


def _writers(managed_fields: Sequence[dict[str, Any]], field: str) -> Iterator[dict[str, Any]]:
    for entry in managed_fields:
        if not entry.get("subresource") and f"f:{field}" in entry.get("fieldsV1", {}).get("f:spec", {}):
            yield entry
