"""What is remembered of a question of which targets are told."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

# The first look for an outcome that is about to be recorded, as the HumanInput was deleted.
_FIRST_PAUSE_SECONDS: Final = 5.0
# There may be none before the deadline, as where the namespace was deleted. Each pause is as long as all before.
_LONGEST_PAUSE_SECONDS: Final = 300.0


@dataclass(frozen=True)
class Known:
    """What was seen of a question.

    Args:
        targets: The names of the targets that are told of it.
        ended: Whether it has ended.
        since: Since when that is known.
        gone: Whether its HumanInput was deleted, so that no event names it any more.
    """

    targets: frozenset[str]
    ended: bool
    since: datetime = field(compare=False)
    gone: bool = False

    def pause(self, now: datetime) -> float:
        """Return after how many seconds it is looked at again where nothing else says when."""
        waited = (now - self.since).total_seconds()
        return min(max(waited, _FIRST_PAUSE_SECONDS), _LONGEST_PAUSE_SECONDS)
