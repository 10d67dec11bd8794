"""Short runs of `make soak`: faults on every wire, kills and clock steps, and nothing is wrong at the end."""

import asyncio
from pathlib import Path

import pytest

from tests.backends.seaweed import Seaweed
from tests.cluster.control_plane import ControlPlane
from tests.soak.run import soak
from tests.soak.world import NAMESPACES, World

SECONDS = 25.0


# 4: one operator. 3: two that do the same work.
@pytest.mark.parametrize("seed", [4, 3])
def test_every_question_ends_as_the_storage_says_whatever_failed_meanwhile(
    own_control_plane: ControlPlane, seaweed: Seaweed, tmp_path: Path, seed: int
) -> None:
    for namespace in NAMESPACES:
        own_control_plane.kubectl("create", "namespace", namespace)
    folder = tmp_path / "soak"
    folder.mkdir()

    with World(folder, seed, own_control_plane, seaweed) as world:
        report = asyncio.run(soak(world, seed, SECONDS, rate=3, patience=480, progress=lambda _: None))

    assert report.faults == []
    # Otherwise nothing was shown.
    assert report.questions > 0
    assert report.kills > 0
    assert all(sum(struck.values()) for struck in report.struck.values())
