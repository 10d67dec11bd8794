"""A Lease: who holds it may work on what it is for. Outcomes stay exactly one each without it.

It is our own: the Kubernetes client's leader election ends with the first Lease that it loses, goes by the wall
clock, and gives no Lease up to another operator.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from hitl.cluster.client import LEASES, Kube, Object
from hitl.errors import ClusterConflict, ClusterError
from hitl_operator.owner_references import owned_by

LEASE_SECONDS: Final = 15
RENEW_SECONDS: Final = 5.0
_WANTED: Final = "hitl.flyte.org/wanted-by"

_log = logging.getLogger("hitl.operator.leader")


class Lease:
    """One Lease, as this operator sees it.

    Args:
        kube: The API server.
        name: The Lease's name.
        namespace: Where it lies.
        deployment: The operator's own Deployment, which owns it; empty: nobody does.
        identity: Who holds it, different for each process.
        ticks: Seconds that only ever grow.

    Attributes:
        name: Its name.
        held: Whether this operator holds it.
        holder: Who held it when it was looked at last; empty: nobody.
        asked_by: Which operator asks its holder for it, as it has fewer; empty: none.
        free_since: Since when it is free to take; None: it is not.
    """

    def __init__(
        self,
        kube: Kube,
        name: str,
        namespace: str,
        deployment: str,
        identity: str,
        ticks: Callable[[], float],
    ) -> None:
        self.name = name
        self.held = False
        self.holder = self.asked_by = ""
        self.free_since: float | None = None
        self._kube = kube
        self._namespace = namespace
        self._deployment = deployment
        self._identity = identity
        self._ticks = ticks
        self._renewed = 0.0
        self._reached = False
        self._found: Object | None = None
        # What another's Lease said last, and when that was seen here: clocks of two machines are never compared.
        self._said: tuple[Any, float] = (None, ticks())

    @property
    def wanted(self) -> bool:
        """Whether another operator asks for it."""
        return self.asked_by not in ("", self._identity)

    async def look(self) -> None:
        """See who holds it. Without an API server it is held until others may take it."""
        try:
            self._found = await self._kube.get(LEASES, self.name, self._namespace)
        except ClusterError as error:
            self._unreachable(error)
            return
        self._reached = True
        lease = self._found or {"metadata": {}}
        spec = lease.get("spec") or {}
        self.holder = spec.get("holderIdentity") or ""
        self.held = self.held and self.holder == self._identity
        self.asked_by = (lease["metadata"].get("annotations") or {}).get(_WANTED, "")
        if not self._free(spec):
            self.free_since = None
        elif self.free_since is None:
            self.free_since = self._ticks()

    async def take(self) -> None:
        """Take or renew it, as `look` found it."""
        if not self._reached:
            return
        spec = {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": LEASE_SECONDS,
            "renewTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        }
        began = self._ticks()
        try:
            if self._found is None:
                metadata: Object = {"name": self.name, "namespace": self._namespace}
                if owners := await owned_by(self._kube, self._deployment, self._namespace):
                    metadata["ownerReferences"] = owners
                body = {"apiVersion": LEASES.api_version, "kind": LEASES.kind, "metadata": metadata, "spec": spec}
                await self._kube.create(LEASES, body)
            else:
                if not self.held:
                    self._annotate("")
                self._found["spec"] = {**(self._found.get("spec") or {}), **spec}
                await self._kube.replace(LEASES, self._found)
        except ClusterConflict:
            self.held = False
        except ClusterError as error:
            self._unreachable(error)
        else:
            self.held, self.holder, self.free_since, self._renewed = True, self._identity, None, began

    async def want(self) -> None:
        """Ask its holder, who has more than this operator, to give it up."""
        if self._found is not None and self.asked_by != self._identity:
            self._annotate(self._identity)
            try:
                await self._kube.replace(LEASES, self._found)
            except ClusterConflict:
                return
            except ClusterError as error:
                self._unreachable(error)

    async def give_up(self) -> None:
        """Let others take it at once.

        Raises:
            ClusterError: when that cannot be told; they wait for `LEASE_SECONDS` then.
        """
        self.held = False
        lease = await self._kube.get(LEASES, self.name, self._namespace)
        if lease is not None and (spec := lease.get("spec") or {}).get("holderIdentity") == self._identity:
            lease["spec"] = {**spec, "holderIdentity": "", "leaseDurationSeconds": 1}
            await self._kube.replace(LEASES, lease)
        self.holder = ""

    def _annotate(self, identity: str) -> None:
        assert self._found is not None
        annotations = self._found["metadata"].get("annotations") or {}
        self._found["metadata"]["annotations"] = {**annotations, _WANTED: identity}

    def _free(self, spec: dict[str, Any]) -> bool:
        if (spec.get("holderIdentity") or "") in ("", self._identity):
            return True
        said = (spec.get("holderIdentity"), spec.get("renewTime"))
        if said != self._said[0]:
            self._said = (said, self._ticks())
        return self._ticks() - self._said[1] > float(spec.get("leaseDurationSeconds") or LEASE_SECONDS)

    def _unreachable(self, error: ClusterError) -> None:
        self._reached, self._found = False, None
        # Others may take it from then on.
        if self.held and self._ticks() - self._renewed >= LEASE_SECONDS - RENEW_SECONDS:
            self.held = False
        self.free_since = None
        _log.warning("Lease %s/%s: %s", self._namespace, self.name, error)
