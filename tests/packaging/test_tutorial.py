"""The tutorial, run by somebody who has the wheels and no checkout."""

import os
import shutil
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest

from tests.packaging.conftest import ROOT

TUTORIAL = ROOT / "examples" / "tutorial.py"
ANNOUNCED = "Access the form at: "


@pytest.fixture(scope="session")
def python(wheel: Path, dropin_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a fresh virtual environment that has both wheels, and nothing of the checkout."""
    environment = tmp_path_factory.mktemp("fresh") / "venv"
    python = environment / "bin" / "python"
    wanted = [f"flyte-hitl[flyte] @ {wheel.as_uri()}", str(dropin_wheel), "-c", str(ROOT / "constraints.txt")]
    steps: list[list[str | Path]]
    if uv := shutil.which("uv"):
        steps = [
            [uv, "venv", "-q", "-p", sys.executable, environment],
            [uv, "pip", "install", "-qp", python, *wanted],
        ]
    else:
        steps = [[sys.executable, "-m", "venv", environment], [python, "-m", "pip", "install", "-q", *wanted]]
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    return python


def test_the_tutorial_runs_from_the_wheels(python: Path, tmp_path: Path) -> None:
    shutil.copy(TUTORIAL, tmp_path)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("COVERAGE_", "PYTHON"))}
    with (tmp_path / "output").open("w+") as output:
        task = subprocess.Popen(
            [python, "tutorial.py"],
            cwd=tmp_path,
            env={**kept, "HOME": str(tmp_path), "PYTHONUNBUFFERED": "1"},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            form_url = announced(tmp_path / "output", task)
            answered = submit(form_url, "42")
            assert answered.status_code == 200, answered.text
            assert task.wait(timeout=60) == 0, (tmp_path / "output").read_text()
        finally:
            task.kill()
            task.wait()

    assert "42" in (tmp_path / "output").read_text().splitlines()[-1]


def announced(output: Path, task: subprocess.Popen[bytes]) -> str:
    deadline = time.monotonic() + 60
    while task.poll() is None and time.monotonic() < deadline:
        for line in output.read_text().splitlines():
            if ANNOUNCED in line:
                return line.partition(ANNOUNCED)[2].strip()
        time.sleep(0.1)
    raise AssertionError(f"no form was announced:\n{output.read_text()}")


def submit(form_url: str, value: str) -> httpx.Response:
    """Answer as a browser without JavaScript would: send the form with its hidden fields."""
    form = Form()
    form.feed(httpx.get(form_url).raise_for_status().text)
    return httpx.post(httpx.URL(form_url).join(form.action), data={**form.hidden, "value": value})


class Form(HTMLParser):
    """The first form of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.action = ""
        self.hidden: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag == "form" and not self.action:
            self.action = named.get("action") or ""
        if tag == "input" and named.get("type") == "hidden":
            self.hidden[named["name"] or ""] = named.get("value") or ""
