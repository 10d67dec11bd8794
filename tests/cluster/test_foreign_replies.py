"""What a proxy before the API server says of itself is not taken for what the API server says."""

import time
from pathlib import Path

import pytest

from tests.backends.plugin import Backend
from tests.cluster.control_plane import ControlPlane
from tests.cluster.http_proxy import Fault, HttpProxy
from tests.cluster.operators import OperatorProcess, Questions, Root


@pytest.mark.parametrize("page", ["404: Not Found", "404 page not found"])
def test_a_404_of_a_proxy_hides_no_humaninput(
    quiet_control_plane: ControlPlane, quiet_namespace: str, s3_backend: Backend, tmp_path: Path, page: str
) -> None:
    questions = Questions(quiet_control_plane, quiet_namespace)
    proxy = HttpProxy(quiet_control_plane.url, quiet_control_plane.tls())
    kubeconfig = proxy.kubeconfig(tmp_path)
    operator = OperatorProcess(
        quiet_control_plane, s3_backend, tmp_path, kubeconfig=kubeconfig, namespaces=quiet_namespace
    )
    operator.start()
    refused: list[str] = []

    def missing(method: str, path: str) -> Fault:
        if "/humaninputs/asked" not in path:
            return None
        refused.append(method)
        return ("page", page.encode())

    try:
        request_id = questions.ask("asked")
        proxy.rule = missing
        questions.patch("asked", {"response": {"value": "3"}})
        quiet_control_plane.until("a status was refused", lambda: "PATCH" in refused and "GET" in refused[-2:])
        time.sleep(1)
        proxy.rule = lambda method, path: None
        questions.until("asked", "Answered", 15)
        assert Root(s3_backend).outcome(request_id).outcome == "answered"  # type: ignore[union-attr]
    finally:
        operator.terminate()
        proxy.stop()
