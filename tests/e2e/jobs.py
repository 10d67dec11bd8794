"""Jobs whose pods ask, as NOTES.txt says that they should."""

import json
from typing import Any

from tests.e2e.cluster import ENDPOINT, IMAGE, RELEASE, SYSTEM, TEAM, Object, apply, get, kubectl

_RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
}


def settings(system: str = SYSTEM, team: str = TEAM, endpoint: str = ENDPOINT) -> dict[str, str]:
    """Return the environment of a pod that asks."""
    storage = {"endpoint": f"http://{RELEASE}-storage.{system}.svc:8333", "region": "us-east-1"}
    return {
        "HITL_SERVE": "operator",
        "HITL_STORAGE_ROOT": "s3://hitl/hitl",
        "HITL_STORAGE_OPTIONS": json.dumps({**storage, "client_options": {"allow_http": True}}),
        "HITL_ENDPOINT": endpoint,
        "HITL_NAMESPACE": team,
    }


def allow_storage(system: str = SYSTEM, team: str = TEAM) -> None:
    """Give a team the keys of the storage."""
    secret = get("secret", f"{RELEASE}-storage", system)
    assert secret is not None
    metadata = {"name": "storage", "namespace": team}
    apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": secret["data"]})


def job(name: str, *command: str, namespace: str = TEAM, image: str = IMAGE, **environment: str) -> Object:
    """Return a Job that runs a command with the storage's keys, and starts it again when its pod ends badly."""
    container = {
        "name": "ask",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": list(command),
        "envFrom": [{"secretRef": {"name": "storage"}}],
        "env": [{"name": key, "value": text} for key, text in environment.items()],
        "securityContext": _RESTRICTED,
    }
    security = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    spec = {"restartPolicy": "OnFailure", "securityContext": security, "containers": [container]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"backoffLimit": 4, "template": {"spec": spec}},
    }


def line(job: str, containing: str, namespace: str = TEAM) -> str:
    """Return the first line of a Job's log that contains a text; empty when there is none (yet)."""
    done = kubectl("logs", f"job/{job}", "-n", namespace, check=False)
    return next((each for each in done.stdout.splitlines() if containing in each), "")


def asked(namespace: str = TEAM) -> Any:
    """Return the HumanInputs of questions that were asked through storage."""
    items = json.loads(kubectl("get", "hi", "-n", namespace, "-o", "json").stdout)["items"]
    return [each for each in items if each["spec"].get("request")]
