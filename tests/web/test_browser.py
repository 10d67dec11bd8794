"""The pages as people use them: Debian's Chromium, the keyboard alone, small and dark screens, axe."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from tests.web.serving import WebApp

SHOTS = Path(__file__).parents[2] / "build" / "screenshots"


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


def asked(app: WebApp, **content: Any) -> Any:
    return app.ask(f"q-{uuid.uuid4().hex[:12]}", **content)


def shot(page: Page, name: str) -> None:
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"{name}.png", full_page=True)


def tab_to(page: Page, selector: str) -> None:
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("s => document.activeElement.matches(s)", selector):
            return
    raise AssertionError(f"{selector} cannot be reached by keyboard")


TYPES: dict[str, tuple[dict[str, Any], Any, Any]] = {
    "int": ({"data_type": int}, "42", 42),
    "float": ({"data_type": float}, "4.5", 4.5),
    "bool": ({"data_type": bool}, ["Space", "ArrowDown"], False),
    "str": ({"data_type": str}, "some words", "some words"),
    "json": ({"data_type": "json"}, '{"a": [1]}', {"a": [1]}),
    "few choices": ({"data_type": str, "choices": ["red", "green"]}, ["Space", "ArrowDown"], "green"),
    "many choices": ({"data_type": int, "choices": list(range(20))}, ["7"], 7),
}


def test_a_form_is_answered_without_tls_where_browsers_say_less_about_pages(
    shared_app: WebApp, chromium: str
) -> None:
    question = asked(shared_app)
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--host-resolver-rules=MAP hitl.example 127.0.0.1"]
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        page = browser.new_page()
        page.goto(question.url.replace("127.0.0.1", "hitl.example"))
        page.fill("[name=value]", "7")
        page.click("button.primary")
        page.wait_for_selector(".outcome")
        browser.close()
    assert question.stored()["value"] == 7


@pytest.mark.parametrize("name", TYPES)
def test_each_type_is_answered_by_keyboard_alone(shared_app: WebApp, page: Page, name: str) -> None:
    content, typed, value = TYPES[name]
    question = asked(shared_app, **content)
    page.goto(question.url)
    shot(page, f"form-{name}")

    tab_to(page, "[name=value]")
    if isinstance(typed, str):
        page.keyboard.type(typed)
    else:
        for key in typed:
            page.keyboard.press(key)
    tab_to(page, "button.primary")
    page.keyboard.press("Enter")
    page.wait_for_selector(".outcome")

    outcome = question.stored()
    assert outcome is not None
    assert outcome["value"] == value
    assert "Recorded" in page.inner_text("main")
    shot(page, f"recorded-{name}")


def test_an_error_is_beside_the_field_which_has_the_focus_and_keeps_what_was_typed(
    shared_app: WebApp, page: Page
) -> None:
    question = asked(shared_app, data_type="json", json_schema={"required": ["rows", "table"]})
    page.goto(question.url)
    page.fill("#value", '{"a": 1}')
    page.click("button.primary")

    page.wait_for_selector("#value-error")
    assert page.evaluate("document.activeElement.id") == "value"
    assert page.input_value("#value") == '{"a": 1}'
    described = page.get_attribute("#value", "aria-describedby") or ""
    assert "value-error" in described
    assert page.locator("#value-error li").count() == 2
    assert page.title().startswith("Error")
    shot(page, "error")


def test_a_two_way_choice_has_no_default(shared_app: WebApp, page: Page) -> None:
    question = asked(shared_app, data_type=bool)
    page.goto(question.url)
    assert page.locator("input:checked").count() == 0

    page.click("button.primary")

    assert "An answer is needed" in page.inner_text("#value-error")
    assert question.stored() is None


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_axe_finds_nothing_on_any_page_and_nothing_sticks_out(
    shared_app: WebApp, browser: Browser, scheme: Any, width: int
) -> None:
    long = (
        "A long-word-"
        + "x" * 200
        + "\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n`code` and [a link](https://example.org)"
    )
    questions = {name: asked(shared_app, **content, prompt=long) for name, (content, _, _) in TYPES.items()}
    answered = asked(shared_app, data_type=str)
    answered.form("yes " * 200, name="Ann", comment="because")
    failed = asked(shared_app, data_type=int)
    pages = {f"form-{name}": question.url for name, question in questions.items()}
    pages |= {"outcome": answered.url, "links": shared_app.url, "docs": f"{shared_app.url}/docs"}
    pages |= {"refused": f"{shared_app.url}/form/nothing"}
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 800})
    page = context.new_page()

    def check(name: str) -> None:
        found = Axe().run(
            page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]}
        )
        assert found.violations_count == 0, f"{name}: {found.generate_report()}"
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name} is too wide"
        shot(page, f"{name}-{scheme}-{width}")

    for name, url in pages.items():
        page.goto(url)
        check(name)
    page.goto(failed.url)
    page.evaluate("document.querySelector('details.more').open = true")
    page.click("button.primary")
    page.wait_for_selector("#value-error")
    check("error")
    context.close()


def test_the_page_notices_that_somebody_else_answered(shared_app: WebApp, page: Page) -> None:
    question = asked(shared_app)
    page.goto(question.url)
    question.api(5)

    page.wait_for_selector(".settled-elsewhere:not([hidden])", timeout=15_000)
    page.click(".settled-elsewhere a")

    assert "Answered" in page.inner_text("main")


def test_it_works_without_javascript(shared_app: WebApp, browser: Browser) -> None:
    question = asked(shared_app)
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(question.url)
    page.fill("#value", "6")
    page.click("button.primary")

    assert "Recorded" in page.inner_text("main")
    context.close()


def test_the_policy_stops_a_script_that_got_in(shared_app: WebApp, page: Page) -> None:
    question = asked(shared_app)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(question.url)

    page.evaluate(
        "() => { const s = document.createElement('script'); s.textContent = 'window.ran = true';"
        " document.body.append(s); document.body.innerHTML += '<img src=x onerror=\"window.ran = true\">'; }"
    )
    page.wait_for_timeout(200)

    assert page.evaluate("window.ran") is None
    assert any("Content Security Policy" in line for line in said)


def test_nothing_is_asked_of_any_other_server_and_no_address_gives_the_token_away(
    shared_app: WebApp, page: Page
) -> None:
    question = asked(shared_app, prompt="[away](https://example.org/)")
    asked_for: list[tuple[str, str | None]] = []
    page.on("request", lambda request: asked_for.append((request.url, request.headers.get("referer"))))
    page.goto(question.url)
    page.fill("#value", "1")
    page.click("button.primary")
    page.wait_for_selector(".outcome")

    assert all(url.startswith(shared_app.url) for url, _ in asked_for)
    assert not any(referer for _, referer in asked_for)
    assert question.token not in page.url
