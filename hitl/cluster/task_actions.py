"""Flyte's TaskActions, which are only read: which one asks a question, and whether it has ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Self

from hitl.cluster.v1alpha1 import GROUP, HumanInput
from hitl.core.documents import Origin

_FLYTE: Final = "flyte.org"
_TERMINATION: Final = f"{_FLYTE}/termination-status"
_ORIGIN: Final = ("project", "domain", "run", "action")


@dataclass(frozen=True, slots=True)
class Asker:
    """The TaskAction that asks a question.

    Args:
        run: The run's name.
        action: The action's name in the run.
        places: The namespaces where it may be, the likeliest first: the question's own, and that of project and
            domain, as an author may name another namespace for questions.
    """

    run: str
    action: str
    places: tuple[str, ...]

    @classmethod
    def of(cls, origin: Origin, namespace: str) -> Self | None:
        """Return what asks a question; None for what asks outside Flyte, or in a run on somebody's own machine.

        Args:
            origin: Where the question came from.
            namespace: Where its HumanInput is.
        """
        if origin.local or not (origin.run and origin.action):
            return None
        flyte = f"{origin.project}-{origin.domain}" if origin.project and origin.domain else namespace
        places = (namespace,) if flyte == namespace else (namespace, flyte)
        return cls(origin.run, origin.action, places)

    @classmethod
    def shown_by(cls, human_input: HumanInput) -> Self | None:
        """Return what asks a question, as the annotations of its HumanInput say. Anybody may have changed them."""
        annotations, metadata = human_input.metadata.annotations, human_input.metadata
        if human_input.spec.request is None:
            return None
        told = {name: annotations.get(f"{GROUP}/{name}", "") for name in _ORIGIN}
        return cls.of(Origin(**told), metadata.namespace)

    @property
    def name(self) -> str:
        """The TaskAction's name."""
        return f"{self.run}-{self.action}"

    def is_in(self, labels: Mapping[str, str]) -> bool:
        """Tell whether labels are those of this action: `a-b` with `c`, and `a` with `b-c`, have the same name."""
        named = {f"{_FLYTE}/run": self.run, f"{_FLYTE}/action": self.action}
        return all(labels.get(label, name) == name for label, name in named.items())


class End(StrEnum):
    """How an action ended, as people read it after "the action …"."""

    ABORTED = "was aborted"
    GONE = "is gone"
    FAILED = "has failed"
    SUCCEEDED = "has succeeded"
    TERMINATED = "was terminated"

    @property
    def by_deletion(self) -> bool:
        """Whether nothing but the object's absence tells it."""
        return self in (End.ABORTED, End.GONE)


def end_of(content: Mapping[str, Any]) -> End | None:
    """Return how an action ended, by its TaskAction; None while it goes on.

    Args:
        content: The object as the API server holds it.
    """
    metadata = content.get("metadata") or {}
    conditions = (content.get("status") or {}).get("conditions") or ()
    true = {each.get("type") for each in conditions if each.get("status") == "True"}
    for kind, end in (("Succeeded", End.SUCCEEDED), ("Failed", End.FAILED)):
        if kind in true:
            return end
    if metadata.get("deletionTimestamp"):
        return End.ABORTED
    # Flyte's own collection deletes it an hour later.
    marked = [(metadata.get(part) or {}).get(_TERMINATION) for part in ("labels", "annotations")]
    return End.TERMINATED if "terminated" in marked else None
