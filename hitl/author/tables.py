"""Previews of tables: of data frames in memory, and of CSV and Parquet files, whose beginning is kept."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from itertools import chain, islice
from typing import IO, Any, Final

from hitl.core.evidence import media_type_of
from hitl.core.previews import MAX_COLUMNS, MAX_ROWS, TablePreview
from hitl.errors import InvalidRequest
from hitl.storage.sources import files_of, open_source

MAX_TABLE_BYTES: Final = 64 * 1024 * 1024
_DELIMITERS: Final = ",;\t|"
_PARQUET: Final = b"PAR1"
_SNIFFED_BYTES: Final = 4096
# The rows of so many files are counted.
_MAX_FILES: Final = 20


def preview_of(table: Any) -> TablePreview:
    """Return the preview of a table in memory: of pandas, polars or Arrow, or a list of dicts.

    Raises:
        InvalidRequest: it is none of these.
    """
    # None of the libraries is imported: who has such an object has its library.
    kind = f"{type(table).__module__.partition('.')[0]}.{type(table).__name__}"
    match kind:
        case "pandas.DataFrame":
            return _of_pandas(table)
        case "polars.DataFrame":
            head = table[:, :MAX_COLUMNS].head(MAX_ROWS)
            rows, columns = table.shape
            return TablePreview.of(head.columns, head.rows(), total_rows=rows, total_columns=columns)
        case "pyarrow.Table" | "pyarrow.RecordBatch":
            return _of_arrow(table, table.num_rows, table.num_columns)
        case "polars.LazyFrame":
            raise InvalidRequest("a polars.LazyFrame has no rows yet: collect() it first")
    if isinstance(table, Sequence) and not isinstance(table, str | bytes):
        return _of_dicts(table)
    raise InvalidRequest(
        f"{type(table).__name__} is no table: give a pandas or polars DataFrame, an Arrow table, a list of dicts, "
        "or a path or URL of a CSV or Parquet file"
    )


def preview_of_file(place: str, filesystem: Any = None) -> TablePreview:
    """Return the preview of a CSV or Parquet file, or of a folder of Parquet files, wherever it lies.

    Args:
        place: A local path or a URL.
        filesystem: fsspec's filesystem that knows it. None: the one of the URL's scheme.

    Raises:
        InvalidRequest: it cannot be read, or is neither.
    """
    with open_source(place, MAX_TABLE_BYTES, filesystem) as file:
        start = file.read(len(_PARQUET))
        file.seek(0)
        return _of_parquet(file) if start == _PARQUET else _of_csv(file)


def preview_of_folder(place: str, filesystem: Any) -> TablePreview:
    """Return the preview of the files of a data frame that was stored, which are one table together."""
    files = files_of(place, filesystem)
    if not files:
        raise InvalidRequest("the data frame has no files")
    preview = preview_of_file(files[0], filesystem)
    if len(files) == 1:
        return preview
    others = [_rows_of_parquet(each, filesystem) for each in files[1:_MAX_FILES]]
    return preview.model_copy(
        update={"total_rows": preview.total_rows + sum(others), "more_rows": len(files) > _MAX_FILES}
    )


def _of_pandas(table: Any) -> TablePreview:
    rows, columns = table.shape
    head = table.iloc[:MAX_ROWS, :MAX_COLUMNS]
    names, values = list(head.columns), [list(row) for row in head.itertuples(index=False, name=None)]
    # An index with a name, or of other than numbers, says something.
    if type(table.index).__name__ != "RangeIndex":
        names = [table.index.name or "", *names]
        values = [[label, *row] for label, row in zip(head.index, values, strict=True)]
        columns += 1
    return TablePreview.of(names, values, total_rows=rows, total_columns=columns)


def _of_arrow(table: Any, rows: int, columns: int) -> TablePreview:
    head = table.slice(0, MAX_ROWS).select(table.schema.names[:MAX_COLUMNS])
    values = [column.to_pylist() for column in head.columns]
    return TablePreview.of(
        head.schema.names, list(zip(*values, strict=True)), total_rows=rows, total_columns=columns
    )


def _of_dicts(rows: Sequence[Any]) -> TablePreview:
    names: dict[Any, None] = {}
    for row in rows:
        if not isinstance(row, Mapping):
            raise InvalidRequest(f"a row of the table is of type {type(row).__name__}: give a list of dicts")
        names.update(dict.fromkeys(row))
    columns = list(names)
    shown = [[row.get(name) for name in columns[:MAX_COLUMNS]] for row in rows[:MAX_ROWS]]
    return TablePreview.of(columns, shown, total_rows=len(rows))


def _of_parquet(file: IO[bytes]) -> TablePreview:
    found = _parquet(file)
    schema = found.schema_arrow.names
    batches = found.iter_batches(batch_size=MAX_ROWS, columns=schema[:MAX_COLUMNS])
    first = next(batches, None)
    rows = [] if first is None else list(zip(*[column.to_pylist() for column in first.columns], strict=True))
    return TablePreview.of(
        schema[:MAX_COLUMNS], rows, total_rows=found.metadata.num_rows, total_columns=len(schema)
    )


def _rows_of_parquet(place: str, filesystem: Any) -> int:
    with open_source(place, MAX_TABLE_BYTES, filesystem) as file:
        return int(_parquet(file).metadata.num_rows)


def _parquet(file: IO[bytes]) -> Any:
    try:
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise InvalidRequest(
            "Parquet files are read by pyarrow: pip install 'flyte-hitl[tables]', or give a data frame"
        ) from error
    return ParquetFile(file)


def _of_csv(file: IO[bytes]) -> TablePreview:
    if media_type_of(file.read(_SNIFFED_BYTES)) != "text/plain":
        raise InvalidRequest("it is neither Parquet nor text in UTF-8, as CSV is")
    file.seek(0)
    bounded = _Bounded(file, MAX_TABLE_BYTES)
    # A file that is cut may end in the middle of a character.
    text = io.TextIOWrapper(io.BufferedReader(bounded), encoding="utf-8-sig", errors="replace", newline="")
    first = text.readline()
    try:
        reader = csv.reader(chain([first], text), delimiter=max(_DELIMITERS, key=first.count))
        columns = next(reader, [])
        shown = [_fitted(row, len(columns)) for row in islice(reader, MAX_ROWS)]
        total = len(shown) + sum(1 for _ in reader)
    except csv.Error as error:
        raise InvalidRequest(f"it is no CSV: {error}") from error
    return TablePreview.of(columns, shown, total_rows=total, more_rows=bounded.cut)


def _fitted(row: list[str], count: int) -> list[str]:
    return (row + [""] * count)[:count]


class _Bounded(io.RawIOBase):
    """A file that ends after some bytes, and knows whether it was cut."""

    def __init__(self, file: IO[bytes], most: int) -> None:
        super().__init__()
        self._file = file
        self._left = most
        self.cut = False

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer; 0 at the end."""
        if not self._left:
            self.cut = self.cut or bool(self._file.read(1))
            return 0
        data = self._file.read(min(len(buffer), self._left))
        buffer[: len(data)] = data
        self._left -= len(data)
        return len(data)
