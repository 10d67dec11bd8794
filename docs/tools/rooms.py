"""Draw the rooms of the code into docs/architecture.md: the floors of the layers contract, and their imports.

Usage: ``python docs/tools/rooms.py [--check]``. With ``--check`` it only tells whether the page is up to date.
"""

from __future__ import annotations

import ast
import functools
import re
import sys
import tomllib
from pathlib import Path
from typing import Final, NamedTuple

import grimp

REPO: Final = Path(__file__).parents[2]
PAGE: Final = REPO / "docs" / "architecture.md"
BEGIN: Final = "<!-- rooms: made by `make rooms` -->"
END: Final = "<!-- rooms: end -->"
SOURCES: Final = {"hitl": "hitl", "hitl_operator": "operator/hitl_operator", "hitl_webapp": "webapp/hitl_webapp"}


class House(NamedTuple):
    """The rooms, and which of them import which."""

    floors: tuple[tuple[str, ...], ...]
    """The rooms of each floor, the highest floor first."""
    imports: dict[str, frozenset[str]]
    """For each room, the rooms that it imports directly."""

    def floor(self, room: str) -> int:
        """Return the number of a room's floor: 0 is the highest."""
        return next(number for number, rooms in enumerate(self.floors) if room in rooms)

    @property
    def upward(self) -> list[tuple[str, str]]:
        """The imports that lead to a room on the same floor, or on a higher one."""
        return [
            (room, other)
            for room, others in self.imports.items()
            for other in sorted(others)
            if self.floor(other) <= self.floor(room)
        ]

    @property
    def arrows(self) -> list[tuple[str, str]]:
        """The imports that the drawing shows: those that do not follow from two others."""
        return [
            (room, other)
            for room, others in self.imports.items()
            for other in sorted(others)
            if not any(other in self.reach(between) for between in others - {other})
        ]

    def reach(self, room: str) -> frozenset[str]:
        """Return the rooms that a room imports, directly or through others."""
        found: set[str] = set()
        waiting = [room]
        while waiting:
            new = self.imports[waiting.pop()] - found
            found |= new
            waiting.extend(new)
        return frozenset(found)


def contract() -> tuple[tuple[str, ...], ...]:
    """Return the floors of the layers contract in pyproject.toml."""
    settings = tomllib.loads((REPO / "pyproject.toml").read_text())["tool"]["importlinter"]
    (layers,) = [each["layers"] for each in settings["contracts"] if each["type"] == "layers"]
    return tuple(tuple(re.split(r"\s*[|:]\s*", floor)) for floor in layers)


@functools.cache
def look() -> House:
    """Return the rooms as the contract has them, with the imports that the code has."""
    graph = grimp.build_graph(*SOURCES, cache_dir=None)
    floors = contract()
    rooms = [room for floor in floors for room in floor]
    imports = {
        room: frozenset(
            other
            for other in rooms
            if other != room and graph.direct_import_exists(importer=room, imported=other, as_packages=True)
        )
        for room in rooms
    }
    return House(floors, imports)


def source(room: str) -> Path:
    """Return the file with a room's docstring: the module, or the `__init__.py` of the package."""
    package, *rest = room.split(".")
    place = REPO.joinpath(SOURCES[package], *rest)
    return place / "__init__.py" if place.is_dir() else place.with_suffix(".py")


def docstring(room: str) -> str:
    """Return a room's docstring."""
    return ast.get_docstring(ast.parse(source(room).read_text())) or ""


def said(room: str) -> str:
    """Return the first paragraph of a room's docstring, on one line."""
    return " ".join(docstring(room).split("\n\n")[0].split())


def page_part(house: House) -> str:
    """Return the part of the page: the drawing, and a table of the rooms."""
    lines = [BEGIN, "", "```mermaid", "flowchart TB"]
    lines += [f'    {_id(room)}["{room}"]' for rooms in house.floors for room in rooms]
    for room, other in house.arrows:
        # An arrow is as long as it leads down floors, so that the rooms of a floor stand side by side.
        lines.append(f"    {_id(room)} {'-' * (house.floor(other) - house.floor(room) + 1)}> {_id(other)}")
    lines += ["```", "", "| room | what is in it | it imports |", "|---|---|---|"]
    for room in [room for floor in house.floors for room in floor]:
        others = sorted(house.imports[room], key=lambda other: (house.floor(other), other))
        lines.append(f"| `{room}` | {said(room)} | {', '.join(f'`{other}`' for other in others)} |")
    return "\n".join([*lines, "", END])


def renewed(page: str, part: str) -> str:
    """Return the page with its part replaced.

    Raises:
        ValueError: when the page lacks the two comments between which the part stands.
    """
    if page.count(BEGIN) != 1 or page.count(END) != 1:
        raise ValueError(f"{PAGE.relative_to(REPO)} needs the comments {BEGIN} and {END}, once each")
    before, rest = page.split(BEGIN)
    return before + part + rest.split(END)[1]


def main() -> int:
    """Write the page, or check it."""
    house = look()
    if house.upward:
        print("not drawn: these imports lead upward:", *house.upward, sep="\n  ", file=sys.stderr)
        return 1
    page = PAGE.read_text()
    new = renewed(page, page_part(house))
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(new)
    elif page != new:
        print(f"{PAGE.relative_to(REPO)} is out of date: run `make rooms`", file=sys.stderr)
        return 1
    return 0


def _id(room: str) -> str:
    return room.replace(".", "_")


if __name__ == "__main__":
    sys.exit(main())
