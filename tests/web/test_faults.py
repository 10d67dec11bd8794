"""Each fault of an answer in parts is told at its part, in words, and the first one has the focus."""

from __future__ import annotations

import html
import re
import uuid
from datetime import date, datetime, time
from decimal import Decimal
from typing import Annotated, Any, Literal

import httpx
import pytest
from annotated_types import Ge, Le, MaxLen, MinLen
from playwright.sync_api import Browser, Page
from pydantic import BaseModel, Field

from tests.web.serving import Question, WebApp
from tests.web.test_page import clean


class Circle(BaseModel):
    kind: Literal["circle"] = "circle"
    tags: Annotated[list[str], MinLen(2)] = ["a", "b"]


class Square(BaseModel):
    kind: Literal["square"] = "square"
    side: Annotated[Decimal, Ge(0), Le(5)]


class Plan(BaseModel):
    code: str = Field(pattern=r"^[A-Z]{3}-\d{4}$")
    note: str = Field("", max_length=20)
    count: Annotated[int, Ge(1), Le(9)]
    names: Annotated[list[str], MinLen(1), MaxLen(3)]
    unique: set[int] = set()
    colours: set[Literal["red", "green", "blue"]] = Field(default=set(), max_length=2)
    shape: Annotated[Circle | Square, Field(discriminator="kind")]
    day: date
    at: datetime
    clock: time


FITS = {
    "v~form": "1",
    "v/code": "ABC-1234",
    "v/note": "",
    "v/count": "5",
    "v/names~rows": "1",
    "v/names/0": "a",
    "v/unique~rows": "0",
    "v/shape~of": "1",
    "v/shape~1/side": "2.50",
    "v/day": "2026-02-28",
    "v/at": "2026-02-28 9:30",
    "v/clock": "09:30",
}
FITS["v/at"] = "2026-02-28 09:30 +01:00"


def asked(app: WebApp, data_type: Any = Plan, **content: Any) -> Question:
    content = {"event_name": "plan", "prompt": "Which plan?", **content}
    return app.ask(f"q-{uuid.uuid4().hex[:12]}", data_type=data_type, **content)


def sent(question: Question, fields: dict[str, Any]) -> tuple[int, dict[str, str], str]:
    """Return the status, what is told at each field, and which part has the focus."""
    data = {"request_id": question.request_id, "token": question.token, **fields}
    page = httpx.post(f"{question.app.url}/submit", data=data, timeout=60)
    told = {
        name: html.unescape(why)
        for name, why in re.findall(r'id="(v[^"]*)-error" role="alert"><p>(.*?)</p>', page.text)
    }
    focus = re.search(r"<[^>]* autofocus[^>]*>", page.text)
    at = re.search(r'id="([^"]*)"', focus[0]) if focus else None
    return page.status_code, told, at[1] if at else ""


@pytest.mark.parametrize(
    ("changed", "place", "why"),
    [
        ({"v/code": "abc"}, "v/code", "Enter 3 × capital letters A-Z, then “-”, then 4 × digits."),
        ({"v/note": "x" * 21}, "v/note", "Shorten it to at most 20 characters: it has 21."),
        ({"v/count": "12"}, "v/count", "Enter a whole number from 1 to 9."),
        ({"v/names~rows": "0"}, "v/names", "Add at least one."),
        (
            {"v/names~rows": "4"} | {f"v/names/{n}": "x" for n in range(4)},
            "v/names",
            "Remove 1: at most 3 may be there, and there are 4.",
        ),
        (
            {"v/unique~rows": "3", "v/unique/0": "7", "v/unique/1": "8", "v/unique/2": "7"},
            "v/unique/2",
            "This is the same as number 1: change or remove it.",
        ),
        (
            {"v/colours": ["0", "1", "2"]},
            "v/colours",
            "Choose at most 2: at most 2 may be there, and there are 3.",
        ),
        ({"v/shape~1/side": "7"}, "v/shape~1/side", "Enter a number from 0 to 5."),
        (
            {"v/shape~of": "0", "v/shape~1/side": "", "v/shape~0/tags~rows": "1", "v/shape~0/tags/0": "a"},
            "v/shape~0/tags",
            "Add at least 2: there is one.",
        ),
        ({"v/day": "28.02.2026"}, "v/day", "Enter a date such as 2026-02-28."),
        (
            {"v/at": "2026-02-28 09:30"},
            "v/at",
            '"2026-02-28 09:30" has no zone, so it could be several moments. Write its difference from UTC behind '
            "it, such as 2026-02-28 09:30 +01:00, or 2026-02-28 09:30 UTC.",
        ),
        ({"v/clock": "9:30"}, "v/clock", "Enter a time such as 09:30:00 or 09:30:00+01:00."),
        ({"v/colours": ["0", "red"]}, "v/colours", "Choose from the answers that are shown."),
        ({"v/names/0": "\u200b"}, "v/names/0", "This does not fit: nothing can be seen in this text."),
        (
            {"v/shape~of": "0", "v/shape~1/side": "", "v/shape~0/tags~rows": "2"}
            | {"v/shape~0/tags/0": "a", "v/shape~0/tags/1": " \u2060"},
            "v/shape~0/tags/1",
            "This does not fit: nothing can be seen in this text.",
        ),
        ({"v/count": ["5", "6"]}, "v/count", 'The field "v/count" was sent 2 times: send it once.'),
    ],
)
def test_a_fault_is_told_at_its_part_which_has_the_focus(
    shared_app: WebApp, changed: dict[str, Any], place: str, why: str
) -> None:
    question = asked(shared_app)

    status, told, focus = sent(question, FITS | changed)

    assert (status, told, focus) == (422, {place: why}, place)
    assert question.stored() is None
    assert sent(question, FITS)[0] == 200


