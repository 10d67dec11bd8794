"""The command between pipes: any encoding on both sides, a BOM in front, texts on standard input."""

import asyncio
import codecs
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from hitl.cli.app import app
from hitl.cli.streams import MAX_INPUT_BYTES, decoded
from hitl.errors import InvalidRequest
from hitl.records.requests import read_outcome
from hitl.storage import Store
from tests.library.samples import answer, asked, settle

HITL = Path(sys.executable).with_name("hitl")
TEXT = "Grüße 👍 日本"
NARROW = ["cp1252", "latin-1", "ascii", "cp437", "utf-8"]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("HITL_STORAGE_ROOT", str(tmp_path / "root"))
    return Store(str(tmp_path / "root"))


def question(store: Store, request_id: str = "question", data_type: Any = str, **more: Any) -> None:
    asyncio.run(asked(store, request_id, data_type=data_type, now=datetime.now(UTC), **more))


def recorded(store: Store, request_id: str = "question") -> Any:
    outcome = asyncio.run(read_outcome(store, request_id))
    return None if outcome is None else outcome.value


def piped(*arguments: str, encoding: str) -> "subprocess.CompletedProcess[bytes]":
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    return subprocess.run([HITL, *arguments], capture_output=True, env=environment, stdin=subprocess.DEVNULL)


def hitl_(*arguments: str, given: bytes = b"") -> Result:
    return CliRunner().invoke(app, list(arguments), input=given)


@pytest.mark.parametrize("encoding", NARROW)
def test_what_a_pipe_cannot_hold_is_escaped_and_ends_no_command(root: Store, encoding: str) -> None:
    now = datetime.now(UTC)
    stored = asyncio.run(asked(root, "settled", data_type=str, prompt=TEXT, now=now))
    asyncio.run(settle(root, stored, answer(TEXT, "Åsa 👍"), now=now, markers=False))

    waited = piped("wait", "settled", encoding=encoding)
    shown = [piped(*each, encoding=encoding) for each in (["list", "--all"], ["show", "settled"], ["--help"])]
    as_json = piped("show", "settled", "--json", encoding=encoding)

    assert [each.returncode for each in (waited, *shown, as_json)] == [0] * 5
    assert waited.stdout.decode(encoding).rstrip() == TEXT.encode(encoding, "backslashreplace").decode(encoding)
    assert bool(waited.stderr) == (encoding != "utf-8")
    assert json.loads(as_json.stdout.decode(encoding))["value"] == TEXT


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbfja \xe2\x9c\x93\r\n",
        codecs.BOM_UTF16_LE + "ja ✓\r\n".encode("utf-16-le"),
        codecs.BOM_UTF16_BE + "ja ✓\n".encode("utf-16-be"),
        codecs.BOM_UTF32_LE + "ja ✓".encode("utf-32-le"),
        "ja ✓\n".encode(),
        "ja ✓".encode(),
    ],
    ids=["utf-8 with BOM", "utf-16", "utf-16, big-endian", "utf-32", "utf-8", "no line end"],
)
def test_a_dash_reads_the_answer_from_standard_input(root: Store, data: bytes) -> None:
    question(root)

    done = hitl_("answer", "question", "-", given=data)

    assert (done.exit_code, recorded(root)) == (0, "ja ✓"), done.output


def test_only_the_last_line_end_is_no_part_of_the_answer(root: Store) -> None:
    question(root)

    assert hitl_("answer", "--comment", "why", "question", "-", given=b"--two\n\nlines\n\n").exit_code == 0
    assert recorded(root) == "--two\n\nlines\n"


def test_json_is_read_from_standard_input(root: Store) -> None:
    question(root, data_type=dict)

    assert hitl_("answer", "question", "-", given=b'\xef\xbb\xbf{"a": "\xc3\xa4"}\n').exit_code == 0
    assert recorded(root) == {"a": "ä"}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x" * (MAX_INPUT_BYTES + 1),
        b"\xff\xfe\x00",
        "42\r\n".encode("utf-16-le"),
        "да".encode("utf-16-le"),
        "ναι".encode("utf-16-be"),
        "نعم".encode("utf-16-le"),
    ],
)
def test_an_input_that_is_none_is_no_answer(root: Store, data: bytes) -> None:
    question(root)

    done = hitl_("answer", "question", "-", given=data)

    assert done.exit_code == 2
    assert "standard input" in done.stderr
    assert recorded(root) is None


def test_a_byte_order_mark_in_front_of_a_word_is_not_recorded(root: Store) -> None:
    question(root, data_type=int)

    assert hitl_("answer", "question", "\ufeff42").exit_code == 0
    assert recorded(root) == 42


def test_a_prompt_is_read_from_standard_input() -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    command = [str(HITL), "ask", "-", "--timeout", "0.1s", "--default", "later"]

    done = subprocess.run(
        command, input="Grüße?\nBitte.\n".encode("latin-1"), capture_output=True, env=environment
    )

    assert (done.returncode, done.stdout) == (0, b"later\n")
    assert "Grüße?\nBitte.\nAnswer at http" in done.stderr.decode("latin-1")


@given(text=st.text(st.characters(codec="cp1252"), min_size=1))
def test_text_in_the_locale_s_encoding_is_read_unless_it_is_utf_8(text: str) -> None:
    data = text.encode("cp1252")

    assert decoded(text.encode(), "cp1252") == text.removeprefix("\ufeff")
    try:
        data.decode()
    except UnicodeDecodeError:
        if not data.startswith((b"\xff\xfe", b"\xfe\xff")):
            assert decoded(data, "cp1252") == text


def test_what_is_no_text_is_refused_by_name() -> None:
    with pytest.raises(InvalidRequest, match="UTF-8"):
        decoded(b"\xff\x81", "utf-8")
    with pytest.raises(InvalidRequest, match="utf-16"):
        decoded(codecs.BOM_UTF16_LE + b"a", "cp1252")
