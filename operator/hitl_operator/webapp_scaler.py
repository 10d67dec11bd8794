"""The web app on demand: there while a question is pending, scaled to zero when none was for long."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from hitl.cluster.client import DEPLOYMENTS, Kube, Object
from hitl.errors import ClusterConflict, ClusterUnavailable, HITLError
from hitl_operator.metrics import WEBAPP_TROUBLE
from hitl_operator.owner_references import owned_by
from hitl_operator.webapp_templates import manifests, read, resource_of

_MANAGER: Final = "hitl-operator"
# After so long without a look, another operator may have tended to them: what was known of them is known no more.
_GAP_SECONDS: Final = 30.0

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
        self._tended_at = now()
        self._scales: dict[str, Scale] = {}
        self._applied: dict[str, tuple[str, bool]] = {}
        self._hopeless: dict[str, str] = {}
        self._troubles: dict[str, str] = {}

    async def tend(self, pending: Mapping[str, int]) -> None:
        """Bring each root's web app to where it should be.

        Args:
            pending: How many questions wait, by the name of the root.
        """
        if self._templates is None:
            return
        if (self._now() - self._tended_at).total_seconds() > _GAP_SECONDS:
            self._scales.clear()
            self._applied.clear()
        for name, count in pending.items():
            await self._guarded(name, count, self._templates)
        self._tended_at = self._now()

    def look_again(self) -> None:
        """Apply everything again the next time, in case somebody changed it."""
        self._applied.clear()
        self._hopeless.clear()

    def stand_by(self) -> None:
        """Show no trouble any more: another operator tends to them now, and knows more."""
        for name in self._troubles:
            WEBAPP_TROUBLE.labels(root=name).set(0)
        self._troubles.clear()
        self._hopeless.clear()

    async def _guarded(self, name: str, pending: int, templates: Path) -> None:
        """Tend to one root. A wrong or refused template is one root's trouble, and so is a fault of ours."""
        template = None
        try:
            template = read(templates, name)
            if template is None or self._hopeless.get(name) == template:
                return
            await self._tend(name, template, pending)
        except Exception as error:  # noqa: BLE001 - see above
            self._say(name, error)
            if template is not None and not isinstance(error, ClusterUnavailable | ClusterConflict):
                # Until the template changes, or it is time to look again anyway.
                self._hopeless[name] = template
        else:
            self._say(name, None)

    async def _tend(self, name: str, template: str, pending: int) -> None:
        contents = manifests(template)
        last = self._scales.get(name) or await self._as_it_is(contents)
        scale = decide(pending, last, self._now(), self._idle_seconds)
        # Until all of it is applied, it may be as it was, or half of what it is to be.
        self._scales[name] = replace(scale, running=scale.running or last.running)
        applied = self._applied.get(name)
        # What is not wanted and was never brought up needs nothing at all.
        if applied == (template, scale.running) or not (scale.running or last.running or applied):
            return
        for content in contents:
            await self._apply(content, running=scale.running)
        self._scales[name] = scale
        self._applied[name] = (template, scale.running)
        _log.info("the web app of root %s %s", name, "is wanted" if scale.running else "is scaled to zero")

    def _say(self, name: str, error: Exception | None) -> None:
        trouble = "" if error is None else str(error) or type(error).__name__
        if trouble and self._troubles.get(name) != trouble:
            fault = None if isinstance(error, HITLError) else error
            _log.error("the web app of root %s: %s", name, trouble, exc_info=fault)
        self._troubles[name] = trouble
        WEBAPP_TROUBLE.labels(root=name).set(int(bool(trouble)))

    async def _as_it_is(self, contents: Sequence[Object]) -> Scale:
        for content in contents:
            if content["kind"] == DEPLOYMENTS.kind:
                found = await self._kube.get(DEPLOYMENTS, content["metadata"]["name"], self._namespace)
                if found is not None and found["spec"].get("replicas"):
                    return Scale(True, self._now())
        return Scale(False, self._now())

    async def _apply(self, manifest: Object, *, running: bool) -> None:
        resource = resource_of(manifest)
        metadata = {**manifest["metadata"], "namespace": self._namespace}
        if owners := await owned_by(self._kube, self._deployment, self._namespace):
            metadata["ownerReferences"] = owners
        content = {**manifest, "metadata": metadata}
        if resource == DEPLOYMENTS:
            wanted = manifest["spec"].get("replicas", 1) if running else 0
            content["spec"] = {**manifest["spec"], "replicas": wanted}
        await self._kube.apply(resource, content, manager=_MANAGER)
