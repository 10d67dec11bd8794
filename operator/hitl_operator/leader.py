"""A Lease that keeps a second operator idle. Outcomes stay exactly one each without it."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from hitl.cluster.client import LEASES, Kube, Object
from hitl.errors import ClusterConflict, ClusterError
from hitl_operator.metrics import LEADING
from hitl_operator.owner_references import owned_by

_LEASE_SECONDS: Final = 15
_RENEW_SECONDS: Final = 5.0

_log = logging.getLogger("hitl.operator.leader")


class Leader:
    """Holds the Lease, or waits for it.

    Args:
        kube: The API server.
        name: The Lease's name. Empty: no guard, this operator always leads.
        namespace: Where the Lease lies.
        deployment: The operator's own Deployment, which owns the Lease; empty: nobody does.
        identity: Who holds it, different for each process.
        now: The present moment.
    """

    def __init__(
        self,
        kube: Kube,
        name: str,
        namespace: str,
        deployment: str = "",
        identity: str | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._kube = kube
        self._name = name
        self._namespace = namespace
        self._deployment = deployment
        self._now = now
        self.identity = identity or f"{uuid.uuid4()}"
        self._leading = asyncio.Event()
        # What another's Lease said last, and when that was seen here: clocks of two machines are never compared.
        self._seen: tuple[Any, datetime] = (None, self._now())
        if not name:
            self._lead(True)

    @property
    def leading(self) -> bool:
        """Whether this operator may work."""
        return self._leading.is_set()

    async def wait(self) -> None:
        """Wait until this operator leads."""
        await self._leading.wait()

    async def run(self) -> None:
        """Get the Lease and keep it, until cancelled."""
        renewed = self._now()
        while self._name:
            try:
                held = await self._try()
            except ClusterError as error:
                # Others may take the Lease from then on.
                held = self.leading and self._now() - renewed < timedelta(seconds=_LEASE_SECONDS - _RENEW_SECONDS)
                _log.warning("Lease %s/%s: %s", self._namespace, self._name, error)
            else:
                renewed = self._now() if held else renewed
            self._lead(held)
            await asyncio.sleep(_RENEW_SECONDS)

    async def release(self) -> None:
        """Give the Lease up, so that the next operator need not wait."""
        if self._name and self.leading:
            self._leading.clear()
            lease = await self._kube.get(LEASES, self._name, self._namespace)
            if lease is not None and lease["spec"].get("holderIdentity") == self.identity:
                lease["spec"] |= {"holderIdentity": "", "leaseDurationSeconds": 1}
                await self._kube.replace(LEASES, lease)

    async def _try(self) -> bool:
        lease = await self._kube.get(LEASES, self._name, self._namespace)
        now = self._now()
        spec = {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": _LEASE_SECONDS,
            "renewTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        }
        try:
            if lease is None:
                metadata: Object = {"name": self._name, "namespace": self._namespace}
                if owners := await owned_by(self._kube, self._deployment, self._namespace):
                    metadata["ownerReferences"] = owners
                body = {"apiVersion": LEASES.api_version, "kind": LEASES.kind, "metadata": metadata, "spec": spec}
                await self._kube.create(LEASES, body)
                return True
            if not self._free(lease["spec"], now):
                return False
            lease["spec"] |= spec
            await self._kube.replace(LEASES, lease)
        except ClusterConflict:
            return False
        return True

    def _free(self, spec: dict[str, Any], now: datetime) -> bool:
        if spec.get("holderIdentity", "") in ("", self.identity):
            return True
        said = (spec.get("holderIdentity"), spec.get("renewTime"))
        if said != self._seen[0]:
            self._seen = (said, now)
        return now - self._seen[1] > timedelta(seconds=spec.get("leaseDurationSeconds", _LEASE_SECONDS))

    def _lead(self, held: bool) -> None:
        if held and not self.leading and self._name:
            _log.info("leading, as %s", self.identity)
        if self.leading and not held:
            _log.warning("not leading any more: Lease %s/%s was not renewed", self._namespace, self._name)
        if held:
            self._leading.set()
        else:
            self._leading.clear()
        LEADING.set(int(held))
