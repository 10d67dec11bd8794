"""mypy and pyright agree on what the public API returns, and on what it refuses.

`basedpyright` is pyright as a Python package, with the Node that it needs. In `basic` mode it reports what pyright
reports, without rules of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

REPO = Path(__file__).parents[2]
PUBLIC_API = Path(__file__).with_name("public_api.py")
WRONG = '''"""Each line is wrong."""
from typing import assert_type
import hitl
assert_type(hitl.ask("Why?"), int)
hitl.ask("Why?", nonsense=1)
hitl.new_event("why", str).cancel(1, 2, nonsense=3)
'''


def mypy(file: Path, folder: Path) -> list[int]:
    """Return the lines of which mypy tells something."""
    command = [sys.executable, "-m", "mypy", "--strict", "--no-pretty", "--hide-error-context", str(file)]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return [int(line.split(":")[1]) for line in done.stdout.splitlines() if ": error:" in line]


def pyright(file: Path, folder: Path) -> list[int]:
    """Return the lines of which pyright tells something."""
    settings = {
        "include": [str(file)],
        "extraPaths": [str(REPO)],
        "typeCheckingMode": "basic",
        "pythonVersion": "3.11",
        "reportUnnecessaryTypeIgnoreComment": True,
    }
    project = folder / "pyrightconfig.json"
    project.write_text(json.dumps(settings))
    command = [sys.executable, "-m", "basedpyright", "--outputjson", "--pythonpath", sys.executable]
    done = subprocess.run([*command, "--project", str(project)], capture_output=True, text=True)
    told = json.loads(done.stdout)
    assert told["summary"]["filesAnalyzed"] == 1
    return [each["range"]["start"]["line"] + 1 for each in told["generalDiagnostics"]]


checkers = pytest.mark.parametrize("check", [mypy, pyright])


@checkers
def test_a_type_checker_knows_each_answers_type(check: Callable[[Path, Path], list[int]], tmp_path: Path) -> None:
    assert check(PUBLIC_API, tmp_path) == []


@checkers
def test_a_type_checker_finds_what_is_wrong(check: Callable[[Path, Path], list[int]], tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.py"
    wrong.write_text(WRONG)

    assert set(check(wrong, tmp_path)) == {4, 5, 6}
