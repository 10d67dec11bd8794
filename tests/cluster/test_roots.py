"""Several roots, each for its own namespaces, and the web app of each on demand."""

import json
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
import yaml

import hitl
from tests.backends.plugin import Backend
from tests.backends.seaweed import BUCKET, Seaweed
from tests.cluster.control_plane import ControlPlane
from tests.cluster.operators import OperatorProcess, Questions, conditions
from tests.cluster.tasks import operator_mode


@pytest.fixture
def backends(s3_server: Seaweed) -> dict[str, Backend]:
    return {
        name: Backend("s3", f"s3://{BUCKET}/{name}-{uuid.uuid4().hex}", s3_server.options)
        for name in ("team-a", "team-b")
    }


@pytest.fixture
def teams(own_control_plane: ControlPlane) -> ControlPlane:
    for name in ("team-a", "team-b", "nobody", "system"):
        own_control_plane.kubectl("create", "namespace", name)
    return own_control_plane


def _roots(backends: dict[str, Backend]) -> str:
    return json.dumps(
        [
            {
                "name": name,
                "url": backend.url,
                "options": backend.options,
                "namespaces": [name],
                "endpoint": f"http://{name}.test",
            }
            for name, backend in backends.items()
        ]
    )


async def _ask(monkeypatch: pytest.MonkeyPatch, backend: Backend, namespace: str, name: str) -> str:
    operator_mode(monkeypatch, backend, namespace)
    event: Any = await hitl.new_event.aio(name, data_type=int, prompt="?")
    return str(event.request_id)


async def test_a_request_in_one_teams_root_that_names_another_teams_namespace_is_left_alone(
    teams: ControlPlane, backends: dict[str, Backend], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = OperatorProcess(teams, backends["team-a"], tmp_path, roots=_roots(backends), storage_root="")
    own = await _ask(monkeypatch, backends["team-a"], "team-a", "own")
    foreign = await _ask(monkeypatch, backends["team-a"], "team-b", "foreign")
    nowhere = await _ask(monkeypatch, backends["team-a"], "", "nowhere")
    operator.start()
    found = Questions(teams, "team-a").until(own, "Pending")
    assert found["status"]["formURL"].startswith("http://team-a.test/form/")
    teams.until("it says so", lambda: operator.metric("hitl_foreign_requests_total", root="team-a") >= 2)
    for namespace in ("team-a", "team-b"):
        for request_id in (foreign, nowhere):
            assert teams.get(namespace, "HumanInput", request_id) is None
    assert f"request {foreign} is left alone: it names namespace 'team-b'" in operator.said()
    operator.terminate()


def test_a_question_born_in_a_namespace_of_no_root_says_so(
    teams: ControlPlane, backends: dict[str, Backend], tmp_path: Path
) -> None:
    operator = OperatorProcess(teams, backends["team-a"], tmp_path, roots=_roots(backends), storage_root="")
    operator.start()
    for namespace in ("team-a", "team-b"):
        Questions(teams, namespace).ask("asked")
    teams.apply({**_question("nobody")})
    found = Questions(teams, "nobody").until_condition("asked", "Stalled", "ForeignNamespace")
    assert conditions(found)["Settled"] == ("False", "ForeignNamespace")
    operator.terminate()


def _question(namespace: str) -> dict[str, Any]:
    return {
        "apiVersion": "hitl.flyte.org/v1alpha1",
        "kind": "HumanInput",
        "metadata": {"name": "asked", "namespace": namespace},
        "spec": {"prompt": "?", "dataType": "int"},
    }


def _templates(folder: Path) -> Path:
    labels = {"app": "hitl-webapp"}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "hitl-webapp"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "web", "image": "hitl:test"}]},
            },
        },
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "hitl-webapp"},
        "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": 8080}]},
    }
    folder.mkdir()
    (folder / "default.yaml").write_text(yaml.safe_dump_all([deployment, service]))
    return folder


def _replicas(plane: ControlPlane) -> int | None:
    found = plane.get("system", "Deployment", "hitl-webapp")
    return None if found is None else int(found["spec"]["replicas"])


