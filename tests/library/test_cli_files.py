"""A file given to the command is the answer, and nothing else is."""

import asyncio
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import hitl
from hitl.author import evidence
from hitl.cli.app import app
from hitl.records.requests import StoredRequest, read_outcome
from hitl.storage import Store
from tests.library.beside import stored
from tests.library.samples import asked, event_of


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("HITL_STORAGE_ROOT", str(tmp_path / "root"))
    return Store(str(tmp_path / "root"))


@pytest.fixture
def report(tmp_path: Path) -> Path:
    path = tmp_path / "report.pdf"
    path.write_bytes(b"%PDF-1.7 " + b"x" * 2_000_000)
    return path


def hitl_(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["answer", "a-question", *arguments])


def question(root: Store, data_type: type = hitl.File) -> StoredRequest:
    return asyncio.run(asked(root, "a-question", data_type=data_type, now=datetime.now(UTC)))


def test_the_task_gets_the_file_that_the_command_sent(root: Store, report: Path) -> None:
    request = question(root)
    # The beginning of an id names its question here, too.
    done = CliRunner().invoke(app, ["answer", "a-qu", "--file", str(report)])
    file: hitl.File = event_of(root, request, hitl.File).wait()

    assert done.exit_code == 0, done.output
    assert "report.pdf" in done.stdout
    assert (file.name, file.size_bytes) == ("report.pdf", report.stat().st_size)
    assert file.media_type == "application/pdf"
    assert file.path().read_bytes() == report.read_bytes()
    with file.open() as opened:
        assert opened.read(8) == b"%PDF-1.7"


def test_in_flyte_a_file_becomes_one_of_flyte(root: Store, report: Path) -> None:
    pytest.importorskip("flyte")
    question(root)
    assert hitl_("--file", str(report)).exit_code == 0
    # A process of its own: Flyte's settings are those of a whole process.
    program = """
import asyncio, sys, flyte, hitl
from hitl.storage import Store
from hitl.records.requests import read_request
from tests.library.beside import stored
from tests.library.samples import event_of
flyte.init()
store = Store(sys.argv[1])
file = event_of(store, asyncio.run(read_request(store, "a-question")), hitl.File).wait()
with file.to_flyte().open_sync("rb") as opened:
    print(type(file.to_flyte()).__module__, opened.read(8))
"""
    command = [sys.executable, "-c", program, root.url]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False)

    assert done.stdout.strip() == "flyte.io._file b'%PDF-1.7'", done.stderr


@pytest.mark.parametrize(
    ("data_type", "arguments", "said"),
    [
        (int, ["--file", "report.pdf"], "not by a file: give VALUE"),
        (hitl.File, ["--file", "no.pdf"], "no.pdf"),
        (hitl.File, ["--file", "empty"], "The file is empty"),
        (hitl.File, ["{}", "--file", "report.pdf"], "give VALUE or --file, and not both"),
        (hitl.File, ['{"name": "report.pdf"}'], "hitl answer REQUEST_ID --file"),
    ],
)
def test_what_is_no_file_that_answers_is_refused(
    root: Store,
    report: Path,
    monkeypatch: pytest.MonkeyPatch,
    data_type: type,
    arguments: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(report.parent)
    (report.parent / "empty").touch()
    question(root, data_type)
    done = hitl_(*arguments)

    assert done.exit_code == 2
    assert said in " ".join(done.output.replace("│", " ").split())
    assert asyncio.run(read_outcome(root, "a-question")) is None


def test_no_command_stumbles_over_evidence_and_files(
    root: Store, report: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = asyncio.run(stored(root, "a-question", [evidence.file(b"words")]))
    asyncio.run(stored(root, "never-asked", [evidence.file(b"words")]))
    asyncio.run(asked(root, "a-question", data_type=hitl.File, evidence=shown, now=datetime.now(UTC)))
    said = {}
    for command in (["list"], ["list", "--all"], ["show", "a-question"], ["doctor"], ["gc"], ["gc", "--full"]):
        done = CliRunner().invoke(app, command)
        said[" ".join(command)] = done.output
        assert done.exit_code == 0, done.output
    assert hitl_("--file", str(report)).exit_code == 0

    assert all("never-asked" not in text for text in said.values())
    assert "a-question" in said["list"]
    for command in (["list", "--all"], ["doctor"], ["gc", "--full"]):
        assert CliRunner().invoke(app, command).exit_code == 0


def test_a_question_for_a_file_is_shown_as_one_and_not_as_a_schema(root: Store) -> None:
    question(root)

    shown = CliRunner().invoke(app, ["show", "a-question"]).stdout

    assert "a file: upload it in the form, or `hitl answer a-question --file FILE`" in shown
    assert "sha256" not in shown
