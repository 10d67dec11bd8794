"""The kinds of objects that are spoken of, as the API server's addresses name them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote


@dataclass(frozen=True)
class Resource:
    """A kind of object, as the API server's addresses name it."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """What `apiVersion` says in objects of this kind."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None = None, name: str = "", subresource: str = "") -> str:
        """Return the address of one object, or of all in a namespace, or of all."""
        path = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        if self.namespaced and namespace:
            path += f"/namespaces/{quote(namespace, safe='')}"
        path += f"/{self.plural}"
        # What HITL itself names needs no escapes.
        path += f"/{quote(name, safe='')}" if name else ""
        return f"{path}/{subresource}" if subresource else path


HUMAN_INPUTS: Final = Resource("hitl.flyte.org", "v1alpha1", "humaninputs", "HumanInput")
RESPONSES: Final = Resource("hitl.flyte.org", "v1alpha1", "humaninputresponses", "HumanInputResponse")
NOTIFICATION_TARGETS: Final = Resource("hitl.flyte.org", "v1alpha1", "notificationtargets", "NotificationTarget")
POLICIES: Final = Resource("hitl.flyte.org", "v1alpha1", "humaninputpolicies", "HumanInputPolicy")
TASK_ACTIONS: Final = Resource("flyte.org", "v1", "taskactions", "TaskAction")
EVENTS: Final = Resource("", "v1", "events", "Event")
NAMESPACES: Final = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
SECRETS: Final = Resource("", "v1", "secrets", "Secret")
CONFIG_MAPS: Final = Resource("", "v1", "configmaps", "ConfigMap")
LEASES: Final = Resource("coordination.k8s.io", "v1", "leases", "Lease")
DEPLOYMENTS: Final = Resource("apps", "v1", "deployments", "Deployment")
CRDS: Final = Resource(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False
)
TOKEN_REVIEWS: Final = Resource("authentication.k8s.io", "v1", "tokenreviews", "TokenReview", namespaced=False)
ACCESS_REVIEWS: Final = Resource(
    "authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview", namespaced=False
)


def cut_name(name: str, most: int) -> str:
    """Return at most so many characters of an object's name, to which a hyphen or a dot and more are added.

    A part of a name between dots ends with neither a dot nor a hyphen, and the cut may be anywhere.
    """
    return name[:most].rstrip("-.")
