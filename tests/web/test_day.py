"""A day of a team in Chromium: 60 of 2,000 questions, by keyboard alone at a desk, and by touch on a phone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from hitl.core.documents import Origin, RequestDocument
from hitl.core.respondents import Respondents
from tests.library.samples import draft_request
from tests.web.inboxes import put
from tests.web.serving import Question, WebApp, running
from tests.web.test_inbox_api import SECRET, as_user

OPEN = 2_000
OURS = 60
OF_OTHERS = 500
ALIKE = 10
PLACE = {
    "type": "object",
    "required": ["zone", "replicas"],
    "properties": {
        "zone": {"type": "string", "title": "Zone", "maxLength": 20},
        "replicas": {"type": "integer", "title": "Replicas", "minimum": 1, "maximum": 9},
    },
}
# What a team is asked in a day, and how each is answered: in fields by their selectors.
KINDS: list[tuple[dict[str, Any], Any]] = [
    ({"data_type": int, "prompt": "How many **rows** may be dropped?"}, 12),
    ({"data_type": bool, "prompt": "Did the smoke test pass?"}, True),
    ({"data_type": str, "prompt": "Which region comes first?", "choices": ["eu", "us"]}, "eu"),
    ({"data_type": str, "prompt": "What do we tell the customer?"}, "We are on it."),
    ({"data_type": "json", "prompt": "Where does it run?", "json_schema": PLACE}, {"zone": "eu-1", "replicas": 3}),
]


def questions() -> Iterator[RequestDocument]:
    """Ours have the earliest deadlines; the first ones are alike."""
    now = datetime.now(UTC)
    for number in range(OPEN):
        ours = number < OURS
        content = (
            KINDS[number % len(KINDS)][0] if number >= ALIKE else {**KINDS[1][0], "prompt": "Ship the canary?"}
        )
        users = ["bob"] if number >= OPEN - OF_OTHERS else []
        yield draft_request(
            request_id=f"day-{number:04}",
            event_name=f"canary {number}" if number < ALIKE else f"step {number}",
            timeout_seconds=20_000 + 2 * number,
            now=now - timedelta(seconds=number % 1_000),
            respondents=Respondents(users=users, groups=["checkout"] if ours else []) if ours or users else None,
            origin=Origin(
                namespace=f"ns-{number % 7}", project="checkout" if ours else f"p-{number % 9}", run="r-1"
            ),
            **content,
        )


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebApp]:
    folder = tmp_path_factory.mktemp("day")
    put(folder / "root", questions())
    with running(str(folder / "root"), folder, HITL_AUTH="proxy", HITL_PROXY_SECRET=SECRET) as found:
        yield found


def clean(page: Page) -> None:
    found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]})
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{page.url} is too wide"


def tab_to(page: Page, selector: str) -> None:
    """Go to the next thing on the page that is meant, as somebody without a mouse does."""
    for _ in range(100):
        page.keyboard.press("Tab")
        if page.evaluate("s => document.activeElement.matches(s)", selector):
            return
    raise AssertionError(f"{selector} is not reached by Tab on {page.url}")


def press_through(page: Page, number: int) -> None:
    """Answer the question that is shown, by keyboard."""
    value = KINDS[number % len(KINDS)][1]
    if isinstance(value, dict):
        for name, each in value.items():
            tab_to(page, f"[name='v/{name}']")
            page.keyboard.type(str(each))
    elif isinstance(value, bool) or "choices" in KINDS[number % len(KINDS)][0]:
        tab_to(page, "input[type=radio]")
        page.keyboard.press("Space")
    else:
        tab_to(page, "#value")
        page.keyboard.type(str(value))
    tab_to(page, "button.primary")
    page.keyboard.press("Enter")
    expect(page.locator(".verdict")).to_have_text("Your answer was saved. The workflow continues.")


def touch_through(page: Page, number: int) -> None:
    """Answer the question that is shown, by touch."""
    value = KINDS[number % len(KINDS)][1]
    if isinstance(value, dict):
        for name, each in value.items():
            page.locator(f"[name='v/{name}']").tap()
            page.keyboard.type(str(each))
    elif isinstance(value, bool) or "choices" in KINDS[number % len(KINDS)][0]:
        page.locator("label.choice").first.tap()
    else:
        page.locator("#value").tap()
        page.keyboard.type(str(value))
    page.locator("button.primary").tap()
    expect(page.locator(".verdict")).to_have_text("Your answer was saved. The workflow continues.")


def test_a_day_of_a_team(app: WebApp, browser: Browser) -> None:
    stranger = browser.new_context()
    page = stranger.new_page()
    page.goto(app.url)
    expect(page.locator("h1")).to_have_text("Sign in")
    clean(page)
    stranger.close()

    headers = {**as_user("ann"), "X-Forwarded-Groups": "checkout"}
    desk = browser.new_context(viewport={"width": 1_280, "height": 800}, extra_http_headers=headers)
    page = desk.new_page()
    page.goto(app.url)
    tabs = page.get_by_role("navigation", name="Whose questions")
    expect(tabs).to_contain_text(f"All ({OPEN - OF_OTHERS:,})")
    expect(tabs).to_contain_text(f"My groups\u2019 ({OURS})")
    clean(page)
    page.keyboard.press("?")
    expect(page.locator(".keys")).to_have_attribute("open", "")
    page.keyboard.press("?")

    # Ten alike, found by a word, are answered together.
    page.keyboard.press("/")
    page.keyboard.type("canary")
    page.keyboard.press("Enter")
    page.wait_for_url("**/?text=canary*")
    expect(page.locator("#waiting")).to_contain_text(f"{ALIKE}")
    clean(page)
    for _ in range(ALIKE):
        page.keyboard.press("j")
        page.keyboard.press("x")
    expect(page.locator(".select:checked")).to_have_count(ALIKE)
    tab_to(page, "button[form=several], #several button")
    page.keyboard.press("Enter")
    page.wait_for_url("**/bulk?**")
    clean(page)
    tab_to(page, "input[type=radio]")
    page.keyboard.press("Space")
    tab_to(page, "button.primary")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text(f"{ALIKE} of {ALIKE} saved")
    clean(page)

    # What else waits for the team, one after the other.
    tab_to(page, "footer a")
    page.keyboard.press("Enter")
    page.wait_for_selector("#live")
    tab_to(page, "summary")
    page.keyboard.press("Enter")
    tab_to(page, "#f-project")
    page.keyboard.type("checkout")
    page.keyboard.press("Enter")
    page.wait_for_url("**project=checkout*")
    expect(page.locator("#waiting")).to_contain_text(f"{OURS - ALIKE}")
    clean(page)
    for key in "jjk":
        page.keyboard.press(key)
    page.keyboard.press("Enter")
    for number in range(ALIKE, 40):
        page.wait_for_url(f"**/form/day-{number:04}")
        if number < ALIKE + len(KINDS):
            clean(page)
        press_through(page, number)
        if number == ALIKE or (isinstance(KINDS[number % len(KINDS)][1], dict) and number < ALIKE + len(KINDS)):
            clean(page)
        tab_to(page, "a[href*='/next']")
        page.keyboard.press("Enter")
    desk.close()

    # The rest, on the way home.
    phone = browser.new_context(
        viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True, extra_http_headers=headers
    )
    page = phone.new_page()
    page.goto(app.url)
    expect(page.locator("#waiting")).to_contain_text(f"{OPEN - OF_OTHERS - 40:,}")
    clean(page)
    page.locator(".entries li > a").first.tap()
    for number in range(40, OURS):
        page.wait_for_url(f"**/form/day-{number:04}")
        if number < 40 + len(KINDS):
            clean(page)
        touch_through(page, number)
        page.locator("a[href*='/next']").tap()
    page.goto(f"{app.url}/?state=settled")
    clean(page)
    expect(page.locator("#waiting")).to_contain_text(re.compile(rf"No longer open\s+{OURS}"))
    phone.close()

    for number in range(OURS):
        outcome = Question(app, f"day-{number:04}", "", "").stored()
        assert outcome is not None, number
        assert outcome["respondent"]["name"] == "ann"
        assert outcome["value"] == (KINDS[number % len(KINDS)][1] if number >= ALIKE else True)
    assert Question(app, f"day-{OURS:04}", "", "").stored() is None
