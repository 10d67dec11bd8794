"""What the wheels hold."""

import ast
import subprocess
import sys
import tarfile
from configparser import ConfigParser
from pathlib import Path
from zipfile import ZipFile

from tests.packaging.conftest import ROOT

PACKAGES = {"hitl": "hitl", "hitl_operator": "operator/hitl_operator", "hitl_webapp": "webapp/hitl_webapp"}
# hatch needs it to build from the archive what it would build from the checkout.
HATCH = {".gitignore"}


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

    assert held == tracked


def test_the_wheel_imports_nothing_of_the_repository_that_it_does_not_bring(wheel: Path) -> None:
    beside = {path.name for path in ROOT.iterdir() if path.is_dir()} - {"hitl", *sys.stdlib_module_names}
    with ZipFile(wheel) as archive:
        sources = {name: archive.read(name).decode() for name in archive.namelist() if name.endswith(".py")}

    imported = {
        (name, module.partition(".")[0])
        for name, source in sources.items()
        for node in ast.walk(ast.parse(source))
        for module in _modules(node)
    }

    assert {(name, top) for name, top in imported if top in beside} == set()
    assert {top for _, top in imported} > set(PACKAGES)


def test_the_source_distribution_holds_what_the_wheel_is_built_from_and_the_definitions(wheel: Path) -> None:
    [archive] = wheel.parent.glob("*.tar.gz")
    with tarfile.open(archive) as found:
        tops = {name.split("/")[1] for name in found.getnames()}

    packages = {folder.partition("/")[0] for folder in PACKAGES.values()}
    assert tops == {
        *packages,
        "crds",
        "README.md",
        "LICENSE",
        "CHANGELOG.md",
        "pyproject.toml",
        "PKG-INFO",
        *HATCH,
    }


def _modules(node: ast.AST) -> list[str]:
    match node:
        case ast.Import(names=names):
            return [each.name for each in names]
        case ast.ImportFrom(module=str(module), level=0):
            return [module]
    return []


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
