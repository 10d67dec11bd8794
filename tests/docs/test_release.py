"""What a release needs to be true, and RELEASE.md's commands for it: one version, and a changelog with dates."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from datetime import date
from pathlib import Path

import yaml

REPO = Path(__file__).parents[2]
NAMED = ("pyproject.toml", "CHANGELOG.md", "Dockerfile", "docs/operate.md", "charts/hitl/Chart.yaml")
SECTION = re.compile(r"^## \[([^\]]+)\](?: - (\S+))?$", re.MULTILINE)


def versions(repo: Path) -> dict[str, set[str]]:
    """Return the versions that each file names as this project's."""
    chart = yaml.safe_load((repo / "charts/hitl/Chart.yaml").read_text())
    return {
        "pyproject.toml": {tomllib.loads((repo / "pyproject.toml").read_text())["project"]["version"]},
        "Chart.yaml": {chart["version"], chart["appVersion"]},
        "CHANGELOG.md": {next(version for version, _ in sections(repo) if version != "Unreleased")},
        "Dockerfile": set(re.findall(r"/hitl:(\d[\d.]*)", (repo / "Dockerfile").read_text())),
        "operate.md": set(re.findall(r"/hitl:(\d[\d.]*)", (repo / "docs/operate.md").read_text())),
    }


def sections(repo: Path) -> list[tuple[str, str]]:
    """Return the changelog's versions and dates, the newest first."""
    return SECTION.findall((repo / "CHANGELOG.md").read_text())


def test_every_file_names_the_same_version() -> None:
    assert len({frozenset(named) for named in versions(REPO).values()}) == 1, versions(REPO)


def test_every_released_version_has_a_date() -> None:
    first, *released = sections(REPO)
    dates = [date.fromisoformat(day) for _, day in released]

    assert first == ("Unreleased", "")
    assert {"0.1.0", "0.2.0"} <= {version for version, _ in released}
    assert dates == sorted(dates, reverse=True)


def test_the_commands_of_release_md_change_the_version_everywhere(tmp_path: Path) -> None:
    page = (REPO / "RELEASE.md").read_text()
    commands = [line.removeprefix("$ ") for line in page.splitlines() if re.match(r"\$ (VERSION=|sed )", line)]
    for name in NAMED:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPO / name, tmp_path / name)
    script = "\n".join(["set -euo pipefail", *commands]).replace("VERSION=0.2.0", "VERSION=7.8.9")

    subprocess.run(["bash", "-c", script], cwd=tmp_path, check=True)

    assert len(commands) == 5
    assert set(map(frozenset, versions(tmp_path).values())) == {frozenset({"7.8.9"})}
    assert [version for version, _ in sections(tmp_path)][:2] == ["Unreleased", "7.8.9"]
    assert date.fromisoformat(sections(tmp_path)[1][1])
