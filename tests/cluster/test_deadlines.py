"""Where the API server refuses the whole status of an end, a short one is shown, so nobody waits without end."""

from pathlib import Path

from tests.backends.plugin import Backend
from tests.cluster.control_plane import ControlPlane
from tests.cluster.operators import Questions, conditions, question
from tests.cluster.test_troubles import allow, make_namespace, started_without_addresses


def test_an_end_that_the_api_server_refuses_is_shown_in_short(
    own_control_plane: ControlPlane, s3_backend: Backend, tmp_path: Path
) -> None:
    plane = own_control_plane
    questions = Questions(plane, make_namespace(plane))
    operator = started_without_addresses(questions, s3_backend, tmp_path)
    plane.apply(question(questions.namespace, "asked", timeoutSeconds=40))
    questions.until_condition("asked", "Stalled", "WriteRefused")
    found = questions.until("asked", "TimedOut")
    assert conditions(found)["Settled"] == ("True", "DeadlinePassed")
    assert "no addresses here" in str(found["status"]["conditions"])
    allow(plane, "no-urls")
    operator.terminate()
