"""Flyte's own entry point in a pod, as far as it goes without Flyte's backend."""

import asyncio
import base64
import json
import os

import pytest

from hitl.storage import Store
from tests.e2e.cluster import RELEASE, SYSTEM, TEAM, Object, apply, get, kubectl, phase, until
from tests.library import entry_point

pytestmark = pytest.mark.cluster

IMAGE = os.environ.get("HITL_E2E_FLYTE_IMAGE", "hitl-flyte:e2e")
JOB = "tutorial"
RUN_BASE = f"s3://hitl/flyte/{entry_point.RUN}"


def test_a_flyte_pod_killed_while_it_waits_returns_the_answer_given_meanwhile() -> None:
    run = _storage(RUN_BASE)
    asyncio.run(entry_point.write_inputs(run))
    apply(_secret(), _code(), _job())
    [first] = until("its pod", _pods)
    link = until("the link", lambda: _line(first, "/form/"))
    question = link.partition("/form/")[2].partition("?")[0]
    phase(question, "Pending")
    until("it waits", lambda: _line(first, entry_point.WAITING))

    # Every process of the pod but this one and the pod's own first, which holds it together.
    kubectl("exec", first, "-n", TEAM, "--", "python", "-c", "import os; os.kill(-1, 9)", check=False)
    assert until("it is killed", lambda: _exit_code(first)) == 128 + 9
    patch = json.dumps({"spec": {"response": {"value": "42"}}})
    kubectl("patch", "hi", question, "-n", TEAM, "--type=merge", "-p", patch)

    phase(question, "Answered")
    kubectl("wait", "--for=condition=Complete", f"job/{JOB}", "-n", TEAM, "--timeout=120s")
    [second] = [pod for pod in _pods() if pod != first]
    assert _line(second, f"/form/{question}?"), "another question"
    assert asyncio.run(entry_point.returned(run)) == ("integer", 42)


def _storage(url: str) -> Store:
    return Store(url, storage_options())


def storage_options() -> dict[str, str]:
    """Return how this machine and each pod reach the storage."""
    service = get("service", f"{RELEASE}-storage", SYSTEM)
    assert service is not None
    return {
        "endpoint": f"http://{service['spec']['clusterIP']}:8333",
        "access_key_id": _key("AWS_ACCESS_KEY_ID"),
        "secret_access_key": _key("AWS_SECRET_ACCESS_KEY"),
    }


def _key(name: str) -> str:
    secret = get("secret", f"{RELEASE}-storage", SYSTEM)
    assert secret is not None
    return base64.b64decode(secret["data"][name]).decode()


def _secret() -> Object:
    """What Flyte gives its pods for S3, which is enough for HITL too."""
    given = {
        "FLYTE_AWS_ENDPOINT": f"http://{RELEASE}-storage.{SYSTEM}.svc:8333",
        "FLYTE_AWS_ACCESS_KEY_ID": _key("AWS_ACCESS_KEY_ID"),
        "FLYTE_AWS_SECRET_ACCESS_KEY": _key("AWS_SECRET_ACCESS_KEY"),
    }
    metadata = {"name": "flyte-storage", "namespace": TEAM}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": given}


def _code() -> Object:
    """The tutorial, which the example's image does not hold: here it comes without Flyte's code bundle."""
    metadata = {"name": "tutorial", "namespace": TEAM}
    code = (entry_point.REPO / "examples" / "tutorial.py").read_text()
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"tutorial.py": code}}


def _job() -> Object:
    """A pod as Flyte makes one, in the namespace that Flyte names `{project}-{domain}`."""
    assert f"{entry_point.PROJECT}-{entry_point.DOMAIN}" == TEAM
    settings = {
        **entry_point.environment(RUN_BASE),
        "HITL_SERVE": "operator",
        "HITL_STORAGE_ROOT": "s3://hitl/hitl",
        "HITL_ENDPOINT": f"http://{RELEASE}-webapp.{SYSTEM}.svc",
        "HITL_HINT_URL": f"http://{RELEASE}-operator.{SYSTEM}.svc:8080",
    }
    container = {
        "name": "task",
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "command": entry_point.arguments(RUN_BASE),
        "envFrom": [{"secretRef": {"name": "flyte-storage"}}],
        "env": [{"name": name, "value": value} for name, value in settings.items()],
        "volumeMounts": [{"name": "code", "mountPath": "/srv/hitl/examples"}],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    spec = {
        "restartPolicy": "Never",
        # Nobody in a pod can kill the first process of its own container, which the task's would be.
        "shareProcessNamespace": True,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "volumes": [{"name": "code", "configMap": {"name": "tutorial"}}],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": JOB, "namespace": TEAM},
        "spec": {"backoffLimit": 4, "template": {"spec": spec}},
    }


def _pods() -> list[str]:
    """Return the names of the Job's pods."""
    found = kubectl("get", "pods", "-l", f"job-name={JOB}", "-n", TEAM, "-o", "name")
    return [line.removeprefix("pod/") for line in found.stdout.split()]


def _line(pod: str, containing: str) -> str:
    done = kubectl("logs", pod, "-n", TEAM, check=False)
    return next((line for line in done.stdout.splitlines() if containing in line), "")


def _exit_code(pod: str) -> int | None:
    found = get("pod", pod)
    assert found is not None
    [status] = found["status"]["containerStatuses"]
    code = status["state"].get("terminated", {}).get("exitCode")
    return None if code is None else int(code)
