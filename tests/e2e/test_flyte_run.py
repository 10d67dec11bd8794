"""The example for a Flyte cluster in its own image, by Flyte's command, on a stand-in for its control plane."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from flyteidl2.common import phase_pb2  # type: ignore[import-untyped]  # has no types

from tests.backends.processes import free_ports
from tests.e2e.cluster import (
    ADDRESS,
    RELEASE,
    SYSTEM,
    TEAM,
    Object,
    apply,
    get,
    kubectl,
    phase,
    require_address,
    until,
)
from tests.e2e.jobs import asked
from tests.e2e.test_flyte import IMAGE, storage_options
from tests.library.flyte_backend import ENDED, Backend, Container
from tests.library.flyte_example import Author
from tests.library.flyte_services import serving

pytestmark = pytest.mark.cluster

DEFAULTS = {
    "HITL_SERVE": "operator",
    "HITL_STORAGE_ROOT": "s3://hitl/hitl",
    "HITL_ENDPOINT": f"http://{RELEASE}-webapp.{SYSTEM}.svc",
    "HITL_NAMESPACE": TEAM,
    "HITL_HINT_URL": f"http://{RELEASE}-operator.{SYSTEM}.svc:8080",
}


class Pods:
    """Runs each container as a pod, in the namespace of the team."""

    def start(self, container: Container) -> None:
        apply(_pod(container))

    def has_ended(self, name: str) -> bool:
        found = get("pod", name)
        return found is None or found["status"].get("phase") in ("Succeeded", "Failed")

    def stop(self, name: str) -> None:
        kubectl("delete", "pod", name, "-n", TEAM, "--wait=false")


def _pod(container: Container) -> Object:
    content = {
        "name": "main",
        "image": container.image,
        "imagePullPolicy": "IfNotPresent",
        "args": container.arguments,
        "env": [{"name": name, "value": value} for name, value in container.environment.items()],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    spec = {
        "restartPolicy": "Never",
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [content],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": container.name, "namespace": TEAM},
        "spec": spec,
    }


@pytest.fixture
def backend() -> Iterator[Backend]:
    require_address()
    [port] = free_ports(1)
    with serving(Backend("hitl", storage_options(), Pods(), DEFAULTS), ADDRESS, port) as found:
        yield found


@pytest.mark.parametrize(
    "commands",
    [
        ["flyte run ask.py ask_for_number"],
        ["flyte deploy ask.py task_env", "flyte run deployed-task hitl-example.ask_for_number"],
    ],
    ids=["run", "deployed"],
)
def test_the_example_s_pod_asks_and_the_run_ends_with_the_answer(
    backend: Backend, tmp_path: Path, commands: list[str]
) -> None:
    author = Author(tmp_path / "flyte", backend.url, IMAGE, "shop", "development")
    for command in commands:
        author.run(*command.split())
    [run] = {run for run, _ in backend.actions}

    question = until("the question", lambda: [each for each in asked() if run in str(each)])[0]["metadata"]["name"]
    phase(question, "Pending")
    patch = '{"spec": {"response": {"value": "42"}}}'
    kubectl("patch", "hi", question, "-n", TEAM, "--type=merge", "-p", patch)

    phase(question, "Answered")
    action = backend.actions[run, "a0"]
    until("its end", lambda: action.phase in ENDED)
    said = kubectl("logs", action.container, "-n", TEAM).stdout
    assert action.phase == phase_pb2.ACTION_PHASE_SUCCEEDED, said
    assert f"/form/{question}?" in said
    assert asyncio.run(backend.returned(action)) == 42
