"""What the API server refuses for a while only: the operator does it once it may."""

from pathlib import Path

import pytest

from tests.backends.plugin import Backend
from tests.cluster.control_plane import ControlPlane
from tests.cluster.http_proxy import Fault, HttpProxy
from tests.cluster.operators import OperatorProcess, Questions, Root, question
from tests.cluster.test_troubles import ask


@pytest.mark.parametrize("status", [403, 422])
def test_a_question_that_was_answered_before_it_could_be_shown_is_shown_with_its_outcome(
    quiet_control_plane: ControlPlane, quiet_namespace: str, s3_backend: Backend, tmp_path: Path, status: int
) -> None:
    root, questions = Root(s3_backend), Questions(quiet_control_plane, quiet_namespace)
    proxy = HttpProxy(quiet_control_plane.url, quiet_control_plane.tls())

    def refuse_creations(method: str, path: str) -> Fault:
        return ("status", status) if method == "POST" and "/humaninputs" in path else None

    operator = OperatorProcess(
        quiet_control_plane,
        s3_backend,
        tmp_path,
        kubeconfig=proxy.kubeconfig(tmp_path),
        module=("tests.soak.stepping",),
        namespaces=questions.namespace,
        lease="",
    )
    clock = tmp_path / "clock"
    clock.write_text("0")
    operator.environment |= {"TEST_CLOCK": str(clock), "TEST_SLOW": "1"}
    proxy.rule = refuse_creations
    operator.start()
    try:
        request_id = ask(root, questions.namespace)
        root.answer(request_id, 7)
        quiet_control_plane.until("it is tried slowly", lambda: operator.metric("hitl_refused_writes") >= 1)
        proxy.rule = lambda method, path: None
        assert questions.until(request_id, "Answered")["status"]["value"] == "7"
        quiet_control_plane.until("no marker is left", lambda: not root.markers())
        quiet_control_plane.until("nothing is refused", lambda: operator.metric("hitl_refused_writes") == 0)
    finally:
        operator.terminate()
        proxy.stop()


@pytest.mark.parametrize("status", [404, 409])
def test_a_status_that_is_refused_like_one_of_a_changed_object_is_tried_slowly_and_told(
    quiet_control_plane: ControlPlane, quiet_namespace: str, s3_backend: Backend, tmp_path: Path, status: int
) -> None:
    plane, questions = quiet_control_plane, Questions(quiet_control_plane, quiet_namespace)
    proxy = HttpProxy(plane.url, plane.tls())
    refused = 0

    def refuse_statuses(method: str, path: str) -> Fault:
        nonlocal refused
        if method != "PATCH" or "/status?" not in path:
            return None
        refused += 1
        return ("status", status)

    operator = OperatorProcess(
        plane,
        s3_backend,
        tmp_path,
        kubeconfig=proxy.kubeconfig(tmp_path),
        namespaces=questions.namespace,
        lease="",
    )
    proxy.rule = refuse_statuses
    operator.start()
    try:
        plane.apply(question(questions.namespace, "asked"))
        plane.until("it is tried slowly", lambda: operator.metric("hitl_refused_writes") == 1)
        # A look at a pace that slows down for half a minute, and the short status that tells why.
        assert refused <= 12
        plane.until("the Event", lambda: "WriteRefused" in questions.events("asked"))
        proxy.rule = lambda method, path: None
        # Somebody changes it, so it is tried at once.
        questions.patch("asked", {"response": {"value": "1"}})
        assert questions.until("asked", "Answered")["status"]["value"] == "1"
        plane.until("nothing is refused", lambda: operator.metric("hitl_refused_writes") == 0)
    finally:
        operator.terminate()
        proxy.stop()
