"""The files, modules and names that pages and docstrings mention exist. The changelog tells of old ones."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

REPO = Path(__file__).parents[2]
PAGES = [
    *(path for path in REPO.glob("*.md") if path.name != "CHANGELOG.md"),
    *(REPO / "docs").rglob("*.md"),
    *(REPO / "examples").rglob("*.md"),
]
SOURCES = [*(REPO / "hitl").rglob("*.py"), *(REPO / "operator").rglob("*.py"), *(REPO / "webapp").rglob("*.py")]
TEXTS = sorted([*PAGES, *SOURCES, *(REPO / "docs" / "tools").glob("*.py")])
# A path of the repository, and a module or a name in one, each alone in backticks.
FILE = re.compile(
    r"(?:hitl|operator|webapp|dropin|tests|tools|docs|charts|crds|examples)(?:/[\w.-]+)*/(?:[\w-]+(?:\.\w+)?)?"
    r"(?:::\w+)?"
)
NAME = re.compile(r"(?:hitl|hitl_operator|hitl_webapp|flyteplugins\.hitl)(?:\.\w+)+")
# A file, and what a reader finds in it: `file.py`, `name`. Several names have "and" between them.
PLACED = re.compile(r"`((?:hitl|operator|webapp)/[\w/]+\.py)`,\s+((?:`[\w.]+`(?:\s+and\s+)?)+)")
NO_MODULES = {"hitl.audit", "hitl.access", "hitl.flyte.org"}  # two loggers, and the API group


def mentions(text: str) -> list[str]:
    """Return what stands in backticks, without an argument list behind it."""
    return [re.sub(r"\(.*\)$", "", span) for span in re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text)]


def lacks_file(span: str) -> bool:
    path, _, test = span.partition("::")
    place = REPO / path
    return not place.exists() or (bool(test) and f"def {test}(" not in place.read_text())


@cache
def lacks_name(span: str) -> bool:
    parts = span.split(".")
    found: object = importlib.import_module(parts[0])
    for number, part in enumerate(parts[1:], start=2):
        name = ".".join(parts[:number])
        if hasattr(found, part):
            found = getattr(found, part)
        elif (fields := getattr(found, "model_fields", {})) and part in fields:
            return False
        elif hasattr(found, "__path__") and importlib.util.find_spec(name):
            found = importlib.import_module(name)
        else:
            return True
    return False


def placed(text: str) -> list[tuple[str, str]]:
    """Return each file of a text with each name that it says is in that file."""
    return [(file, name) for file, names in PLACED.findall(text) for name in re.findall(r"`([\w.]+)`", names)]


@cache
def defined(file: str) -> frozenset[str]:
    """Return what a file defines: its functions, classes and variables, and the methods as `Class.method`."""
    return frozenset(_defined(ast.parse((REPO / file).read_text()).body))


def _defined(body: list[ast.stmt], prefix: str = "") -> Iterator[str]:
    for each in body:
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield prefix + each.name
        if isinstance(each, ast.ClassDef):
            yield from _defined(each.body, f"{prefix}{each.name}.")
        if isinstance(each, ast.Assign | ast.AnnAssign):
            targets = each.targets if isinstance(each, ast.Assign) else [each.target]
            yield from (prefix + target.id for target in targets if isinstance(target, ast.Name))


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: str(path.relative_to(REPO)))
def test_what_is_mentioned_exists(text: Path) -> None:
    spans = mentions(text.read_text())
    assert [span for span in spans if FILE.fullmatch(span) and lacks_file(span)] == []
    assert [span for span in spans if NAME.fullmatch(span) and span not in NO_MODULES and lacks_name(span)] == []


def test_a_way_through_the_code_names_files_that_define_what_it_says() -> None:
    pairs = placed((REPO / "docs" / "architecture.md").read_text())

    assert [(file, name) for file, name in pairs if name not in defined(file)] == []
    assert ("hitl/records/creation.py", "create_or_read") in pairs
    assert len(pairs) >= 14


@pytest.mark.parametrize("name", ["Event.wait", "Event", "gone"])
def test_a_name_that_a_file_only_imports_is_not_in_it(name: str) -> None:
    [pair] = placed(f"1. `hitl/author/events.py`,\n   `{name}`: waits.")

    assert pair == ("hitl/author/events.py", name)
    assert name not in defined("hitl/author/events.py")


@pytest.mark.parametrize(
    "span", ["hitl/core/gone.py", "hitl/gone/", "tests/docs/test_paths.py::test_gone", "hitl/gone"]
)
def test_a_path_that_is_gone_is_seen(span: str) -> None:
    assert FILE.fullmatch(span)
    assert lacks_file(span)


@pytest.mark.parametrize("span", ["hitl.gone", "hitl.core.gone", "hitl.records.outcomes.gone", "hitl_webapp.gone"])
def test_a_name_that_is_gone_is_seen(span: str) -> None:
    assert NAME.fullmatch(span)
    assert lacks_name(span)


@pytest.mark.parametrize(
    "span", ["hitl.ask", "hitl.core.documents.RequestDocument.prompt", "hitl.cli", "hitl.env"]
)
def test_a_name_that_is_there_is_found(span: str) -> None:
    assert not lacks_name(span)
