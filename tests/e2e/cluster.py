"""The cluster that KUBECONFIG or the current context names, as the end-to-end tests use it."""

import base64
import json
import os
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import helm_python as helm
import pytest

SYSTEM = "hitl-e2e-system"
TEAM = "hitl-e2e-team"
RELEASE = "hitl"
CHART = Path(__file__).parents[2] / "charts" / "hitl"
# As tools/e2e-images names them; on a cluster that pulls from a registry, whatever they are called there.
IMAGE = os.environ.get("HITL_E2E_IMAGE", "hitl:e2e")
# A name that nobody's DNS knows: what is under it is reached by the Ingress's own rules.
HOST = "hitl.example.test"
ENDPOINT = f"http://{HOST}"
# Where pods reach this machine.
ADDRESS = os.environ.get("HITL_E2E_ADDRESS", "192.168.77.1")
STORAGE_IMAGE = os.environ.get("HITL_E2E_STORAGE_IMAGE", "hitl-seaweedfs:e2e")

Object = dict[str, Any]


def kubectl(
    *arguments: str, stdin: str | None = None, check: bool = True, seconds: float = 180
) -> subprocess.CompletedProcess[str]:
    """Run kubectl as whoever the kubeconfig names."""
    done = subprocess.run(
        ["kubectl", *arguments], input=stdin, capture_output=True, text=True, timeout=seconds, check=False
    )
    if check and done.returncode:
        raise AssertionError(f"kubectl {' '.join(arguments)}:\n{done.stdout}{done.stderr}")
    return done


def apply(*contents: Object) -> None:
    """Apply objects server-side."""
    kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin="\n".join(map(json.dumps, contents)))


def get(kind: str, name: str, namespace: str = TEAM) -> Object | None:
    """Return an object, or None."""
    done = kubectl("get", kind, name, "-n", namespace, "-o", "json", check=False)
    if done.returncode:
        assert "NotFound" in done.stderr, done.stderr
        return None
    found: Object = json.loads(done.stdout)
    return found


def until(what: str, condition: Callable[[], Any], seconds: float = 90) -> Any:
    """Wait until a function returns something true, and return that."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.2)
    return found


def phase(name: str, wanted: str, seconds: float = 90) -> Object:
    """Wait until a HumanInput is in a phase, and return it."""

    def reached() -> Object | None:
        found = get("humaninput", name)
        status = (found or {}).get("status", {})
        return found if status.get("phase") == wanted and "requestID" in status else None

    found: Object = until(f"{name} is {wanted}", reached, seconds)
    return found


def ask(name: str, **spec: Any) -> Object:
    """Create a HumanInput and wait until it is pending."""
    content = {"prompt": "How many?", "dataType": "int", "timeoutSeconds": 3600, **spec}
    apply(
        {
            "apiVersion": "hitl.flyte.org/v1alpha1",
            "kind": "HumanInput",
            "metadata": {"name": name, "namespace": TEAM},
            "spec": content,
        }
    )
    return phase(name, "Pending")


def token(name: str) -> str:
    """Return the token of the link that the operator handed out for a question."""
    secret = until("the link", lambda: get("secret", phase(name, "Pending")["status"]["linkSecret"]))
    return base64.b64decode(secret["data"]["token"]).decode()


def web_app() -> str:
    """Return the web app's address inside the cluster, once it is ready."""
    until("the web app", lambda: ready("deployment", f"{RELEASE}-webapp"))
    service = get("service", f"{RELEASE}-webapp", SYSTEM)
    assert service is not None
    return f"http://{service['spec']['clusterIP']}"


def ready(kind: str, name: str, namespace: str = SYSTEM) -> bool:
    """Tell whether a workload of the release has a pod that is ready."""
    return bool((get(kind, name, namespace) or {}).get("status", {}).get("readyReplicas"))


def values(**more: Any) -> Object:
    """Return the chart's values for this cluster."""
    repository, _, tag = IMAGE.rpartition(":")
    storage, _, storage_tag = STORAGE_IMAGE.rpartition(":")
    image = {"repository": storage, "tag": storage_tag}
    return {
        "image": {"repository": repository, "tag": tag},
        "endpoint": ENDPOINT,
        "webapp": {"ingress": {"enabled": True}},
        "storage": {"embedded": {"enabled": True, "image": image, "storageClassName": ""}},
        **more,
    }


def require_address() -> None:
    """Skip the test where no pod reaches this machine."""
    with socket.socket() as probe:
        try:
            probe.bind((ADDRESS, 0))
        except OSError:
            pytest.skip(f"no pod reaches this machine at {ADDRESS}: set HITL_E2E_ADDRESS to where it does")


def cluster() -> helm.Config:
    """Return Helm's way into the cluster."""
    return helm.Config(kubeconfig_path=os.environ.get("KUBECONFIG"), namespace=SYSTEM)


def installed(**more: Any) -> None:
    """Install the release, and wait until the operator and the storage are ready."""
    with cluster() as found:
        found.install(CHART, RELEASE, values(**more))
    wait_ready()


def wait_ready() -> None:
    """Wait until the operator and the storage are ready."""
    until("the storage", lambda: ready("statefulset", f"{RELEASE}-storage"), 180)
    until("the operator", lambda: ready("deployment", f"{RELEASE}-operator"), 180)
