"""Build the docs as a site, without any download. A broken link, heading or picture fails it.

Usage: ``python docs/tools/website.py [folder]``, which is ``build/site`` if none is given.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

REPO: Final = Path(__file__).parents[2]
# Pages outside docs/ are pages too. So the site's source is a folder of links to all of them, with the layout of
# the repository: a link that works there works here.
SOURCES: Final = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "RELEASE.md", "CHANGELOG.md", "docs", "examples")
PAGES: Final = REPO / "build" / "pages"


def build(folder: Path) -> subprocess.CompletedProcess[str]:
    """Build the site strictly.

    Args:
        folder: Where the site is written. What is in it is deleted.

    Returns:
        The finished build: its exit code is not 0, and its `stderr` says why, when something is broken.
    """
    PAGES.mkdir(parents=True, exist_ok=True)
    for name in SOURCES:
        link = PAGES / name
        if not link.is_symlink():
            link.symlink_to(Path("..", "..", name))
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    # Material announces the end of MkDocs 1 on every build; docs/decisions says what we make of it.
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(command, cwd=REPO, env=environment, capture_output=True, text=True, check=False)


def main() -> int:
    """Build the site and say where it is, or what is broken."""
    folder = Path(sys.argv[1]).resolve() if sys.argv[1:] else REPO / "build" / "site"
    built = build(folder)
    if built.returncode:
        print(built.stderr, file=sys.stderr)
        return built.returncode
    print(f"{folder}: look at it with `python -m http.server --directory {folder}`")
    return 0


if __name__ == "__main__":
    sys.exit(main())
