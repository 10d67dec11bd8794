"""Watching each kind: a list and then a watch for each namespace, each on its own. None ever gives up."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import Final

from hitl.cluster.client import (
    HUMAN_INPUTS,
    NOTIFICATION_TARGETS,
    RESPONSES,
    TASK_ACTIONS,
    Kube,
    Object,
    Resource,
)
from hitl.cluster.replies import KindNotServed
from hitl.errors import ClusterError, ClusterNotFound, ClusterUnavailable

# The API server ends a watch after so many seconds, a little different for each: they do not come back together.
_WATCH_SECONDS: Final = (500, 600)
# It sends a bookmark every minute, so that after this it is gone without a word.
_SILENCE_SECONDS: Final = 75.0
_FIRST_PAUSE_SECONDS: Final = 0.5
_LAST_PAUSE_SECONDS: Final = 20.0
# What cannot be resumed so many times is listed again.
_RELIST_AFTER: Final = 3
# A watch that breaks off is resumed: only when that fails for so long it counts as not seeing.
_PATIENCE_SECONDS: Final = 10.0
# So many watches have a connection each.
_FEW_WATCHES: Final = 16
# One that told nothing and ended sooner is begun again as slowly as one that failed.
_BRIEF_SECONDS: Final = 5.0
_STUCK_SECONDS: Final = 180.0
# What cannot be listed for so long after the start keeps nobody from what is done for the others.
_FIRST_LIST_SECONDS: Final = 60.0
# Nothing can be done while none of these is seen.
_NEEDED: Final = (HUMAN_INPUTS, RESPONSES)
_OURS: Final = (*_NEEDED, NOTIFICATION_TARGETS)

Change = Callable[[str, str, Object], None]
"""Called with kind, type (``DELETED`` or another) and object."""
Listed = Callable[[str, str | None, set[tuple[str, str]]], None]
"""Called with kind, namespace (None: all) and the namespace and name of all there are."""

_log = logging.getLogger("hitl.operator.watcher")


@dataclass
class Sight:
    """What one watch knows of itself. Times are the clock's, which only ever grows.

    Args:
        kind: What it watches.
        namespace: Where; empty: everywhere.
        clock: The clock.
        needed: Whether nothing can be done while none of its kind is seen.
        seen_again: Called with the namespace when it is seen after trouble.

    Attributes:
        complete: Whether all there was has been told of once.
    """

    kind: str
    namespace: str
    clock: Callable[[], float] = time.monotonic
    needed: bool = True
    seen_again: Callable[[str], None] = lambda _: None
    sign: float | None = field(default=None, init=False)
    complete: bool = field(default=False, init=False)
    begun: float = field(init=False)
    beat: float = field(init=False)
    trouble: str = field(default="", init=False)
    since: float = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.begun = self.beat = self.clock()

    def signed(self) -> None:
        """Note a sign of the API server: a page, an event, a bookmark."""
        self.sign = self.beat = self.clock()
        trouble, self.trouble = self.trouble, ""
        if trouble:
            self.seen_again(self.namespace)

    def failed(self, why: str) -> None:
        """Note an attempt that failed."""
        self.beat = self.clock()
        if not self.trouble:
            self.since = self.beat
        self.trouble = why

    @property
    def age(self) -> float:
        """Seconds since the last sign, or since the start."""
        return self.clock() - (self.beat if self.sign is None else self.sign)

    @property
    def out(self) -> bool:
        """Whether it is in trouble now, and had time enough since the start."""
        return bool(self.trouble) and self.clock() - self.begun > _FIRST_LIST_SECONDS

    @property
    def stuck(self) -> bool:
        """Whether neither a sign nor a failure was noted for so long that only a new process helps."""
        return self.clock() - self.beat > _STUCK_SECONDS

    @property
    def unseen(self) -> str:
        """Why nobody sees what happens there; empty: it is seen."""
        if self.trouble and (self.sign is None or self.clock() - self.since > _PATIENCE_SECONDS):
            return self.trouble
        if self.sign is None:
            return "not listed yet"
        return f"no sign for {self.age:.0f} s" if self.stuck else ""

    def __str__(self) -> str:
        return f"{self.kind} in {self.namespace}" if self.namespace else self.kind


class Watching:
    """Watches each kind of ours, and Flyte's TaskActions if asked to.

    Args:
        kube: The API server.
        namespaces: What to watch; none: all of them.
        changed: Told of each object that there is, and of each change.
        listed: Told what there is, each time that all was listed.
        task_actions: Whether to watch Flyte's TaskActions too.

    Attributes:
        sights: What each watch knows of itself.
        seen: Set once one of them has listed all there is.
    """

    def __init__(
        self,
        kube: Kube,
        namespaces: Sequence[str],
        changed: Change,
        listed: Listed,
        *,
        task_actions: bool = False,
    ) -> None:
        places: list[str | None] = [*namespaces] or [None]
        kinds = (*_OURS, TASK_ACTIONS) if task_actions else _OURS
        self._watches = [_Watch(kube, each, place, changed, listed) for place in places for each in kinds]
        if len(self._watches) > _FEW_WATCHES:
            kube.share_connections()
        self.sights = [each.sight for each in self._watches]
        self.seen = asyncio.Event()
        self._told: set[str] = set()

    @property
    def complete(self) -> bool:
        """Whether each HumanInput was told of, but for those of namespaces that cannot be seen."""
        sights = [each for each in self.sights if each.kind == HUMAN_INPUTS.kind]
        return any(each.complete for each in sights) and all(each.complete or each.out for each in sights)

    async def run(self) -> None:
        """Watch, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for each in self._watches:
                tasks.create_task(each.run(self._tell))

    def look_again(self) -> None:
        """List everything again, as somebody is to be told of all there is."""
        for each in self._watches:
            each.look_again()

    def _tell(self) -> None:
        """Log each trouble once, however many watches have it."""
        if any(each.sign is not None for each in self.sights if each.needed):
            self.seen.set()
        troubles = {
            f"{each}: {each.trouble}" if each.namespace else each.trouble for each in self.sights if each.trouble
        }
        for trouble in sorted(troubles - self._told):
            _log.error("waiting: %s", trouble)
        if self._told and not troubles:
            _log.warning("everything is watched again")
        self._told = troubles


