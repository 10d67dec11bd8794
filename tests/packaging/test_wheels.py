"""What the wheels hold."""

import subprocess
from configparser import ConfigParser
from pathlib import Path
from zipfile import ZipFile

from tests.packaging.conftest import ROOT

PACKAGES = {"hitl": "hitl", "hitl_operator": "operator/hitl_operator", "hitl_webapp": "webapp/hitl_webapp"}


def test_the_wheel_holds_each_file_of_the_packages_and_nothing_else(wheel: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z", *PACKAGES.values()], cwd=ROOT, capture_output=True, text=True, check=True
    )
    sources = [ROOT / name for name in listed.stdout.split("\0") if name]
    tracked = {
        f"{package}/{source.relative_to(ROOT / folder).as_posix()}"
        for package, folder in PACKAGES.items()
        for source in sources
        if source.is_relative_to(ROOT / folder) and source.is_file()
    }

    held = {name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name}

    assert tracked - held == set()
    assert {name.partition("/")[0] for name in held} == set(PACKAGES)


def test_the_wheel_brings_its_commands_and_its_licence(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        names = {name.partition(".dist-info/")[2]: name for name in archive.namelist() if ".dist-info/" in name}
        entry_points = ConfigParser()
        entry_points.read_string(archive.read(names["entry_points.txt"]).decode())

        assert archive.read(names["licenses/LICENSE"]) == (ROOT / "LICENSE").read_bytes()
    assert set(entry_points["console_scripts"]) == {"hitl", "hitl-operator", "kubectl-hitl"}


def test_the_drop_in_leaves_room_for_other_plugins(dropin_wheel: Path) -> None:
    held = [name for name in ZipFile(dropin_wheel).namelist() if ".dist-info/" not in name]

    assert [name for name in held if not name.startswith("flyteplugins/hitl/")] == []
    assert {"flyteplugins/hitl/__init__.py", "flyteplugins/hitl/_app.py", "flyteplugins/hitl/py.typed"} <= set(
        held
    )
