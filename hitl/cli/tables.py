"""Tables on a terminal, and aligned columns in a pipe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hitl.errors import one_line

PHASE_STYLES: Final = {
    "Pending": "yellow",
    "Answered": "green",
    "Rejected": "red",
    "TimedOut": "red",
    "Cancelled": "dim",
}
"""How the phase of a question looks on a terminal."""
_NARROWEST: Final = 16
_WIDEST: Final = 200
"""How many columns a cell of a list has at most in a pipe: each row is as wide as the longest."""


def standard_output() -> Console:
    """Return standard output, as it is now."""
    return Console(highlight=False)


def print_table(
    head: Sequence[str], rows: Sequence[Sequence[str]], *, wrapped: Sequence[str] = (), cut: bool = False
) -> None:
    """Print rows: a table that fits a terminal, or aligned columns.

    Args:
        head: The columns' names.
        rows: The cells.
        wrapped: The columns that give way when a terminal is too narrow. Those that are not there do not matter.
        cut: Those columns have a bound in a pipe as well, as another command shows the whole cell.
    """
    cleaned = [[one_line(cell) for cell in row] for row in rows]
    widths = [max(cell_len(row[column]) for row in [head, *cleaned]) for column in range(len(head))]
    giving = [head.index(name) for name in wrapped if name in head]
    out = standard_output()
    if not out.is_terminal:
        if cut:
            widths = [min(width, _WIDEST) if at in giving else width for at, width in enumerate(widths)]
        for row in [head, *cleaned]:
            print("  ".join(_sized(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip())
        return
    gaps = 2 * (len(head) - 1)
    others = sum(width for at, width in enumerate(widths) if at not in giving) + gaps
    for at, width in zip(giving, _shared([widths[at] for at in giving], out.width - others), strict=True):
        widths[at] = width
    # Ids must stay whole, to be copied: what does not fit at all runs on in the next line.
    out.width = max(out.width, sum(widths) + gaps)
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for name, width in zip(head, widths, strict=True):
        table.add_column(name, width=width, no_wrap=True, overflow="ellipsis")
    for row in cleaned:
        table.add_row(*(Text(cell, style=PHASE_STYLES.get(cell, "")) for cell in row))
    out.print(table)


def _shared(widths: Sequence[int], room: int) -> list[int]:
    """Return how wide each column becomes, so that all of them fit: the narrow ones first, the others alike."""
    found = list(widths)
    narrow_first = sorted(range(len(widths)), key=lambda at: widths[at])
    for number, at in enumerate(narrow_first):
        found[at] = min(widths[at], max(_NARROWEST, room // (len(widths) - number)))
        room -= found[at]
    return found


def _sized(cell: str, width: int) -> str:
    return set_cell_size(cell, width) if cell_len(cell) <= width else set_cell_size(cell, width - 1) + "…"
