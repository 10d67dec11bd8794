"""A release of the chart on a real API server, and what tests do there."""

import json
from dataclasses import dataclass
from pathlib import Path

import helm_python as helm

from tests.chart.charts import NAMESPACE, PLAIN, Object, text
from tests.cluster.control_plane import ControlPlane, Done

ANSWER: Object = {"value": "42"}
AUDIT_LOG = "audit.log"

_ROLES = {"viewer": "viewer", "ada": "responder", "ed": "editor", "asker": "requester"}


@dataclass(frozen=True)
class Installed:
    """A release of the chart, and a namespace that it is for."""

    plane: ControlPlane
    release: str
    namespace: str

    @property
    def operator(self) -> str:
        """The operator's name as admission sees it."""
        return f"system:serviceaccount:{NAMESPACE}:{self.release}-operator"

    def apply(self, content: Object, user: str, *groups: str, check: bool = True) -> Done:
        """Create or change an object as somebody."""
        arguments = ("apply", "--server-side", "--field-manager=test", "-f", "-")
        return self.plane.kubectl(*arguments, stdin=text(content), check=check, user=user, groups=groups)

    def create(self, content: Object, user: str, *groups: str, check: bool = True) -> Done:
        """Create an object as somebody."""
        return self.plane.kubectl(
            "create", "-f", "-", "-o=json", stdin=text(content), check=check, user=user, groups=groups
        )

    def patch(self, name: str, change: Object, user: str, *groups: str, check: bool = True) -> Done:
        """Patch a HumanInput as somebody."""
        arguments = (
            "patch",
            "humaninput",
            name,
            "-n",
            self.namespace,
            "--type=merge",
            "-o=json",
            "-p",
            text(change),
        )
        return self.plane.kubectl(*arguments, check=check, user=user, groups=groups)

    def question(self, name: str, **spec: object) -> Object:
        """Return a HumanInput."""
        return {
            "apiVersion": "hitl.flyte.org/v1alpha1",
            "kind": "HumanInput",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {"prompt": "Go on?", "dataType": "int", "timeoutSeconds": 600, **spec},
        }

    def response(self, name: str, question: str, **spec: object) -> Object:
        """Return a HumanInputResponse, which answers 42 unless the spec says otherwise."""
        answers = {} if {"withdraw", "delegateTo"} & spec.keys() else {"value": "42"}
        return {
            "apiVersion": "hitl.flyte.org/v1alpha1",
            "kind": "HumanInputResponse",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {"requestRef": {"name": question}, **answers, **spec},
        }

    def policy(self, name: str, **approval: object) -> Object:
        """Return a HumanInputPolicy."""
        return {
            "apiVersion": "hitl.flyte.org/v1alpha1",
            "kind": "HumanInputPolicy",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {"approval": approval},
        }

    def accepts(self, content: Object) -> bool:
        """Tell whether an admin could create an object."""
        arguments = ("create", "--dry-run=server", "-f", "-")
        return self.plane.kubectl(*arguments, stdin=text(content), check=False).code == 0

    def asked(self, name: str, **spec: object) -> Object:
        """Ask a question as admin and return it."""
        content = self.question(name, **spec)
        self.plane.apply(content, manager="asker")
        return content

    def seen(self, name: str) -> Object:
        """Return a HumanInput."""
        content = self.plane.get(self.namespace, "HumanInput", name)
        assert content is not None
        return content

    def bind(self, user: str, *roles: str) -> None:
        """Bind the chart's roles to a user."""
        for role in roles:
            self.plane.kubectl(
                "create", "rolebinding", f"{user}-{role}", "-n", self.namespace,
                f"--clusterrole={self.release}-{role}", f"--user={user}",
            )  # fmt: skip


class Audit:
    """The API server's audit log."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def by(self, user: str) -> list[Object]:
        """Return what a user did, or tried."""
        events = [json.loads(line) for line in self._path.read_text().splitlines()]
        return [
            each
            for each in events
            if each["stage"] in ("ResponseStarted", "ResponseComplete")
            and user in (each["user"]["username"], each.get("impersonatedUser", {}).get("username"))
        ]


def helm_config(kubeconfig: Path) -> helm.Config:
    """Return Helm's way into a cluster."""
    return helm.Config(kubeconfig_path=kubeconfig, namespace=NAMESPACE)


def install(plane: ControlPlane, chart: Path, release: str, namespace: str, values: Object) -> Installed:
    """Install the chart for a namespace, with some users, and wait until its policies hold."""
    for each in (NAMESPACE, namespace):
        plane.kubectl("create", "namespace", each, check=False)
    with helm_config(plane.kubeconfig) as cluster:
        cluster.install(chart, release, {**PLAIN, "namespaces": [namespace], **values})
    plane.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=100s")
    installed = Installed(plane, release, namespace)
    for user, role in _ROLES.items():
        installed.bind(user, role)
    # Policies hold a moment after they were made, and know new kinds some seconds later.
    forged = installed.question("probe", request={"id": "probe"})
    answered = installed.question("probe", response=ANSWER)
    plane.until("policies", lambda: not installed.accepts(forged) and installed.accepts(answered))
    return installed
