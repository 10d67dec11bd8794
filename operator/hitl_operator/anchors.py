"""Anchors of the audit: the newest hash of each root's audit, kept in the cluster.

The operator notes in its own lines which line of each other writer is the newest. So the hash of its last line
covers all of them. That hash goes into a ConfigMap and a metric. Who can write the root, but not the cluster,
cannot write the audit again without a trace.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import islice
from typing import Final

from pydantic import ValidationError

from hitl.cluster.client import CONFIG_MAPS, Kube, Object
from hitl.cluster.v1alpha1 import OPERATOR_MANAGER
from hitl.core.audit import Anchor, Head, Heads
from hitl.core.keys import SegmentName
from hitl.errors import DocumentDamaged, HITLError
from hitl.records.segments import audit_days, head_of, newest_of_day
from hitl.storage import all_of
from hitl_operator import metrics
from hitl_operator.roots import Root

_FLUSH_SECONDS: Final = 30.0
_HEADS_A_LINE: Final = 500
_DAY: Final = timedelta(days=1)
# A gauge holds whole numbers of 52 bits exactly.
_SHOWN_DIGITS: Final = 13

_log = logging.getLogger("hitl.operator.anchors")


class Anchors:
    """Anchors the audit of every root.

    Args:
        kube: The API server.
        name: The ConfigMap. Empty: none, the metric alone.
        namespace: Where it lies.
        seconds: Seconds between two looks at a root.
        leads: Tells whether this operator does the work on what has a name.
        now: The present moment, with a time zone.
    """

    def __init__(
        self,
        kube: Kube,
        name: str,
        namespace: str,
        seconds: float,
        leads: Callable[[str], bool],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._kube = kube
        self._name = name
        self._namespace = namespace
        self._seconds = seconds
        self._leads = leads
        self._now = now

    async def run(self, root: Root) -> None:
        """Look after one root until cancelled."""
        seen: Seen | None = None
        failing = False
        while True:
            await asyncio.sleep(self._seconds)
            if not self._leads(root.name):
                # Another operator does it now, and knows more.
                seen = None
                continue
            try:
                seen = seen or await self._begin(root)
                await self.look(root, seen)
            except HITLError as error:
                if not failing:
                    _log.warning("the audit of root %s is not anchored, tried again: %s", root.name, error)
                failing = True
            else:
                failing = False

    async def look(self, root: Root, seen: Seen) -> None:
        """Anchor what is new in the audit of one root.

        Raises:
            StorageError, ClusterError: it is to be tried again later.
        """
        await _still_there(root, seen)
        now = self._now()
        newest = await _newest(root, seen, now.date())
        heads = [head for head in await all_of(partial(_head, root, name) for name in newest) if head is not None]
        rest = iter([*seen.before, *heads])
        while some := tuple(islice(rest, _HEADS_A_LINE)):
            root.audit.add(Heads(at=now, heads=some))
        seen.take(newest, now.date())
        if not await root.audit.flush(_FLUSH_SECONDS):
            return
        head = root.audit.head
        if head is None or head == seen.anchored:
            return
        await self._write(root, Anchor(at=now, **head.model_dump()))
        seen.anchored = head

    async def _begin(self, root: Root) -> Seen:
        """Return what the operator before this one has seen."""
        kept = await self._kube.get(CONFIG_MAPS, self._name, self._namespace) if self._name else None
        text = ((kept or {}).get("data") or {}).get(root.name)
        if text is None:
            return Seen()
        try:
            anchor = Anchor.model_validate_json(text)
        except ValidationError:
            _log.error("ConfigMap %s holds no anchor for root %s: another one begins", self._name, root.name)
            return Seen()
        before = Head.model_validate(anchor.model_dump())
        return Seen(before, anchor.at.astimezone(UTC).date() - _DAY)

    async def _write(self, root: Root, anchor: Anchor) -> None:
        if self._name:
            content: Object = {
                "apiVersion": CONFIG_MAPS.api_version,
                "kind": CONFIG_MAPS.kind,
                "metadata": {"name": self._name, "namespace": self._namespace},
                "data": {root.name: anchor.model_dump_json()},
            }
            # Each root has a manager of its own, so that none removes the other's.
            await self._kube.apply(CONFIG_MAPS, content, manager=f"{OPERATOR_MANAGER}-audit-{root.name}")
        metrics.AUDIT_ANCHOR.labels(root=root.name).set(int(anchor.hash[:_SHOWN_DIGITS], 16))
        metrics.AUDIT_ANCHORED.labels(root=root.name).set(anchor.at.timestamp())


class Seen:
    """What was seen of the audit of one root.

    Args:
        before: The last line of the operator before this one; None: there was none.
        since: The day from which there may be more.

    Attributes:
        before: That line, until it is noted.
        since: The same day, until everything was looked at; None: from the first day on.
        segments: The newest segment of each writer of today and yesterday.
        anchored: What the anchor says.
        missing: Whether a line that was anchored was found to be missing.
    """

    def __init__(self, before: Head | None = None, since: date | None = None) -> None:
        self.before: tuple[Head, ...] = () if before is None else (before,)
        self.since = since
        self.segments: dict[str, SegmentName] = {}
        self.anchored: Head | None = None
        self.missing = False

    def take(self, newest: list[SegmentName], today: date) -> None:
        """Take note that segments were noted."""
        self.before = ()
        self.since = today - _DAY
        self.segments |= {name.writer: name for name in newest}
        # Who writes again on a later day is looked at again.
        self.segments = {writer: name for writer, name in self.segments.items() if name.day >= self.since}


async def _still_there(root: Root, seen: Seen) -> None:
    """Say so if the line that was anchored last is gone. `hitl audit verify` names it, and what else is."""
    anchored = seen.anchored or next(iter(seen.before), None)
    if anchored is None:
        return
    missing = await _head(root, anchored.name) != anchored
    if missing and not seen.missing:
        _log.error("root %s: %s is not as it was written: verify the audit", root.name, anchored.name.key)
    seen.missing = seen.missing or missing
    metrics.AUDIT_ANCHOR_MISSING.labels(root=root.name).set(int(seen.missing))


async def _newest(root: Root, seen: Seen, today: date) -> list[SegmentName]:
    """Return the newest segments of writers other than this process."""
    store = root.store
    days = await audit_days(store) if not seen.segments else [today - _DAY, today]
    newest = dict(seen.segments)
    for day in days:
        if seen.since is None or day >= seen.since:
            newest |= await newest_of_day(store, day, newest)
    own = root.audit.head
    return [
        name
        for writer, name in newest.items()
        if name != seen.segments.get(writer) and (own is None or writer != own.writer)
    ]


async def _head(root: Root, name: SegmentName) -> Head | None:
    try:
        return await head_of(root.store, name)
    except DocumentDamaged as error:
        _log.error("root %s: a segment of the audit cannot be read: %s", root.name, error)
        return None
