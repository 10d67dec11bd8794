"""A real API server on which the chart is installed twice, for namespaces of its own each."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chart.charts import CHART, NAMESPACE, PLAIN, Object
from tests.chart.installed import ANSWER, Installed, helm_config
from tests.cluster.control_plane import ControlPlane


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane for the chart alone: its policies would stop what other tests do."""
    plane = ControlPlane(tmp_path_factory.mktemp("chart-plane"))
    plane.start()
    yield plane
    plane.stop()


@pytest.fixture(scope="session")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The chart without what it says of Kubernetes' version: the tests' API server is built without one."""
    copy = tmp_path_factory.mktemp("chart") / "hitl"
    shutil.copytree(CHART, copy)
    about = copy / "Chart.yaml"
    lines = about.read_text().splitlines(keepends=True)
    about.write_text("".join(line for line in lines if not line.startswith("kubeVersion:")))
    return copy


@pytest.fixture(scope="session")
def stamped(plane: ControlPlane, chart: Path) -> Installed:
    """A release in whose namespace the API server stamps who answers."""
    return _install(plane, chart, "hitl", "red", {})


@pytest.fixture(scope="session")
def unstamped(plane: ControlPlane, chart: Path, stamped: Installed) -> Installed:
    """A release in whose namespace nobody stamps it, as on Kubernetes before 1.36."""
    values = {"identity": {"mutatingAdmissionPolicy": False}, "crds": {"enabled": False}}
    return _install(plane, chart, "plain", "blue", values)


def _install(plane: ControlPlane, chart: Path, release: str, namespace: str, values: Object) -> Installed:
    for each in (NAMESPACE, namespace):
        plane.kubectl("create", "namespace", each, check=False)
    with helm_config(plane.kubeconfig) as cluster:
        cluster.install(chart, release, {**PLAIN, "namespaces": [namespace], **values})
    plane.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
    installed = Installed(plane, release, namespace)
    for user, roles in {"viewer": ["viewer"], "ada": ["responder"], "eve": ["viewer"], "ed": ["editor"],
                        "lonely": ["viewer"], "asker": ["requester"]}.items():  # fmt: skip
        installed.bind(user, *roles)
    # Policies hold a moment after they were made, and know new kinds some seconds later.
    forged, answered = (
        installed.question("probe", request={"id": "probe"}),
        installed.question("probe", response=ANSWER),
    )
    plane.until("policies", lambda: not installed.accepts(forged) and installed.accepts(answered))
    return installed
