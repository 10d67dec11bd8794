"""The files, modules and names that pages and docstrings mention exist. The changelog tells of old ones."""

from __future__ import annotations

import importlib
import importlib.util
import re
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


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: str(path.relative_to(REPO)))
def test_what_is_mentioned_exists(text: Path) -> None:
    spans = mentions(text.read_text())
    assert [span for span in spans if FILE.fullmatch(span) and lacks_file(span)] == []
    assert [span for span in spans if NAME.fullmatch(span) and span not in NO_MODULES and lacks_name(span)] == []


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
