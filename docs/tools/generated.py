"""What the tools share that write pages: how a page is written or checked, and the texts below attributes."""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from types import ModuleType


def write(pages: Mapping[Path, str]) -> int:
    """Write pages, or with ``--check`` say which are out of date; return the exit code."""
    if "--check" in sys.argv[1:]:
        stale = [path for path, text in pages.items() if not path.exists() or path.read_text() != text]
        for path in stale:
            print(f"{path.name} is out of date: run `make docs`", file=sys.stderr)
        return 1 if stale else 0
    for path, text in pages.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return 0


def texts_below(thing: type | ModuleType) -> dict[str, str]:
    """Return the text below each attribute. If pydantic read it, each start of a program would wait for that."""
    body = ast.parse(textwrap.dedent(inspect.getsource(thing))).body
    if inspect.isclass(thing):
        [definition] = body
        assert isinstance(definition, ast.ClassDef)
        body = definition.body
    found = {}
    for attribute, text in pairwise(body):
        match attribute, text:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(meaning))):
                found[name] = " ".join(meaning.split())
    return found
