"""The API server or the storage is away for a minute, or forgets; two operators; old and damaged objects."""

import asyncio
import functools
import json
import time
from pathlib import Path

import httpx
import pytest

from hitl.core import keys
from tests.backends.plugin import Backend
from tests.backends.processes import PATIENCE
from tests.backends.seaweed import BUCKET, Seaweed
from tests.cluster.control_plane import ControlPlane
from tests.cluster.operators import OperatorProcess, Questions, Root, conditions, question
from tests.cluster.test_troubles import ask

AWAY_SECONDS = 60


@pytest.fixture
def plane(own_control_plane: ControlPlane) -> ControlPlane:
    own_control_plane.kubectl("create", "namespace", "here")
    return own_control_plane


def test_the_api_server_is_away_for_60_s_and_has_forgotten_all_history(
    plane: ControlPlane, s3_backend: Backend, tmp_path: Path
) -> None:
    root, questions = Root(s3_backend), Questions(plane, "here")
    operator = OperatorProcess(plane, s3_backend, tmp_path)
    operator.start()
    answered, waiting = questions.ask("answered-meanwhile"), questions.ask("waiting")
    before, began = operator.metric("hitl_api_requests_total"), time.monotonic()
    plane.stop_api()
    root.answer(answered, 5)
    time.sleep(AWAY_SECONDS)
    # No busy loop: some for the Lease, and for the one object with backoff.
    assert operator.metric("hitl_api_requests_total") - before < 2 * (time.monotonic() - began)
    # Watches from before get 410 Gone.
    plane.compact()
    plane.start_api()
    assert questions.until("answered-meanwhile", "Answered")["status"]["value"] == "5"
    questions.patch("waiting", {"response": {"value": "6"}})
    assert questions.until("waiting", "Answered")["status"]["value"] == "6"
    later = questions.ask("later")
    assert len({answered, waiting, later}) == 3
    assert "Traceback" not in operator.said()
    assert plane.requests("humaninputs", ("LIST", "WATCH")) < 60
    assert operator.metric("hitl_api_requests_total") - before < 3 * (time.monotonic() - began)
    assert operator.terminate() == 0


def test_storage_is_away_for_60_s(plane: ControlPlane, seaweed: Seaweed, tmp_path: Path) -> None:
    backend = Backend("s3", f"s3://{BUCKET}/away", seaweed.options)
    root, questions = Root(backend), Questions(plane, "here")
    operator = OperatorProcess(plane, backend, tmp_path)
    operator.start()
    ids = {name: questions.ask(name) for name in ("answered", "waiting")}
    seaweed.kill()
    plane.apply(question("here", "asked-meanwhile"))
    questions.patch("answered", {"response": {"value": "5"}})
    for name in ("answered", "waiting", "asked-meanwhile"):
        found = questions.until_condition(name, "Reconciling", "StorageUnavailable")
        assert found["status"]["phase"] == "Pending"
    time.sleep(AWAY_SECONDS)
    assert httpx.get(f"{operator.url}/healthz").is_success
    seaweed.start()
    assert questions.until("answered", "Answered")["status"]["value"] == "5"
    outcome = root.outcome(ids["answered"])
    assert outcome is not None
    assert outcome.respondent.via == "kubectl"
    for name in ("waiting", "asked-meanwhile"):
        questions.until_condition(name, "Reconciling", "AwaitingAnswer")
    questions.patch("asked-meanwhile", {"response": {"value": "7"}})
    questions.until("asked-meanwhile", "Answered")
    questions.until_events("answered", "Answered", "Requested")
    assert operator.terminate() == 0


def test_two_operators_at_once_the_second_idles_and_takes_over(
    plane: ControlPlane, s3_backend: Backend, tmp_path: Path
) -> None:
    questions = Questions(plane, "here")
    first = OperatorProcess(plane, s3_backend, tmp_path)
    first.start()
    plane.until("the first leads", lambda: first.metric("hitl_leading") == 1)
    second = OperatorProcess(plane, s3_backend, tmp_path)
    second.start()
    questions.ask("one")
    assert (first.metric("hitl_leading"), second.metric("hitl_leading")) == (1, 0)
    assert second.metric("hitl_storage_requests_total") == 0
    second.pause()
    # Ended as Kubernetes does, the first gives the Lease up: nobody waits for its end.
    assert first.terminate() == 0
    lease = plane.get("default", "Lease", "hitl-operator")
    assert lease is not None
    assert (lease["spec"].get("holderIdentity") or "") == ""
    second.resume()
    plane.until("the second leads", lambda: second.metric("hitl_leading") == 1)
    questions.patch("one", {"response": {"value": "1"}})
    questions.until("one", "Answered")
    second.terminate()


def _is_told(questions: Questions, name: str) -> bool:
    return "Answered" in questions.events(name)


