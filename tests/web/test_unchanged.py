"""What a page sends back unchanged, without scripts, is the value it was made of, in the author's own type."""

from __future__ import annotations

import asyncio
import os
import uuid
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from playwright.sync_api import Browser
from pydantic import BaseModel

from hitl.core.documents import RequestDocument
from hitl.core.pythontypes import typed
from hitl.core.question import Question, parse_answer
from hitl.core.text import is_blank
from hitl_webapp import pages
from hitl_webapp.sent import read_sent_form
from tests.library.test_pythontypes import Deploy
from tests.library.typed_samples import TYPED, Address, Circle, Color, Level, Pair, Point, Square, Ticket, same
from tests.web.controls import body_of
from tests.web.serving import WebApp
from tests.web.test_page import clean

NOW = datetime(2026, 11, 26, tzinfo=UTC)
EXAMPLES = int(os.environ.get("HITL_TEST_EXAMPLES", "12"))


class Order(BaseModel):
    """A field of each kind that a page has."""

    name: str
    long: str = "two\nlines"
    lines: list[Address] = []
    shape: Circle | Square | None = None
    colours: set[Color] = set()
    level: Level = Level.LOW
    urgent: bool
    maybe: bool | None = None
    price: Decimal
    day: date
    at: datetime
    until: time
    span: timedelta
    key: uuid.UUID
    pair: tuple[int, str]
    extra: dict[str, int] = {}
    region: Literal["r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10"]


ORDER = Order(
    name=' "quoted" <b> & \u05d0 ',
    lines=[Address(street="A", number=3), Address(street="", number=None)],
    shape=Square(side=3),
    colours={Color.BLUE, Color.RED},
    level=Level.HIGH,
    urgent=False,
    price=Decimal("12345678901234567890.10"),
    day=date(2026, 2, 28),
    at=datetime(2026, 2, 28, 9, 30, tzinfo=UTC),
    until=time(9, 30),
    span=timedelta(days=3, hours=4),
    key=uuid.UUID(int=7),
    pair=(1, "x"),
    extra={"a": 1},
    region="r7",
)
ONE_OF_EACH: dict[str, tuple[Any, Any]] = {
    "an order": (Order, ORDER),
    "a model": (Deploy, Deploy(region="us", addresses=[Address(street="s")], cost=Decimal("7.250"))),
    "a union": (Circle | Square, Circle(radius=2.5)),
    "a list of models": (list[Address], [Address(street="s", number=1), Address(street="t")]),
    "an enum": (Color, Color.BLUE),
    "a set": (set[Color], {Color.RED}),
    "a tuple": (tuple[int, str], (1, "x")),
    "a pair": (Pair, Pair(1, "x")),
    "a TypedDict": (Ticket, {"key": "Ann", "labels": ["A", "B"]}),
    "a dataclass": (Point, Point(1, "there")),
    "a dict": (dict[str, int], {"a": 1}),
    "a moment": (datetime, ORDER.at),
    "a date": (date, ORDER.day),
    "a span": (timedelta, ORDER.span),
    "a Decimal": (Decimal, ORDER.price),
    "a UUID": (uuid.UUID, ORDER.key),
    "an optional number": (int | None, 3),
    "a flag": (bool, False),
    "a number": (float, 0.1),
    "a text": (str, "some\nlines  "),
}


def sent_back(data_type: Any, value: Any, **content: Any) -> Any:
    """Return what the author gets when the form with a value is sent as it is."""
    asked = Question.of("typed", data_type, "Which one?", 60, **{"proposed": value, **content})
    request = RequestDocument.asking(asked, request_id="q", asked_at=NOW)
    page = pages.form_page(pages.FormView(request, token="t"))
    sent = asyncio.run(read_sent_form("application/x-www-form-urlencoded", body_of(page))).resolved(request)
    assert sent.fault(named=False) is None, sent.wrong
    return typed(data_type, parse_answer(request, sent.value, text=True))


@pytest.mark.parametrize("name", TYPED)
@given(data=st.data())
@settings(max_examples=EXAMPLES)
def test_a_value_of_each_type_is_sent_back_as_it_is(name: str, data: st.DataObject) -> None:
    data_type, values = TYPED[name]
    # Nothing cannot be proposed, and blanks alone are no answer.
    value = data.draw(values.filter(lambda each: each is not None and not is_blank(str(each))))

    assert same(sent_back(data_type, value), value)


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_a_value_is_sent_back_as_it_is_when_it_is_the_default(name: str) -> None:
    data_type, value = ONE_OF_EACH[name]
    again = sent_back(data_type, None, default=value)
    assert again == value
    assert type(again) is type(value)


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_a_browser_without_scripts_sends_back_what_it_was_given(
    shared_app: WebApp, browser: Browser, name: str
) -> None:
    data_type, value = ONE_OF_EACH[name]
    stored = shared_app.ask(f"q-{uuid.uuid4().hex[:12]}", data_type=data_type, proposed=value)
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(stored.url)
    page.click("button.primary")
    page.wait_for_selector(".outcome")
    context.close()

    again = typed(data_type, (stored.stored() or {})["value"])
    assert again == value
    assert type(again) is type(value)


# A desk, the same at 200 %, and a small phone.
WIDTHS = [("an order", 1280), ("an order", 640), *((each, 320) for each in ONE_OF_EACH)]


@pytest.mark.parametrize(("name", "width"), WIDTHS)
def test_the_form_of_each_type_is_clean(shared_app: WebApp, browser: Browser, name: str, width: int) -> None:
    data_type, value = ONE_OF_EACH[name]
    stored = shared_app.ask(f"q-{uuid.uuid4().hex[:12]}", data_type=data_type, proposed=value, prompt="هل نرسل؟")
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.goto(stored.url)
    clean(page, f"typed-{name.replace(' ', '-')}", width)
    page.close()
