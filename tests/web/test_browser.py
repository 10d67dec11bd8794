"""The pages as people use them: Debian's Chromium, the keyboard alone, small and dark screens, axe."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from hitl.core.approval import Approval
from tests.web.serving import PAST, WebApp, running

SHOTS = Path(__file__).parents[2] / "build" / "screenshots"


@pytest.fixture(scope="module")
def inbox_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebApp]:
    """A web app behind a proxy, with questions that wait, are settled and cannot be read."""
    folder = tmp_path_factory.mktemp("inbox")
    with running(str(folder / "root"), folder, HITL_AUTH="proxy", HITL_PROXY_SECRET="s") as found:
        found.ask("waits", event_name="deploy to production", prompt="Ship **2.4** to " + "everybody " * 40)
        found.ask("arabic", event_name="موافقة", prompt="هل نرسل النسخة 2.4؟", data_type=str)
        found.ask("answered", event_name="rows to keep").form("7", name="محمد")
        found.ask("declined", event_name="y" * 128).form("", name="Bob", comment="No idea. " * 30, reject="1")
        found.ask("late", now=datetime.now(UTC) - PAST)
        damaged = folder / "root" / "hitl-requests" / "damaged-question"
        damaged.mkdir()
        (damaged / "request.json").write_text("{")
        yield found


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
    assert "Your answer was saved" in page.inner_text("main")
    shot(page, f"saved-{name}")


def test_an_error_is_beside_the_field_which_has_the_focus_and_keeps_what_was_typed(
    shared_app: WebApp, page: Page
) -> None:
    question = asked(shared_app, data_type="json", json_schema={"required": ["rows", "table"]})
    page.goto(question.url)
    page.fill("#value", '{"a": 1}')
    page.click("button.primary")

    page.wait_for_selector("#value-error")
    page.wait_for_function("document.activeElement.id === 'value'")
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

    assert page.inner_text("#value-error") == "Choose Yes or No."
    assert question.stored() is None


POLICY = Approval(required=2, rejections=2, allow_links=True)


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
    voting, voted = (asked(shared_app, data_type=str, approval=POLICY) for _ in range(2))
    voted.form("yes " * 200, name="Ann", comment="because " * 40)
    agreed = asked(shared_app, data_type=int, approval=Approval(required=1))
    agreed.form("4", name="Ann")
    pages = {f"form-{name}": question.url for name, question in questions.items()}
    pages |= {"outcome": answered.url, "links": shared_app.url, "docs": f"{shared_app.url}/docs"}
    pages |= {"voting": voting.url, "voted": voted.url, "agreed": agreed.url}
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
    page.fill("#value", "5")
    page.click("button.link")
    page.wait_for_selector("button.decline")
    check("decline")
    page.click("button.decline")
    page.wait_for_selector("#comment-error")
    check("decline-error")
    page.fill("#comment", "The numbers of last week are missing. " * 3)
    page.click("button.decline")
    page.wait_for_selector(".outcome")
    check("declined")
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_axe_finds_nothing_in_an_inbox_with_all_that_it_can_show(
    inbox_app: WebApp, browser: Browser, scheme: Any, width: int
) -> None:
    context = browser.new_context(
        color_scheme=scheme,
        viewport={"width": width, "height": 800},
        extra_http_headers={"X-HITL-Proxy-Secret": "s", "X-Forwarded-User": "ann@example.org"},
    )
    page = context.new_page()
    page.goto(inbox_app.url)

    found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]})

    shot(page, f"inbox-{scheme}-{width}")
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.locator("section").count() == 2
    context.close()


TYPED_NUMBERS = [
    "0,42",
    "1.234,5",
    "1 000",
    "1,000",
    "\u22125",
    "12 %",
    "about 5",
    "1e3x",
    "0x10",
    "\u0665",
    "--5",
]


@pytest.mark.parametrize("data_type", [int, float])
def test_a_number_reaches_the_web_app_as_it_was_typed_or_pasted(
    shared_app: WebApp, page: Page, data_type: type
) -> None:
    for typed in TYPED_NUMBERS:
        question = asked(shared_app, data_type=data_type)
        page.goto(question.url)
        with page.expect_request("**/submit") as sent:
            page.click("#value")
            page.keyboard.insert_text(typed)
            page.click("button.primary")
        page.wait_for_load_state()
        posted = parse_qs(sent.value.post_data or "")

        assert posted["value"] == [typed]
        if question.stored() is None:
            assert page.input_value("#value") == typed, "it is kept"
            page.wait_for_function("document.activeElement.id === 'value'")
            assert page.inner_text("#value-error")


def test_neither_the_wheel_nor_the_arrows_change_a_number(shared_app: WebApp, page: Page) -> None:
    question = asked(shared_app, prompt="Long text\n\n" + "word " * 1_500)
    page.goto(question.url)
    page.click("#value")
    page.keyboard.type("1000")
    box = page.locator("#value").bounding_box()
    assert box
    page.mouse.move(box["x"] + 20, box["y"] + box["height"] / 2)
    for down in (-120, 120, -120):
        page.mouse.wheel(0, down)
    for key in ("ArrowUp", "ArrowUp", "ArrowDown", "PageUp", "PageDown"):
        page.keyboard.press(key)

    assert page.input_value("#value") == "1000"


def test_no_form_lets_the_browser_read_a_number(shared_app: WebApp, page: Page) -> None:
    for content, _, _ in TYPES.values():
        page.goto(asked(shared_app, **content).url)
        kinds = page.evaluate("[...document.querySelectorAll('input, textarea')].map(each => each.type)")
        assert set(kinds) <= {"text", "hidden", "radio", "textarea"}
        assert page.locator("[maxlength], [pattern], [min], [max], [step]").count() == 0, "nothing cuts or changes"


@pytest.mark.parametrize("javascript", [True, False])
def test_to_decline_by_keyboard_takes_a_step_and_a_reason_and_what_was_typed_is_kept(
    shared_app: WebApp, browser: Browser, javascript: bool
) -> None:
    question = asked(shared_app, data_type=bool)
    context = browser.new_context(java_script_enabled=javascript, viewport={"width": 360, "height": 640})
    page = context.new_page()
    page.goto(question.url)
    page.check("[value=true]")
    page.focus("button.link")
    page.keyboard.press("Enter")
    page.wait_for_selector("button.decline")
    assert page.is_visible("h1 >> text=Decline to answer")

    page.focus("button.decline")
    page.keyboard.press("Enter")
    page.wait_for_selector("#comment-error")
    assert page.locator("#comment:focus").count() == 1
    assert page.get_attribute("#comment", "aria-describedby") == "comment-error"
    assert question.stored() is None

    page.keyboard.type("I was not there")
    page.click("text=Back to the question")
    page.wait_for_selector("button.primary")
    assert page.is_checked("[value=true]")
    assert page.input_value("#comment") == "I was not there"
    assert question.stored() is None

    page.click("button.link")
    page.wait_for_selector("button.decline")
    page.click("button.decline")
    page.wait_for_selector(".outcome")
    assert "You declined. The workflow has been told why." in page.inner_text("main")
    stored = question.stored() or {}
    assert (stored["outcome"], stored["comment"], stored["value"]) == ("rejected", "I was not there", None)
    context.close()


@pytest.mark.parametrize("name", TYPES)
def test_the_browsers_own_way_back_keeps_what_was_typed(shared_app: WebApp, page: Page, name: str) -> None:
    question = asked(shared_app, **TYPES[name][0])
    page.goto(question.url)
    if page.locator("[type=radio]").count():
        page.check("[type=radio] >> nth=1")
    elif page.locator("select").count():
        page.select_option("#value", "7")
    else:
        page.fill("#value", "12,3")
    page.click("summary >> text=comment")
    page.fill("#comment", "because")
    state = "[...document.querySelectorAll('[name=value]')].map(each => [each.value, each.checked])"
    before = page.evaluate(state)
    page.click("button.link")
    page.wait_for_selector("button.decline")

    page.go_back()
    page.wait_for_selector("button.primary")

    assert page.evaluate(state) == before
    assert page.is_visible("#comment")
    assert page.input_value("#comment") == "because"


def test_enter_in_a_text_field_never_declines(shared_app: WebApp, page: Page) -> None:
    question = asked(shared_app)
    page.goto(question.url)
    page.click("button.link")
    page.wait_for_selector("button.decline")
    page.fill("#comment", "because")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url))
    page.focus("#name")
    page.keyboard.press("Enter")
    page.wait_for_timeout(300)
    assert not [url for url in sent if url.endswith("/submit")]

    page.click("text=Back to the question")
    page.wait_for_selector("button.primary")
    page.fill("#value", "5")
    page.press("#name", "Enter")
    page.wait_for_selector(".outcome")
    assert (question.stored() or {})["outcome"] == "answered"


def test_a_choice_that_is_not_safe_to_print_is_recorded_exactly(shared_app: WebApp, page: Page) -> None:
    for choices in (["yes", "\u202eoN", "a\x1bb"], [f"\u2066{number}" for number in range(20)]):
        question = asked(shared_app, data_type=str, choices=choices)
        page.goto(question.url)
        if len(choices) == 3:
            page.check("[name=choice] >> nth=1")
        else:
            page.select_option("#value", index=2)
        page.click("button.primary")
        page.wait_for_selector(".outcome")
        assert (question.stored() or {})["value"] == choices[1]


def test_the_page_notices_that_somebody_else_answered(shared_app: WebApp, page: Page) -> None:
    question = asked(shared_app)
    page.goto(question.url)
    question.api(5)

    page.wait_for_selector(".settled-elsewhere:not([hidden])")
    page.click(".settled-elsewhere a")

    assert "Answered" in page.inner_text("main")


def test_it_works_without_javascript(shared_app: WebApp, browser: Browser) -> None:
    question = asked(shared_app)
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(question.url)
    page.fill("#value", "6")
    page.click("button.primary")

    assert "Your answer was saved" in page.inner_text("main")
    context.close()


def test_the_policy_stops_a_script_that_got_in(shared_app: WebApp, page: Page) -> None:
    question = asked(shared_app)
    page.goto(question.url)

    with page.expect_console_message(lambda message: "Content Security Policy" in message.text):
        page.evaluate(
            "() => { const s = document.createElement('script'); s.textContent = 'window.ran = true';"
            " document.body.append(s); document.body.innerHTML += '<img src=x onerror=\"window.ran = true\">'; }"
        )
    page.wait_for_timeout(200)

    assert page.evaluate("window.ran") is None


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
