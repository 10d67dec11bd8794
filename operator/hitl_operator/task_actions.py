"""What was seen of Flyte's TaskActions, and which questions are to be looked at, as their workflow may have ended.

This only suspects. `hitl_operator.ended_runs` asks the API server before a question ends by it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from hitl.cluster.client import TASK_ACTIONS, Object
from hitl.cluster.task_actions import Asker, end_of
from hitl_operator.index import Index, Seen
from hitl_operator.queues import Queues
from hitl_operator.watcher import Sight
from hitl_operator.work_items import ReconcileHumanInput

_NONE: Final[Mapping[str, bool]] = {}


class TaskActions:
    """Queues each pending question whose TaskAction has ended, or is missing where all are listed.

    Args:
        index: The HumanInputs.
        queue: Where the work goes.
        leads: Tells whether this operator does the work on a namespace.
    """

    def __init__(self, index: Index, queue: Queues, leads: Callable[[str], bool]) -> None:
        self._index = index
        self._queue = queue
        self._leads = leads
        # By name and namespace: whether it has ended.
        self._seen: dict[str, dict[str, bool]] = {}
        self._listed: set[str] = set()
        self._sights: dict[str, Sight] = {}

    def watched_by(self, sights: Sequence[Sight]) -> None:
        """Learn what each watch of TaskActions knows of itself; none: nobody watches them."""
        self._sights = {each.namespace: each for each in sights if each.kind == TASK_ACTIONS.kind}

    def changed(self, change: str, content: Object) -> None:
        """Take note of a TaskAction as the watch brings it."""
        name, namespace = content["metadata"]["name"], content["metadata"]["namespace"]
        if change == "DELETED":
            self._drop(name, namespace)
        else:
            self._seen.setdefault(name, {})[namespace] = end_of(content) is not None
        for seen in self._index.asked_by(name):
            self.look(seen)

    def listed(self, namespace: str | None, found: set[tuple[str, str]]) -> None:
        """Take note of all that there is in a namespace, or everywhere: others went away while nobody watched."""
        for name in list(self._seen):
            for place in list(self._seen[name]):
                if namespace in (None, place) and (place, name) not in found:
                    self._drop(name, place)
        self._listed.add(namespace or "")
        self.look_at_all(namespace)

    def look_at_all(self, namespace: str | None = None) -> None:
        """Queue every question whose workflow may have ended; only those that may be of a namespace, if given."""
        if not self._listed:
            return
        for seen in self._index:
            if seen.asker is not None and (namespace is None or namespace in seen.asker.places):
                self.look(seen)

    def look(self, seen: Seen) -> None:
        """Queue a question, if its workflow may have ended and this operator does the work there."""
        if seen.asker is None or not seen.pending or not self._leads(seen.namespace):
            return
        if may_have_ended(seen.asker, self._seen.get(seen.asker.name, _NONE), self._all_seen):
            self._queue.add(ReconcileHumanInput(seen.namespace, seen.name))

    def may_have_ended(self, asker: Asker) -> bool:
        """Tell whether it is worth asking the API server for what asks a question."""
        return may_have_ended(asker, self._seen.get(asker.name, _NONE), self._all_seen)

    def _all_seen(self, namespace: str) -> bool:
        """Tell whether all TaskActions of a namespace were listed, and somebody watches them still."""
        for place in (namespace, ""):
            sight = self._sights.get(place)
            if sight is not None and place in self._listed and not sight.unseen:
                return True
        return False

    def _drop(self, name: str, namespace: str) -> None:
        places = self._seen.get(name, {})
        places.pop(namespace, None)
        if not places:
            self._seen.pop(name, None)


def may_have_ended(asker: Asker, seen: Mapping[str, bool], all_seen: Callable[[str], bool]) -> bool:
    """Tell whether what asks a question may have ended.

    Args:
        asker: What asks it.
        seen: Where a TaskAction of its name was seen, and whether it had ended there.
        all_seen: Tells whether every TaskAction of a namespace is known.
    """
    for place in asker.places:
        if place in seen:
            return seen[place]
    # One that goes on in any other namespace may be it: what only seems to be missing ends nothing.
    if not all(seen.values()):
        return False
    return all(all_seen(place) for place in asker.places)
