"""Files and functions stay small enough to be read at one go; docs/design.md and CONTRIBUTING.md say why."""

from __future__ import annotations

import ast
import statistics
from pathlib import Path

REPO = Path(__file__).parents[2]
FOLDERS = ("hitl", "operator", "webapp", "tools/crd", "dropin")
MOST_LINES_OF_A_FILE = 350
MOST_LINES_OF_THE_MEDIAN_FILE = 150
MOST_LINES_OF_A_FUNCTION = 60

FILES = {
    path.relative_to(REPO).as_posix(): path.read_text()
    for folder in FOLDERS
    for path in sorted((REPO / folder).rglob("*.py"))
    if "build" not in path.parts
}


def functions(source: str) -> dict[str, int]:
    """Return how many lines each function has, its docstring and its arguments among them, by name and place."""
    return {
        f"{node.name}, line {node.lineno}": (node.end_lineno or node.lineno) - node.lineno + 1
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def test_no_file_is_long() -> None:
    lines = {name: len(text.splitlines()) for name, text in FILES.items()}

    assert len(lines) > 100
    assert {name: count for name, count in lines.items() if count > MOST_LINES_OF_A_FILE} == {}


def test_half_of_the_files_are_short() -> None:
    lines = [len(text.splitlines()) for text in FILES.values() if text]

    assert statistics.median(lines) <= MOST_LINES_OF_THE_MEDIAN_FILE


def test_no_function_is_long() -> None:
    long = {
        f"{name}: {function}": count
        for name, text in FILES.items()
        for function, count in functions(text).items()
        if count > MOST_LINES_OF_A_FUNCTION
    }

    assert long == {}
