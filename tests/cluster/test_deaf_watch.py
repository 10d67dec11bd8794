"""An operator whose watch is deaf for a while makes no second HumanInput of a question."""

from pathlib import Path

from tests.backends.plugin import Backend
from tests.cluster.control_plane import ControlPlane
from tests.cluster.http_proxy import Fault, HttpProxy
from tests.cluster.operators import OperatorProcess, Questions


def test_what_another_operator_stored_is_not_shown_a_second_time(
    quiet_control_plane: ControlPlane, quiet_namespace: str, s3_backend: Backend, tmp_path: Path
) -> None:
    questions = Questions(quiet_control_plane, quiet_namespace)
    proxy = HttpProxy(quiet_control_plane.url, quiet_control_plane.tls())

    def deaf(method: str, path: str) -> Fault:
        return ("status", 503) if method == "GET" and "/humaninputs?" in path else None

    def started(**settings: Path) -> OperatorProcess:
        operator = OperatorProcess(
            quiet_control_plane,
            s3_backend,
            tmp_path,
            module=("tests.soak.stepping",),
            namespaces=questions.namespace,
            lease="",
            open_seconds="0.3",
            audit_seconds="0.3",
            **settings,  # type: ignore[arg-type]  # mypy takes the one path for any of the texts
        )
        clock = tmp_path / f"clock-{operator.port}"
        clock.write_text("0")
        operator.environment |= {"TEST_CLOCK": str(clock), "TEST_SLOW": "1"}
        operator.start()
        return operator

    hearing, other = started(), started(kubeconfig=proxy.kubeconfig(tmp_path))
    try:
        proxy.rule = deaf
        proxy.cut()
        request_id = questions.ask("asked")
        # By its clock the question is old enough to be missed.
        (tmp_path / f"clock-{other.port}").write_text("3600")
        looked = other.metric("hitl_api_requests_total", verb="GET", status="200")
        quiet_control_plane.until(
            "it looks for it",
            lambda: other.metric("hitl_api_requests_total", verb="GET", status="200") > looked,
        )
        assert quiet_control_plane.get(questions.namespace, "HumanInput", request_id) is None
        questions.patch("asked", {"response": {"value": "3"}})
        questions.until("asked", "Answered")
    finally:
        hearing.terminate()
        other.terminate()
        proxy.stop()
