"""One clock decides, the storage's: the command records and deletes nothing by another one."""

import asyncio
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hitl.cli.app import app
from hitl.records.requests import read_outcome
from hitl.storage import Store
from tests.library.samples import answer, asked, settle

OFF = [timedelta(seconds=40), -timedelta(seconds=40), timedelta(days=366)]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("HITL_STORAGE_ROOT", str(tmp_path / "root"))
    return Store(str(tmp_path / "root"))


def set_clock(monkeypatch: pytest.MonkeyPatch, module: str, off: timedelta) -> None:
    class Wrong(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]  # a plain datetime is enough
            return datetime.now(tz) + off

    monkeypatch.setattr(f"{module}.datetime", Wrong)


@pytest.mark.parametrize("off", OFF)
@pytest.mark.parametrize(
    "command",
    [["answer", "a-question", "42"], ["reject", "a-question", "--comment=no"], ["cancel", "a-question"]],
)
def test_nothing_is_recorded_by_a_clock_that_is_not_the_storages(
    root: Store, command: list[str], off: timedelta, monkeypatch: pytest.MonkeyPatch
) -> None:
    asyncio.run(asked(root, now=datetime.now(UTC)))
    set_clock(monkeypatch, "hitl.records.records", off)

    done = CliRunner().invoke(app, command)

    assert done.exit_code == 5
    assert "this machine's clock is" in done.stderr
    assert "set the clock" in done.stderr
    assert asyncio.run(read_outcome(root, "a-question")) is None


@pytest.mark.parametrize("off", OFF)
def test_nothing_is_deleted_by_a_clock_that_is_not_the_storages(
    root: Store, off: timedelta, monkeypatch: pytest.MonkeyPatch
) -> None:
    past = datetime.now(UTC) - timedelta(days=31)
    request = asyncio.run(asked(root, now=past))
    asyncio.run(settle(root, request, answer(), now=past, markers=False))
    set_clock(monkeypatch, "hitl.cli.root", off)

    done = CliRunner().invoke(app, ["gc"])

    assert done.exit_code == 5
    assert asyncio.run(read_outcome(root, "a-question")) is not None
    monkeypatch.undo()
    monkeypatch.setenv("HITL_STORAGE_ROOT", root.url)
    assert CliRunner().invoke(app, ["gc"]).stdout == "a-question\n"
