"""The API server and the storage of one part of the benchmark."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.backends.seaweed import Seaweed
from tests.cluster.control_plane import ControlPlane


@contextmanager
def machines(home: Path) -> Iterator[tuple[ControlPlane, Seaweed]]:
    """Yield a control plane that knows the custom resources, and an S3.

    Args:
        home: Where their data and logs lie; what lay there goes.
    """
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    plane, s3 = ControlPlane(home / "control-plane"), Seaweed(home / "seaweed")
    try:
        plane.start()
        plane.install_crds()
        s3.start()
        yield plane, s3
    finally:
        plane.stop()
        s3.kill()
