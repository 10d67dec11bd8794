"""What an author may show beside a question, what becomes of it, and what is refused with which sentence."""

from __future__ import annotations

import io
import json
import os
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

import hitl
from hitl.author import evidence
from hitl.author.evidence import Shown, pieces_of
from hitl.core.evidence import MAX_EVIDENCE, MAX_PIECE_BYTES, media_type_of, shown_name, shown_size
from hitl.core.previews import MAX_CELL_CHARS, DiffPreview, TablePreview
from hitl.errors import InvalidRequest
from hitl.records.evidence import Piece
from tests.library.beside import png

mpl.use("agg")
ROWS = [{"city": f"city {number}", "count": number} for number in range(120)]
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


async def one(shown: Shown) -> Piece:
    (piece,) = await pieces_of([shown])
    return piece


async def table(source: Any) -> TablePreview:
    return TablePreview.model_validate_json((await one(evidence.table(source))).data)


async def refusal(*shown: Any) -> str:
    with pytest.raises(InvalidRequest) as caught:
        await pieces_of(shown)
    return str(caught.value)


def test_authors_find_it_where_they_find_the_rest() -> None:
    assert hitl.evidence is evidence


async def test_an_image_comes_from_a_path_bytes_a_figure_and_flyte(tmp_path: Path) -> None:
    flyte_io = pytest.importorskip("flyte.io")
    path = tmp_path / "plot.png"
    path.write_bytes(png())
    figure = Figure()
    figure.subplots().plot([1, 2, 4])

    for source in (path, str(path), path.as_uri(), flyte_io.File(path=str(path))):
        piece = await one(evidence.image(source, alt="A plot"))
        assert (piece.data, piece.evidence.name) == (png(), "plot.png")
        assert piece.evidence.model_dump() | {"name": ""} == {
            "name": "",
            "kind": "image",
            "media_type": "image/png",
            "size_bytes": len(png()),
            "sha256": piece.evidence.sha256,
            "url": "",
            "alt": "A plot",
        }
    drawn = await one(evidence.image(figure))
    assert drawn.evidence.media_type == "image/png"
    # A task that was restarted draws the same bytes, and asks the same question.
    assert (await one(evidence.image(figure))).data == drawn.data


@pytest.mark.parametrize(
    "made",
    [
        lambda: pd.DataFrame(ROWS),
        lambda: pl.DataFrame(ROWS),
        lambda: pa.Table.from_pylist(ROWS),
        lambda: pa.RecordBatch.from_pylist(ROWS),
        lambda: ROWS,
    ],
)
async def test_a_table_in_memory_is_previewed(made: Callable[[], Any]) -> None:
    found = await table(made())

    assert found.columns == ["city", "count"]
    assert found.rows[:2] == [["city 0", "0"], ["city 1", "1"]]
    assert (len(found.rows), found.total_rows, found.total_columns) == (50, 120, 2)
    assert found.caption() == "120 rows and 2 columns; the first 50 rows and 2 columns"


async def test_a_table_of_a_file_is_previewed(tmp_path: Path) -> None:
    csv, semicolons, parquet = tmp_path / "a.csv", tmp_path / "b.txt", tmp_path / "named.csv"
    pd.DataFrame(ROWS).to_csv(csv, index=False)
    pd.DataFrame(ROWS).to_csv(semicolons, index=False, sep=";")
    pq.write_table(pa.Table.from_pylist(ROWS), parquet)

    previews = [await table(each) for each in (csv, str(semicolons), parquet.as_uri(), ROWS)]

    assert previews == [previews[-1]] * 4


async def test_the_name_of_an_index_is_a_column() -> None:
    found = await table(pd.DataFrame(ROWS).set_index("city"))

    assert (found.columns, found.rows[0]) == (["city", "count"], ["city 0", "0"])


async def test_of_a_million_rows_only_the_first_are_read(tmp_path: Path) -> None:
    path = tmp_path / "large.parquet"
    pq.write_table(pa.table({"n": range(1_000_000), "text": ["x" * 30] * 1_000_000}), path, row_group_size=50_000)
    wide = pl.DataFrame({f"c{number}": [1] for number in range(300)})

    found = await one(evidence.table(path))

    assert len(found.data) < 10_000
    assert TablePreview.model_validate_json(found.data).total_rows == 1_000_000
    assert (await table(wide)).caption() == "1 row and 300 columns; the first 1 row and 20 columns"


