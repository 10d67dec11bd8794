"""Choices with labels: people read the label wherever a choice is shown, and the value is what is recorded."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from playwright.sync_api import Browser

from hitl_webapp import pages
from hitl_webapp.inbox.rows import row_of
from hitl_webapp.sentences import lost
from tests.web.serving import Question, WebApp, visible_text
from tests.web.test_page import clean
from tests.web.test_pages import outcome, question

FEW = {"eu-1": "Frankfurt", "us-1": "Ohio"}
MANY = {f"r-{number}": f"Region {number}" for number in range(20)}
ALIKE = {f"r-{number}": f"Region{' ' * (number % 2)} {number // 2}" for number in range(20)}


def asked(app: WebApp, **content: Any) -> Question:
    content = {"event_name": "Region", "prompt": "Where?", "data_type": str, **content}
    return app.ask(f"q-{uuid.uuid4().hex[:12]}", **content)


def test_each_page_shows_the_label_and_the_value() -> None:
    request = question(choices=FEW, default="eu-1")
    ended = outcome(request, value="us-1")
    listed = row_of(request, ended, "0" * 64).ended

    form = pages.form_page(pages.FormView(request))
    assert 'value="eu-1" checked' in form
    assert "Frankfurt</span>" in form
    assert "Frankfurt (eu-1) is used" in visible_text(form).replace("  ", " ")
    assert "Ohio (us-1)" in pages.outcome_page(request, ended, recorded=True)
    assert listed is not None
    assert (listed.value, listed.shown) == ("us-1", "Ohio (us-1)")
    assert "Your answer (Frankfurt (eu-1)) was not used. Recorded: Ohio (us-1)." in lost(request, ended, "eu-1")


def test_a_refusal_says_label_and_value(shared_app: WebApp) -> None:
    page = asked(shared_app, choices=FEW).form("mars")

    assert page.status_code == 422
    assert "Region: choose Frankfurt (eu-1) or Ohio (us-1)." in page.text


@pytest.mark.parametrize("javascript", [True, False])
@pytest.mark.parametrize(
    ("content", "typed", "value"),
    [
        ({"choices": MANY}, "region 7", "r-7"),
        ({"choices": MANY}, "R-9", "r-9"),
        ({"json_schema": {"oneOf": [{"const": key, "title": MANY[key]} for key in MANY]}}, "Region 12", "r-12"),
    ],
)
def test_many_labels_are_searched(
    shared_app: WebApp, browser: Browser, javascript: bool, content: Any, typed: str, value: str
) -> None:
    stored = asked(shared_app, **content)
    page = browser.new_page(java_script_enabled=javascript, viewport={"width": 320, "height": 800})
    page.goto(stored.url)
    page.fill("#value", "mars")
    page.click("button.primary")
    assert page.input_value("#value") == "mars"
    page.fill("#value", typed)
    page.keyboard.press("Escape")
    page.click("button.primary")
    page.wait_for_selector(".outcome")
    assert (stored.stored() or {})["value"] == value
    if javascript:
        clean(page, f"label-{value}", 320)
    page.close()


def test_labels_that_cannot_be_told_apart_when_typed_are_a_list(shared_app: WebApp, browser: Browser) -> None:
    stored = asked(shared_app, choices=ALIKE)
    page = browser.new_page()
    page.goto(stored.url)
    page.select_option("#value", index=4)
    page.click("button.primary")
    page.wait_for_selector(".outcome")
    assert (stored.stored() or {})["value"] == "r-3"
    page.close()
