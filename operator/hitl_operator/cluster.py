"""What the operator writes to the API server: HumanInputs, statuses, links, Kubernetes Events."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any, Final

from hitl.cluster.client import HUMAN_INPUTS, RESPONSES, SECRETS, Kube, Object, Resource
from hitl.cluster.v1alpha1 import (
    API_VERSION,
    GROUP,
    OPERATOR_MANAGER,
    STATUS_MANAGER,
    HumanInput,
    HumanInputResponse,
    HumanInputResponseStatus,
    HumanInputSpec,
    HumanInputStatus,
    Metadata,
    OnTimeout,
    RequestRef,
)
from hitl.cluster.v1alpha1 import Respondents as ApiRespondents
from hitl.core.documents import OnTimeout as StoredOnTimeout
from hitl.core.documents import RequestDocument
from hitl.errors import ClusterConflict, ClusterNotFound
from hitl_operator.decide import Notice
from hitl_operator.events import Events

_ON_TIMEOUT: Final[dict[StoredOnTimeout, OnTimeout]] = {"fail": "Fail", "default": "UseDefault"}
_SHOWN: Final = ("org", "project", "domain", "run", "action")


class Cluster:
    """The operator's way in for everything that it changes in the cluster.

    Args:
        kube: The API server.
        events: Posts Kubernetes Events.
    """

    def __init__(self, kube: Kube, events: Events) -> None:
        self.kube = kube
        self._events = events

    async def human_input(self, namespace: str, name: str) -> HumanInput | None:
        """Return a HumanInput.

        Raises:
            InvalidRequest: when this release cannot read it.
            ClusterError: so does every method here.
        """
        found = await self.kube.get(HUMAN_INPUTS, name, namespace)
        return None if found is None else HumanInput.from_object(found)

    async def response(self, namespace: str, name: str) -> HumanInputResponse | None:
        """Return a HumanInputResponse."""
        found = await self.kube.get(RESPONSES, name, namespace)
        return None if found is None else HumanInputResponse.from_object(found)

    async def show(self, request: RequestDocument, ttl_seconds: int) -> None:
        """Create the HumanInput of a request that was asked through storage.

        Raises:
            ClusterConflict: when there is an object of its name.
        """
        content = human_input_of(request, ttl_seconds).to_object()
        await self.kube.create(HUMAN_INPUTS, content, manager=OPERATOR_MANAGER)

    async def write_status(
        self,
        resource: Resource,
        metadata: Metadata,
        status: HumanInputStatus | HumanInputResponseStatus,
    ) -> bool:
        """Apply a status to the very object it is for; False when that object is gone."""
        content: Object = {
            "apiVersion": API_VERSION,
            "kind": resource.kind,
            # With the uid, an object that took the name of a deleted one is never mistaken for it.
            "metadata": {"name": metadata.name, "namespace": metadata.namespace, "uid": metadata.uid},
            "status": status.model_dump(mode="json", by_alias=True, exclude_none=True),
        }
        try:
            await self.kube.apply(resource, content, manager=STATUS_MANAGER, subresource="status")
        except (ClusterNotFound, ClusterConflict):
            return False
        return True

    async def hand_out_link(self, human_input: HumanInput, token: str, form_url: str) -> None:
        """Put a link into a Secret that goes with the HumanInput."""
        metadata = human_input.metadata
        data = {"token": token} | ({"url": f"{form_url}?token={token}"} if form_url else {})
        content: Object = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": link_secret(metadata),
                "namespace": metadata.namespace,
                "ownerReferences": [
                    {
                        "apiVersion": API_VERSION,
                        "kind": HUMAN_INPUTS.kind,
                        "name": metadata.name,
                        "uid": metadata.uid,
                    }
                ],
            },
            "type": "Opaque",
            "stringData": data,
        }
        await self.kube.apply(SECRETS, content, manager=OPERATOR_MANAGER)

    async def emit_event(self, resource: Resource, metadata: Metadata, notice: Notice, now: datetime) -> None:
        """Have a Kubernetes Event posted soon. One that is refused stops nobody."""
        self._events.emit(resource, metadata, notice, now)


def human_input_of(request: RequestDocument, ttl_seconds: int) -> HumanInput:
    """Return the HumanInput that shows a request which was asked through storage."""
    origin = request.origin
    seconds = math.ceil((request.expires_at - request.created_at).total_seconds())
    annotations = {f"{GROUP}/event": request.event_name}
    annotations |= {f"{GROUP}/{name}": text for name in _SHOWN if (text := getattr(origin, name))}
    named: dict[str, Any] = request.respondents.model_dump()
    return HumanInput(
        metadata=Metadata(name=request.request_id, namespace=origin.namespace, annotations=annotations),
        spec=HumanInputSpec(
            prompt=request.prompt,
            data_type=request.data_type,
            timeout_seconds=max(1, seconds),
            on_timeout=_ON_TIMEOUT[request.on_timeout],
            default=request.default,
            choices=request.choices,
            json_schema=request.json_schema,
            respondents=ApiRespondents(**named) if request.respondents else None,
            ttl_seconds_after_finished=ttl_seconds,
            request=RequestRef(id=request.request_id),
        ),
    )


def link_secret(metadata: Metadata) -> str:
    """Return the name of the Secret that holds a HumanInput's link."""
    return f"{metadata.name}-link" if len(metadata.name) <= 248 else f"hitl-link-{metadata.uid}"