async def test_a_data_frame_of_flyte_is_previewed(tmp_path: Path) -> None:
    flyte_io = pytest.importorskip("flyte.io")
    for name in ("00000", "00001"):
        pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / name)

    assert (await table(flyte_io.DataFrame.from_df(pd.DataFrame(ROWS)))).total_rows == 120
    assert (await table(flyte_io.DataFrame(uri=str(tmp_path), format="parquet"))).total_rows == 240


@given(value=st.one_of(st.text(), st.floats(), st.none(), st.lists(st.text()), st.binary(), st.datetimes()))
def test_whatever_a_cell_holds_is_short_and_on_one_line(value: Any) -> None:
    (row,) = TablePreview.of(["a\nb"], [[value]], total_rows=1).rows

    assert len(row[0]) <= MAX_CELL_CHARS + 1
    assert not re.search("[\x00-\x1f\x7f\u202e]", row[0])


@given(before=st.text("ab\n\x00\u202e", max_size=60), after=st.text("ab\n\x00\u202e", max_size=60))
def test_a_difference_holds_both_texts(before: str, after: str) -> None:
    found = DiffPreview.of(before, after)

    signs = [line.sign for line in found.lines]
    assert (signs.count("added"), signs.count("removed")) == (found.added, found.removed)
    assert DiffPreview.model_validate_json(found.model_dump_json()) == found
    assert (found.lines == []) == (before.splitlines() == after.splitlines())


async def test_a_difference_of_two_large_texts_is_cut() -> None:
    piece = await one(evidence.diff("a\n" * 4_000, "b\n" * 4_000))

    found = DiffPreview.model_validate_json(piece.data)
    assert (found.cut, len(found.lines)) == (True, 1_000)
    assert found.caption() == "4,000 lines added, 4,000 lines removed; the first 1,000 lines"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (png(), "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a=alert(1)//", "image/gif"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        (b"\0\0\0\x1cftypavif", "image/avif"),
        (b"%PDF-1.7", "application/pdf"),
        (SVG, "text/plain"),
        (b"<!doctype html><script>", "text/plain"),
        ("Größe".encode()[:4], "text/plain"),
        ("<b>".encode("utf-16"), "application/octet-stream"),
        (b"text\0", "application/octet-stream"),
        (b"MZ\x90\0", "application/octet-stream"),
    ],
)
def test_bytes_say_what_they_are(data: bytes, expected: str) -> None:
    assert media_type_of(data) == expected


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("plot.png\r\nSet-Cookie: a=b", "plot.png\ufffd Set-Cookie: a=b"),
        ("a\x00b\x1b[2J\u202egnp.exe", "a\ufffdb\ufffd[2J\ufffdgnp.exe"),
        ("..", "unnamed"),
        ("", "unnamed"),
        ("x" * 500, "x" * 128),
    ],
)
def test_a_name_is_no_path_and_does_no_harm(name: str, shown: str) -> None:
    assert shown_name(name) == shown


