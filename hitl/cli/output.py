"""What the command prints: tables and colour on a terminal, plain lines elsewhere, JSON when asked for."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text


def print_json(data: Any) -> None:
    """Print data as JSON."""
    sys.stdout.write(json.dumps(data, ensure_ascii=False, indent=2) + "\n")


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], empty: str) -> None:
    """Print rows: a table on a terminal, columns padded with spaces elsewhere.

    Args:
        columns: The headings.
        rows: The cells, as text.
        empty: A sentence for when there are none; goes to standard error.
    """
    if not rows:
        note(empty)
    elif sys.stdout.isatty():
        table = Table(*columns)
        for row in rows:
            # As text: a prompt may hold what rich takes for markup, or a terminal for a command.
            table.add_row(*(Text(_printable(cell)) for cell in row))
        Console().print(table)
    else:
        lines = [list(columns), *([_printable(cell) for cell in row] for row in rows)]
        widths = [max(len(line[at]) for line in lines) for at in range(len(columns))]
        for line in lines:
            padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
            sys.stdout.write("  ".join(padded).rstrip() + "\n")


def print_fields(fields: Mapping[str, str]) -> None:
    """Print names and their values, one a line."""
    width = max(len(name) for name in fields)
    for name, value in fields.items():
        sys.stdout.write(f"{name.ljust(width)}  {_printable(value)}\n")


def note(text: str) -> None:
    """Print a sentence for people to standard error, where it is in no program's way."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def _printable(text: str) -> str:
    return "".join(each if each.isprintable() else " " for each in text)
