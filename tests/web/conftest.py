"""A web app over local files, for the tests that need no more."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.web.serving import WebApp, running


@pytest.fixture
def app(tmp_path: Path) -> Iterator[WebApp]:
    with running(str(tmp_path / "root"), tmp_path) as found:
        yield found


@pytest.fixture(scope="module")
def shared_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebApp]:
    """One for a module whose tests each ask questions of their own."""
    folder = tmp_path_factory.mktemp("web")
    with running(str(folder / "root"), folder) as found:
        yield found


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    yield context.new_page()
    context.close()
