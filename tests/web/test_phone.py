"""On a phone: what is pressed is large enough for a finger, and a form in parts leads to what is wrong in it."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Literal

import pytest
from playwright.sync_api import Browser, Page, expect
from pydantic import BaseModel, Field

from hitl.core.approval import Approval
from tests.web.serving import WebApp

FINGER: Final = 44
"""Pixels, as WCAG's 2.5.5 asks for."""
PRESSED: Final = "a, button, input, select, textarea, summary"
# A link within a sentence is as high as its line. The picker of dates is opened by the button beside it.
SMALL: Final = """([pressed, least]) => [...document.querySelectorAll(pressed)].filter(each => {
    const at = (each.closest('label') ?? each).getBoundingClientRect();
    const there = at.width > 1 && at.height > 1;
    const inside = each.matches('p:not(.file) > a') && each.parentElement.textContent !== each.textContent;
    return there && !inside && at.height < least;
}).map(each => each.outerHTML)"""


class Place(BaseModel):
    zone: str = Field(max_length=20)
    replicas: int = Field(2, ge=1, le=9)


class Numbers(BaseModel):
    replicas: int = Field(ge=1, le=9)
    share: float = Field(gt=0)
    price: Decimal = Field(ge=0)
    offset: int = Field(ge=-3)


class Deploy(BaseModel):
    region: Literal["eu", "us"]
    begins: datetime
    places: list[Place]


@pytest.fixture
def phone(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    yield context.new_page()
    context.close()


def asked(app: WebApp, data_type: Any, **content: Any) -> str:
    content = {"event_name": "deploy", "prompt": "Which deployment?", **content}
    return app.ask(f"q-{uuid.uuid4().hex[:12]}", data_type=data_type, **content).url


def test_what_is_pressed_is_large_enough_for_a_finger(shared_app: WebApp, phone: Page) -> None:
    phone.goto(asked(shared_app, int))
    assert phone.evaluate(SMALL, [PRESSED, FINGER]) == []
    phone.goto(asked(shared_app, Deploy))
    phone.get_by_role("button", name="Add one to Places").tap()
    phone.get_by_role("button", name="Send answer").tap()
    expect(phone.locator("#parts-error")).to_be_visible()
    assert phone.evaluate(SMALL, [PRESSED, FINGER]) == []
    phone.goto(asked(shared_app, bool, approval=Approval(required=2, allow_links=True)))
    phone.get_by_label("Yes").tap()
    phone.get_by_role("button", name="Send answer").tap()
    expect(phone.get_by_role("button", name="Withdraw my vote")).to_be_visible()
    assert phone.evaluate(SMALL, [PRESSED, FINGER]) == []


def test_a_form_in_parts_leads_to_what_is_wrong_from_the_top(shared_app: WebApp, phone: Page) -> None:
    phone.goto(asked(shared_app, Deploy))
    phone.get_by_role("button", name="Add one to Places").tap()
    phone.get_by_role("button", name="Send answer").tap()

    faults = phone.locator("#parts-error a")
    expect(faults).to_have_text(["Region", "Begins", "Places 1: Zone"])
    expect(phone.get_by_role("group", name="Region")).to_be_focused()
    faults.nth(2).tap()
    expect(phone).to_have_url(re.compile("#v/places/0/zone$"))
    expect(phone.get_by_label("Zone")).to_be_in_viewport()
    expect(phone.get_by_text("Enter some text.")).to_be_in_viewport()


def test_a_part_that_is_a_number_brings_up_the_keys_of_numbers(shared_app: WebApp, phone: Page) -> None:
    phone.goto(asked(shared_app, Numbers))

    expect(phone.get_by_label("Replicas")).to_have_attribute("inputmode", "numeric")
    expect(phone.get_by_label("Share")).to_have_attribute("inputmode", "decimal")
    expect(phone.get_by_label("Price")).to_have_attribute("inputmode", "decimal")
    # Those of iPhones have no minus sign.
    expect(phone.get_by_label("Offset")).not_to_have_attribute("inputmode", re.compile("."))


def test_at_twice_the_size_of_text_a_moment_can_be_read_in_its_field(shared_app: WebApp, browser: Browser) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 740}, bypass_csp=True)
    page = context.new_page()
    page.goto(asked(shared_app, datetime))
    field, pick = page.get_by_role("textbox", name="Your answer"), page.get_by_role("button", name="Pick")
    place = "each => { const at = each.getBoundingClientRect(); return [at.top, at.width]; }"
    assert field.evaluate(place)[0] == pick.evaluate(place)[0], "there is room for both"

    page.add_style_tag(content=":root { font-size: 200% }")

    assert field.evaluate(place)[1] > 250
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    context.close()
