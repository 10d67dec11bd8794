"""A release of the chart on a real API server, and what tests do there."""

from dataclasses import dataclass
from pathlib import Path

import helm_python as helm

from tests.chart.charts import NAMESPACE, Object, text
from tests.cluster.control_plane import ControlPlane, Done

ANSWER: Object = {"value": "42"}


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
        """Return a HumanInputResponse."""
        return {
            "apiVersion": "hitl.flyte.org/v1alpha1",
            "kind": "HumanInputResponse",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {"requestRef": {"name": question}, "value": "42", **spec},
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


def helm_config(kubeconfig: Path) -> helm.Config:
    """Return Helm's way into a cluster."""
    return helm.Config(kubeconfig_path=kubeconfig, namespace=NAMESPACE)
