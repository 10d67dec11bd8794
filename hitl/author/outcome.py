"""What the author learns of an outcome: the value, and who gave it, how, when and why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Generic, TypeVar

from hitl.core.documents import OutcomeDocument, OutcomeKind, Via

if TYPE_CHECKING:
    from hitl.core.edits import Change

T = TypeVar("T")


@dataclass(frozen=True)
class Vote:
    """One of the votes that an outcome rests on, where several people had to agree.

    Args:
        by: Whose it is; empty where no name was given. Rely on it only if `verified`.
        verified: Whether a proxy, the API server or Slack has authenticated the name.
        via: The channel, as of `Outcome`.
        at: When it was cast, with its time zone.
        comment: What was written with it; may be empty.
        on_behalf_of: Who handed the question over to them; empty: nobody.
    """

    by: str
    verified: bool
    via: Via
    at: datetime
    comment: str
    on_behalf_of: str = ""


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """The one outcome of a question, as `Event.outcome` and `Event.result` return it.

    Args:
        kind: ``"answered"``, ``"rejected"``, ``"timed_out"`` or ``"cancelled"``.
        value: The answer, of the event's data type; None unless it was answered.
        by: Who it came from; empty at a deadline, and where no name was given. Anybody can write any name into a
            form: rely on it only if `verified`.
        verified: Whether a proxy, the API server or Slack has authenticated the name.
        via: The channel: ``"web"``, ``"api"``, ``"cli"``, ``"kubectl"``, ``"gitops"``, ``"slack"``, ``"timeout"``,
            ``"operator"`` or ``"program"``.
        at: When it was recorded, with its time zone.
        comment: What was written with it; may be empty.
        default_used: Whether nobody answered, so that the value is the default.
        commit: The commit that the answer came from; empty unless it came from Git.
        changes: What the answer has otherwise than the value that was proposed, part by part, at most 256. Empty
            where nothing was proposed, or nothing was changed of it.
        votes: The votes that it rests on, where several people had to agree; none at the deadline. The rest is of
            the last of them.
        on_behalf_of: Who handed the question over to who answered; empty: nobody.
    """

    kind: OutcomeKind
    value: T | None
    by: str
    verified: bool
    via: Via
    at: datetime
    comment: str
    default_used: bool
    commit: str
    changes: tuple[Change, ...] = ()
    votes: tuple[Vote, ...] = ()
    on_behalf_of: str = ""

    @property
    def edited(self) -> bool:
        """Whether the answer is another value than the proposed one."""
        return bool(self.changes)

    @classmethod
    def of(cls, recorded: OutcomeDocument, value: T | None, changes: tuple[Change, ...] = ()) -> Outcome[T]:
        """Return a recorded outcome as the author reads it.

        Args:
            recorded: The outcome as stored.
            value: Its value, of the event's data type.
            changes: What it changed of the proposed value.
        """
        sender = recorded.respondent
        return cls(
            kind=recorded.outcome,
            value=value,
            by=sender.name,
            verified=sender.verified,
            via=sender.via,
            at=recorded.answered_at,
            comment=recorded.comment,
            default_used=recorded.default_used,
            commit=sender.commit,
            changes=changes,
            votes=tuple(
                Vote(each.name, each.verified, each.via, each.voted_at, each.comment, each.on_behalf_of)
                for each in recorded.votes
            ),
            on_behalf_of=sender.on_behalf_of,
        )
