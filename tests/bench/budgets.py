"""Rows of a benchmark's table, and whether each keeps its budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Row:
    """A measurement, what it is compared with, and the bounds of their ratio.

    Args:
        what: What was measured, with its unit.
        ours: Our figure.
        theirs: The figure that ours is divided by; 1 with `other` empty makes the bounds absolute.
        other: Whose figure that is.
        most: The ratio's upper bound.
        least: The ratio's lower bound. Neither: the row is shown for information.
    """

    what: str
    ours: float
    theirs: float
    other: str = ""
    most: float | None = None
    least: float | None = None

    @property
    def ratio(self) -> float:
        """Return ours divided by theirs."""
        return self.ours / self.theirs

    @property
    def kept(self) -> bool:
        """Tell whether the ratio is within its bounds."""
        return (self.most is None or self.ratio <= self.most) and (self.least is None or self.ratio >= self.least)

    def budget(self) -> str:
        """Return the bounds as text."""
        bound = (
            f"≤ {self.most:g}" if self.most is not None else f"≥ {self.least:g}" if self.least is not None else ""
        )
        return f"{bound} × {self.other}" if bound and self.other else bound


def show(title: str, rows: Sequence[Row]) -> bool:
    """Print a table and tell whether every budget was kept."""
    table = Table("what", "ours", "compared with", "ratio", "budget", "kept", title=title)
    for row in rows:
        bounded = row.most is not None or row.least is not None
        verdict = ("yes" if row.kept else "NO") if bounded else ""
        theirs = f"{row.theirs:,.3g} ({row.other})" if row.other else ""
        table.add_row(
            row.what, f"{row.ours:,.4g}", theirs, f"{row.ratio:,.2f}" if row.other else "", row.budget(), verdict
        )
    Console(width=120).print(table)
    return all(row.kept for row in rows)
