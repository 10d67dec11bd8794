"""What a person meets on the page: the deadline, the way back, local times, tables, a searched list."""

from __future__ import annotations

import uuid
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, TimeoutError

from hitl.core.documents import Origin
from hitl_webapp.inbox.queries import Query
from tests.library.samples import NOW
from tests.web.inboxes import inbox_page
from tests.web.serving import Question, WebApp, running
from tests.web.test_browser import shot

RULES = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]
TABLE = (
    "Ship https://ci.example/builds/77?\n\n- [x] tests\n- [ ] review\n\n| service | image digest | namespace |\n"
    "|---|---|---|\n| checkout | sha256:9f86d081884c7d659a2feaa0c55ad015 | production |"
)


def asked(app: WebApp, **content: Any) -> Any:
    return app.ask(f"q-{uuid.uuid4().hex[:12]}", **content)


def typed_in_time(app: WebApp, page: Page, text: str) -> Question:
    """Type into the form of a question that is over soon: on a machine that is slower than that, a bit later."""
    for seconds in (3, 10, 40):
        question: Question = asked(app, data_type=str, timeout_seconds=seconds)
        page.goto(question.url)
        with suppress(TimeoutError):
            page.fill("#value", text, timeout=seconds * 1_000)
            return question
    raise AssertionError("40 s were not enough to type something")


def clean(page: Page, name: str, width: int) -> None:
    shot(page, f"{name}-{width}")
    found = Axe().run(page, options={"runOnly": RULES})
    assert found.violations_count == 0, f"{name}: {found.generate_report()}"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name} is too wide"


@pytest.mark.parametrize("width", [390, 1280])
def test_each_page_is_clean_on_a_desk_and_on_a_phone(shared_app: WebApp, browser: Browser, width: int) -> None:
    many = [f"region-{number}" for number in range(20)]
    origin = Origin(project="flytesnacks", domain="development", run="r8f2k9", action="a0")
    context = browser.new_context(viewport={"width": width, "height": 844}, timezone_id="America/New_York")
    page = context.new_page()
    page.goto(asked(shared_app, prompt=TABLE, origin=origin).url)
    clean(page, "table", width)
    page.goto(asked(shared_app, event_name="Region", data_type=str, choices=many, default="region-7").url)
    clean(page, "search", width)
    page.fill("#value", "mars")
    page.click("button.primary")
    page.wait_for_selector("#value-error")
    clean(page, "search-error", width)
    page.goto(asked(shared_app, data_type=bool, prompt="Delete:\n  *.tmp", prompt_format="plain").url)
    clean(page, "plain", width)
    lost = asked(shared_app, origin=origin)
    page.goto(lost.url)
    lost.form("9", name="Ann")
    page.fill("#value", "5")
    page.click("button.primary")
    page.wait_for_selector(".outcome.lost")
    clean(page, "lost", width)
    typed_in_time(shared_app, page, "half an hour of typing")
    page.wait_for_selector(".over:not([hidden])")
    clean(page, "over", width)
    context.close()


def test_at_the_deadline_the_form_closes_and_keeps_the_text(shared_app: WebApp, page: Page) -> None:
    question = typed_in_time(shared_app, page, "half an hour of typing")
    page.wait_for_selector(".over:not([hidden])")

    assert page.input_value("#value") == "half an hour of typing"
    assert page.get_attribute("#value", "readonly") is not None
    assert not page.is_visible("text=Send answer")
    assert not page.is_visible("text=Decline to answer")
    page.click("text=See how it ended")
    page.wait_for_selector(".typed")
    assert "half an hour of typing" in page.inner_text(".typed")
    assert (question.stored() or {"outcome": "timed_out"})["outcome"] == "timed_out"


def test_a_machine_whose_clock_is_ahead_does_not_close_the_form(shared_app: WebApp, browser: Browser) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.clock.set_fixed_time(datetime.now(UTC).timestamp() + 3_600)
    question = asked(shared_app)
    with page.expect_response("**/status/**"):
        page.goto(question.url)
    page.wait_for_selector(".countdown:has-text('minute')")

    assert not page.is_visible(".over")
    page.fill("#value", "7")
    page.click("button.primary")
    page.wait_for_selector(".outcome")
    assert (question.stored() or {})["value"] == 7
    context.close()


def test_back_works_after_an_error_and_nothing_is_sent_again(shared_app: WebApp, page: Page) -> None:
    question = asked(shared_app, data_type=int)
    page.goto(question.url)
    page.fill("#value", "many")
    page.click("button.primary")
    page.wait_for_selector("#value-error")
    posts: list[str] = []
    page.on("request", lambda request: posts.append(request.url) if request.method == "POST" else None)

    page.click("button.link")
    page.wait_for_selector("button.decline")
    page.go_back()
    page.wait_for_selector("button.primary")
    assert page.input_value("#value") == "many"
    page.reload()
    page.wait_for_selector("button.primary")
    assert page.input_value("#value") == "many"
    page.go_back()
    page.wait_for_selector("button.primary")

    assert len(posts) == 1, "the step to decline alone"
    page.fill("#value", "5")
    page.click("button.primary")
    page.wait_for_selector(".outcome")
    assert (question.stored() or {})["value"] == 5


