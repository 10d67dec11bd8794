"""An operator whose clock is wrong settles nothing, deletes nothing, and says so."""

import json
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from hitl.core import keys
from hitl.core.documents import Respondent
from hitl.records.submissions import Submission
from tests.backends.plugin import Backend
from tests.cluster.control_plane import ControlPlane
from tests.cluster.operators import OperatorProcess, Questions, Root, question, run
from tests.library.samples import create_request, draft_request, settle


class Skewed(OperatorProcess):
    """An operator with a clock of its own."""

    def __init__(self, plane: ControlPlane, backend: Backend, folder: Path, off: float, **settings: Any) -> None:
        super().__init__(
            plane,
            backend,
            folder,
            module=("tests.cluster.hurried",),
            audit_seconds="0.2",
            retention_days="0.0000001",
            **settings,
        )
        self.environment["TEST_OFF"] = str(off)


@pytest.mark.parametrize("off", [600, -600, 20, -20])
def test_nothing_is_settled_or_deleted_and_everything_goes_on_once_the_clock_is_right(
    own_control_plane: ControlPlane, s3_backend: Backend, tmp_path: Path, off: float
) -> None:
    plane, root = own_control_plane, Root(s3_backend)
    plane.kubectl("create", "namespace", "team")
    questions = Questions(plane, "team")
    run(_settled_long_ago(root))
    operator = Skewed(plane, s3_backend, tmp_path, off)
    operator.start()

    due, answered = questions.ask("due", timeoutSeconds=1), questions.ask("answered")
    questions.patch("answered", {"response": {"value": "1"}})
    waiting = ["answered", "due"] if off > 0 else ["answered"]
    for name in waiting:
        questions.until_condition(name, "Reconciling", "ClockApart")
    plane.until("the log tells", lambda: "set the clock" in operator.said())

    assert root.outcome(due) is None
    assert root.outcome(answered) is None
    assert keys.request_key("old") in root.listed()
    for name in ("hitl_clock_difference_seconds", "hitl_api_clock_difference_seconds"):
        plane.until(name, partial(_shows, operator, name, off))
    plane.until("the metric", lambda: operator.metric("hitl_root_trouble", reason="clock") == 1)
    assert "root default: the operator's clock is not" in httpx.get(f"{operator.url}/readyz").text
    operator.terminate()

    operator = Skewed(plane, s3_backend, tmp_path, 0)
    operator.start()
    questions.until("answered", "Answered")
    questions.until("due", "TimedOut")
    plane.until("the old one is gone", lambda: keys.request_key("old") not in root.listed())
    status = questions.get("due")
    assert status is not None
    [settled] = [each for each in status["status"]["conditions"] if each["type"] == "Settled"]
    told = datetime.fromisoformat(status["status"]["expiresAt"]).strftime("%Y-%m-%d %H:%M:%S")
    assert settled["message"] == f"nobody answered before the deadline ({told} UTC)"
    operator.terminate()


def test_a_humaninput_is_neither_deleted_nor_ended_without_a_root_before_its_time(
    own_control_plane: ControlPlane, s3_backend: Backend, tmp_path: Path
) -> None:
    plane = own_control_plane
    served, unserved = (Questions(plane, name) for name in ("team", "unserved"))
    for each in (served, unserved):
        plane.kubectl("create", "namespace", each.namespace)
    root = {"name": "team", "url": s3_backend.url, "options": s3_backend.options, "namespaces": ["team"]}
    settings = {"storage_root": "", "storage_options": "{}", "roots": json.dumps([root])}
    right = Skewed(plane, s3_backend, tmp_path, 0, **settings)
    right.start()
    served.ask("kept", ttlSecondsAfterFinished=300)
    served.patch("kept", {"response": {"value": "1"}})
    served.until("kept", "Answered")
    right.terminate()

    wrong = Skewed(plane, s3_backend, tmp_path, 600, **settings)
    wrong.start()
    plane.apply(question(unserved.namespace, "asked", timeoutSeconds=300))
    unserved.until_condition("asked", "Reconciling", "ClockApart")
    plane.until("both are refused", lambda: wrong.metric("hitl_failing", reason="clock_apart") == 2)
    assert served.get("kept") is not None
    wrong.terminate()


def _shows(operator: OperatorProcess, name: str, seconds: float) -> bool:
    return abs(operator.metric(name) - seconds) < 5


async def _settled_long_ago(root: Root) -> None:
    store, asked_at = root.store, datetime.now(UTC) - timedelta(days=3)
    draft = draft_request(
        request_id="old", event_name="old", data_type=int, prompt="?", timeout_seconds=60, now=asked_at
    )
    request = await create_request(store, draft)
    answer = Submission("answered", Respondent(via="web"), value="1")
    await settle(store, request, answer, now=asked_at, markers=False)
