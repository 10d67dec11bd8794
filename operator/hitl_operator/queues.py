"""A work queue for each root, so that one whose storage is slow or away holds up no other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from hitl_operator.roots import Root, Roots
from hitl_operator.work_items import HandleResponse, MirrorOutcome, MirrorRequest, ReconcileHumanInput, WorkItem
from hitl_operator.workqueue import WorkQueue


class Queues:
    """Hands each piece of work to the queue of its root. What belongs to no root has a queue as well.

    Args:
        roots: The roots.
    """

    def __init__(self, roots: Roots) -> None:
        self._roots = roots
        self._queues: dict[str, WorkQueue[WorkItem]] = {root.name: WorkQueue() for root in roots}
        self._nobodys: WorkQueue[WorkItem] = WorkQueue()

    def __iter__(self) -> Iterator[tuple[Root | None, WorkQueue[WorkItem]]]:
        """Yield each root with its queue, and at last None with that of no root."""
        for root in self._roots:
            yield root, self._queues[root.name]
        yield None, self._nobodys

    def __len__(self) -> int:
        """Return how many pieces of work wait to be done now."""
        return sum(len(queue) for _, queue in self)

    def of(self, work: WorkItem) -> WorkQueue[WorkItem]:
        """Return the queue that a piece of work belongs to."""
        if isinstance(work, MirrorRequest | MirrorOutcome):
            return self._queues[work.root]
        root = self._roots.serving(work.namespace)
        return self._nobodys if root is None else self._queues[root.name]

    def busy(self, work: WorkItem) -> bool:
        """Tell whether it waits, is being done, or failed and will be tried again."""
        return self.of(work).busy(work)

    def add(self, work: WorkItem) -> None:
        """Have it done as soon as a worker of its root is free."""
        self.of(work).add(work)

    def hint(self, work: WorkItem, most: int) -> bool:
        """Have it done as anybody asked for it, unless so much of that is not done yet; tell whether."""
        return self.of(work).hint(work, most)

    def add_after(self, work: WorkItem, seconds: float) -> None:
        """Have it done after a while, unless it is to be done sooner anyway."""
        self.of(work).add_after(work, seconds)

    def forget(self, work: WorkItem) -> None:
        """Count its failures from none again, as what it is about changed."""
        self.of(work).forget(work)

    def cancel(self, work: WorkItem) -> None:
        """Have it done no more, as what it is about is gone."""
        self.of(work).cancel(work)

    def left(self, leads: Callable[[str], bool]) -> None:
        """Have the work of others done no more, which they find when they list what there is.

        The rest is nobody else's, or is done once more at most: a deletion that this operator saw, and what one
        operator looks after for all namespaces of a root.

        Args:
            leads: Tells whether this operator works on a namespace.
        """
        for _, queue in self:
            for work in queue.pending():
                if isinstance(work, ReconcileHumanInput | HandleResponse) and not leads(work.namespace):
                    queue.cancel(work)

    def failures(self, work: WorkItem) -> int:
        """Return how many times it failed since it succeeded last, or since what it is about changed."""
        return self.of(work).failures(work)

    def failing(self) -> Counter[tuple[str, str]]:
        """Return how many pieces of work failed the last time, by root (empty: none) and reason."""
        return Counter(
            {
                (root.name if root else "", reason): count
                for root, queue in self
                for reason, count in queue.reasons.items()
            }
        )
