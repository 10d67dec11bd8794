"""The commands that pages show, and what a machine needs to run them as they are typed."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
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


def run_block(page: str, beginning: str, names: Mapping[str, str], **environment: str) -> str:
    """Run a block that needs what only some test has; return what it printed.

    Args:
        page: The page's path in the repository.
        beginning: How the block's first command begins.
        names: What the page writes for something that exists only there, and its name in the test.
        environment: Variables besides this process's own.
    """
    [block] = [each for each in ALL if each.page == page and each.commands[0].startswith(beginning)]
    script = "\n".join(block.commands)
    for shown, name in names.items():
        assert shown in script, f"{page} no longer shows {shown}"
        script = script.replace(shown, name)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


ALL = [block for page in PAGES for block in blocks(page)]
