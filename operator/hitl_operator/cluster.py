"""What the operator writes to the API server: HumanInputs, statuses, links, Kubernetes Events."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Final

from pydantic.alias_generators import to_camel

from hitl.cluster.client import HUMAN_INPUTS, POLICIES, RESPONSES, SECRETS, Kube, Object, Resource
from hitl.cluster.conditions import HumanInputCondition
from hitl.cluster.human_input_response import HumanInputResponse, HumanInputResponseStatus
from hitl.cluster.mapping import human_input_of
from hitl.cluster.notification_target import NotificationTargetStatus
from hitl.cluster.policies import HumanInputPolicy
from hitl.cluster.resources import cut_name
from hitl.cluster.shapes import Metadata
from hitl.cluster.v1alpha1 import API_VERSION, OPERATOR_MANAGER, STATUS_MANAGER, HumanInput, HumanInputStatus
from hitl.core.documents import RequestDocument
from hitl.errors import ClockApart, ClusterConflict, ClusterError, ClusterNotFound
from hitl_operator.decide import Notice, is_final
from hitl_operator.events import Events
from hitl_operator.roots import CLOCK_LIMIT_SECONDS

# What no status has that is pending.
_OF_OUTCOMES: Final = (
    *("value", "answered_by", "on_behalf_of", "answered_via", "verified", "commit", "answered_at", "comment"),
    *("edited", "edits_left_out"),
)
_OUR_TYPES: Final = frozenset(str(each) for each in HumanInputCondition)


class Cluster:
    """The operator's way in for everything that it changes in the cluster.

    Args:
        kube: The API server.
        events: Posts Kubernetes Events.
    """

    def __init__(self, kube: Kube, events: Events) -> None:
        self.kube = kube
        self._events = events

    def require_clock(self, now: datetime) -> None:
        """Refuse to end or to delete anything by a clock that is not the API server's.

        Raises:
            ClockApart: when they are more than 10 s apart.
        """
        difference = self.kube.clock_difference(now) or 0.0
        if abs(difference) > CLOCK_LIMIT_SECONDS:
            raise ClockApart("the API server", difference)

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

    async def policy(self, namespace: str, name: str) -> HumanInputPolicy | None:
        """Return a HumanInputPolicy.

        Raises:
            InvalidRequest: when this release cannot read it.
        """
        found = await self.kube.get(POLICIES, name, namespace)
        return None if found is None else HumanInputPolicy.from_object(found)

    async def show(self, request: RequestDocument, ttl_seconds: int) -> None:
        """Create the HumanInput of a request that was asked through storage.

        Raises:
            ClusterConflict: when there is an object of its name.
        """
        content = human_input_of(request, ttl_seconds).to_object()
        await self.kube.post(HUMAN_INPUTS, content, manager=OPERATOR_MANAGER)

    async def write_status(
        self,
        resource: Resource,
        metadata: Metadata,
        status: HumanInputStatus | HumanInputResponseStatus | NotificationTargetStatus,
        *,
        former: HumanInputStatus | None = None,
    ) -> bool:
        """Apply a status to the very object it is for; False when it is gone, or was changed meanwhile.

        Args:
            resource: The kind of object.
            metadata: The object.
            status: What it is to say.
            former: What a HumanInput says until now. If it is pending and shows parts of an outcome, or has
                conditions of our types that it is not to have, somebody else wrote these. Nobody removes what is
                another's by applying, so they are removed first, which changes the object.

        Raises:
            ClusterError: it is refused, also as a conflict or as not found if the object is there and unchanged.
        """
        content: Object = {
            "apiVersion": API_VERSION,
            "kind": resource.kind,
            # With the uid, an object that took the name of a deleted one is never mistaken for it. With the
            # version, a status is refused that was decided by an older version of the object.
            "metadata": {
                "name": metadata.name,
                "namespace": metadata.namespace,
                "uid": metadata.uid,
                "resourceVersion": metadata.resource_version,
            },
            "status": status.model_dump(mode="json", by_alias=True, exclude_none=True),
        }
        try:
            if strange := _strange(metadata, former, status):
                patch = {**content, "status": strange}
                await self.kube.merge(resource, patch, manager=STATUS_MANAGER, subresource="status")
                return False
            await self.kube.apply(resource, content, manager=STATUS_MANAGER, subresource="status")
        except (ClusterNotFound, ClusterConflict) as error:
            found = await self.kube.get(resource, metadata.name, metadata.namespace)
            if found is not None and _same_version(found["metadata"], metadata):
                # As by a webhook, or by a definition without this subresource: the next look would end the same.
                raise ClusterError(f"the status of an unchanged object is refused: {error}") from error
            return False
        return True

    async def hand_out_link(self, human_input: HumanInput, token: str, form_url: str) -> str:
        """Create a Secret with a link that goes with the HumanInput; return its name.

        Raises:
            ClusterConflict: when there is one of its name already, which is left as it is.
        """
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
        await self.kube.post(SECRETS, content, manager=OPERATOR_MANAGER)
        return link_secret(metadata)

    async def emit_event(self, resource: Resource, metadata: Metadata, notice: Notice, now: datetime) -> None:
        """Have a Kubernetes Event posted soon. One that is refused stops nobody."""
        self._events.emit(resource, metadata, notice, now)


def _strange(metadata: Metadata, former: HumanInputStatus | None, status: Any) -> Object:
    """Return a patch that removes what others wrote, and the next status does not say."""
    if former is None:
        return {}
    strange: Object = {}
    if not is_final(former):
        # Asked for each status, and there are hardly ever any.
        shown = [name for name in _OF_OUTCOMES if getattr(former, name) is not None]
        strange = {to_camel(name): None for name in shown if getattr(status, name) is None}
    wanted = {each.type for each in status.conditions}
    gone = _conditions_of_others(metadata) & _OUR_TYPES - wanted
    kept = [each for each in former.conditions if each.type not in gone]
    if len(kept) < len(former.conditions):
        # As they were read, so that nobody but their writers owns the others.
        strange["conditions"] = [each.model_dump(mode="json", by_alias=True, exclude_unset=True) for each in kept]
    return strange


def _conditions_of_others(metadata: Metadata) -> set[str]:
    """Return the types of conditions that somebody else wrote, alone or as well as the operator."""
    found: set[str] = set()
    for entry in metadata.managed_fields:
        if (entry.get("manager"), entry.get("operation")) == (STATUS_MANAGER, "Apply"):
            continue
        conditions = ((entry.get("fieldsV1") or {}).get("f:status") or {}).get("f:conditions") or {}
        # Each is a key such as `k:{"type":"Settled"}`; the list itself is `.`.
        found |= {json.loads(key[2:])["type"] for key in conditions if key.startswith("k:")}
    return found


def _same_version(found: Object, metadata: Metadata) -> bool:
    return (found["uid"], found["resourceVersion"]) == (metadata.uid, metadata.resource_version)


def link_secret(metadata: Metadata) -> str:
    """Return the name of the Secret that holds a HumanInput's link: with its uid, so that it is nobody else's."""
    return f"{cut_name(metadata.name, 238)}-link-{metadata.uid[:8]}"
