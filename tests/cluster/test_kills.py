"""The operator dies between any two of its writes: it ends as if it had not."""

import asyncio
import base64
import signal
import subprocess
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hitl.core import keys
from hitl.core.documents import Origin
from hitl.records.links import list_links
from tests.backends.plugin import Backend
from tests.backends.processes import PATIENCE
from tests.backends.seaweed import BUCKET, Seaweed
from tests.cluster.control_plane import ControlPlane
from tests.cluster.flyte_actions import FlyteActions
from tests.cluster.operators import OperatorProcess, Questions, Root, conditions, question, response
from tests.library.samples import create_request, draft_request

_SIDE_BY_SIDE = 4


def _ask_in_storage(root: Root, namespace: str, name: str, run: str = "") -> str:
    async def ask() -> str:
        store = root.store
        draft = draft_request(
            request_id=keys.random_request_id(name),
            event_name=name,
            data_type=int,
            prompt="How many?",
            timeout_seconds=600,
            now=datetime.now(UTC),
            origin=Origin(namespace=namespace, run=run, action="a0" if run else ""),
        )
        request = await create_request(store, draft)
        await store.mark(keys.new_marker(request.request_id))
        return request.request_id

    return asyncio.run(ask())


def _is_over(questions: Questions, root: Root, by_form: str, aborted: str) -> bool:
    names = (by_form, "by-kubectl", "by-commit", aborted)
    phases = [(questions.get(name) or {}).get("status", {}).get("phase") for name in names]
    answer = questions.plane.get(questions.namespace, "HumanInputResponse", "answer")
    return phases == ["Answered"] * 3 + ["Cancelled"] and "Accepted" in conditions(answer) and not root.markers()


def _dies(process: subprocess.Popen[bytes], over: Callable[[], bool], seconds: float = 2 * PATIENCE) -> bool:
    """Wait until the operator has killed itself, or has long had nothing more to write; tell which."""
    deadline = time.monotonic() + seconds
    while process.poll() is None:
        assert time.monotonic() < deadline, f"neither dead nor done within {seconds} s"
        if over():
            with suppress(subprocess.TimeoutExpired):
                process.wait(2)
            break
        time.sleep(0.3)
    # Had it ended by itself, nothing would have been killed, and this would go on for ever.
    assert process.returncode in (None, -signal.SIGKILL), f"it ended with {process.returncode}"
    return process.returncode is not None


def _opens(plane: ControlPlane, namespace: str, root: Root, status: dict[str, Any]) -> bool:
    secret = plane.get(namespace, "Secret", status["linkSecret"])
    token_hash = keys.hash_token(base64.b64decode(secret["data"]["token"]).decode()) if secret else ""
    links = asyncio.run(list_links(root.store, status["requestID"]))
    return token_hash in (each for each, _ in links)


def _live(plane: ControlPlane, server: Seaweed, folder: Path, writes: int) -> tuple[bool, str]:
    """Lead four questions to their end with an operator that dies after some writes.

    Returns:
        Whether it died, and what was wrong at the end.
    """
    namespace = f"kill-{writes}-{uuid.uuid4().hex[:6]}"
    plane.request(
        "POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    )
    backend = Backend("s3", f"s3://{BUCKET}/{uuid.uuid4().hex}", server.options)
    root, questions = Root(backend), Questions(plane, namespace)
    by_form = _ask_in_storage(root, namespace, "by-form")
    root.answer(by_form, 7)
    # Flyte has forgotten its run.
    aborted = _ask_in_storage(root, namespace, "aborted", f"run-{writes}")
    plane.apply(question(namespace, "by-kubectl", response={"value": "42"}))
    plane.apply(question(namespace, "by-commit"))
    plane.apply(response(namespace, "answer", "by-commit", value="5"))
    settings: dict[str, Any] = {"namespaces": namespace, "lease": "", "flyte_task_actions": "true"}
    faulty = OperatorProcess(plane, backend, folder, module=("tests.cluster.faulty",), **settings)
    process = faulty.launch(FAULT_AFTER=str(writes))
    healthy = OperatorProcess(plane, backend, folder, **settings)
    try:
        died = _dies(process, lambda: _is_over(questions, root, by_form, aborted))
        process.kill()
        process.wait()
        healthy.start()
        wrong = []
        for name, value, via in (
            (by_form, "7", "web"),
            ("by-kubectl", "42", "kubectl"),
            ("by-commit", "5", "kubectl"),
        ):
            found = questions.until(name, "Answered")
            status = found["status"]
            if (status["value"], status["answeredVia"]) != (value, via):
                wrong.append(f"{name}: {status}")
            # What was answered before its link was issued needs none.
            if "linkSecret" in status and not _opens(plane, namespace, root, status):
                wrong.append(f"{name}: its Secret's token opens nothing")
            outcome = root.outcome(status["requestID"])
            if outcome is None or outcome.value_text() != value:
                wrong.append(f"{name}: {outcome}")
            if "ResponseRefused" in conditions(found):
                wrong.append(f"{name}: {conditions(found)}")
            # Events are posted beside the work: those that waited die with the operator, and none is posted twice.
            if questions.events(name) not in (["Answered", "Requested"], ["Answered"], ["Requested"], []):
                wrong.append(f"{name}: events {questions.events(name)}")
        questions.until_condition(aborted, "Settled", "RunAborted")
        ended = root.outcome(aborted)
        if ended is None or ended.reason != "RunAborted":
            wrong.append(f"aborted: {ended}")
        if questions.events(aborted) not in (["Requested", "RunAborted"], ["RunAborted"], ["Requested"], []):
            wrong.append(f"aborted: events {questions.events(aborted)}")
        questions.until_condition("answer", "Accepted", "Accepted", "HumanInputResponse")
        plane.until("no marker is left", lambda: not root.markers())
        return died, "; ".join(wrong)
    finally:
        healthy.kill()


def test_the_operator_is_killed_at_every_step_of_a_requests_life_and_started_again(
    own_control_plane: ControlPlane, s3_server: Seaweed, tmp_path: Path
) -> None:
    FlyteActions(own_control_plane, "default").install()
    writes, died_always = 1, True
    while died_always:
        batch = range(writes, writes + _SIDE_BY_SIDE)
        with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
            results = list(pool.map(lambda n: _live(own_control_plane, s3_server, tmp_path, n), batch))
        assert [wrong for _, wrong in results if wrong] == []
        died_always = all(died for died, _ in results)
        writes += _SIDE_BY_SIDE
    # Three probes, and for each question a creation, a settlement, Events, a status and its markers.
    assert writes > 15
