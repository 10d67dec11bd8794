"""Every command that README and docs show runs as it is typed, or its page's source says what it needs."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hitl.cli.demo_plot import line_plot
from hitl.core.documents import Respondent
from hitl.errors import AlreadySettled, RequestNotFound
from hitl.records.requests import StoredRequest, read_request
from hitl.records.submissions import Submission
from hitl.storage import Store
from tests.cluster.guide import snippet
from tests.cluster.installs import control_plane
from tests.docs.commands import ALL, PAGES, REPO, Block
from tests.library.samples import asked, settle

BIN = Path(sys.executable).parent
# What these run is this suite and its gate, or is a tool of the one who works on the code.
ELSEWHERE = re.compile(r"make (?:test|check|check test|site|bench|e2e|e2e-kind|setup audit|constraints|dist)\b")
VALUES: dict[str, Any] = {"bool": True, "int": 42, "float": 4.5, "str": "red", "json": {"a": 1}}
KEPT = "deploy-"
# A command that waits for more than an answer ends the test, and not the whole run.
SECONDS = 240


class Person:
    """Answers each question under a root, but for those whose ids begin with `KEPT`."""

    def __init__(self, root: Path) -> None:
        self._store = Store(str(root))
        self._ended = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._answer()))

    @contextmanager
    def there(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self._ended.set()
            self._thread.join()

    async def _answer(self) -> None:
        while not self._ended.is_set():
            for request_id in await self._store.list_request_ids():
                if not request_id.startswith(KEPT):
                    await self._give(request_id)
            await asyncio.sleep(0.1)

    async def _give(self, request_id: str) -> None:
        try:
            request = await read_request(self._store, request_id)
            value = VALUES[request.document.data_type]
            given = Submission("answered", Respondent(name="ann", via="web"), value, text=False)
            await settle(self._store, request, given, now=datetime.now(UTC), markers=False)
        except (RequestNotFound, AlreadySettled):
            # It is not written yet, or was given before.
            return


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what is tracked, as somebody who cloned it has it."""
    place = tmp_path_factory.mktemp("checkout") / "hitl"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPO, capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        if (REPO / name).is_file():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPO / name, place / name)
    return place


def question(root: Path, request_id: str, data_type: Any) -> StoredRequest:
    return asyncio.run(asked(Store(str(root)), request_id, data_type=data_type, now=datetime.now(UTC)))


def shell_page(place: Path, root: Path) -> None:
    for request_id, data_type in (("deploy-3f9c1e2a", bool), ("deploy-77aa01bc", dict), ("deploy-5b0d4f11", int)):
        question(root, request_id, data_type)
    question(root, "deploy-notes-0c41", str)
    (place / "ship").write_text("#!/bin/sh\n")
    (place / "ship").chmod(0o755)
    (place / "prompt.md").write_text("\ufeffShip **it**?\n")
    (place / "plan.json").write_text('{"plan": {"steps": 3}}')
    (place / "models.py").write_text("from pydantic import BaseModel\n\nclass Rollout(BaseModel):\n    a: int\n")
    (place / "loss.png").write_bytes(line_plot([3, 2, 1]))
    (place / "metrics.csv").write_text("epoch,loss\n1,0.9\n")


def gitops_page(place: Path, _: Path) -> None:
    (place / "approvals").mkdir(exist_ok=True)
    (place / "approvals" / "ship-it-yes.yaml").write_text(snippet("yaml").rpartition("---\n")[2])
    commit = "git init -q . && git -c user.name=a -c user.email=a@b.test commit -q --allow-empty -m first"
    subprocess.run(["bash", "-c", commit], cwd=place, check=True)


def run(script: str, place: Path, environment: dict[str, str]) -> tuple[int, str]:
    """Run a script with all that it starts; return its exit code and what it printed."""
    process = subprocess.Popen(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=place,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        printed, _ = process.communicate(timeout=SECONDS)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    return process.returncode, printed


PREPARED: dict[str, Callable[[Path, Path], None]] = {"docs/cli.md": shell_page, "docs/gitops.md": gitops_page}
PRINTED = {
    "make demo": "42",
    ".venv/bin/python examples/tutorial.py": "ActionOutputs(o0=42)",
    'export PATH="$PWD/.venv/bin:$PATH"': "shipped",
    "build/env/bin/hitl --version": "hitl 0",
}


@pytest.mark.parametrize("block", [each for each in ALL if not each.needs], ids=str)
def test_what_a_page_shows_runs_as_typed(block: Block, checkout: Path, tmp_path: Path) -> None:
    commands = [each for each in block.commands if not ELSEWHERE.match(each)]
    if not commands:
        return
    root = tmp_path / "data"
    if ".venv/bin" in str(commands) and not (checkout / ".venv").exists():
        subprocess.run(["tools/venv", "demo"], cwd=checkout, check=True)
    if block.page in PREPARED:
        PREPARED[block.page](checkout, root)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HITL_", "VIRTUAL_ENV"))}
    path = [str(control_plane()["kubectl"].parent)] if "kubectl" in str(commands) else []
    # What a page says to install is not taken from here.
    path += [str(BIN)] if block.page.startswith("docs/") else []
    settings = {"HITL_DATA_DIR": str(root), "PATH": os.pathsep.join([*path, kept["PATH"]]), "VERSION": "0.9.0"}

    with Person(root).there():
        code, printed = run("\n".join(commands), checkout, {**kept, **settings})

    assert code == 0, printed
    expected = [text for command, text in PRINTED.items() if any(command in each for each in block.commands)]
    assert [text for text in expected if text not in printed] == []


def test_the_answer_s_file_gets_the_commit_instead_of_its_own(checkout: Path) -> None:
    assert "hitl.flyte.org/commit: 4f1d2ab" in snippet("yaml")
    [command] = [each for block in ALL for each in block.commands if each.startswith("kubectl annotate")]
    assert "--overwrite" in command


def test_every_page_is_read_and_each_need_is_one() -> None:
    shown = sum(page.read_text().count("```console") for page in PAGES)

    assert shown == len(ALL) >= 25
    assert [block for block in ALL if not block.commands] == []
    assert [
        block.needs for block in ALL if block.needs and not re.match(r"(?:an?|the|Docker),? ", block.needs)
    ] == []
