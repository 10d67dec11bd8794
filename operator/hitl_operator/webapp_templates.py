"""What the web app of a root consists of: a file of manifests, checked before anything of it is applied."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hitl.cluster.body import encode
from hitl.cluster.client import DEPLOYMENTS, Object, Resource
from hitl.core.faults import sentence
from hitl.errors import ClusterError

_PLURALS: Final = {
    "Deployment": "deployments",
    "Service": "services",
    "Ingress": "ingresses",
    "HTTPRoute": "httproutes",
    "PodDisruptionBudget": "poddisruptionbudgets",
    "ConfigMap": "configmaps",
}


class _Metadata(BaseModel):
    name: str = Field(min_length=1)


class _DeploymentSpec(BaseModel):
    replicas: int = Field(default=1, ge=1)


class _Deployment(BaseModel):
    spec: _DeploymentSpec


class _Manifest(BaseModel):
    model_config = ConfigDict(extra="allow")

    api_version: str = Field(alias="apiVersion")
    kind: str
    metadata: _Metadata
    spec: dict[str, Any] = {}


def read(folder: Path, root: str) -> str | None:
    """Return the template of a root, or None where there is none.

    Raises:
        ClusterError: when it cannot be read.
    """
    path = folder / f"{root}.yaml"
    try:
        # Read each time: a ConfigMap's file changes under a running pod.
        return path.read_text(encoding="utf-8") if path.exists() else None
    except (OSError, UnicodeDecodeError) as error:
        raise ClusterError(f"its template {root}.yaml cannot be read: {error}") from error


@lru_cache(maxsize=64)
def manifests(template: str) -> tuple[Object, ...]:
    """Take a template apart.

    Raises:
        ClusterError: when it holds anything but manifests of the kinds that a web app consists of.
    """
    try:
        found = [each for each in yaml.safe_load_all(template) if each is not None]
    except Exception as error:  # a tag's conversion raises whatever it meets, such as AttributeError
        raise ClusterError(f"its template is no YAML: {' '.join(str(error).split())}") from error
    for number, each in enumerate(found, 1):
        try:
            manifest = _Manifest.model_validate(each)
            if manifest.kind == DEPLOYMENTS.kind:
                _Deployment.model_validate(each)
        except ValidationError as error:
            raise ClusterError(f"document {number} of its template is no manifest: {sentence(error)}") from error
        resource_of(each)
        try:
            encode(each)
        except (TypeError, ValueError, RecursionError) as error:
            raise ClusterError(f"document {number} of its template cannot be sent as JSON: {error}") from error
    return tuple(found)


def resource_of(content: Object) -> Resource:
    """Return the kind of a manifest.

    Raises:
        ClusterError: when a web app's template may not hold it.
    """
    kind = content["kind"]
    if kind not in _PLURALS:
        raise ClusterError(f"its template may hold {', '.join(_PLURALS)}; this one holds a {kind}")
    group, _, version = content["apiVersion"].rpartition("/")
    return Resource(group, version, _PLURALS[kind], kind)
