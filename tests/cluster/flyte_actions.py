"""Flyte's TaskActions on a real API server, by a definition of our own, and what Flyte does to them."""

from __future__ import annotations

from typing import Any

from tests.cluster.control_plane import ControlPlane

CRD = "taskactions.flyte.org"
# Flyte's executor holds an action back with a finalizer like this, while it ends the pod.
FINALIZER = "flyte.org/test-finalizer"
_KIND = {"apiVersion": "flyte.org/v1", "kind": "TaskAction"}


def definition() -> dict[str, Any]:
    """Return a definition that takes any content."""
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    schema = {"type": "object", "properties": {"spec": anything, "status": anything}}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}},
    }
    names = {"kind": "TaskAction", "listKind": "TaskActionList", "plural": "taskactions", "singular": "taskaction"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": CRD},
        "spec": {"group": "flyte.org", "scope": "Namespaced", "names": names, "versions": [version]},
    }


class FlyteActions:
    """What Flyte does to the TaskActions of one namespace.

    Args:
        plane: The API server.
        namespace: Where they are.
    """

    def __init__(self, plane: ControlPlane, namespace: str) -> None:
        self.plane = plane
        self._path = f"/apis/flyte.org/v1/namespaces/{namespace}/taskactions"

    def install(self) -> None:
        """Define the kind, and wait until it is served."""
        self.plane.apply(definition())
        self.plane.until("TaskActions", self.served)

    def begin(self, run: str, action: str = "a0", *, held: bool = False) -> None:
        """Have an action run; `held`: with a finalizer, so that it outlives its deletion."""
        labels = {"flyte.org/run": run, "flyte.org/action": action}
        metadata = {"name": f"{run}-{action}", "labels": labels, "finalizers": [FINALIZER] if held else []}
        self._done("POST", self._path, {**_KIND, "metadata": metadata, "spec": {}})

    def end(self, run: str, condition: str, action: str = "a0") -> None:
        """Have an action succeed or fail."""
        status = {"conditions": [{"type": condition, "status": "True", "reason": "Done"}]}
        self._done("PATCH", f"{self._path}/{run}-{action}/status", {"status": status}, "merge-patch+json")

    def mark(self, run: str, action: str = "a0") -> None:
        """Mark an action for Flyte's own collection."""
        labels = {"flyte.org/termination-status": "terminated"}
        self._done("PATCH", f"{self._path}/{run}-{action}", {"metadata": {"labels": labels}}, "merge-patch+json")

    def abort(self, run: str, action: str = "a0") -> None:
        """Abort an action, or forget it: either deletes the object."""
        self._done("DELETE", f"{self._path}/{run}-{action}")

    def let_go(self, run: str, action: str = "a0") -> None:
        """Let an action that was deleted go."""
        patch = {"metadata": {"finalizers": None}}
        self._done("PATCH", f"{self._path}/{run}-{action}", patch, "merge-patch+json")

    def served(self) -> bool:
        """Tell whether the API server serves TaskActions."""
        # Of a group that it does not know, it says so in plain text.
        return self.plane.kubectl("get", "--raw", self._path, check=False).code == 0

    def _done(self, verb: str, path: str, content: dict[str, Any] | None = None, kind: str = "json") -> None:
        done = self.plane.request(verb, path, content, kind)
        assert done.code == 0, done.err
