"""An answer in parts: a form with a field for each, that needs no script, and loses nothing."""

from __future__ import annotations

import uuid
from decimal import Decimal
from enum import Enum
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page, expect
from pydantic import BaseModel, Field

from hitl.core.pythontypes import typed
from tests.web.serving import Question, WebApp
from tests.web.test_page import clean


class Size(Enum):
    SMALL = "small"
    LARGE = "large"


class Place(BaseModel):
    zone: str = Field(max_length=20, description="The availability zone, as in the console")
    replicas: int = Field(2, ge=1, le=9)


class Deploy(BaseModel):
    region: Literal["eu", "us"]
    places: list[Place]
    budget: Decimal = Decimal("10.50")
    size: Size | None = None
    notes: str = ""
    fallback: Place | None = None


def asked(app: WebApp, data_type: Any = Deploy, **content: Any) -> Question:
    content = {"event_name": "deploy", "prompt": "Which deployment?", **content}
    return app.ask(f"q-{uuid.uuid4().hex[:12]}", data_type=data_type, **content)


@pytest.fixture(params=[True, False], ids=["with scripts", "without scripts"])
def visitor(browser: Browser, request: pytest.FixtureRequest) -> Any:
    context = browser.new_context(java_script_enabled=request.param, viewport={"width": 390, "height": 800})
    yield context.new_page()
    context.close()


def test_a_model_is_filled_in_part_by_part(shared_app: WebApp, visitor: Page) -> None:
    question = asked(shared_app)
    visitor.goto(question.url)

    visitor.get_by_role("radio", name="us").check()
    visitor.get_by_role("button", name="Add one to Places").click()
    assert question.stored() is None
    visitor.get_by_label("Zone").fill("a")
    visitor.get_by_role("button", name="Add another to Places").click()
    visitor.get_by_label("Zone").nth(1).fill("b")
    visitor.get_by_label("Replicas").nth(1).fill("12")
    visitor.get_by_label("Budget").fill("0,42")
    visitor.get_by_role("button", name="Remove Places 1").click()
    visitor.get_by_role("button", name="Send answer").click()
    assert question.stored() is None
    assert "2 fields need another look" in visitor.inner_text("main")
    assert visitor.get_by_label("Zone").input_value() == "b"

    visitor.get_by_label("Replicas").fill("3")
    visitor.get_by_label("Budget").fill("1.10")
    visitor.get_by_role("button", name="Send answer").click()

    stored = question.stored()
    assert stored is not None
    assert typed(Deploy, stored["value"]) == Deploy(
        region="us", places=[Place(zone="b", replicas=3)], budget=Decimal("1.10")
    )


class Cash(BaseModel):
    coins: int


class Card(BaseModel):
    number: str = Field(max_length=20)


class Trip(BaseModel):
    stops: list[str]
    pay: Cash | Card
    home: Place | None = None
    away: Place | None = None


def tab_to(page: Page, text: str) -> None:
    """Go to the field or the button of this name, by the keyboard."""
    for _ in range(60):
        page.keyboard.press("Tab")
        name = """() => { const at = document.activeElement;
            return at.getAttribute("aria-label") || (at.labels?.length ? at.labels[0] : at).textContent; }"""
        if str(page.evaluate(name)).strip().removesuffix(" (optional)") == text:
            return
    raise AssertionError(f"{text} cannot be reached by keyboard")


def test_by_keyboard_alone_rows_and_branches_are_changed_and_recorded_as_seen(
    shared_app: WebApp, visitor: Page
) -> None:
    given = Trip(stops=["a"], pay=Cash(coins=3), home=Place(zone="h"))
    question = asked(shared_app, Trip, proposed=given)
    visitor.goto(question.url)

    def press(button: str, key: str = "Enter") -> None:
        tab_to(visitor, button)
        with visitor.expect_event("load"):
            visitor.keyboard.press(key)

    for stop in ("b", "c"):
        press("Add another to Stops")
        # The new row has the focus.
        visitor.locator(".rows > li").last.locator(":focus").wait_for()
        visitor.keyboard.type(stop)
    press("Remove Stops 2")
    tab_to(visitor, "Coins")
    visitor.keyboard.press("Control+A")
    visitor.keyboard.press("Delete")
    visitor.keyboard.press("Shift+Tab")
    visitor.keyboard.press("ArrowDown")
    tab_to(visitor, "Number")
    visitor.keyboard.type("4" * 21)
    press("Leave this out: Home")
    press("Send answer")
    assert question.stored() is None
    assert "Shorten it to at most 20 characters: it has 21." in visitor.inner_text("main")
    expect(visitor.get_by_label("Number")).to_be_focused()

    visitor.keyboard.press("Control+A")
    visitor.keyboard.type("4711")
    press("Send answer")

    stored = question.stored()
    assert stored is not None
    assert typed(Trip, stored["value"]) == Trip(stops=["a", "c"], pay=Card(number="4711"))


class Consent(BaseModel):
    i_agree: Literal[True]
    note: str = Field("", max_length=40)


def test_consent_is_a_box_that_somebody_ticks(shared_app: WebApp, visitor: Page) -> None:
    question = asked(shared_app, Consent)
    visitor.goto(question.url)
    visitor.get_by_label("Note").fill("hm")
    visitor.get_by_role("button", name="Send answer").click()

    assert question.stored() is None
    expect(visitor.get_by_role("group", name="I agree")).to_be_focused()
    assert "Choose one." in visitor.inner_text("main")

    visitor.get_by_role("checkbox", name="Yes").check()
    visitor.get_by_role("button", name="Send answer").click()

    stored = question.stored()
    assert stored is not None
    assert stored["value"] == {"i_agree": True, "note": "hm"}


def test_enter_in_a_field_sends_no_half_answer(shared_app: WebApp, page: Page) -> None:
    question = asked(shared_app, default=Deploy(region="eu", places=[]))
    page.goto(question.url)

    page.get_by_label("Budget").press("Enter")

    assert "Which deployment?" in page.inner_text("main")
    assert question.stored() is None


def test_declining_keeps_what_was_typed_for_the_way_back(shared_app: WebApp, page: Page) -> None:
    question = asked(shared_app)
    page.goto(question.url)
    page.get_by_label("Budget").fill("7.25")

    page.get_by_role("button", name="Decline to answer").click()
    page.get_by_role("button", name="Back to the question").click()

    assert page.get_by_label("Budget").input_value() == "7.25"


def test_a_default_is_filled_in(shared_app: WebApp, page: Page) -> None:
    given = Deploy(region="us", places=[Place(zone="c")], size=Size.LARGE, fallback=Place(zone="d", replicas=5))
    question = asked(shared_app, default=given)
    page.goto(question.url)

    page.get_by_role("button", name="Send answer").click()

    stored = question.stored()
    assert stored is not None
    assert typed(Deploy, stored["value"]) == given


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_the_form_of_a_model_is_clean(shared_app: WebApp, browser: Browser, width: int) -> None:
    question = asked(shared_app, default=Deploy(region="us", places=[Place(zone="c")], fallback=Place(zone="d")))
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.goto(question.url)
    clean(page, f"parts-{width}", width)
    page.get_by_label("Budget").fill("x")
    page.get_by_role("button", name="Send answer").click()
    page.get_by_text("One field needs another look").wait_for()
    expect(page.get_by_label("Budget")).to_be_focused()
    clean(page, f"parts-fault-{width}", width)
    page.close()
