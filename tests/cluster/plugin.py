"""Fixtures for a real API server."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.backends.plugin import Backend
from tests.backends.seaweed import BUCKET, Seaweed
from tests.cluster.control_plane import ControlPlane
from tests.cluster.operators import OperatorProcess, Questions, Root


@pytest.fixture(scope="session")
def bare_control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """The session's etcd and API server, without our custom resources. Nobody stops or pauses it."""
    with _running(tmp_path_factory.mktemp("control-plane")) as plane:
        yield plane


@pytest.fixture(scope="session")
def control_plane(bare_control_plane: ControlPlane) -> ControlPlane:
    """The session's etcd and API server, with our custom resources."""
    bare_control_plane.install_crds()
    return bare_control_plane


@pytest.fixture(scope="session")
def quiet_control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """Another one of the session, for tests whose operator is to be the only one that serves their namespace."""
    with _running(tmp_path_factory.mktemp("quiet-control-plane")) as plane:
        plane.install_crds()
        yield plane


@pytest.fixture
def quiet_namespace(quiet_control_plane: ControlPlane) -> str:
    """A fresh namespace, which no operator serves that the test does not start."""
    return _fresh_namespace(quiet_control_plane)


@pytest.fixture
def own_control_plane(tmp_path: Path) -> Iterator[ControlPlane]:
    """A control plane of the test's own, which it may stop, pause and start again."""
    with _running(tmp_path / "control-plane") as plane:
        plane.install_crds()
        yield plane


@pytest.fixture
def namespace(control_plane: ControlPlane) -> str:
    """A fresh namespace, which the session's operator serves once a test has needed that."""
    return _fresh_namespace(control_plane)


@pytest.fixture(scope="session")
def shared_backend(s3_server: Seaweed) -> Backend:
    """The root of the session's operator."""
    return Backend("s3", f"s3://{BUCKET}/{uuid.uuid4().hex}", s3_server.options)


@pytest.fixture(scope="session")
def operator(
    control_plane: ControlPlane, shared_backend: Backend, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OperatorProcess]:
    """The session's operator, for every namespace. Nobody stops it."""
    process = OperatorProcess(control_plane, shared_backend, tmp_path_factory.mktemp("operator"))
    process.start()
    yield process
    process.terminate()


@pytest.fixture
def root(shared_backend: Backend) -> Root:
    """The root of the session's operator."""
    return Root(shared_backend)


@pytest.fixture
def questions(operator: OperatorProcess, control_plane: ControlPlane, namespace: str) -> Questions:
    """HumanInputs in a fresh namespace, which the session's operator keeps in step."""
    assert operator.port
    return Questions(control_plane, namespace)


@pytest.fixture
def bare_own_control_plane(tmp_path: Path) -> Iterator[ControlPlane]:
    """A control plane of the test's own, without our custom resources."""
    with _running(tmp_path / "bare-control-plane") as plane:
        yield plane


@contextmanager
def _running(folder: Path) -> Iterator[ControlPlane]:
    plane = ControlPlane(folder)
    plane.start()
    yield plane
    plane.stop()


def _fresh_namespace(plane: ControlPlane) -> str:
    name = f"test-{uuid.uuid4().hex[:10]}"
    content = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    assert plane.request("POST", "/api/v1/namespaces", content).code == 0
    return name
