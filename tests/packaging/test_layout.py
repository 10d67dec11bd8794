"""What must hold for every file that is tracked, wherever the checkout lies."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path, PurePosixPath

import pytest
import yaml

ROOT = Path(__file__).parents[2]

# Put together here, so that this file does not hold what it looks for.
REGISTRY_HOSTS = ["files." + "pythonhosted", "pypi." + "org/simple", "registry." + "npmjs", "proxy." + "golang"]
INDEX_SETTING = re.compile(r"(?:index-url|find-links|registry)\s*[= ]\s*[\"']?https?://")
MACHINE_PATH = re.compile(r"(?:^|[\s\"'`=(:])/(?:work|root|home/\w+|Users/\w+)/\w", re.MULTILINE)


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def texts() -> dict[str, str]:
    found = {}
    for path in tracked():
        data = path.read_bytes()
        if b"\0" not in data:
            found[path.relative_to(ROOT).as_posix()] = data.decode()
    return found


def test_no_package_hides_a_folder_that_is_none() -> None:
    """An __init__.py in operator/ would hide the standard library's module, one in tests/ each other's tests."""
    namespaces = re.compile(r"^(operator|webapp|dropin|dropin/flyteplugins|docs|examples|tools|tests(/.*)?)$")

    folders = [path.relative_to(ROOT).parent for path in tracked() if path.name == "__init__.py"]

    assert [str(folder) for folder in folders if namespaces.match(PurePosixPath(folder).as_posix())] == []


def test_each_package_is_typed() -> None:
    packages = [p.parent for p in tracked() if p.name == "__init__.py"]
    outermost = [package for package in packages if package.parent not in packages]

    assert [p.name for p in outermost if not (p / "py.typed").is_file()] == []
    assert {"hitl", "hitl_operator", "hitl_webapp"} <= {p.name for p in outermost}


def test_nothing_names_a_package_index() -> None:
    found = [
        name
        for name, text in texts().items()
        if any(host in text for host in REGISTRY_HOSTS) or INDEX_SETTING.search(text)
    ]

    assert found == []


def test_nothing_names_a_path_of_one_machine() -> None:
    found = {name: match[0] for name, text in texts().items() if (match := MACHINE_PATH.search(text))}

    assert found == {}


def test_constraints_are_names_and_versions_alone() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()

    assert [line for line in lines if not re.fullmatch(r"[a-z0-9-]+==[\w.!+]+( ; [^/@]+)?", line)] == []


def test_every_text_is_as_the_editorconfig_says() -> None:
    odd = [
        name
        for name, text in texts().items()
        if not name.startswith("tests/fixtures/root-")
        and (re.search(r"[ \t]$|\r", text, re.MULTILINE) or (text and not text.endswith("\n")))
    ]

    assert odd == []


def test_each_hook_of_pre_commit_is_here() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    hooks = [hook for repo in config["repos"] for hook in repo["hooks"]]

    assert {repo["repo"] for repo in config["repos"]} == {"local"}
    tools = {Path(hook["entry"].split()[0]).name for hook in hooks}
    assert {
        tool for tool in tools if shutil.which(tool, path=f"{Path(sys.executable).parent}:{os.defpath}") is None
    } == set()
    assert hooks[-1]["entry"] == "make check"


@pytest.mark.parametrize("name", ["constraints", "e2e-kind", "test-tools", "venv"])
def test_tools_can_be_run(name: str) -> None:
    assert (ROOT / "tools" / name).stat().st_mode & 0o111
