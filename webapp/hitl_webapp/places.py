"""A bounded number of places, of which nobody alone takes too many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class Places:
    """Places that are taken and given back.

    Args:
        most: How many there are.
        each: How many of them one may have.
    """

    def __init__(self, most: int, each: int) -> None:
        self._most = most
        self._each = each
        self._of: Counter[str] = Counter()

    @property
    def taken(self) -> int:
        """How many are taken."""
        return self._of.total()

    def free_for(self, who: str) -> bool:
        """Tell whether there is a place for somebody."""
        return self.taken < self._most and self._of[who] < self._each

    @contextmanager
    def one(self, who: str) -> Iterator[None]:
        """Give a place to somebody while the block runs."""
        self._of[who] += 1
        try:
            yield
        finally:
            self._of[who] -= 1
            # Those who have none are forgotten.
            self._of += Counter()