def _own_deployment(plane: ControlPlane) -> str:
    labels = {"app": "operator"}
    content = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "hitl-operator", "namespace": "system"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "operator", "image": "hitl:test"}]},
            },
        },
    }
    return str(json.loads(plane.apply(content).out)["metadata"]["uid"])


def test_the_web_app_comes_up_with_the_first_question_and_goes_when_idle(
    teams: ControlPlane, s3_backend: Backend, tmp_path: Path
) -> None:
    uid = _own_deployment(teams)
    operator = OperatorProcess(
        teams,
        s3_backend,
        tmp_path,
        webapp_templates=str(_templates(tmp_path / "templates")),
        operator_namespace="system",
        operator_deployment="hitl-operator",
        idle_seconds="2",
    )
    operator.start()
    questions = Questions(teams, "team-a")
    time.sleep(1)
    assert _replicas(teams) is None, "nobody has asked anything yet"
    questions.ask("asked")
    teams.until("it is up", lambda: _replicas(teams) == 2)
    service = teams.get("system", "Service", "hitl-webapp")
    assert service is not None
    [owner] = service["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"]) == ("Deployment", "hitl-operator", uid)
    before = teams.get("system", "Deployment", "hitl-webapp")
    questions.patch("asked", {"response": {"value": "1"}})
    questions.until("asked", "Answered")
    teams.until("it is scaled to zero", lambda: _replicas(teams) == 0)
    questions.ask("again")
    teams.until("it is up again", lambda: _replicas(teams) == 2)
    assert before is not None
    operator.terminate()


def test_a_web_app_that_somebody_else_runs_is_never_touched(
    teams: ControlPlane, s3_backend: Backend, tmp_path: Path
) -> None:
    operator = OperatorProcess(
        teams,
        s3_backend,
        tmp_path,
        webapp_templates=str(_templates(tmp_path / "templates")),
        webapp_mode="external",
        operator_namespace="system",
    )
    operator.start()
    Questions(teams, "team-a").ask("asked")
    assert _replicas(teams) is None
    operator.terminate()


@pytest.mark.parametrize(
    ("template", "said"),
    [
        (b"kind: [", "its template is no YAML"),
        (b"kind: Deployment\n", "document 1 of its template is no manifest"),
        (b"- not\n- a mapping\n", "document 1 of its template is no manifest"),
        (b"apiVersion: v1\nkind: Secret\nmetadata: {name: x}\n", "this one holds a Secret"),
        (b"apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec: {ports: [{port: many}]}\n", "many"),
        (b"apiVersion: v9\nkind: Service\nmetadata: {name: x}\n", "could not find the requested resource"),
        (b"\xff\xfe\x00", "cannot be read"),
    ],
)
def test_a_template_that_is_wrong_ends_nothing_and_counts_once_it_is_right(
    teams: ControlPlane, s3_backend: Backend, tmp_path: Path, template: bytes, said: str
) -> None:
    folder = _templates(tmp_path / "templates")
    right = (folder / "default.yaml").read_bytes()
    (folder / "default.yaml").write_bytes(template)
    operator = OperatorProcess(
        teams, s3_backend, tmp_path, webapp_templates=str(folder), operator_namespace="system"
    )
    operator.start()
    questions = Questions(teams, "team-a")
    questions.ask("asked")
    teams.until("it says so", lambda: said in operator.said())
    teams.until("the metric too", lambda: operator.metric("hitl_webapp_trouble", root="default") == 1)
    questions.patch("asked", {"response": {"value": "1"}})
    questions.until("asked", "Answered")
    questions.ask("again")
    time.sleep(6)
    assert operator.said().count(said) == 1
    (folder / "default.yaml").write_bytes(right)
    teams.until("the web app is up", lambda: _replicas(teams) == 2)
    # The web app is asked for before the trouble is known to be over.
    teams.until("no trouble", lambda: operator.metric("hitl_webapp_trouble", root="default") == 0)
    assert operator.terminate() == 0
