"""What pages tell people, in words for everybody, at the field that is wrong."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any

import httpx
import pytest
from pydantic import Field, NaiveDatetime, ValidationError

from hitl.cluster import conditions
from hitl.core.documents import Origin, OutcomeDocument, RequestDocument, Respondent
from hitl.core.respondents import Respondents
from hitl.errors import InvalidRequest, InvalidValue, NotAllowed
from hitl_webapp import pages
from hitl_webapp.auth import recordable
from hitl_webapp.below import SITE, Site, site_of
from hitl_webapp.fields import field_for, searched
from hitl_webapp.inbox.queries import Query
from hitl_webapp.sentences import RUN_ABORTED, lost, standing, what_fits
from hitl_webapp.settings import WebSettings
from tests.library.samples import number_question
from tests.web.inboxes import inbox_page
from tests.web.serving import WebApp, visible_text

NOW = datetime(2026, 11, 26, tzinfo=UTC)


def question(origin: Origin | None = None, **changes: Any) -> RequestDocument:
    asked = number_question(**changes)
    return RequestDocument.asking(asked, request_id="q", asked_at=NOW, origin=origin)


def outcome(kind: Any, value: Any = None, name: str = "", **told: Any) -> OutcomeDocument:
    content: dict[str, Any] = {
        "request_id": "q",
        "data_type": "bool" if isinstance(value, bool) else "int",
        "status": "completed",
        "outcome": kind,
        "value": value,
        "reason": "",
        "submission_id": "s",
        "answered_at": NOW,
        "respondent": Respondent(via="web", name=name),
        "request_sha256": "",
        **told,
    }
    return OutcomeDocument(**content)


RANGE: dict[str, Any] = {"data_type": int, "schema": {"minimum": 1, "maximum": 9}}
REGIONS: dict[str, Any] = {"name": "Region", "data_type": str, "choices": ["eu", "us", "ap"]}


@pytest.mark.parametrize(
    ("asked", "typed", "wanted"),
    [
        (RANGE, "12", "Enter a whole number from 1 to 9."),
        (RANGE, "many", "Enter a whole number from 1 to 9."),
        (RANGE, "", "Enter a whole number from 1 to 9."),
        (RANGE, "1,000", "write it in digits, without separators"),
        ({"data_type": float}, "4,5", "write 4.5 with a point"),
        (REGIONS, "", "Region: choose eu, us or ap."),
        (REGIONS, "mars", "Region: choose eu, us or ap."),
        ({**REGIONS, "choices": ["eu"]}, "", "Region: choose eu."),
        (
            {**REGIONS, "choices": [f"r{n}" for n in range(20)]},
            "x",
            "Region: choose one of the 20 answers in the list.",
        ),
        ({"data_type": bool}, "", "Choose Yes or No."),
        ({"data_type": str}, " ", "Write your answer."),
        ({"data_type": "json"}, "", "Enter a JSON value, such as"),
        ({"data_type": float}, "", "Enter a number."),
        ({"data_type": date}, "28.02.2026", "Enter a date such as 2026-02-28."),
        ({"data_type": date}, "", "Enter a date such as 2026-02-28."),
        (
            {"data_type": NaiveDatetime},
            "28.02.2026",
            "Enter a date and a time without a zone, such as 2026-02-28T09:30:00.",
        ),
        ({"data_type": Decimal}, "1,50", "Enter a number, with decimals after a point, as in 4.5."),
        (
            {"data_type": Annotated[Decimal, Field(ge=0, decimal_places=2)]},
            "19.999",
            "Enter a number, at least 0, at most 2 decimals, with decimals after a point, as in 4.5.",
        ),
        ({"data_type": str, "schema": {"maxLength": 2}}, "abc", "Shorten it to at most 2 characters: it has 3."),
        (
            {"data_type": str, "schema": {"pattern": "^[A-Z]{3}-[0-9]+$"}},
            "abc",
            "Enter 3 × capital letters A-Z, then “-”, then digits.",
        ),
        (
            {"data_type": str, "schema": {"pattern": "^(a|b)$"}},
            "c",
            "Enter text that fits the regular expression &#34;^(a|b)$&#34;.",
        ),
        (
            {"data_type": datetime},
            "2026-02-28 09:30",
            "has no zone, so it could be several moments. Write its difference from UTC behind it",
        ),
    ],
)
def test_an_answer_that_does_not_fit_is_told_what_would(
    shared_app: WebApp, asked: dict[str, Any], typed: str, wanted: str
) -> None:
    content = {**asked}
    name = content.pop("name", "a question")
    stored = shared_app.ask(f"q-{abs(hash(str(asked) + typed)):x}"[:40], event_name=name, **_stored(content))
    page = stored.form(typed)

    assert page.status_code == 422
    found = re.search(r'id="value-error" role="alert"><p>(.*?)</p>', page.text)
    assert found
    assert wanted in found[1]
    assert stored.stored() is None


def _stored(content: dict[str, Any]) -> dict[str, Any]:
    if "schema" in content:
        content["json_schema"] = content.pop("schema")
    return content


@pytest.mark.parametrize(
    ("stands", "typed", "wanted"),
    [
        (
            outcome("answered", 9, "Ann"),
            "5",
            "Someone answered first. Your answer (5) was not used. Recorded: 9, by Ann.",
        ),
        (outcome("answered", 9), "5", "Someone answered first. Your answer (5) was not used. Recorded: 9."),
        (
            outcome("answered", 9, "Ann"),
            "",
            "Someone answered first. What you sent was not used. Recorded: 9, by Ann.",
        ),
        (
            outcome("answered", 9, "Ann"),
            "5" * 99,
            "Someone answered first. Your answer was not used. Recorded: 9, by Ann.",
        ),
        (
            outcome("rejected", name="Ann"),
            "5",
            "Someone declined first. Your answer (5) was not used. Recorded: declined, by Ann.",
        ),
        (outcome("timed_out"), "5", "The deadline has passed. Nobody answered. Your answer (5) was not used."),
        (
            outcome("cancelled"),
            "5",
            "This question was withdrawn. It needs no answer any more. Your answer (5) was not used.",
        ),
        (
            outcome("cancelled", reason="RunAborted"),
            "5",
            "The workflow has ended. This question needs no answer any more. Your answer (5) was not used.",
        ),
    ],
)
def test_who_was_not_first_reads_what_became_of_their_answer(
    stands: OutcomeDocument, typed: str, wanted: str
) -> None:
    assert lost(question(), stands, typed) == wanted


def test_an_aborted_run_is_told_with_its_reason() -> None:
    ended = outcome(
        "cancelled",
        reason=RUN_ABORTED,
        comment="the run r1 was aborted",
        respondent=Respondent(via="operator"),
    )
    page = visible_text(pages.outcome_page(question(), ended, recorded=False))

    assert RUN_ABORTED == conditions.RUN_ABORTED
    assert standing(ended) in page
    assert "The HITL operator (a program)" in page
    assert "via operator" not in page
    assert "link" not in page
    assert "The workflow has ended" in page
    assert "the run r1 was aborted" in page


@pytest.mark.parametrize(
    ("via", "wanted"),
    [
        ("operator", "withdrawn by the HITL operator (a program) at"),
        ("program", "withdrawn by the program that asked at"),
        ("kubectl", "withdrawn by somebody with kubectl at"),
        ("cli", "withdrawn by somebody at the command line at"),
        ("web", "withdrawn by somebody with a link via web at"),
    ],
)
def test_the_inbox_says_who_or_what_ended_a_question_without_a_name(via: Any, wanted: str) -> None:
    ended = outcome("cancelled", comment="it ended", respondent=Respondent(via=via))
    page = " ".join(visible_text(inbox_page(NOW, ended=[(question(), ended)])).split())

    assert wanted in page
    assert "unverified" not in page
    assert ("by the program that asked" in ended.summary()) is (via == "program")


def test_the_inbox_has_a_deadline_as_a_moment_that_is_shown_in_local_time() -> None:
    late = outcome("answered", 3, reason="DefaultUsed", respondent=Respondent(via="timeout"))
    for ended in (late, outcome("timed_out", respondent=Respondent(via="timeout"))):
        page = inbox_page(NOW, ended=[(question(), ended)])

        assert re.search(r"nobody answered before the deadline \(<time datetime=", page)
        assert ("so the default was used" in page) is (ended is late)


def test_the_inbox_says_where_a_question_comes_from_and_a_checkbox_what_it_selects() -> None:
    waiting = [question(Origin(namespace="team", project="shop", run="r1"))]
    page = inbox_page(NOW, waiting=waiting)
    assert "namespace team , project shop , run r1" in " ".join(visible_text(page).split())
    assert 'aria-labelledby="n-q p-q"' in page
    assert 'id="p-q"' in page
    of_run = " ".join(visible_text(inbox_page(NOW, waiting=waiting, query=Query(run="r1"))).split())
    assert "Waiting for an answer, of the run r1" in of_run


def test_an_answer_that_was_not_used_is_called_as_the_form_calls_it() -> None:
    stands = outcome("answered", True)
    page = pages.outcome_page(
        question(data_type=bool), stands, recorded=False, lost="Too late.", typed={"value": "false"}
    )

    assert ">No</pre>" in page
    assert "false" not in visible_text(page)


def test_an_address_without_a_page_says_what_to_do(shared_app: WebApp) -> None:
    page = visible_text(httpx.get(f"{shared_app.url}/foo").text)

    assert "There is no page at this address. To answer a question, open its whole link again." in page


def test_yes_and_no_are_called_so() -> None:
    page = pages.outcome_page(question(data_type=bool), outcome("answered", True), recorded=False)
    assert ">Yes</pre>" in page
    assert lost(question(data_type=bool), outcome("answered", True), "false").count("(No)") == 1


def test_the_default_is_filled_in_until_something_was_typed() -> None:
    asked = question(default=3)
    assert 'value="3"' in pages.form_page(pages.FormView(asked))
    assert 'value="3"' not in pages.form_page(pages.FormView(asked, typed={"value": ""}))


@pytest.mark.parametrize(
    "choices",
    [[" a", "a "], ["a  b", "a b"], ["a\u00a0b", "a b"], ["x" * 3, "X" * 3], ["a\tb", "a b"]],
)
@pytest.mark.parametrize("more", [0, 10])
def test_choices_that_differ_in_blanks_only_are_told_apart(
    shared_app: WebApp, choices: list[str], more: int
) -> None:
    offered = [*choices, *(f"c{number}" for number in range(more))]
    for index, choice in enumerate(choices):
        name = f"blanks-{abs(hash((tuple(choices), more, index))):x}"[:40]
        stored = shared_app.ask(name, data_type=str, choices=offered)
        assert field_for(question(data_type=str, choices=offered)).by_index
        assert stored.form("", choice=str(index)).status_code == 200
        assert (stored.stored() or {})["value"] == choice


def test_what_is_typed_to_search_is_a_choice_whatever_its_blanks_and_capitals(shared_app: WebApp) -> None:
    offered = [f"Region {number}" for number in range(20)]
    assert searched(question(data_type=str, choices=offered), " region\u00a0 7") == "Region 7"
    stored = shared_app.ask("searched", data_type=str, choices=offered)

    assert '<datalist id="answers">' in pages.form_page(pages.FormView(question(data_type=str, choices=offered)))
    assert stored.form("region 7").status_code == 200
    assert (stored.stored() or {})["value"] == "Region 7"


@pytest.mark.parametrize("name", ["نرگس\u200cسادات", "क्\u200dष", "Anne\u00a0Marie", "王小明", "O'Neil-Ŝ"])
def test_names_with_a_joiner_or_a_no_break_space_are_taken(shared_app: WebApp, name: str) -> None:
    stored = shared_app.ask(f"named-{abs(hash(name)):x}", data_type=int)

    assert recordable(name) == name
    assert Respondents.asked({"users": [name]}).allow(name, [])
    assert stored.form("5", name=name).status_code == 200
    assert (stored.stored() or {})["respondent"]["name"] == name


@pytest.mark.parametrize(
    "name", ["ann\u200d", "a\u200cnn", "\u200d", "ann\u00a0", " ann", "", "\u200b", "a\u00adb", "\u202eann"]
)
def test_a_name_with_something_that_nobody_sees_is_refused(name: str) -> None:
    with pytest.raises(NotAllowed):
        recordable(name)
    with pytest.raises(InvalidRequest):
        Respondents.asked({"users": [name]})


def test_the_way_to_the_run_and_to_the_inbox() -> None:
    origin = Origin(project="p/1", domain="d", run="r1", action="a0")
    token = SITE.set(Site(base="/hitl", run="https://flyte.example/{project}/{domain}/{run}"))
    try:
        page = pages.form_page(pages.FormView(question(origin), name="ann"))
        ended = pages.outcome_page(question(origin), outcome("answered", 9), recorded=True, name="ann")
    finally:
        SITE.reset(token)
    for each in (page, ended):
        assert 'href="https://flyte.example/p%2F1/d/r1"' in each
        assert '<a href="/hitl/">All your questions</a>' in each
    unknown = pages.form_page(pages.FormView(question(origin)))
    assert "r1" in visible_text(unknown)
    assert "All your questions" not in unknown


@pytest.mark.parametrize(
    ("origin", "wanted"),
    [
        (
            {"project": "p", "domain": "d", "run": "r1", "action": "a0"},
            "Asked by the task a0 of the run r1 of the project p ( d ).",
        ),
        ({"run": "r1"}, "Asked by the run r1 ."),
        ({"namespace": "ml", "human_input": "approve"}, "Asked by the HumanInput ml/approve ."),
        ({"namespace": "ml"}, "Asked from the namespace ml ."),
    ],
)
def test_each_page_says_what_asked(origin: dict[str, str], wanted: str) -> None:
    asked = question(Origin(**origin))
    for page in (
        pages.form_page(pages.FormView(asked)),
        pages.outcome_page(asked, outcome("answered", 9), recorded=False),
    ):
        assert wanted in " ".join(visible_text(page).split())


@pytest.mark.parametrize("address", ["{nothing}", "{", "javascript:{run}", "{run.__class__}x"])
def test_an_address_of_runs_that_cannot_be_made_is_refused_at_start(address: str) -> None:
    with pytest.raises(ValidationError, match="run_url"):
        WebSettings(run_url=address)


def test_who_is_not_signed_in_gets_the_link_to_it() -> None:
    secret: Any = "s"
    here = site_of(WebSettings(auth="proxy", proxy_secret=secret, endpoint="https://a.example/hitl"))
    there = site_of(WebSettings(auth="proxy", proxy_secret=secret, sign_in_url="/oauth2/start?rd={page}"))

    assert here.sign_in_address("/form/q") == "/hitl/form/q"
    assert there.sign_in_address("/form/q") == "/oauth2/start?rd=%2Fform%2Fq"
    assert site_of(WebSettings()).sign_in_address("/form/q") == ""


def test_the_deadline_is_told_with_its_moment() -> None:
    page = visible_text(pages.form_page(pages.FormView(question())))
    assert "Answer by" in page
    assert f"{NOW + timedelta(seconds=600):%Y-%m-%d %H:%M:%S UTC}" in page


def test_sentences_of_faults_name_the_field() -> None:
    assert what_fits(question(**RANGE), "12", InvalidValue("x", ("y",))) == (
        "Enter a whole number from 1 to 9.",
        (),
    )
