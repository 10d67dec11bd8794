"""The commands that pages show, and what a machine needs to run them as they are typed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

REPO = Path(__file__).parents[2]
PAGES = sorted([*REPO.glob("*.md"), *(REPO / "docs").rglob("*.md")])
_BLOCK = re.compile(
    r"^(?:[ ]*<!-- needs: (?P<needs>[^\n]+) -->\n)?(?P<indent>[ ]*)```console\n(?P<lines>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """The commands of one block of a page.

    Args:
        page: The page's path in the repository.
        commands: Each command, with the lines that continue it.
        shown: What the page says that they print.
        needs: What they need that no test has, as the page's source says above the block; or empty.
    """

    page: str
    commands: tuple[str, ...]
    shown: str
    needs: str

    def __str__(self) -> str:
        return f"{self.page}: {self.commands[0][:50]}"


def blocks(page: Path) -> list[Block]:
    """Return a page's blocks of commands, in their order."""
    found = []
    for match in _BLOCK.finditer(page.read_text()):
        commands: list[str] = []
        shown: list[str] = []
        for line in match["lines"].splitlines():
            text = line.removeprefix(match["indent"])
            if text.startswith("$ "):
                commands.append(text[2:])
            elif commands and commands[-1].endswith("\\"):
                commands[-1] += f"\n{text}"
            else:
                shown.append(text)
        name = page.relative_to(REPO).as_posix()
        found.append(Block(name, tuple(commands), "\n".join(shown), match["needs"] or ""))
    return found


ALL = [block for page in PAGES for block in blocks(page)]
