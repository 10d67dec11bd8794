"""Tables and differences as they are stored: small, and of text alone, so that showing them needs no library."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from hitl.errors import one_line, printable

MAX_ROWS: Final = 50
MAX_COLUMNS: Final = 20
MAX_CELL_CHARS: Final = 200
MAX_DIFF_CHARS: Final = 256 * 1024
MAX_DIFF_LINES: Final = 5_000
MAX_SHOWN_LINES: Final = 1_000
_MAX_LINE_CHARS: Final = 500
_CONTEXT_LINES: Final = 3

Cell: TypeAlias = Annotated[str, Field(max_length=MAX_CELL_CHARS + 1)]
Line: TypeAlias = Annotated[str, Field(max_length=_MAX_LINE_CHARS + 1)]
Sign: TypeAlias = Literal["same", "added", "removed", "gap"]


class TablePreview(BaseModel):
    """The first rows and columns of a table.

    Args:
        columns: The columns' names.
        rows: As many texts each as there are columns.
        total_rows: How many rows the whole table has.
        total_columns: How many columns.
        more_rows: Whether it has more rows than `total_rows`, which nobody counted.
    """

    model_config = ConfigDict(frozen=True, defer_build=True)

    columns: list[Cell] = Field(max_length=MAX_COLUMNS)
    rows: list[Annotated[list[Cell], Field(max_length=MAX_COLUMNS)]] = Field(max_length=MAX_ROWS)
    total_rows: int = Field(ge=0)
    total_columns: int = Field(ge=0)
    more_rows: bool = False

    @classmethod
    def of(
        cls,
        columns: Sequence[Any],
        rows: Iterable[Sequence[Any]],
        *,
        total_rows: int,
        total_columns: int | None = None,
        more_rows: bool = False,
    ) -> "TablePreview":
        """Return the preview of a table, whatever its cells are.

        Args:
            columns: All names, or at least those that are shown.
            rows: All rows, or at least those that are shown.
            total_rows: How many there are.
            total_columns: How many there are. None: as many as `columns`.
            more_rows: Whether there are more than `total_rows`.
        """
        shown: list[list[str]] = []
        for row in rows:
            if len(shown) == MAX_ROWS:
                break
            shown.append([cell_text(each) for each in row[:MAX_COLUMNS]])
        return cls(
            columns=[cell_text(each) for each in columns[:MAX_COLUMNS]],
            rows=shown,
            total_rows=total_rows,
            total_columns=len(columns) if total_columns is None else total_columns,
            more_rows=more_rows,
        )

    def caption(self) -> str:
        """Return how large the table is, and how much of it is shown."""
        more = "more than " if self.more_rows else ""
        whole = f"{more}{_count(self.total_rows, 'row')} and {_count(self.total_columns, 'column')}"
        if len(self.rows) == self.total_rows and len(self.columns) == self.total_columns and not self.more_rows:
            return whole
        return f"{whole}; the first {_count(len(self.rows), 'row')} and {_count(len(self.columns), 'column')}"


class DiffLine(BaseModel):
    """One line of a difference.

    Args:
        sign: ``gap`` stands for lines that are the same and are left out.
        before: Its number in the text before, from 1; 0: it is not in it.
        after: Its number in the text after.
        text: The line.
    """

    model_config = ConfigDict(frozen=True, defer_build=True)

    sign: Sign
    before: int = 0
    after: int = 0
    text: Line = ""


class DiffPreview(BaseModel):
    """What changed between two texts, with some lines around it.

    Args:
        lines: What is shown.
        added: How many lines were added in all.
        removed: How many were removed.
        cut: Whether more changed than is shown.
    """

    model_config = ConfigDict(frozen=True, defer_build=True)

    lines: list[DiffLine] = Field(max_length=MAX_SHOWN_LINES)
    added: int = Field(ge=0)
    removed: int = Field(ge=0)
    cut: bool = False

    @classmethod
    def of(cls, before: str, after: str) -> "DiffPreview":
        """Compare two texts line by line.

        Args:
            before: At most `MAX_DIFF_LINES` lines.
            after: At most as many.
        """
        import difflib  # who only shows differences does without

        old, new = before.splitlines(), after.splitlines()
        lines: list[DiffLine] = []
        added = removed = 0
        for number, group in enumerate(
            difflib.SequenceMatcher(None, old, new).get_grouped_opcodes(_CONTEXT_LINES)
        ):
            if number:
                lines.append(DiffLine(sign="gap"))
            for tag, old_from, old_to, new_from, new_to in group:
                if tag == "equal":
                    lines += [
                        _line("same", old[at], at + 1, new_from + at - old_from + 1)
                        for at in range(old_from, old_to)
                    ]
                    continue
                removed += old_to - old_from
                added += new_to - new_from
                lines += [_line("removed", old[at], before=at + 1) for at in range(old_from, old_to)]
                lines += [_line("added", new[at], after=at + 1) for at in range(new_from, new_to)]
        return cls(lines=lines[:MAX_SHOWN_LINES], added=added, removed=removed, cut=len(lines) > MAX_SHOWN_LINES)

    def caption(self) -> str:
        """Return how much changed."""
        if not self.lines:
            return "No line differs"
        changed = f"{_count(self.added, 'line')} added, {_count(self.removed, 'line')} removed"
        return f"{changed}; the first {len(self.lines):,} lines" if self.cut else changed


def cell_text(value: Any) -> str:
    """Return the text of a cell: on one line, short, and empty for None."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else str(value)
    # A cell may hold megabytes.
    return _shortened(one_line(text[: 4 * MAX_CELL_CHARS]), MAX_CELL_CHARS)


def _line(sign: Sign, text: str, before: int = 0, after: int = 0) -> DiffLine:
    return DiffLine(sign=sign, before=before, after=after, text=_shortened(printable(text), _MAX_LINE_CHARS))


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}…"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
