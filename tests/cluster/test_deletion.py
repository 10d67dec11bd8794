"""What becomes of a question whose HumanInput goes away."""

import asyncio
from pathlib import Path

import pytest

import hitl
from tests.backends.plugin import Backend
from tests.backends.processes import PATIENCE
from tests.cluster.control_plane import ControlPlane
from tests.cluster.operators import OperatorProcess, Questions, Root
from tests.cluster.tasks import operator_mode


async def test_a_humaninput_is_deleted_while_pending(
    questions: Questions, shared_backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator_mode(monkeypatch, shared_backend, questions.namespace)
    event = await hitl.new_event.aio("withdrawn", data_type=int, prompt="?", poll_interval_seconds=0.2)
    await asyncio.to_thread(questions.until, event.request_id, "Pending")
    waiting = asyncio.ensure_future(event.wait.aio())
    questions.plane.delete(questions.namespace, "HumanInput", event.request_id)
    with pytest.raises(hitl.EventCancelled, match=f"its HumanInput .*/{event.request_id} was deleted"):
        async with asyncio.timeout(PATIENCE):
            await waiting
    outcome = await asyncio.to_thread(Root(shared_backend).outcome, event.request_id)
    assert outcome is not None
    assert outcome.outcome == "cancelled"
    await asyncio.sleep(1)
    assert questions.get(event.request_id) is None


def test_its_namespace_is_deleted(own_control_plane: ControlPlane, s3_backend: Backend, tmp_path: Path) -> None:
    plane, root = own_control_plane, Root(s3_backend)
    plane.start_controllers()
    plane.kubectl("create", "namespace", "leaving")
    operator = OperatorProcess(plane, s3_backend, tmp_path, open_seconds="0.5", audit_seconds="0.5")
    operator.start()
    questions = Questions(plane, "leaving")
    request_id, short = questions.ask("asked"), questions.ask("short", timeoutSeconds=30)
    plane.delete("", "Namespace", "leaving")
    plane.until("the namespace is gone", lambda: plane.get("", "Namespace", "leaving") is None)
    # Nobody withdrew it. It ends at its deadline, although nothing is left to show that.
    plane.until("it ends", lambda: root.outcome(short), 150)
    outcome = root.outcome(short)
    assert outcome is not None
    assert outcome.outcome == "timed_out"
    operator.terminate()
    assert root.outcome(request_id) is None


def test_the_crd_is_deleted(own_control_plane: ControlPlane, s3_backend: Backend, tmp_path: Path) -> None:
    plane, root = own_control_plane, Root(s3_backend)
    plane.kubectl("create", "namespace", "staying")
    operator = OperatorProcess(plane, s3_backend, tmp_path)
    operator.start()
    questions = Questions(plane, "staying")
    request_id = questions.ask("asked")
    crd = "humaninputs.hitl.flyte.org"
    plane.delete("", "CustomResourceDefinition", crd)
    plane.until("the definition is gone", lambda: plane.get("", "CustomResourceDefinition", crd) is None)
    assert root.outcome(request_id) is None
    # It comes back, and so does the operator's work, without a restart.
    plane.install_crds()
    again = questions.ask("asked-again")
    questions.patch("asked-again", {"response": {"value": "1"}})
    questions.until("asked-again", "Answered")
    assert root.outcome(request_id) is None
    assert root.outcome(again) is not None
    assert operator.terminate() == 0


def test_the_operator_was_away_when_it_happened(
    own_control_plane: ControlPlane, s3_backend: Backend, tmp_path: Path
) -> None:
    plane, root = own_control_plane, Root(s3_backend)
    plane.kubectl("create", "namespace", "staying")
    operator = OperatorProcess(plane, s3_backend, tmp_path, audit_seconds="0.5")
    operator.start()
    questions = Questions(plane, "staying")
    request_id = questions.ask("asked", timeoutSeconds=900)
    before = questions.get("asked")
    operator.terminate()
    plane.delete("staying", "HumanInput", "asked")
    operator.start()
    # Found by the full scan, which leaves alone what was asked just now.
    found = questions.until(request_id, "Pending")
    assert before is not None
    assert found["status"]["expiresAt"] == before["status"]["expiresAt"]
    questions.patch(request_id, {"response": {"value": "8"}})
    assert questions.until(request_id, "Answered")["status"]["value"] == "8"
    outcome = root.outcome(request_id)
    assert outcome is not None
    assert outcome.value == 8
    operator.terminate()
