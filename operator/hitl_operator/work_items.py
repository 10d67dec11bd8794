"""What there is to work on: the keys of the work queue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class ReconcileHumanInput:
    """A HumanInput whose status, request or deadline is to be looked at."""

    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class HandleResponse:
    """A HumanInputResponse that is to be settled."""

    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class CancelDeleted:
    """A pending HumanInput that was deleted before our eyes."""

    namespace: str
    name: str
    uid: str
    request_id: str


@dataclass(frozen=True, slots=True)
class IssueLink:
    """The Secret with a link of a HumanInput: counts as work of its own where it is refused."""

    namespace: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class CheckOutcome:
    """A settled HumanInput whose outcome storage may not hold any more."""

    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class MirrorRequest:
    """A request in storage that may have no HumanInput yet."""

    root: str
    request_id: str


@dataclass(frozen=True, slots=True)
class MirrorOutcome:
    """An outcome in storage that no known HumanInput shows yet."""

    root: str
    request_id: str


@dataclass(frozen=True, slots=True)
class Tell:
    """A question of which targets are told. It has a queue of its own, as nothing waits for it."""

    root: str
    namespace: str
    request_id: str


WorkItem: TypeAlias = (
    ReconcileHumanInput | HandleResponse | CancelDeleted | IssueLink | CheckOutcome | MirrorRequest | MirrorOutcome
)
