"""Write the picture of the statistics into docs/images, with made-up figures.

Usage: ``python docs/tools/statistics_picture.py``. It needs Chromium on the PATH, as the tests of the pages do.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from playwright.sync_api import Route, sync_playwright

from docs.tools.pictures import IMAGES, browser_path
from hitl_webapp.pages import STATIC
from hitl_webapp.stats.figures import Ended, Open, Team, report
from hitl_webapp.stats.page import page
from hitl_webapp.stats.queries import Wanted
from hitl_webapp.stats.shown import Statistics

NOW: Final = datetime(2026, 11, 26, 9, tzinfo=UTC)
START: Final = datetime(2026, 11, 2, tzinfo=UTC)
TEAMS: Final = (
    Team("group", "sre"),
    Team("group", "finance"),
    Team("group", "data"),
    Team("namespace", "payments"),
)
PROJECTS: Final = ("checkout", "billing", "search")
SITE: Final = "http://hitl.example/"


def main() -> int:
    """Write the picture."""
    found = browser_path()
    if found is None:
        return 1
    figures = report(_open(), _ended(), START, NOW)
    html = page(Statistics(Wanted(weeks="4"), NOW, figures, whole=True), "ann@example.org")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        shown = browser.new_page(viewport={"width": 1_000, "height": 800}, color_scheme="light")

        def answer(route: Route) -> None:
            name = route.request.url.rpartition("/")[2]
            route.fulfill(path=STATIC / name) if name else route.fulfill(body=html, content_type="text/html")

        shown.route("**/*", answer)
        shown.goto(SITE)
        target = IMAGES / "statistics-desk.png"
        shown.screenshot(path=target, full_page=True, clip={"x": 0, "y": 0, "width": 1_000, "height": 1_040})
        browser.close()
    return 0


def _open() -> Iterator[Open]:
    for number, team in enumerate(TEAMS):
        yield Open([team], PROJECTS[number % 3], False, 5 - number, NOW - timedelta(hours=3 * number + 1))


def _ended() -> Iterator[Ended]:
    chance = random.Random(7)  # noqa: S311 - made-up figures, the same each time
    kinds: list[Any] = ["answered"] * 9 + ["rejected", "timed_out", "cancelled"]
    for _ in range(640):
        at = START + (NOW - START) * chance.random()
        number = chance.randrange(4)
        seconds = chance.lognormvariate(6.5 + number / 2, 1.4)
        yield Ended([TEAMS[number]], chance.choice(PROJECTS), chance.choice(kinds), False, at, seconds)


if __name__ == "__main__":
    sys.exit(main())
