"""Flux's controllers as processes of their own, and what a team has from them."""

import json
import uuid
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.backends.processes import ServerProcess, free_ports
from tests.cluster import installs
from tests.cluster.control_plane import ControlPlane
from tests.cluster.git import Repository
from tests.cluster.guide import manifests
from tests.cluster.operators import Object, Questions

NAMESPACE = "flux-system"
# The label of Kustomizations that stop waiting when there is another commit.
CANCELS = {"cancels": "health-checks"}


class Flux:
    """Flux's controllers, each under a service account of its own.

    There are two kustomize-controllers: one as it comes, and one with a feature gate, for Kustomizations that have
    the label `CANCELS`.

    Args:
        plane: The control plane.
        folder: Where their data and logs lie.
    """

    def __init__(self, plane: ControlPlane, folder: Path) -> None:
        self._plane = plane
        self._folder = folder
        self._home = installs.flux()
        self._processes: list[ServerProcess] = []

    def start(self) -> None:
        """Install what they need, start them, and wait until they are ready."""
        self._plane.kubectl("create", "namespace", NAMESPACE)
        for name in installs.FLUX:
            self._install(name)
        self._plane.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=100s")
        [storage] = free_ports(1)
        address = f"127.0.0.1:{storage}"
        self._start(
            "source-controller",
            f"--storage-addr={address}",
            f"--storage-adv-addr={address}",
            f"--storage-path={self._folder}",
        )
        gate = "--feature-gates=CancelHealthCheckOnNewRevision=true"
        self._start("kustomize-controller", "--watch-label-selector=!cancels")
        self._start("kustomize-controller", "--watch-label-selector=cancels", gate)

    def stop(self) -> None:
        """End them."""
        for process in self._processes:
            process.kill()

    def _install(self, name: str) -> None:
        manifests = self._home / f"{name}.d"
        for path in sorted(manifests.glob("*.toolkit.fluxcd.io_*.yaml")):
            self._plane.kubectl("apply", "--server-side", "-f", str(path))
        role = yaml.safe_load((manifests / "role.yaml").read_text())
        rules = [*role["rules"], {"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["impersonate"]}]
        named = {**role, "metadata": {"name": name}, "rules": rules}
        self._plane.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(named))
        self._plane.kubectl("create", "serviceaccount", name, "-n", NAMESPACE)
        self._plane.kubectl(
            "create", "clusterrolebinding", name, f"--clusterrole={name}", f"--serviceaccount={NAMESPACE}:{name}"
        )

    def _start(self, name: str, *flags: str) -> None:
        [health] = free_ports(1)
        own = self._folder / f"{name}-{health}"
        own.mkdir(parents=True)
        process = ServerProcess(
            [str(self._home / name), f"--health-addr=127.0.0.1:{health}", "--metrics-addr=0", *flags],
            own / "log",
            lambda: _is_ready(f"http://127.0.0.1:{health}/readyz"),
            env={
                "KUBECONFIG": str(self._plane.service_account(NAMESPACE, name)),
                "RUNTIME_NAMESPACE": NAMESPACE,
                "TMPDIR": str(own),
            },
        )
        process.start()
        self._processes.append(process)


class Team(Questions):
    """A team's namespace, and the repository from which Flux fills it under the team's own service account."""

    def __init__(self, plane: ControlPlane, namespace: str, repository: Repository) -> None:
        super().__init__(plane, namespace)
        self.repository = repository
        self.user = f"system:serviceaccount:{namespace}:approvals"
        self._source = f"/apis/source.toolkit.fluxcd.io/v1/namespaces/{namespace}/gitrepositories/platform"
        self._sync = f"/apis/kustomize.toolkit.fluxcd.io/v1/namespaces/{namespace}/kustomizations/approvals"

    def follow(
        self, branch: str = "main", labels: dict[str, str] | None = None, may_answer: bool = True, **spec: Any
    ) -> None:
        """Have Flux apply a branch, with the guide's rights and Kustomization but for what is given."""
        rights, [kustomization] = manifests("rights"), manifests("flux")
        if not may_answer:
            rights[1]["rules"].pop()
        source = {
            "apiVersion": "source.toolkit.fluxcd.io/v1",
            "kind": "GitRepository",
            "metadata": {"name": "platform", "namespace": self.namespace},
            "spec": {"interval": "1h", "url": self.repository.url, "ref": {"branch": branch}},
        }
        kustomization["metadata"]["labels"] = labels or {}
        kustomization["spec"] |= spec
        text = yaml.safe_dump_all([*rights, source, kustomization]).replace("payments", self.namespace)
        self.plane.kubectl("apply", "-f", "-", stdin=text)

    def commit(self, **objects: Object | None) -> str:
        """Commit objects, or their removal, have Flux fetch that, and return the commit's hash."""
        commit = self.repository.commit("main", **objects)
        self.fetch(commit)
        return commit

    def fetch(self, commit: str) -> None:
        """Have Flux fetch a commit."""
        self._request(self._source, commit)
        self.plane.until(
            "fetched", lambda: commit in self._status(self._source).get("artifact", {}).get("revision", "")
        )

    def reconcile(self) -> None:
        """Have Flux apply what it fetched once more."""
        token = uuid.uuid4().hex
        self._request(self._sync, token)
        self.plane.until("reconciled", lambda: self._status(self._sync).get("lastHandledReconcileAt") == token)

    def synced(self, commit: str) -> tuple[str, str]:
        """Wait until Flux is through with a commit, and return whether it is ready and what it says."""

        def found() -> tuple[str, str] | None:
            status = self._status(self._sync)
            told = {each["type"]: (each["status"], each["message"]) for each in status.get("conditions", [])}
            ready = told.get("Ready", ("Unknown", ""))
            through = commit in status.get("lastAttemptedRevision", "") and ready[0] != "Unknown"
            return ready if through else None

        result: tuple[str, str] = self.plane.until("synced", found)
        return result

    def until_ready(self, commit: str) -> None:
        """Wait until Flux says that a commit is applied and all is well."""
        self.plane.until("ready", lambda: self.synced(commit)[0] == "True")

    def until_waiting(self) -> None:
        """Wait until Flux waits for the health of what it applied."""
        self.plane.until("waiting", lambda: "Running health checks" in json.dumps(self._status(self._sync)))

    def until_seen(self, name: str) -> None:
        """Wait until the status of a question is about its present generation."""

        def seen() -> bool:
            found = self.get(name) or {}
            return bool(found["status"]["observedGeneration"] == found["metadata"]["generation"])

        self.plane.until("seen", seen)

    def failures(self) -> list[str]:
        """Return what Flux reported as failed."""
        which = "fieldSelector=involvedObject.kind=Kustomization,type=Warning"
        found = self.plane.request("GET", f"/api/v1/namespaces/{self.namespace}/events?{which}")
        return [each["message"] for each in json.loads(found.out)["items"]]

    def _status(self, path: str) -> Object:
        found: Object = json.loads(self.plane.request("GET", path).out).get("status", {})
        return found

    def _request(self, path: str, token: str) -> None:
        annotations = {"reconcile.fluxcd.io/requestedAt": token}
        done = self.plane.request("PATCH", path, {"metadata": {"annotations": annotations}}, "merge-patch+json")
        assert done.code == 0, done.err


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).is_success
    except httpx.HTTPError:
        return False
