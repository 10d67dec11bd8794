"""A browser inside the cluster's network, which finds the web app under the name that people know it by."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tests.backends.processes import PATIENCE
from tests.e2e.cluster import HOST, RELEASE, SYSTEM, get

_SHOTS = Path(__file__).parents[2] / "build" / "screenshots"


@contextmanager
def browsing(chromium: str, *flags: str, headers: Mapping[str, str] | None = None) -> Iterator[Page]:
    """Open a page that sends some headers with each request."""
    name = f"--host-resolver-rules=MAP {HOST}:80 {by_the_rules_of_the_ingress()}"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", name, *flags])
        page = browser.new_context(extra_http_headers=dict(headers or {})).new_page()
        page.set_default_timeout(PATIENCE * 1_000)
        yield page
        browser.close()


def by_the_rules_of_the_ingress() -> str:
    """Return the address that the Ingress leads to, as a controller would read it: there may be none here."""
    ingress = get("ingress", f"{RELEASE}-webapp", SYSTEM)
    assert ingress is not None
    [rule] = ingress["spec"]["rules"]
    assert rule["host"] == HOST
    [path] = rule["http"]["paths"]
    backend = path["backend"]["service"]
    service = get("service", backend["name"], SYSTEM)
    assert service is not None
    [port] = [each["port"] for each in service["spec"]["ports"] if each["name"] == backend["port"]["name"]]
    return f"{service['spec']['clusterIP']}:{port}"


def shot(page: Page, name: str) -> None:
    """Keep a picture of what a page shows first."""
    _SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=_SHOTS / f"{name}.png")


def send(page: Page) -> None:
    """Send the form, and wait until the page says what was recorded."""
    page.click("button.primary")
    page.wait_for_selector(".outcome")