def test_two_operators_without_the_lease_record_one_outcome_each(
    plane: ControlPlane, s3_backend: Backend, tmp_path: Path
) -> None:
    root, questions = Root(s3_backend), Questions(plane, "here")
    both = [OperatorProcess(plane, s3_backend, tmp_path, lease="") for _ in range(2)]
    for operator in both:
        operator.start()
    names = [f"q-{number}" for number in range(20)]
    for name in names:
        plane.apply(question("here", name, response={"value": "3"}))
    for name in names:
        found = questions.until(name, "Answered")
        outcome = root.outcome(found["status"]["requestID"])
        assert outcome is not None
        assert (found["status"]["value"], outcome.value) == ("3", 3)
        assert "ResponseRefused" not in conditions(found)
        plane.until("the Event", functools.partial(_is_told, questions, name))
        assert questions.events(name).count("Answered") == 1
    for operator in both:
        assert operator.terminate() == 0


def test_a_missing_crd_at_start_is_waited_for(
    bare_own_control_plane: ControlPlane, s3_backend: Backend, tmp_path: Path
) -> None:
    plane = bare_own_control_plane
    operator = OperatorProcess(plane, s3_backend, tmp_path)
    process = operator.launch()
    plane.until("it says so", lambda: "install the custom resource definitions" in operator.said())
    plane.install_crds()
    plane.kubectl("create", "namespace", "here")
    Questions(plane, "here").ask("asked")
    assert operator.said().count("install the custom resource definitions") == 1
    process.terminate()
    assert process.wait(PATIENCE) == 0


def test_a_namespace_that_the_operator_may_not_write_in_is_told_in_the_log(
    plane: ControlPlane, s3_backend: Backend, tmp_path: Path
) -> None:
    rules = [
        {"apiGroups": ["hitl.flyte.org"], "resources": ["*"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["*"]},
    ]
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "reader"},
        "rules": rules,
    }
    plane.kubectl("apply", "-f", "-", stdin=json.dumps(role))
    plane.kubectl("create", "clusterrolebinding", "reader", "--clusterrole=reader", "--user=reader")
    operator = OperatorProcess(plane, s3_backend, tmp_path, kubeconfig=plane.user("reader"))
    operator.start()
    plane.apply(question("here", "asked"))
    plane.until("it says so", lambda: "forbidden" in operator.said())
    time.sleep(5)
    assert operator.said().count("forbidden") < 30
    assert httpx.get(f"{operator.url}/healthz").is_success
    assert operator.metric("hitl_failing") >= 0
    assert operator.terminate() == 0


@pytest.mark.parametrize(
    ("key", "content", "reason", "message"),
    [
        (keys.request_key, b"{not json", "RequestDamaged", "it is not JSON"),
        (keys.request_key, b'{"schema_version": 0}', "RequestDamaged", "schema_version is 0"),
        (keys.response_key, b"{not json", "OutcomeDamaged", "it is not JSON"),
        (keys.response_key, b'{"schema_version": 7}', "OutcomeDamaged", "schema_version is 7"),
    ],
)
def test_a_damaged_or_older_object_stalls_alone(
    questions: Questions, root: Root, key: object, content: bytes, reason: str, message: str
) -> None:
    poisoned, fine = questions.ask("poisoned"), questions.ask("fine")
    path = key(poisoned)  # type: ignore[operator]  # one of hitl.core.keys' functions

    async def poison() -> None:
        store = root.store
        await store.delete(path)
        await store.create_once(path, content)
        await store.mark(keys.answered_marker(poisoned))

    asyncio.run(poison())
    found = questions.until_condition("poisoned", "Stalled", reason)
    [stalled] = [each for each in found["status"]["conditions"] if each["type"] == "Stalled"]
    assert message in stalled["message"]
    root.answer(fine, 3)
    questions.until("fine", "Answered")


def test_a_mended_object_goes_on_without_anybody_saying_so(
    own_control_plane: ControlPlane, s3_backend: Backend, tmp_path: Path
) -> None:
    own_control_plane.kubectl("create", "namespace", "team")
    questions, store = Questions(own_control_plane, "team"), Root(s3_backend).store
    operator = OperatorProcess(own_control_plane, s3_backend, tmp_path, audit_seconds="0.2")
    operator.start()
    # One that a HumanInput asked is known to be in storage, and not read again.
    request_id = ask(Root(s3_backend), "team")
    questions.until(request_id, "Pending")
    path = keys.request_key(request_id)
    whole = asyncio.run(store.read(path))
    assert whole is not None

    async def put(content: bytes) -> None:
        await store.delete(path)
        await store.create_once(path, content)

    asyncio.run(put(b"{not json"))
    questions.patch(request_id, {"response": {"value": "3"}})
    questions.until_condition(request_id, "Stalled", "RequestDamaged")
    asyncio.run(put(whole))
    assert questions.until(request_id, "Answered")["status"]["value"] == "3"
    operator.terminate()
