"""The web app on demand: there while a question is pending, scaled to zero when none was for long."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Final

import yaml

from hitl.cluster.client import DEPLOYMENTS, Kube, Object, Resource
from hitl.errors import ClusterError
from hitl_operator.owner_references import owned_by

_MANAGER: Final = "hitl-operator"
_PLURALS: Final = {
    "Deployment": "deployments",
    "Service": "services",
    "Ingress": "ingresses",
    "HTTPRoute": "httproutes",
    "PodDisruptionBudget": "poddisruptionbudgets",
    "ConfigMap": "configmaps",
}

_log = logging.getLogger("hitl.operator.webapp")


@dataclass(frozen=True)
class Scale:
    """Whether the web app of a root is wanted, and since when nothing is pending there."""

    running: bool
    idle_since: datetime | None


def decide(pending: int, scale: Scale, now: datetime, idle_seconds: float) -> Scale:
    """Return whether the web app is wanted now.

    Args:
        pending: How many questions wait in the root.
        scale: What was decided last, or what is there at a start.
        now: The present moment.
        idle_seconds: How long the web app goes on after the last pending question.
    """
    if pending:
        return Scale(True, None)
    since = scale.idle_since or now
    # A person who just answered can still read the page.
    return Scale(scale.running and (now - since).total_seconds() < idle_seconds, since)


class WebApps:
    """Brings the web apps of all roots up and down, by server-side apply of what the templates say.

    Args:
        kube: The API server.
        templates: The folder of templates, or None: somebody else runs the web apps.
        namespace: Where they run.
        deployment: The operator's own Deployment, which owns them; empty: nobody does.
        idle_seconds: How long a web app goes on after the last pending question.
        now: The present moment.
    """

    def __init__(
        self,
        kube: Kube,
        templates: Path | None,
        namespace: str,
        deployment: str,
        idle_seconds: float,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._kube = kube
        self._templates = templates
        self._namespace = namespace
        self._deployment = deployment
        self._idle_seconds = idle_seconds
        self._now = now
        self._scales: dict[str, Scale] = {}
        self._applied: dict[str, tuple[str, bool]] = {}

    async def tend(self, pending: Mapping[str, int]) -> None:
        """Bring each root's web app to where it should be.

        Args:
            pending: How many questions wait, by the name of the root.

        Raises:
            ClusterError: calling again is safe.
        """
        if self._templates is None:
            return
        for name, count in pending.items():
            template = self._template(name)
            if template is None:
                continue
            last = self._scales.get(name) or await self._as_it_is(template)
            scale = decide(count, last, self._now(), self._idle_seconds)
            self._scales[name] = scale
            applied = self._applied.get(name)
            # What is not wanted and was never brought up needs nothing at all.
            if applied == (template, scale.running) or not (scale.running or last.running or applied):
                continue
            for content in yaml.safe_load_all(template):
                if content:
                    await self._apply(content, running=scale.running)
            self._applied[name] = (template, scale.running)
            _log.info("the web app of root %s %s", name, "is wanted" if scale.running else "is scaled to zero")

    def look_again(self) -> None:
        """Apply everything again the next time, in case somebody changed it."""
        self._applied.clear()

    async def _as_it_is(self, template: str) -> Scale:
        for content in yaml.safe_load_all(template):
            if content and content["kind"] == DEPLOYMENTS.kind:
                found = await self._kube.get(DEPLOYMENTS, content["metadata"]["name"], self._namespace)
                if found is not None and found["spec"].get("replicas"):
                    return Scale(True, self._now())
        return Scale(False, self._now())

    async def _apply(self, content: Object, *, running: bool) -> None:
        resource = _resource(content["apiVersion"], content["kind"])
        metadata = content["metadata"] = {**content["metadata"], "namespace": self._namespace}
        if owners := await owned_by(self._kube, self._deployment, self._namespace):
            metadata["ownerReferences"] = owners
        if resource == DEPLOYMENTS:
            wanted = content["spec"].get("replicas", 1) if running else 0
            content["spec"] = {**content["spec"], "replicas": wanted}
        await self._kube.apply(resource, content, manager=_MANAGER)

    def _template(self, root: str) -> str | None:
        path = (self._templates or Path()) / f"{root}.yaml"
        # Read each time: a ConfigMap's file changes under a running pod.
        return path.read_text() if path.exists() else None


@cache
def _resource(api_version: str, kind: str) -> Resource:
    if kind not in _PLURALS:
        raise ClusterError(f"a web app's template may hold {', '.join(_PLURALS)}; this one holds a {kind}")
    group, _, version = api_version.rpartition("/")
    return Resource(group, version, _PLURALS[kind], kind)