@pytest.mark.parametrize("more", [{"v/colour": "0"}, {"v/names/1": "b"}, {"v": "{}"}])
def test_a_field_that_has_no_place_in_the_form_is_told_and_not_dropped(
    shared_app: WebApp, more: dict[str, str]
) -> None:
    question = asked(shared_app)

    status, told, _ = sent(question, FITS | more)

    [name] = more
    why = f'The field "{name}" has no place in this form: nothing was recorded. Leave it out.'
    assert (status, told) == (422, {"v": why})
    assert question.stored() is None


def test_all_faults_are_told_at_once_and_the_first_one_of_the_form_has_the_focus(shared_app: WebApp) -> None:
    fields = FITS | {"v/clock": "x", "v/names~rows": "0", "v/note": "x" * 30}
    fields = {name: fields[name] for name in FITS}

    _, told, focus = sent(asked(shared_app), fields)

    assert list(told) == ["v/note", "v/names", "v/clock"]
    assert focus == "v/note"


NUMBERS = {"type": "array", "items": {"type": "integer"}, "contains": {"const": 4}}
ORDER = {
    "type": "object",
    "properties": {
        "card": {"type": "string"},
        "address": {"type": "string"},
        "lines": {"type": "array", "items": {"type": "integer"}, "contains": {"const": 1}},
        "pay": {
            "anyOf": [
                {
                    "title": "By card",
                    "type": "object",
                    "properties": {
                        "numbers": {"type": "array", "items": {"type": "integer"}, "contains": {"const": 4}}
                    },
                    "required": ["numbers"],
                },
                {"title": "In cash", "type": "object", "required": ["coins"], "properties": {"coins": {}}},
            ]
        },
    },
    "minProperties": 2,
    "dependentRequired": {"card": ["address"]},
    "additionalProperties": False,
    "required": ["lines"],
}


@pytest.mark.parametrize(
    ("fields", "place", "why"),
    [
        ({"v/card": "4711"}, "v/address", "Fill this in too, as you filled in Card."),
        ({"v/lines/0": "2"}, "v/lines", "does not contain items matching"),
        ({"v/pay~of": ""}, "v", "does not have enough properties"),
        ({"v/pay~0/numbers/0": "5"}, "v/pay~0/numbers", "does not contain items matching"),
    ],
)
def test_what_only_the_whole_schema_refuses_is_told_at_its_part_too(
    shared_app: WebApp, fields: dict[str, str], place: str, why: str
) -> None:
    fits = {"v~form": "1", "v/card": "", "v/address": "", "v/lines~rows": "1", "v/lines/0": "1", "v/pay~of": "0"}
    fits |= {"v/pay~0/numbers~rows": "1", "v/pay~0/numbers/0": "4"}
    if fields.get("v/pay~of") == "":
        fits = {name: text for name, text in fits.items() if not name.startswith("v/pay")}
    question = asked(shared_app, "json", schema=ORDER)

    status, told, focus = sent(question, fits | fields)

    assert status == 422
    assert list(told) == [place]
    assert why in told[place]
    assert focus in (place, "")
    assert question.stored() is None


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ("2026-02-28 09:30 +01:00", "2026-02-28T09:30:00+01:00"),
        ("2026-02-28T09:30:15.5+0100", "2026-02-28T09:30:15.5+01:00"),
        ("2026-02-28 09:30 UTC", "2026-02-28T09:30:00Z"),
        ("2026-02-28t09:30:00z", "2026-02-28T09:30:00Z"),
        ("2026-02-28 09:30 \u221205", "2026-02-28T09:30:00-05:00"),
    ],
)
def test_a_moment_is_recorded_in_one_form(shared_app: WebApp, typed: str, value: str) -> None:
    in_parts, alone = asked(shared_app), asked(shared_app, datetime)

    assert sent(in_parts, FITS | {"v/at": typed, "v/clock": "09:30"})[0] == 200
    assert alone.form(typed).status_code == 200

    stored = in_parts.stored() or {}
    assert (stored["value"]["at"], stored["value"]["clock"]) == (value, "09:30:00")
    assert (alone.stored() or {})["value"] == value


