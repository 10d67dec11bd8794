"""Lists as a real API server gives them to our client."""

from typing import Any

import pytest

from hitl.cluster.client import HUMAN_INPUTS, SECRETS, Kube, Resource
from tests.cluster.control_plane import ControlPlane
from tests.cluster.operators import question


async def _names(plane: ControlPlane, resource: Resource, namespace: str, **how: Any) -> list[str]:
    async with await Kube.connect(kubeconfig=str(plane.kubeconfig)) as kube:
        return [each["metadata"]["name"] async for each in kube.items(resource, namespace, **how)]


@pytest.mark.parametrize("how", [{}, {"metadata_only": True}, {"fields": {"metadata.name": "other"}}])
@pytest.mark.parametrize("resource", [HUMAN_INPUTS, SECRETS], ids=str)
async def test_an_empty_list_has_nothing(
    control_plane: ControlPlane, namespace: str, resource: Resource, how: dict[str, Any]
) -> None:
    assert await _names(control_plane, resource, namespace, **how) == []


async def test_metadata_alone_has_what_is_there(control_plane: ControlPlane, namespace: str) -> None:
    control_plane.apply(question(namespace, "asked"))
    assert await _names(control_plane, HUMAN_INPUTS, namespace, metadata_only=True) == ["asked"]
