"""The operator tells web apps what it shows: a web app that reads nothing by itself shows it too."""

from __future__ import annotations

import uuid
from pathlib import Path

import httpx

from tests.backends.plugin import Backend
from tests.backends.processes import free_ports
from tests.backends.seaweed import BUCKET, Seaweed
from tests.cluster.control_plane import ControlPlane
from tests.cluster.operators import OperatorProcess, Questions
from tests.web.serving import WebApp
from tests.web.test_inbox_api import SECRET, as_user

NAMESPACE = "default"


def test_what_is_asked_answered_and_deleted_in_kubernetes_is_shown_by_hints_alone(
    own_control_plane: ControlPlane, s3_server: Seaweed, tmp_path: Path
) -> None:
    # The session's operator serves every namespace of the other one. It would take questions before ours does.
    plane = own_control_plane
    backend = Backend("s3", f"s3://{BUCKET}/{uuid.uuid4().hex}", s3_server.options)
    [port] = free_ports(1)
    questions = Questions(plane, NAMESPACE)
    operator = OperatorProcess(
        plane,
        backend,
        tmp_path,
        namespaces=NAMESPACE,
        lease="",
        webapp_url=f"http://127.0.0.1:{port}",
    )
    settings = {"HITL_AUTH": "proxy", "HITL_PROXY_SECRET": SECRET}
    app = WebApp(backend.url, tmp_path / "web.log", backend.options, settings, port, module="tests.web.unhurried")
    operator.start()
    try:
        app.start()

        def listed() -> list[str]:
            content = httpx.get(f"{app.url}/questions", headers=as_user("ann"), timeout=60).json()
            return [each["name"] for each in content["questions"]]

        assert listed() == []
        questions.ask("first")
        questions.ask("second")
        plane.until("both are shown", lambda: sorted(listed()) == ["first", "second"])
        questions.patch("first", {"response": {"value": "7"}})
        plane.until("one is left", lambda: listed() == ["second"])
        plane.kubectl("delete", "hi", "second", "-n", NAMESPACE)
        plane.until("none is left", lambda: listed() == [])
        assert operator.metric("hitl_webapp_hints_total", result="sent") >= 4
    finally:
        operator.kill()
        app.stop(kill=True)
