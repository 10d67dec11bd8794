"""A real API server on which the chart is installed twice, for namespaces of its own each."""

import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backends.plugin import Backend
from tests.backends.seaweed import BUCKET, Seaweed
from tests.chart.charts import CHART, text
from tests.chart.installed import AUDIT_LOG, Audit, Installed, install
from tests.chart.running import Running, started
from tests.cluster.control_plane import ControlPlane


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane of the chart's own, as its policies stop what other tests do; it keeps an audit log."""
    folder = tmp_path_factory.mktemp("chart-plane")
    policy = folder / "audit.yaml"
    policy.write_text(text({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": [{"level": "Metadata"}]}))
    flags = [
        f"--audit-policy-file={policy}",
        f"--audit-log-path={folder / AUDIT_LOG}",
        "--audit-log-mode=blocking",
    ]
    plane = ControlPlane(folder, flags)
    plane.start()
    yield plane
    plane.stop()


@pytest.fixture
def unaware_plane(tmp_path: Path) -> Iterator[ControlPlane]:
    """A control plane without MutatingAdmissionPolicy, as before Kubernetes 1.36."""
    group = "admissionregistration.k8s.io/v1"
    off = f"{group}/mutatingadmissionpolicies=false,{group}/mutatingadmissionpolicybindings=false"
    flags = ["--disable-admission-plugins=MutatingAdmissionPolicy", f"--runtime-config={off}"]
    plane = ControlPlane(tmp_path / "plane", flags)
    plane.start()
    yield plane
    plane.stop()


@pytest.fixture(scope="session")
def audit(plane: ControlPlane) -> Audit:
    """What the API server of `plane` was asked."""
    return Audit(plane.kubeconfig.parent / AUDIT_LOG)


@pytest.fixture
def own_plane(tmp_path: Path) -> Iterator[ControlPlane]:
    """A control plane of the test's own, without our custom resources."""
    plane = ControlPlane(tmp_path / "plane")
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
    return install(plane, chart, "hitl", "red", {"operator": {"flyte": {"taskActions": True}}})


@pytest.fixture(scope="session")
def unstamped(plane: ControlPlane, chart: Path, stamped: Installed) -> Installed:
    """A release in whose namespace nobody stamps it, as on Kubernetes before 1.36."""
    values = {"identity": {"mutatingAdmissionPolicy": False}, "crds": {"enabled": False}}
    return install(plane, chart, "plain", "blue", values)


@pytest.fixture(scope="module")
def running(stamped: Installed, s3_server: Seaweed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The operator of `stamped`, with its service account's rights alone, and a root of its own."""
    backend = Backend("s3", f"s3://{BUCKET}/{uuid.uuid4().hex}", s3_server.options)
    with started(stamped, backend, tmp_path_factory.mktemp("operator")) as running:
        yield running
