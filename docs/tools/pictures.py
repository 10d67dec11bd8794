"""Write the pictures of the pages into docs/images: a number's form, a model's form and a team's inbox.

Usage: ``python docs/tools/pictures.py``. It needs Chromium on the PATH, as the tests of the pages do.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Final, Literal

from playwright.sync_api import Browser, sync_playwright
from pydantic import BaseModel, Field

IMAGES: Final = Path(__file__).parents[1] / "images"
BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome")
SIZES: Final = {"model-desk": 1_000, "model-phone": 390}
PROMPT: Final = """Ship **checkout 2.4** to production?

| check | before | now |
|---|---|---|
| error rate | 0.21 % | 0.04 % |
| p99 latency | 310 ms | 180 ms |
"""

NUMBER_PROMPT: Final = "Please provide an integer to continue the workflow."
"""As the README's tutorial asks."""


class Place(BaseModel):
    """Where it runs."""

    zone: str = Field(max_length=20, description="As in the console")
    replicas: int = Field(2, ge=1, le=9)


class Deploy(BaseModel):
    """One deployment of the service."""

    region: Literal["eu", "us"]
    places: list[Place]
    begins: datetime
    budget: Decimal = Decimal("10.50")
    notes: str | None = None


USUAL: Final = Deploy(
    region="eu",
    places=[Place(zone="eu-central-1a"), Place(zone="eu-central-1b", replicas=4)],
    begins=datetime(2026, 12, 1, 9, 30, tzinfo=UTC),
)


def main() -> int:
    """Write the pictures."""
    found = browser_path()
    if found is None:
        return 1
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HITL_DATA_DIR"] = folder
        # Loaded with the folder of this run in place.
        import hitl
        from docs.tools.inbox_pictures import ask_team, take_inbox

        event = hitl.new_event("deploy", Deploy, prompt=PROMPT, timeout_seconds=3_600, default=USUAL)
        number = hitl.new_event("user_number_input", int, prompt=NUMBER_PROMPT, timeout_seconds=600)
        team = f"{folder}/team"
        ask_team(team)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
            _take_form(browser, event.form_url)
            _take_number(browser, number.form_url)
            take_inbox(browser, team, IMAGES)
            browser.close()
        event.cancel("the pictures are taken")
        number.cancel("the pictures are taken")
    return 0


def browser_path() -> str | None:
    """Return the path of a browser; None, and say so: there is none."""
    found = next((path for path in map(shutil.which, BROWSERS) if path is not None), None)
    if found is None:
        print(f"no picture without a browser: put one of {', '.join(BROWSERS)} on the PATH", file=sys.stderr)
    return found


def _take_form(browser: Browser, url: str) -> None:
    for name, width in SIZES.items():
        context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme="light")
        page = context.new_page()
        page.goto(url)
        page.wait_for_selector(".countdown:not(:empty)")
        page.screenshot(path=IMAGES / f"{name}.png", full_page=True)
        context.close()


def _take_number(browser: Browser, url: str) -> None:
    page = browser.new_page(viewport={"width": 860, "height": 640}, color_scheme="light")
    page.goto(url)
    page.wait_for_selector(".countdown:not(:empty)")
    page.get_by_label("Your answer").fill("42")
    page.screenshot(path=IMAGES / "form.png")
    page.close()


if __name__ == "__main__":
    sys.exit(main())