class _Watch:
    """One kind in one namespace, or everywhere."""

    def __init__(
        self, kube: Kube, resource: Resource, namespace: str | None, changed: Change, listed: Listed
    ) -> None:
        self._kube = kube
        self._resource = resource
        self._namespace = namespace
        self._changed = changed
        self._listed = listed
        self.sight = Sight(resource.kind, namespace or "", needed=resource in _NEEDED)
        self._version = ""
        # Whether the watch told anything; that it could be opened is not enough.
        self._told = False
        # How often `look_again` was called since the last list began that was finished.
        self._again = 0
        self._cut: asyncio.Timeout | None = None

    async def run(self, tell: Callable[[], None]) -> None:
        failures = 0
        while True:
            began, self._told = self.sight.clock(), False
            try:
                while self._again or not self._version:
                    # What fails on the way is to be listed still.
                    again = self._again
                    version = await self._list()
                    # Followed from where it was cut: of what was deleted since, only the watch reports that.
                    self._version = self._version or version
                    self._again -= again
                    tell()
                failures = failures + 1 if await self._follow() else 0
            except (ClusterNotFound, KindNotServed):
                self._version = ""
                missing = f"the API server does not serve {self._resource.api_version}"
                remedy = "install the custom resource definitions"
                if self._resource is TASK_ACTIONS:
                    # Others of its group may be served.
                    missing += f" {self._resource.kind}"
                    remedy = "install Flyte 2, or set HITL_FLYTE_TASK_ACTIONS=false"
                self.sight.failed(f"{missing}: {remedy}")
            except ClusterError as error:
                self.sight.failed(str(error))
            except Exception as error:  # noqa: BLE001 - after any error, this watch starts again and no other ends
                self._version = ""
                self.sight.failed(repr(error))
                _log.exception("the watch of %s failed", self.sight)
            if self.sight.trouble:
                failures = 1 if self._told else failures + 1
                tell()
            if failures:
                if failures % _RELIST_AFTER == 0:
                    self._version = ""
            elif self.sight.clock() - began > _FIRST_PAUSE_SECONDS:
                continue
            await asyncio.sleep(_pause(failures))

    def look_again(self) -> None:
        # A list that is under way began too early.
        self._again += 1
        # One that is being cut cannot be cut again.
        if self._cut is not None and not self._cut.expired():
            self._cut.reschedule(0)

    async def _list(self) -> str:
        found: set[tuple[str, str]] = set()
        version = ""
        async for page, told in self._kube.pages(self._resource, self._namespace):
            self.sight.signed()
            version = told
            for each in page:
                self._hand_on("ADDED", each)
                found.add((each["metadata"]["namespace"], each["metadata"]["name"]))
        self._listed(self._resource.kind, self._namespace, found)
        self.sight.complete = True
        return version

    async def _follow(self) -> bool:
        """Follow the watch until it ends; without a version afterwards when all is to be listed again.

        Returns:
            Whether it ended too soon to be of any use, so that it is not to be begun again at once.
        """
        began = self.sight.clock()
        events = self._kube.watch(
            self._resource,
            self._namespace,
            self._version,
            seconds=random.randint(*_WATCH_SECONDS),  # noqa: S311 - nothing secret
            silence=_SILENCE_SECONDS,
            opened=self.sight.signed,
        )
        try:
            # `look_again` cuts it off.
            with suppress(TimeoutError):
                async with asyncio.timeout(None) as self._cut, aclosing(events):
                    async for event in events:
                        self._take(event["type"], event["object"])
                        if not self._version:
                            break
        finally:
            self._cut = None
        return not (self._told or self._again) and self.sight.clock() - began < _BRIEF_SECONDS

    def _take(self, change: str, content: Object) -> None:
        if change == "ERROR":
            if content.get("code") == 410:
                self._version = ""
                return
            raise ClusterUnavailable(str(content.get("message") or "the API server ended the watch"))
        self.sight.signed()
        self._told = True
        if change != "BOOKMARK":
            self._hand_on(change, content)
        self._version = content["metadata"]["resourceVersion"]

    def _hand_on(self, change: str, content: Object) -> None:
        try:
            self._changed(self._resource.kind, change, content)
        except Exception:  # noqa: BLE001 - a fault of ours with one object must not hide all others
            metadata = content.get("metadata") or {}
            _log.exception("%s %s/%s", self.sight.kind, metadata.get("namespace"), metadata.get("name"))


def _pause(failures: int) -> float:
    """Return for how many seconds to wait: longer after each failure, and by chance, so that they spread."""
    longest = min(_LAST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2.0 ** min(max(failures - 1, 0), 10))
    return longest * (0.5 + random.random() / 2)  # noqa: S311 - nothing secret
