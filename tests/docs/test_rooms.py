"""The rooms of the code: every module is in one, imports lead down only, and the drawing shows what is true."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from docs.tools import rooms

REPO = Path(__file__).parents[2]
HOUSE = rooms.look()
ROOMS = [room for floor in HOUSE.floors for room in floor]


def test_the_drawing_is_up_to_date() -> None:
    subprocess.run([sys.executable, str(REPO / "docs" / "tools" / "rooms.py"), "--check"], check=True)


def test_no_import_leads_up_or_sideways_and_there_are_eight_floors_at_most() -> None:
    assert HOUSE.upward == []
    assert len(HOUSE.floors) <= 8


def test_every_module_is_in_a_room() -> None:
    places = {path.stem for path in (REPO / "hitl").iterdir() if path.suffix == ".py" or _holds_code(path)}
    assert {f"hitl.{name}" for name in places - {"__init__"}} | {"hitl_operator", "hitl_webapp"} == set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_says_what_is_in_it(room: str) -> None:
    assert rooms.said(room).endswith(".")


@pytest.mark.parametrize("room", [room for room in ROOMS if rooms.source(room).name == "__init__.py"])
def test_a_package_says_who_imports_it(room: str) -> None:
    assert "import" in rooms.docstring(room)


def test_an_arrow_up_is_seen_and_not_drawn() -> None:
    house = rooms.House((("top",), ("left", "right"), ("base",)), _all(top={"base"}, left={"right"}, base={"top"}))
    assert house.upward == [("left", "right"), ("base", "top")]


def test_an_import_that_follows_from_two_others_has_no_arrow() -> None:
    house = rooms.House((("top",), ("middle",), ("base",)), _all(top={"middle", "base"}, middle={"base"}))
    assert house.arrows == [("top", "middle"), ("middle", "base")]


def test_the_rest_of_the_page_stays_as_it_is() -> None:
    page = f"before\n{rooms.BEGIN}\nold\n{rooms.END}\nafter\n"
    assert rooms.renewed(page, f"{rooms.BEGIN}\nnew\n{rooms.END}") == page.replace("old", "new")
    with pytest.raises(ValueError, match="once each"):
        rooms.renewed("a page without the comments", "new")


def _all(**imports: set[str]) -> dict[str, frozenset[str]]:
    names = ("top", "middle", "left", "right", "base")
    return {name: frozenset(imports.get(name, ())) for name in names}


def _holds_code(folder: Path) -> bool:
    return folder.is_dir() and any(folder.rglob("*.py"))
