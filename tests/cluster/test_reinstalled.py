"""The definitions are removed, with all HumanInputs, and installed again while the operator runs."""

import time
from pathlib import Path

from tests.backends.plugin import Backend
from tests.cluster.control_plane import ControlPlane
from tests.cluster.operators import OperatorProcess, Questions, Root, question

_PLURALS = ("humaninputs", "humaninputresponses", "notificationtargets", "humaninputpolicies")


def test_questions_outlive_the_definitions_and_are_shown_again(
    own_control_plane: ControlPlane, s3_backend: Backend, tmp_path: Path
) -> None:
    plane, root = own_control_plane, Root(s3_backend)
    questions = Questions(plane, "default")
    operator = OperatorProcess(plane, s3_backend, tmp_path, open_seconds="1", audit_seconds="1")
    operator.start()
    try:
        waits, ends = questions.ask("waits"), questions.ask("ends", timeoutSeconds=5)
        for each in _PLURALS:
            plane.kubectl("delete", "crd", f"{each}.hitl.flyte.org")
        # Its deadline is kept meanwhile, and nobody withdraws the other one.
        plane.until("its deadline is kept", lambda: root.outcome(ends), 40)
        time.sleep(3)
        assert root.outcome(waits) is None
        plane.install_crds()
        plane.until("it is shown again", lambda: plane.get("default", "HumanInput", waits), 40)
        plane.apply(question("default", "new"))
        questions.until("new", "Pending")
        root.answer(waits, 3)
        questions.until(waits, "Answered")
    finally:
        operator.terminate()
