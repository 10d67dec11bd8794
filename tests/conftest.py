"""What every test gets: an environment without this machine's settings, and where its browser is."""

import inspect
import os
import shutil
import signal
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.backends.plugin", "tests.cluster.plugin"]

_SETTINGS = ("HITL_", "FLYTE_", "AWS_", "AZURE_", "GOOGLE_")
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def pytest_configure() -> None:
    """Prepare this process for tests."""
    # What tests start hears Ctrl-C, which a shell has everything ignore that it starts in the background.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # How long an example takes says how busy the machine is, and nothing about what is tested.
    settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("patient")
    # httpx takes five seconds for its limit, where a test gives none. A machine that does much else is slower.
    # Each of its functions has the same object as its default.
    patient = inspect.signature(httpx.get).parameters["timeout"].default
    patient.connect = patient.read = patient.write = patient.pool = 60.0


@pytest.fixture(autouse=True)
def _own_environment(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing that is set on this machine reaches a test, and nothing that a test writes stays on it."""
    for name in [name for name in os.environ if name.startswith(_SETTINGS)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("HITL_DATA_DIR", str(tmp_path / "data" / "hitl"))
    if request.node.get_closest_marker("cluster") is None:
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "no-kubeconfig"))


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of the system's Chromium."""
    for browser in map(shutil.which, _BROWSERS):
        if browser is not None:
            return browser
    pytest.skip(f"not tested in a browser: none of {', '.join(_BROWSERS)} is on the PATH")
