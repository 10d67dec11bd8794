"""What the operator has seen of the cluster: a few words for each HumanInput, as 100,000 may be pending."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Final, NamedTuple, TypeAlias

from cachetools import LRUCache

from hitl.cluster.task_actions import Asker
from hitl.cluster.v1alpha1 import HumanInput
from hitl_operator.decide import is_final, outcome_is_missing

Key: TypeAlias = tuple[str, str]
"""Namespace and name."""

# Of so many that were deleted last, a look that began before must not bring one back. And so many deletions in
# namespaces of others are remembered.
_DELETED: Final = 10_000


class Seen(NamedTuple):
    """A HumanInput, as it was seen last.

    Args:
        namespace: Where it is.
        name: Its name there.
        uid: Its uid.
        request_id: The request that it shows, or says that it shows.
        asks: Whether it asks itself: then the request is its own, and nobody else's.
        confirmed: Whether the operator found in storage that the request belongs to its namespace.
        pending: Whether it is not settled.
        missing: Whether storage was found not to hold its outcome.
        generation: Which version of its spec that was.
        created_at: When it was created.
        asker: Flyte's TaskAction that asks, as the annotations of one that is pending say.
    """

    namespace: str
    name: str
    uid: str
    request_id: str
    asks: bool
    confirmed: bool
    pending: bool
    missing: bool
    generation: int
    created_at: datetime | None
    asker: Asker | None = None

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return self.namespace, self.name

    @property
    def filed_as(self) -> tuple[str, str, Asker | None]:
        """By what else the index finds it, and which object it is."""
        return self.uid, self.request_id, self.asker


class Deleted(NamedTuple):
    """A HumanInput that was deleted.

    Args:
        key: Its namespace and name.
        uid: Its uid.
        request_id: The request that it showed.
        pending: Whether it was not settled.
    """

    key: Key
    uid: str
    request_id: str
    pending: bool

    @classmethod
    def of(cls, human_input: HumanInput) -> Deleted:
        """Return what is remembered of one, as the watch told of its deletion."""
        metadata = human_input.metadata
        key = (metadata.namespace, metadata.name)
        return cls(key, metadata.uid, human_input.request_id, not is_final(human_input.status))


class Index:
    """The HumanInputs that exist, by name and by request.

    Args:
        askers: Whether to remember which TaskAction asks each of them.
    """

    def __init__(self, *, askers: bool = False) -> None:
        self._askers = askers
        self._seen: dict[Key, Seen] = {}
        self._by_request: dict[str, tuple[Key, ...]] = {}
        self._by_action: dict[str, tuple[Key, ...]] = {}
        self._pending: Counter[str] = Counter()
        self._missing: Counter[str] = Counter()
        self._deleted: LRUCache[str, None] = LRUCache(_DELETED)
        self._left: LRUCache[Key, tuple[float, Deleted]] = LRUCache(_DELETED)

    def __iter__(self) -> Iterator[Seen]:
        return iter(list(self._seen.values()))

    def get(self, key: Key) -> Seen | None:
        """Return what was seen of a HumanInput."""
        return self._seen.get(key)

    def put(self, human_input: HumanInput) -> Seen | None:
        """Remember a HumanInput, unless it was deleted since; return the one whose name it took, if any."""
        seen = seen_of(human_input, asker=self._askers)
        if seen.uid in self._deleted or seen == (last := self._seen.get(seen.key)):
            return None
        if last is not None and last.filed_as == seen.filed_as:
            # Most changes leave it where it is found.
            self._seen[seen.key] = seen
            self._count(last, -1)
            self._count(seen, 1)
            return None
        before = self._forget(seen.key)
        self._seen[seen.key] = seen
        self._count(seen, 1)
        self._by_request[seen.request_id] = (*self._by_request.get(seen.request_id, ()), seen.key)
        if seen.asker is not None:
            self._by_action[seen.asker.name] = (*self._by_action.get(seen.asker.name, ()), seen.key)
        if before is None or before.uid == seen.uid:
            return None
        self._deleted[before.uid] = None
        return before

    def drop(self, key: Key, uid: str) -> Seen | None:
        """Forget a HumanInput that is gone; return what was seen of it."""
        self._deleted[uid] = None
        seen = self._seen.get(key)
        return self._forget(key) if seen is not None and seen.uid == uid else None

    def leave(self, deleted: Deleted, until: float) -> None:
        """Leave a request to another operator, as its HumanInput was deleted in a namespace of that one.

        Args:
            deleted: The HumanInput.
            until: Until when that one withdraws it, or the next one that has the namespace: as `time.monotonic()`.
        """
        self._left[deleted.key[0], deleted.request_id] = until, deleted

    def left(self, ticks: float) -> list[Deleted]:
        """Return the HumanInputs that were deleted, and whose requests are left to other operators still.

        Args:
            ticks: The present moment, as `time.monotonic()`.
        """
        return [deleted for until, deleted in self._left.values() if until > ticks]

    def left_for(self, namespace: str, request_id: str, ticks: float) -> float:
        """Return for how many seconds from now on a request is left to another operator; 0 when it is not."""
        until, _ = self._left.get((namespace, request_id), (0.0, None))
        return max(0.0, until - ticks)

    def shown_in(self, namespace: str, request_id: str) -> Seen | None:
        """Return the HumanInput that shows a request of a namespace: which asked it, else which has its name.

        Which of several was seen first never matters.
        """
        found = [seen for seen in self._of(request_id) if seen.namespace == namespace]
        return next((seen for seen in found if seen.asks), None) or next(
            (seen for seen in found if seen.name == request_id), None
        )

    def shown_by(self, request_id: str) -> Seen | None:
        """Return the HumanInput that certainly shows a request, whichever namespace that is of.

        One that only says so does not count before storage agreed: it may be of a stranger.
        """
        found = self._of(request_id)
        return next((seen for seen in found if seen.asks), None) or next(
            (seen for seen in found if seen.confirmed), None
        )

    def asked_by(self, task_action: str) -> list[Seen]:
        """Return the pending HumanInputs that a TaskAction of this name asks, whatever its namespace."""
        return [self._seen[key] for key in self._by_action.get(task_action, ())]

    def pending(self) -> Counter[str]:
        """Return how many HumanInputs are pending, by namespace."""
        return +self._pending

    def missing(self) -> Counter[str]:
        """Return how many settled HumanInputs show an outcome that storage does not hold, by namespace."""
        return +self._missing

    def _of(self, request_id: str) -> list[Seen]:
        return [self._seen[key] for key in self._by_request.get(request_id, ())]

    def _count(self, seen: Seen, change: int) -> None:
        for counted, one in ((self._pending, seen.pending), (self._missing, seen.missing)):
            if one:
                counted[seen.namespace] += change
                if not counted[seen.namespace]:
                    del counted[seen.namespace]

    def _forget(self, key: Key) -> Seen | None:
        seen = self._seen.pop(key, None)
        if seen is None:
            return None
        self._count(seen, -1)
        _leave(self._by_request, seen.request_id, key)
        if seen.asker is not None:
            _leave(self._by_action, seen.asker.name, key)
        return seen


def _leave(groups: dict[str, tuple[Key, ...]], group: str, key: Key) -> None:
    others = tuple(each for each in groups[group] if each != key)
    if others:
        groups[group] = others
    else:
        del groups[group]


def seen_of(human_input: HumanInput, *, asker: bool = False) -> Seen:
    """Return what the index holds of a HumanInput; which TaskAction asks it, only if that matters."""
    metadata = human_input.metadata
    asks = human_input.spec.request is None
    return Seen(
        namespace=metadata.namespace,
        name=metadata.name,
        uid=metadata.uid,
        request_id=human_input.request_id,
        asks=asks,
        # Only the operator writes the status, and this field only once it read the request.
        confirmed=asks or human_input.status.request_id == human_input.request_id,
        pending=not is_final(human_input.status),
        missing=outcome_is_missing(human_input),
        generation=metadata.generation,
        created_at=metadata.creation_timestamp,
        asker=Asker.shown_by(human_input) if asker and not is_final(human_input.status) else None,
    )
