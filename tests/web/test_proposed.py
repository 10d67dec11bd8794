"""A proposed answer fills the form in, and the outcome tells what was edited. What a program refused is told."""

from __future__ import annotations

import uuid
from typing import Any, Literal

import httpx
import pytest
from playwright.sync_api import Page
from pydantic import BaseModel, Field

from hitl_webapp import pages
from hitl_webapp.parts import parts_form
from tests.web.serving import Question, WebApp, visible_text
from tests.web.test_page import clean
from tests.web.test_pages import outcome, question


class Place(BaseModel):
    zone: str = Field(max_length=20, title="Availability zone")
    replicas: int


class Deploy(BaseModel):
    region: Literal["eu", "us"]
    places: list[Place]
    dry_run: bool = False


PROPOSED = Deploy(region="eu", places=[Place(zone="a", replicas=2)])


def asked(app: WebApp, data_type: Any = Deploy, proposed: Any = PROPOSED, **content: Any) -> Question:
    content = {"event_name": "deploy", "prompt": "Which deployment?", **content}
    return app.ask(f"q-{uuid.uuid4().hex[:12]}", data_type=data_type, proposed=proposed, **content)


def test_what_is_proposed_is_approved_or_edited(shared_app: WebApp, page: Page) -> None:
    stored = asked(shared_app, refused=["places.0.replicas: choose an even number", "<b>region</b>: is closed"])
    page.goto(stored.url)
    clean(page, "proposed", 1280)
    text = page.inner_text("main")
    assert "That answer is filled in." in text
    assert "The program did not take the answer before:" in text
    assert "<b>region</b>: is closed" in text

    page.get_by_label("Replicas").fill("4")
    page.get_by_role("radio", name="us").check()
    page.get_by_role("button", name="Add another to Places").click()
    page.get_by_label("Availability zone").nth(1).fill("b")
    page.get_by_label("Replicas").nth(1).fill("1")
    page.get_by_role("button", name="Send answer").click()
    page.wait_for_selector(".outcome")

    rows = [row.split("\t") for row in page.inner_text(".table table").splitlines()]
    assert rows == [
        ["Part", "Proposed", "Answered"],
        ["Region", "eu", "us"],
        ["Places › 1 › Replicas", "2", "4"],
        ["Places › 2", "(nothing)", '{"zone":"b","replicas":1}'],
    ]
    clean(page, "edited", 1280)
    page.set_viewport_size({"width": 320, "height": 800})
    clean(page, "edited", 320)


@pytest.mark.parametrize("default", [None, Deploy(region="us", places=[])])
def test_what_is_proposed_comes_before_the_default_and_unchanged_is_not_edited(
    shared_app: WebApp, page: Page, default: Any
) -> None:
    stored = asked(shared_app, default=default)
    page.goto(stored.url)
    page.get_by_role("button", name="Send answer").click()
    page.wait_for_selector(".outcome")

    assert (stored.stored() or {})["value"] == PROPOSED.model_dump(mode="json")
    assert "No: answered as proposed" in page.inner_text("main")
    assert page.get_by_text("What was edited").count() == 0


def test_a_value_is_proposed_and_edited_in_one_field() -> None:
    request = question(data_type=str, choices={"eu": "Europe", "us": "America"}, proposed="eu", default="us")
    assert 'value="eu" checked' in pages.form_page(pages.FormView(request))
    page = pages.outcome_page(request, outcome(request, value="us"), recorded=True)
    assert "Answer Europe (eu) America (us)" in " ".join(visible_text(page).split())
    late = outcome(request, value="us", reason="DefaultUsed", respondent={"via": "timeout"})
    assert "What was edited" not in pages.outcome_page(request, late, recorded=False)


class Card(BaseModel):
    kind: Literal["card"] = "card"
    digits: str = Field(max_length=4)


class Invoice(BaseModel):
    kind: Literal["invoice"] = "invoice"
    to: str = Field("the office", max_length=40)


class Bill(BaseModel):
    payment: Card | Invoice = Field(discriminator="kind")
    months: int
    share: float


def test_an_answer_that_left_out_what_has_a_default_is_filled_into_the_fields() -> None:
    # As a program answers: without the name that has a default, and with numbers of the other kind.
    answer = {"payment": {"kind": "invoice"}, "months": 3.0, "share": 2}
    again = question(data_type="json", schema=question(data_type=Bill).json_schema, proposed=answer)

    form = parts_form(again)

    assert form is not None
    assert form.one("v/payment~of") == "1"
    assert form.one("v/payment~1/to") == "the office"
    assert (form.one("v/months"), form.one("v/share")) == ("3", "2")


def test_programs_read_what_was_edited(shared_app: WebApp) -> None:
    stored = asked(shared_app)
    status = f"{shared_app.url}/status/{stored.request_id}?token={stored.token}"
    assert httpx.get(status).json()["edited"] is False

    reply = stored.api({"region": "us", "places": [], "dry_run": False}).json()

    assert reply["edited"] is True
    assert reply["changes"] == [
        {"place": "/region", "before": "eu", "after": "us"},
        {"place": "/places/0", "before": {"zone": "a", "replicas": 2}},
    ]
    later = httpx.get(status).json()
    assert (later["edited"], later["changes"]) == (True, reply["changes"])
    plain = asked(shared_app, data_type=int, proposed=None).api(5).json()
    assert (plain["edited"], plain["changes"]) == (False, [])


def test_an_answer_in_parts_is_shown_part_by_part() -> None:
    class Plan(BaseModel):
        places: list[Place]
        colors: set[Literal["red", "green"]]
        note: str | None = None
        ready: bool = False

    value = {"places": [{"zone": "a", "replicas": 2}], "colors": ["red", "green"], "note": None, "ready": False}
    asked = question(data_type=Plan)
    page = pages.outcome_page(asked, outcome(asked, value=value), recorded=True)
    words = " ".join(visible_text(page).split())
    assert "As JSON" in words
    assert (
        "Places › 1 › Availability zone a Places › 1 › Replicas 2 Colors red, green Note (nothing) Ready No"
        in words
    )


def test_a_part_that_is_written_as_json_has_an_example_of_its_own_kind() -> None:
    class Tagged(BaseModel):
        tags: dict[str, int]

    form = visible_text(pages.form_page(pages.FormView(question(data_type=Tagged))))
    assert "A JSON value, such as {" in form


def test_several_of_the_choices_are_shown_with_their_labels() -> None:
    labels = {"eu": "Europe", "us": "America"}
    asked = question(data_type=str, choices=labels, multiple=True, proposed=["eu"])
    page = pages.outcome_page(asked, outcome(asked, value=["us"]), recorded=True)
    words = " ".join(visible_text(page).split())
    assert "Value America (us)" in words
    assert "1 Europe (eu) America (us)" in words
