"""Lists as a real API server gives them to our client."""

from typing import Any

import pytest

from hitl.cluster import pages
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


async def test_large_objects_come_in_small_pages(
    control_plane: ControlPlane, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However many there are, and however large: what is read at once has a bound, but for an object that is alone.
    monkeypatch.setattr(pages, "_SIZES", (4, 2, 1))
    monkeypatch.setattr(pages, "_MOST_BYTES", 16_000)
    sizes = [10] * 4 + [5_000] * 4 + [15_000] * 2 + [10] * 6
    for number, size in enumerate(sizes):
        control_plane.apply(question(namespace, f"q-{number:02}", prompt="x" * size))
    found: list[int] = []
    async with await Kube.connect(kubeconfig=str(control_plane.kubeconfig)) as kube:
        names = []
        async for page, _ in kube.pages(HUMAN_INPUTS, namespace):
            found.append(len(page))
            names += [each["metadata"]["name"] for each in page]
    assert names == [f"q-{number:02}" for number in range(len(sizes))]
    assert found == [4, 2, 2, 1, 1, 1, 2, 3]
