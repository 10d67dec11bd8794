"""What was asked in a run, and what anybody was told about it: `tests.soak.verdict` holds the end against it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from hitl.core.documents import OutcomeDocument


@dataclass(frozen=True)
class Told:
    """An end of a question, as somebody was told of it.

    Args:
        by: Who said it, such as ``submit/json`` or ``status``.
        outcome: ``answered``, ``rejected``, ``timed_out`` or ``cancelled``.
        value: The answer's canonical text.
    """

    by: str
    outcome: str
    value: str | None = None

    def fits(self, outcome: OutcomeDocument) -> bool:
        """Tell whether that is what is recorded."""
        return (self.outcome, self.value) == (outcome.outcome, outcome.value_text())


@dataclass
class Asked:
    """One question of the run.

    Args:
        request_id: Its id in storage.
        namespace: Where its HumanInput is.
        name: The name of that HumanInput.
        asked_by: ``kubectl`` or ``program``.
        expires_at: Its deadline, by a clock that is right.
        invalid: It can never be stored.
        deleted: Its HumanInput was deleted while it was pending.
        given: The texts of the answers that were sent.
        told: The ends that anybody was told of.
    """

    request_id: str
    namespace: str
    name: str
    asked_by: str
    expires_at: datetime
    invalid: bool = False
    deleted: bool = False
    given: set[str] = field(default_factory=set)
    told: set[Told] = field(default_factory=set)


@dataclass
class Ledger:
    """All that was done in a run.

    Args:
        asked: The questions by their ids.
        done: How often each thing was done.
        faults: What was wrong while it went on.
    """

    asked: dict[str, Asked] = field(default_factory=dict)
    done: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def tell(self, request_id: str, told: Told) -> None:
        """Note an end that somebody was told of."""
        if (asked := self.asked.get(request_id)) is not None:
            asked.told.add(told)
