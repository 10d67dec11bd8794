"""Each test that the pages on security name exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

REPO = Path(__file__).parents[2]
PAGES = [REPO / "docs" / "security.md", REPO / "SECURITY.md"]
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


@cache
def defined_in(path: Path) -> set[str]:
    """Return the names of a file's tests, which is read and not run."""
    tree = ast.parse(path.read_text()) if path.exists() else ast.Module([], [])
    functions = [each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]
    return {each.name for each in functions if each.name.startswith("test_")}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPO)))
def test_every_test_that_is_named_exists(page: Path) -> None:
    named = NAMED.findall(page.read_text())

    assert [f"{path}::{name}" for path, name in named if name not in defined_in(REPO / path)] == []


def test_the_threat_model_names_defined_in_full() -> None:
    page = PAGES[0].read_text()

    assert len(NAMED.findall(page)) >= 50
    assert page.count("::") == len(NAMED.findall(page))
