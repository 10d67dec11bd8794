"""A status that is refused as a conflict or as not found: only a change of its object makes another look useful.

The API server here is a fake, as none answers like this at will. tests/cluster/test_passing_refusals.py has a real
one behind a proxy.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from hitl.cluster.client import HUMAN_INPUTS
from hitl.cluster.shapes import Metadata
from hitl.cluster.v1alpha1 import HumanInputStatus
from hitl.errors import ClusterConflict, ClusterError, ClusterNotFound, ClusterUnavailable
from hitl_operator.cluster import Cluster
from hitl_operator.refusals import lasting
from tests.library.samples import NOW

READ = Metadata(name="asked", namespace="team", uid="u", resource_version="7")


class Kube:
    """Refuses each status.

    Args:
        error: How.
        version: The version of the object that is there, with its uid; None: there is none.
    """

    def __init__(self, error: ClusterError, version: tuple[str, str] | None) -> None:
        self._error = error
        self._version = version
        self.calls: list[str] = []

    async def apply(self, *_: object, **__: object) -> None:
        self.calls.append("PATCH")
        raise self._error

    async def get(self, *_: object) -> dict[str, Any] | None:
        self.calls.append("GET")
        if self._version is None:
            return None
        uid, version = self._version
        return {"metadata": {"name": "asked", "namespace": "team", "uid": uid, "resourceVersion": version}}


async def write(kube: Any) -> bool:
    return await Cluster(kube, SimpleNamespace()).write_status(  # type: ignore[arg-type]  # posts no Event
        HUMAN_INPUTS, READ, HumanInputStatus(phase="Pending")
    )


@pytest.mark.parametrize("error", [ClusterConflict("a webhook says no"), ClusterNotFound("no such page")])
async def test_a_refusal_that_no_change_explains_is_raised_and_lasts(error: ClusterError) -> None:
    with pytest.raises(ClusterError, match=str(error)) as raised:
        await write(Kube(error, ("u", "7")))
    assert lasting(raised.value)


@pytest.mark.parametrize("error", [ClusterConflict("modified"), ClusterNotFound("not found")])
@pytest.mark.parametrize("now", [("u", "8"), ("of another one", "9"), None])
async def test_an_object_that_is_gone_or_changed_is_looked_at_again(
    error: ClusterError, now: tuple[str, str] | None
) -> None:
    assert not await write(Kube(error, now))


async def test_what_passes_is_raised_as_it_is_and_costs_no_read() -> None:
    kube = Kube(ClusterUnavailable("busy"), ("u", "7"))
    with pytest.raises(ClusterUnavailable):
        await write(kube)
    assert kube.calls == ["PATCH"]


class Taking(Kube):
    """Takes each status, and each patch of one."""

    def __init__(self) -> None:
        super().__init__(ClusterConflict(""), None)
        self.removed: list[dict[str, Any]] = []

    async def apply(self, *_: object, **__: object) -> None:
        self.calls.append("PATCH")

    async def merge(self, _: object, content: dict[str, Any], **__: object) -> None:
        assert content["metadata"]["resourceVersion"] == READ.resource_version
        self.removed.append(content["status"])


async def test_what_somebody_else_wrote_of_an_outcome_is_removed_before_another_one_is_written() -> None:
    kube: Any = Taking()
    cluster = Cluster(kube, SimpleNamespace())  # type: ignore[arg-type]  # posts no Event
    forged = HumanInputStatus(phase="Pending", value="7", answered_by="eve", expires_at=NOW)
    rejected = HumanInputStatus(phase="Rejected", answered_by="ada", answered_via="web")

    assert not await cluster.write_status(HUMAN_INPUTS, READ, rejected, former=forged)
    assert (kube.removed, kube.calls) == ([{"value": None}], [])
    for former in (HumanInputStatus(phase="Pending", expires_at=NOW), rejected, None):
        assert await cluster.write_status(HUMAN_INPUTS, READ, rejected, former=former)
    assert (len(kube.removed), kube.calls) == (1, ["PATCH"] * 3)