def test_hints_say_what_is_wanted_before_anything_is_typed(shared_app: WebApp, page: Page) -> None:
    page.goto(asked(shared_app).url)
    text = page.inner_text("main")

    for hint in (
        "3 × capital letters A-Z, then “-”, then 4 × digits",
        "At most 20 characters",
        "A whole number from 1 to 9",
        "With its zone, such as",
    ):
        assert hint in text
    assert "^[A-Z]" not in text


def test_the_browsers_picker_writes_into_the_text_with_the_zone_of_that_day(
    shared_app: WebApp, browser: Browser
) -> None:
    question = asked(shared_app, datetime)
    context = browser.new_context(timezone_id="Europe/Berlin", viewport={"width": 320, "height": 800})
    page = context.new_page()
    page.goto(question.url)
    clean(page, "picker", 320)
    assert page.get_by_role("button", name="Pick for Your answer").is_visible()
    pick = "v => { const p = document.querySelector('.picker'); p.value = v; p.dispatchEvent(new Event('change'))}"
    for picked, zone in (("2026-07-01T09:30:15", "+02:00"), ("2026-01-01T09:30:15", "+01:00")):
        page.evaluate(pick, picked)
        assert page.input_value("#value") == picked + zone
    # The clocks go back, and forward: it is a guess which moment that is, or there is none.
    for picked in ("2026-10-25T02:30:00", "2026-03-29T02:30:00"):
        page.evaluate(pick, picked)
        assert page.input_value("#value") == picked
        page.click("button.primary")
        page.wait_for_selector("#value-error:has-text('has no zone')")
    for picked, zone in (("2026-10-25T01:59:59", "+02:00"), ("2026-10-25T03:00:00", "+01:00")):
        page.evaluate(pick, picked)
        assert page.input_value("#value") == picked + zone
    page.click("button.primary")
    page.wait_for_selector(".outcome")
    assert (question.stored() or {})["value"] == "2026-10-25T03:00:00+01:00"
    context.close()


@pytest.mark.parametrize("javascript", [True, False])
def test_many_values_of_a_part_are_searched(shared_app: WebApp, browser: Browser, javascript: bool) -> None:
    regions = [{"const": f"r-{number}", "title": f"Region {number}"} for number in range(20)]
    schema = {"type": "object", "properties": {"region": {"oneOf": regions}, "count": {"enum": list(range(12))}}}
    question = asked(shared_app, "json", schema=schema | {"required": ["region"]})
    page = browser.new_page(java_script_enabled=javascript, viewport={"width": 320, "height": 800})
    page.goto(question.url)
    page.get_by_label("Region", exact=True).fill("mars")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Send answer").click()
    assert page.get_by_label("Region", exact=True).input_value() == "mars"
    assert "Choose one of the 20 answers in the list." in page.inner_text("main")
    if javascript:
        clean(page, "searched-part", 320)
    page.get_by_label("Region", exact=True).fill(" region 7")
    page.keyboard.press("Escape")
    page.get_by_label("Count (optional)", exact=True).fill("3")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Send answer").click()
    page.wait_for_selector(".outcome")
    assert (question.stored() or {})["value"] == {"region": "r-7", "count": 3}
    page.close()


class Limited(BaseModel):
    limits: dict[str, int]
    rest: dict[str, Any] = {}


def test_faults_of_json_in_a_part_say_where_they_are_and_are_counted_once_for_each_field(
    shared_app: WebApp,
) -> None:
    question = asked(shared_app, Limited)
    data = {"request_id": question.request_id, "token": question.token, "v~form": "1"}
    data |= {"v/limits": '{"cpu": "two", "gpu": 1.5}', "v/rest": "[1]"}

    page = html.unescape(httpx.post(f"{question.app.url}/submit", data=data, timeout=60).text)

    assert "2 fields need another look." in page
    assert "This does not fit: .cpu: 'two' is not of type 'integer'." in page
    assert "This does not fit: [1] is not of type 'object'." in page
