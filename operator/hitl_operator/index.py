"""What the operator has seen of the cluster: a few words for each HumanInput, as 10,000 may be pending."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from hitl.cluster.v1alpha1 import HumanInput
from hitl_operator.decide import is_final

Key: TypeAlias = tuple[str, str]
"""Namespace and name."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A HumanInput, as it was seen last."""

    namespace: str
    name: str
    uid: str
    request_id: str
    pending: bool
    created_at: datetime | None

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return self.namespace, self.name


class Index:
    """The HumanInputs that exist, by name and by request."""

    def __init__(self) -> None:
        self._seen: dict[Key, Seen] = {}
        self._by_request: dict[str, Key] = {}
        self._pending: Counter[str] = Counter()

    def __iter__(self) -> Iterator[Seen]:
        return iter(list(self._seen.values()))

    def get(self, key: Key) -> Seen | None:
        """Return what was seen of a HumanInput."""
        return self._seen.get(key)

    def put(self, human_input: HumanInput) -> Seen:
        """Remember a HumanInput. The first one of a request stays the one that shows it."""
        metadata = human_input.metadata
        seen = Seen(
            metadata.namespace,
            metadata.name,
            metadata.uid,
            human_input.request_id,
            not is_final(human_input.status),
            metadata.creation_timestamp,
        )
        self._forget(seen.key)
        self._seen[seen.key] = seen
        self._pending[seen.namespace] += seen.pending
        self._by_request.setdefault(seen.request_id, seen.key)
        return seen

    def drop(self, key: Key) -> Seen | None:
        """Forget a HumanInput that is gone; return what was seen of it."""
        seen = self._forget(key)
        if seen is not None and self._by_request.get(seen.request_id) == key:
            del self._by_request[seen.request_id]
        return seen

    def shown_by(self, request_id: str) -> Seen | None:
        """Return the HumanInput that shows a request."""
        key = self._by_request.get(request_id)
        return None if key is None else self._seen.get(key)

    def pending(self) -> Counter[str]:
        """Return how many HumanInputs are pending, by namespace."""
        return +self._pending

    def _forget(self, key: Key) -> Seen | None:
        seen = self._seen.pop(key, None)
        if seen is not None:
            self._pending[seen.namespace] -= seen.pending
        return seen