async def test_what_cannot_be_shown_is_refused_with_a_sentence(tmp_path: Path) -> None:
    large, empty, svg = tmp_path / "large.png", tmp_path / "empty", tmp_path / "x.png"
    large.write_bytes(png(filler=b"x" * (30 * 1024 * 1024)))
    empty.touch()
    svg.write_bytes(SVG)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    cases: list[tuple[Any, str]] = [
        (evidence.image(tmp_path / "no.png"), "evidence[0] (image 'no.png'): there is no file"),
        (evidence.file(tmp_path), "is a folder: give a file"),
        (evidence.file(pipe), "is no regular file"),
        (evidence.image(large), "has more than 16,777,216 bytes"),
        (
            evidence.image(png(filler=b"x" * MAX_PIECE_BYTES)),
            "at most 16 MiB can be shown; give hitl.evidence.link",
        ),
        (evidence.image(svg), "it is no PNG, JPEG, GIF, WebP or AVIF image; SVG can hold programs"),
        (evidence.file(empty), "it is empty: leave it out"),
        (evidence.html(png()), "it is no text in UTF-8, as HTML is"),
        (evidence.markdown("x" * 70_000), "at most 64 KiB can be shown"),
        (evidence.table(large), "it is neither Parquet nor text in UTF-8, as CSV is"),
        (evidence.file("nowhere://a/b"), "nowhere://a/b cannot be read"),
        (evidence.image(png(), alt="x" * 2_000), "alt"),
        (evidence.image(png(), name="x" * 200), "name"),
        ("plot.png", "evidence[0] is of type str: make it by a function of hitl.evidence"),
    ]
    for shown, expected in cases:
        assert expected in await refusal(shown)
    assert f"at most {MAX_EVIDENCE} can be shown" in await refusal(*[evidence.file(b"x")] * 33)
    assert "at most 64 MiB" in await refusal(*[evidence.file(bytes([n]) * MAX_PIECE_BYTES) for n in range(1, 6)])
    with pytest.raises(InvalidRequest, match="evidence is no list"):
        await pieces_of(evidence.file(b"x"))  # type: ignore[arg-type]  # what the sentence is for


@pytest.mark.parametrize(
    "made",
    [
        lambda: evidence.table(5),
        lambda: evidence.table(pl.LazyFrame(ROWS)),
        lambda: evidence.table([1, 2]),
        lambda: evidence.image(5),
        lambda: evidence.file(None),
        lambda: evidence.markdown(b"x"),  # type: ignore[arg-type]  # what the sentence is for
        lambda: evidence.diff("a\n" * 6_000, ""),
        lambda: evidence.diff("", "x" * 300_000),
        lambda: evidence.link("javascript:alert(1)"),
        lambda: evidence.link("https://"),
        lambda: evidence.link("https://a.example/\u202e"),
        lambda: evidence.link("https://a b"),
        lambda: evidence.link("https://[::1"),
        lambda: evidence.file(b"x", name=5),  # type: ignore[arg-type]  # what the sentence is for
    ],
)
def test_what_is_nothing_to_show_is_refused_at_once(made: Callable[[], Shown]) -> None:
    with pytest.raises(InvalidRequest):
        made()


@pytest.fixture
def site() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(404 if "missing" in self.path else 200)
            self.end_headers()
            self.wfile.write(b"a,b\n1,2\n" if "csv" in self.path else b"x" * 20 * 1024 * 1024)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


async def test_a_url_is_read_once_within_bounds_and_what_grants_access_to_it_is_not_repeated(site: str) -> None:
    found = await one(evidence.table(f"{site}/data.csv?signature=secret"))
    assert found.evidence.name == "data.csv"
    assert TablePreview.model_validate_json(found.data).rows == [["1", "2"]]

    for path, expected in (("missing", "the server said 404"), ("large", "has more than 16,777,216 bytes")):
        said = await refusal(evidence.file(f"{site.replace('//', '//ann:secret@')}/{path}?signature=secret"))
        assert expected in said
        assert "secret" not in said


async def test_what_an_author_changes_later_is_not_shown() -> None:
    rows = [{"a": 1}]
    data = bytearray(b"before")
    shown = [evidence.table(rows), evidence.file(data)]
    rows[0]["a"] = 2
    data[:] = b"after!"

    first, second = await pieces_of(shown)

    assert json.loads(first.data)["rows"] == [["1"]]
    assert second.data == b"before"


def test_sizes_are_written_for_people() -> None:
    assert [shown_size(each) for each in (0, 1, 1_023, 1_536, 16 * 1024 * 1024)] == [
        "0 bytes",
        "1 byte",
        "1,023 bytes",
        "1.5 KiB",
        "16 MiB",
    ]


async def test_asking_shows_it(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    event = await hitl.new_event.aio("n", int, evidence=[evidence.file(io.BytesIO(b"x").getvalue(), name="x.txt")])

    assert [each.name for each in event._asked.document.evidence] == ["x.txt"]
    await event.cancel.aio()
