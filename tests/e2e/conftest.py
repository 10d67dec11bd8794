"""The release that the end-to-end tests share, and a cluster that they leave as they found it."""

from collections.abc import Iterator
from contextlib import suppress

import helm_python as helm
import pytest

from tests.e2e.cluster import CHART, RELEASE, SYSTEM, TEAM, apply, cluster, installed, kubectl

_VOLUME = "hitl-e2e-storage"
_CRDS = (
    "humaninputs.hitl.flyte.org",
    "humaninputresponses.hitl.flyte.org",
    "humaninputpolicies.hitl.flyte.org",
)


def _namespace(name: str) -> dict[str, object]:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def _volume() -> dict[str, object]:
    """Return a volume for the embedded storage: the cluster may have nobody who makes one."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": _VOLUME},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": "",
            "claimRef": {"namespace": SYSTEM, "name": f"data-{RELEASE}-storage-0"},
            "hostPath": {"path": "/var/tmp/hitl-e2e", "type": "DirectoryOrCreate"},
        },
    }


# What a kubelet makes belongs to root, and the storage runs as nobody in particular.
_OPEN_VOLUME = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "open-volume", "namespace": "default"},
    "spec": {
        "restartPolicy": "Never",
        "containers": [
            {
                "name": "open",
                "image": "",
                "imagePullPolicy": "IfNotPresent",
                "command": ["sh", "-c", "rm -rf /data/* && chmod 0777 /data"],
                "securityContext": {"runAsUser": 0},
                "volumeMounts": [{"name": "data", "mountPath": "/data"}],
            }
        ],
        "volumes": [{"name": "data", "hostPath": {"path": "/var/tmp/hitl-e2e", "type": "DirectoryOrCreate"}}],
    },
}


def _open_volume() -> None:
    from tests.e2e.cluster import IMAGE

    _OPEN_VOLUME["spec"]["containers"][0]["image"] = IMAGE  # type: ignore[index]  # it is all dicts and lists
    apply(_OPEN_VOLUME)
    kubectl(
        "wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/open-volume", "-n", "default", "--timeout=60s"
    )
    kubectl("delete", "pod", "open-volume", "-n", "default", "--wait=false")


def _clean() -> None:
    with suppress(helm.HelmError), cluster() as found:
        found.uninstall(RELEASE, ignore_not_found=True)
    kubectl("delete", "namespace", SYSTEM, TEAM, "--ignore-not-found", "--timeout=90s")
    kubectl("delete", "pv", _VOLUME, "--ignore-not-found", "--timeout=30s")
    kubectl("delete", "crd", *_CRDS, "--ignore-not-found", "--timeout=60s")


@pytest.fixture(scope="session", autouse=True)
def release() -> Iterator[None]:
    """Install the chart, and take away all of it in the end."""
    assert CHART.exists()
    _clean()
    _open_volume()
    apply(_namespace(SYSTEM), _namespace(TEAM), _volume())
    installed()
    yield
    _clean()