def test_what_was_typed_into_one_list_never_gets_into_another_one(shared_app: WebApp, page: Page) -> None:
    lists = {name: {"type": "array", "items": {"type": "string"}, "default": [name]} for name in ("one", "two")}
    question = asked(shared_app, data_type="json", json_schema={"type": "object", "properties": lists})
    page.goto(question.url)
    page.get_by_role("button", name="Remove One 1").click()
    page.wait_for_selector("[name='v/one/0']", state="detached")
    page.get_by_role("button", name="Add another to Two").click()
    page.wait_for_selector("[name='v/two/1']")

    page.reload()
    page.wait_for_selector("[name='v/one/0']")

    # There are as many fields as before.
    assert [page.input_value(f"[name='v/{name}/0']") for name in lists] == ["one", "two"]


@pytest.mark.parametrize(
    ("zone", "shown"),
    [
        ("America/New_York", "23:30 on 5 May 2031, 03:30 UTC on 6 May 2031"),
        ("Asia/Kolkata", "09:00 on 6 May 2031, 03:30 UTC"),
        ("UTC", "03:30 UTC on 6 May 2031"),
    ],
)
def test_local_time_stands_beside_utc(shared_app: WebApp, browser: Browser, zone: str, shown: str) -> None:
    moment = datetime(2031, 5, 6, 3, 30, tzinfo=UTC)
    question = asked(shared_app, timeout_seconds=300, now=datetime.now(UTC))
    context = browser.new_context(timezone_id=zone)
    page = context.new_page()

    def rewrite(route: Any) -> None:
        body = route.fetch().text()
        iso = body.split('datetime="')[1].split('"')[0]
        route.fulfill(body=body.replace(iso, moment.isoformat()), content_type="text/html")

    page.route("**/form/**", rewrite)
    page.goto(question.url)
    assert shown in page.inner_text("footer").replace("\n", " ")
    context.close()


def test_a_table_scrolls_and_breaks_no_word(shared_app: WebApp, browser: Browser) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.goto(asked(shared_app, prompt=TABLE).url)
    table = "document.querySelector('.prompt .table')"

    assert page.evaluate(f"{table}.scrollWidth > {table}.clientWidth")
    page.focus(".prompt .table")
    page.keyboard.press("End")
    cells = "[...document.querySelectorAll('.prompt td')].map(each => each.getBoundingClientRect().height)"
    assert max(page.evaluate(cells)) < 50
    context.close()


@pytest.mark.parametrize("javascript", [True, False])
def test_many_choices_are_searched_by_keyboard(shared_app: WebApp, browser: Browser, javascript: bool) -> None:
    question = asked(shared_app, data_type=str, choices=[f"Region {number}" for number in range(20)])
    context = browser.new_context(java_script_enabled=javascript)
    page = context.new_page()
    page.goto(question.url)
    page.focus("#value")
    page.keyboard.type("region 7")
    page.keyboard.press("Escape")
    page.click("button.primary")
    page.wait_for_selector(".outcome")
    assert (question.stored() or {})["value"] == "Region 7"
    context.close()


def test_who_holds_a_link_and_is_not_signed_in_gets_the_way_to_sign_in(
    tmp_path_factory: pytest.TempPathFactory, page: Page
) -> None:
    folder = tmp_path_factory.mktemp("signs-in")
    settings = {"HITL_AUTH": "proxy", "HITL_PROXY_SECRET": "s", "HITL_SIGN_IN_URL": "/oauth2/start?rd={page}"}
    with running(str(folder / "root"), folder, None, **settings) as app:
        question = app.ask("named", respondents={"users": ["ann"]})
        page.goto(question.url)
        told = page.inner_text(".alert")
        to = page.get_attribute(".alert a", "href")
        page.goto(app.url)
        at_the_inbox = page.get_attribute("main a", "href")
    assert "Sign in to answer it." in told
    assert "where you sign in" not in told
    assert to == "/oauth2/start?rd=%2Fform%2Fnamed"
    assert at_the_inbox == "/oauth2/start?rd=%2F"


def test_what_is_filtered_by_is_said_in_one_line_and_not_by_a_screen_of_fields() -> None:
    page = inbox_page(NOW, query=Query(state="any", sort="name", project="x", type="bool"))
    assert "Filter and sort: <bdi>All questions, Yes or no, project x, Name</bdi>" in page
    assert "<details open" not in page
    assert "Remove all filters" in page
    assert "<summary>Filter and sort</summary>" in inbox_page(NOW)
