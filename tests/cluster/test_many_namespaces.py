"""An operator for 500 named namespaces costs little more than one for the whole cluster."""

from pathlib import Path

import psutil
import pytest

from tests.backends.plugin import Backend
from tests.cluster.control_plane import ControlPlane
from tests.cluster.operators import OperatorProcess, Questions

NAMESPACES = 500


def _connections(operator: OperatorProcess) -> int:
    found = psutil.Process(operator.pid).net_connections("tcp")
    return sum(each.status == psutil.CONN_ESTABLISHED for each in found)


def _memory(operator: OperatorProcess) -> int:
    return int(psutil.Process(operator.pid).memory_info().rss)


@pytest.fixture
def plane(own_control_plane: ControlPlane) -> ControlPlane:
    for number in range(NAMESPACES):
        content = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": f"team-{number}"}}
        assert own_control_plane.request("POST", "/api/v1/namespaces", content).code == 0
    return own_control_plane


def test_500_namespaces_share_connections_and_memory(
    plane: ControlPlane, s3_backend: Backend, tmp_path: Path
) -> None:
    everywhere = OperatorProcess(plane, s3_backend, tmp_path, lease="")
    everywhere.start()
    Questions(plane, "team-0").ask("asked")
    beside = _memory(everywhere)
    everywhere.terminate()

    names = [f"team-{number}" for number in range(NAMESPACES)]
    operator = OperatorProcess(plane, s3_backend, tmp_path, lease="", namespaces=",".join(names))
    operator.start()
    plane.until("all are seen", lambda: operator.metric("hitl_unseen_watches") == 0)
    for number in (0, 250, 499):
        Questions(plane, f"team-{number}").ask("seen")
    plane.until("lists are done with", lambda: _connections(operator) <= 100)
    assert _memory(operator) <= 1.5 * beside, (
        f"{_memory(operator) / 2**20:.0f} MiB beside {beside / 2**20:.0f} MiB"
    )

    # All watches break off together, and go on.
    plane.stop_api()
    plane.start_api()
    for number in (0, 250, 499):
        questions = Questions(plane, f"team-{number}")
        questions.patch("seen", {"response": {"value": "1"}})
        questions.until("seen", "Answered")
    assert "Traceback" not in operator.said()
    assert operator.terminate() == 0
