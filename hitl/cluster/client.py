"""A thin client of the Kubernetes API server: objects in and out as dicts, errors as `hitl.errors` has them.

It neither retries nor caches: its callers know what may be tried again, and when.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self, TypeAlias
from urllib.parse import quote, urlencode

import aiohttp
from kubernetes.aio import config as loading
from kubernetes.aio.client import ApiClient, Configuration

from hitl.errors import (
    ClusterConflict,
    ClusterError,
    ClusterForbidden,
    ClusterNotFound,
    ClusterUnavailable,
)

Object: TypeAlias = dict[str, Any]
Watcher: TypeAlias = Callable[[str, int], None]

_TIMEOUT: Final = aiohttp.ClientTimeout(total=15, connect=5)
_PAGE: Final = 500
_JSON: Final = "application/json"
_METADATA_LIST: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_MERGE: Final = "application/merge-patch+json"
_APPLY: Final = "application/apply-patch+yaml"


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
        parts = ["apis", self.group, self.version] if self.group else ["api", self.version]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        parts += [part for part in (self.plural, name, subresource) if part]
        return "/" + "/".join(quote(part, safe="") for part in parts)


HUMAN_INPUTS: Final = Resource("hitl.flyte.org", "v1alpha1", "humaninputs", "HumanInput")
RESPONSES: Final = Resource("hitl.flyte.org", "v1alpha1", "humaninputresponses", "HumanInputResponse")
EVENTS: Final = Resource("", "v1", "events", "Event")
NAMESPACES: Final = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
SECRETS: Final = Resource("", "v1", "secrets", "Secret")
LEASES: Final = Resource("coordination.k8s.io", "v1", "leases", "Lease")
DEPLOYMENTS: Final = Resource("apps", "v1", "deployments", "Deployment")
CRDS: Final = Resource(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False
)
TOKEN_REVIEWS: Final = Resource("authentication.k8s.io", "v1", "tokenreviews", "TokenReview", namespaced=False)
ACCESS_REVIEWS: Final = Resource(
    "authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview", namespaced=False
)


@dataclass(frozen=True)
class Connection:
    """How to reach the API server, for clients of other makes."""

    server: str
    ca_path: str | None
    certificate_path: str | None
    private_key_path: str | None
    token: str | None
    insecure: bool
    namespace: str


class Kube:
    """A connection to one API server. Use it in the event loop that made it, and close it.

    Args:
        client: The client of the `kubernetes` package.
        namespace: Where objects are when nobody says otherwise.
        watcher: Told the verb and the status (0: none came) of every request.
    """

    def __init__(self, client: ApiClient, namespace: str, watcher: Watcher | None = None) -> None:
        self._client = client
        self.namespace = namespace
        self._watcher = watcher

    @classmethod
    async def connect(
        cls, *, kubeconfig: str | None = None, context: str | None = None, watcher: Watcher | None = None
    ) -> Self:
        """Connect by the given kubeconfig, else as a pod does inside its cluster, else by the usual kubeconfig.

        Raises:
            ClusterError: when there are no credentials to be found, or none that can be read.
        """
        configuration = Configuration()
        try:
            if kubeconfig is None and context is None and "KUBERNETES_SERVICE_HOST" in os.environ:
                loading.load_incluster_config(configuration)
                namespace = _own_namespace()
            else:
                loader = await loading.load_kube_config(kubeconfig, context, configuration)
                namespace = loader.current_context["context"].get("namespace", "default")
        except (loading.ConfigException, OSError, ValueError, TypeError) as error:
            raise ClusterError(f"no Kubernetes cluster: {error}") from error
        configuration.connection_pool_maxsize = 50
        return cls(ApiClient(configuration), namespace, watcher)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def connection(self) -> Connection:
        """Return how this API server is reached, with a token that is fresh now."""
        configuration = self._client.configuration
        auth = (await configuration.auth_settings()).get("BearerToken", {})
        # Its scheme is written "Bearer" or "bearer", by where the credentials come from.
        token = str(auth.get("value", "")).strip().rpartition(" ")[2]
        return Connection(
            server=configuration.host,
            ca_path=configuration.ssl_ca_cert,
            certificate_path=configuration.cert_file,
            private_key_path=configuration.key_file,
            token=token or None,
            insecure=not configuration.verify_ssl,
            namespace=self.namespace,
        )

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object | None:
        """Return an object, or None when there is none of this name.

        Raises:
            ClusterError: as its subclasses say; so does every other method.
        """
        try:
            return await self._call("GET", resource.path(namespace, name))
        except ClusterNotFound:
            return None

    async def items(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        fields: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
        metadata_only: bool = False,
    ) -> AsyncIterator[Object]:
        """Yield every object of a kind, of one namespace or of all, by pages.

        Args:
            resource: The kind.
            namespace: None: everywhere.
            fields: Only objects whose fields have these values, such as ``{"status.phase": "Pending"}``.
            labels: Only objects with these labels.
            metadata_only: Their metadata suffices.
        """
        accept = _METADATA_LIST if metadata_only else _JSON
        query = {"limit": str(_PAGE)}
        for selector, wanted in (("fieldSelector", fields), ("labelSelector", labels)):
            if wanted:
                query[selector] = ",".join(f"{name}={value}" for name, value in wanted.items())
        while True:
            page = await self._call("GET", resource.path(namespace), query=query, accept=accept)
            for each in page["items"]:
                yield each
            if not (following := page["metadata"].get("continue")):
                return
            query["continue"] = following

    async def create(self, resource: Resource, content: Object, *, manager: str = "hitl") -> Object:
        """Create an object; one that is there already is a `ClusterConflict`."""
        namespace = content["metadata"].get("namespace")
        return await self._call(
            "POST", resource.path(namespace), content, query={"fieldManager": manager} if manager else {}
        )

    async def apply(
        self, resource: Resource, content: Object, *, manager: str, subresource: str = "", force: bool = True
    ) -> Object:
        """Apply the fields of an object server-side, in the name of a field manager."""
        metadata = content["metadata"]
        path = resource.path(metadata.get("namespace"), metadata["name"], subresource)
        query = {"fieldManager": manager, "force": "true" if force else "false"}
        return await self._call("PATCH", path, content, query=query, kind=_APPLY)

    async def merge(
        self, resource: Resource, name: str, namespace: str | None, patch: Object, *, manager: str
    ) -> Object:
        """Merge a patch (RFC 7386) into an object."""
        path = resource.path(namespace, name)
        return await self._call("PATCH", path, patch, query={"fieldManager": manager}, kind=_MERGE)

    async def replace(self, resource: Resource, content: Object) -> Object:
        """Replace an object, unless somebody changed it since its `resourceVersion`."""
        metadata = content["metadata"]
        return await self._call("PUT", resource.path(metadata.get("namespace"), metadata["name"]), content)

    async def delete(
        self, resource: Resource, name: str, namespace: str | None = None, *, uid: str | None = None
    ) -> bool:
        """Delete an object, the one of this uid if given. False when there is none of this name."""
        body = {"preconditions": {"uid": uid}} if uid else {}
        try:
            await self._call("DELETE", resource.path(namespace, name), body)
        except ClusterNotFound:
            return False
        return True

    async def served(self, group: str, version: str) -> list[str]:
        """Return the resources that the API server serves of a group, none when it does not know the group."""
        try:
            found = await self._call("GET", f"/apis/{group}/{version}")
        except ClusterNotFound:
            return []
        return [each["name"] for each in found.get("resources", [])]

    async def _call(
        self,
        verb: str,
        path: str,
        body: Object | None = None,
        *,
        query: Mapping[str, str] | None = None,
        kind: str = _JSON,
        accept: str = _JSON,
    ) -> Object:
        status = 0
        try:
            method, url, headers, content, _ = await self._client.param_serialize(
                verb,
                path,
                header_params={"Accept": accept, "Content-Type": kind},
                body=body,
                auth_settings=["BearerToken"],
            )
            if query:
                url = f"{url}?{urlencode(query)}"
            response = await self._client.call_api(method, url, headers, content, _request_timeout=_TIMEOUT)
            data = await response.read()
            status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            why = str(error) or type(error).__name__
            raise ClusterUnavailable(f"the API server cannot be reached: {why}") from error
        finally:
            if self._watcher is not None:
                self._watcher(verb, status)
        if status >= 400:
            raise _refusal(status, data)
        try:
            found: Object = json.loads(data)
        except ValueError as error:
            # A proxy's own page, most often.
            raise ClusterUnavailable("what answers for the API server is none: it sent no JSON") from error
        return found


def _refusal(status: int, data: bytes) -> ClusterError:
    try:
        message = str(json.loads(data)["message"])
    except (ValueError, LookupError, TypeError):
        message = f"the API server answered {status}"
    kinds = {401: ClusterForbidden, 403: ClusterForbidden, 404: ClusterNotFound, 409: ClusterConflict}
    if status == 429 or status >= 500:
        return ClusterUnavailable(message)
    return kinds.get(status, ClusterError)(message)


def _own_namespace() -> str:
    return Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace").read_text().strip()
