"""The docs as a site: built strictly, complete, and a reader's browser loads nothing from elsewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).parents[2]
# What makes a browser load something. A link that a person may follow is none.
LOADS = re.compile(r"<(?:script|link|img|iframe|source)\b[^>]*?\b(?:src|href)=\"((?:https?:)?//[^\"]*)\"")


def build(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(REPO / "docs" / "tools" / "website.py"), str(folder)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the built site. A broken link, heading or picture ends the build."""
    folder = tmp_path_factory.mktemp("site")
    built = build(folder)
    assert built.returncode == 0, built.stderr
    return folder


def test_no_page_has_a_browser_load_anything_from_elsewhere(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))

    assert len(pages) > 20
    assert {
        str(page.relative_to(site)): found for page in pages if (found := LOADS.findall(page.read_text()))
    } == {}


def test_pictures_are_drawn_while_the_site_is_built(site: Path) -> None:
    source = (REPO / "docs" / "architecture.md").read_text()
    page = (site / "docs" / "architecture.html").read_text()
    drawn = re.findall(r'<figure class="picture"><svg id="([\w-]+)"', page)

    assert len(set(drawn)) == source.count("```mermaid\n") >= 2
    # The theme loads Mermaid from a CDN as soon as a page has an element of this class.
    assert 'class="mermaid"' not in "".join(each.read_text() for each in site.rglob("*.html"))


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("[no such page](gone.md)", "gone.md"),
        ("[no such heading](page.md#gone)", "#gone"),
        ("```mermaid\nflowchart LR\n a--\n```", "Mermaid rendering failed"),
    ],
)
def test_what_is_broken_fails_the_build(broken: str, said: str, tmp_path: Path) -> None:
    """Builds one page with the site's own configuration: all of them take seconds."""
    page = tmp_path / "build" / "pages" / "docs" / "page.md"
    page.parent.mkdir(parents=True)
    page.write_text(f"# Page\n\n{broken}\n")
    (tmp_path / "docs").symlink_to(REPO / "docs")
    config = (REPO / "mkdocs.yml").read_text()
    (tmp_path / "mkdocs.yml").write_text(re.sub(r"^nav:\n(?: +.*\n)+", "", config, flags=re.MULTILINE))

    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict"], cwd=tmp_path, capture_output=True, text=True
    )

    assert built.returncode != 0
    assert said in built.stderr
