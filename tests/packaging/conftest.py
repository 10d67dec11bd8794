"""The built distributions, as somebody would get them."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of flyte-hitl, built from its own source distribution."""
    return built(ROOT, tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="session")
def dropin_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of flyteplugins-hitl."""
    return built(ROOT / "dropin", tmp_path_factory.mktemp("dropin"))


def built(source: Path, into: Path) -> Path:
    """Build a source distribution, and from that a wheel."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(into), str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    [found] = into.glob("*.whl")
    return found
