"""Each picture in the docs is taken by `make pictures`, so that it can be taken again when a page changes."""

from __future__ import annotations

from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("picture", sorted(path.stem for path in (DOCS / "images").glob("*.png")))
def test_a_picture_is_taken_by_a_tool(picture: str) -> None:
    tools = "".join(path.read_text() for path in (DOCS / "tools").glob("*picture*.py"))

    assert any(written in tools for written in (f'"{picture}"', f"{picture}.png"))
