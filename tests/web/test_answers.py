"""What an answer is, and what becomes of one that is not: over the form and over the JSON API."""

import asyncio
import concurrent.futures
import json
import uuid
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from tests.docs.commands import run_block
from tests.web.serving import PAST, WebApp

INVALID: dict[str, tuple[dict[str, Any], str]] = {
    "maybe_for_bool": ({"data_type": bool}, "maybe"),
    "four_and_a_half_for_int": ({"data_type": int}, "4.5"),
    "nan": ({"data_type": float}, "NaN"),
    "1e400": ({"data_type": float}, "1e400"),
    "two_to_the_63": ({"data_type": int}, str(2**63)),
    "hexadecimal": ({"data_type": int}, "0x1F"),
    "an_empty_string": ({"data_type": str}, ""),
    "more_text_than_a_value_may_have": ({"data_type": str}, "x" * 200_000),
    "a_choice_that_is_not_offered": ({"data_type": str, "choices": ["red", "green"]}, "blue"),
    "json_that_the_schema_refuses": ({"data_type": "json", "schema": {"required": ["rows"]}}, '{"a": 1}'),
}


def asked(app: WebApp, **content: Any) -> Any:
    if "schema" in content:
        content["json_schema"] = content.pop("schema")
    return app.ask(f"q-{uuid.uuid4().hex[:12]}", **content)


@pytest.mark.parametrize("name", INVALID)
def test_an_invalid_value_gets_422_and_a_sentence_is_kept_and_writes_nothing(
    shared_app: WebApp, name: str
) -> None:
    content, text = INVALID[name]
    question = asked(shared_app, **content)

    page = question.form(text, comment="my comment")
    problem = question.api(json.loads(text) if content["data_type"] == "json" else text)

    assert page.status_code == problem.status_code == 422
    assert 'role="alert"' in page.text
    assert "my comment" in page.text
    if name not in ("maybe_for_bool", "a_choice_that_is_not_offered"):
        assert text.replace('"', "&#34;") in page.text
    assert problem.headers["content-type"] == "application/problem+json"
    assert problem.json()["errors"][0]["field"] == "value"
    assert problem.json()["detail"].endswith(".")
    assert question.stored() is None


@pytest.mark.parametrize(
    ("data_type", "text", "value"),
    [
        (int, "42", 42),
        (float, "4.5", 4.5),
        (bool, "false", False),
        (str, " héllo ", " héllo "),
        ("json", "[1]", [1]),
    ],
)
def test_each_type_is_recorded_as_what_it_is(shared_app: WebApp, data_type: Any, text: str, value: Any) -> None:
    question = asked(shared_app, data_type=data_type)

    page = question.form(text, name="Ann", comment="looks right")

    outcome = question.stored()
    assert page.status_code == 200
    assert outcome is not None
    assert outcome["value"] == value
    assert type(outcome["value"]) is type(value)
    assert outcome["status"] == "completed"
    assert outcome["respondent"]["name"] == "Ann"
    assert outcome["respondent"]["verified"] is False
    for shown in ("Your answer was saved. The workflow continues.", "Ann", "unverified", "looks right"):
        assert shown in page.text


def test_the_api_answers_as_the_old_plugin_did(shared_app: WebApp) -> None:
    question = asked(shared_app)
    body = {
        "request_id": question.request_id,
        "value": 42,
        "data_type": "int",
        "response_path": f"{question.response_path}#{question.token}",
    }

    reply = httpx.post(f"{shared_app.url}/submit/json", json=body).json()

    assert reply["status"] == "submitted"
    assert reply["value"] == 42
    assert reply["data_type"] == "int"
    assert reply["request_id"] == question.request_id
    assert reply["message"] == "Your answer was saved. The workflow continues."


@pytest.mark.parametrize("text", ["12", "0", "-3"])
def test_a_number_out_of_its_range_is_told_which_one_to_enter(shared_app: WebApp, text: str) -> None:
    question = asked(shared_app, json_schema={"minimum": 1, "maximum": 9})

    page = question.form(text)

    assert page.status_code == 422
    assert "<p>Enter a whole number from 1 to 9.</p>" in page.text
    assert "schema" not in page.text
    assert f'value="{text}"' in page.text
    assert question.stored() is None


def test_the_api_says_that_a_rejection_was_saved(shared_app: WebApp) -> None:
    question = asked(shared_app)
    body = {"request_id": question.request_id, "reject": True, "token": question.token}

    reply = httpx.post(f"{shared_app.url}/submit/json", json=body).json()

    assert (reply["status"], reply["value"]) == ("submitted", None)
    assert reply["message"] == "Your rejection was saved. The workflow gets it instead of an answer."


def test_two_people_answer_at_once_and_the_other_sees_who_won(shared_app: WebApp) -> None:
    question = asked(shared_app)

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        replies = list(pool.map(lambda n: question.api(n, comment=str(n)), range(16)))

    won = [reply for reply in replies if reply.status_code == 200]
    lost = [reply for reply in replies if reply.status_code == 409]
    assert (len(won), len(lost)) == (1, 15)
    stored = question.stored()
    assert stored is not None
    assert {reply.json()["outcome"]["value"] for reply in lost} == {stored["value"]} == {won[0].json()["value"]}


def test_who_loses_on_the_form_sees_what_stands(shared_app: WebApp) -> None:
    question = asked(shared_app)
    question.form("1", name="Ann")

    page = question.form("2", name="Bob")

    assert page.status_code == 409
    assert "Ann" in page.text
    assert "Someone answered first. Your answer (2) was not used. Recorded: 1, by Ann." in page.text
    assert 'class="outcome lost"' in page.text, "not in the colour of success"


def test_the_same_submission_twice_is_success(shared_app: WebApp) -> None:
    question = asked(shared_app)

    replies = [question.api(7, headers={"Idempotency-Key": "one"}) for _ in range(2)]

    assert [reply.status_code for reply in replies] == [200, 200]
    assert replies[0].json()["outcome"] == replies[1].json()["outcome"]


def test_the_same_value_over_the_same_link_is_success(shared_app: WebApp) -> None:
    question = asked(shared_app)

    assert [question.form("7").status_code for _ in range(2)] == [200, 200]


@pytest.mark.parametrize(
    ("again", "left_out"),
    [
        ({"comment": "another"}, "its comment is kept, and yours was not saved"),
        ({"name": "Bob"}, "its name is kept, and yours was not saved"),
        ({"comment": "another", "name": "Bob"}, "its comment and name are kept, and yours were not saved"),
    ],
)
def test_the_same_answer_with_another_comment_or_name_says_that_the_first_one_stands(
    shared_app: WebApp, again: dict[str, str], left_out: str
) -> None:
    question = asked(shared_app)
    question.form("7", name="Ann", comment="first")

    page = question.form("7", **{"name": "Ann", "comment": "first", **again})

    assert page.status_code == 200
    assert "This answer was saved before" in page.text
    assert left_out in page.text
    assert "Your answer was saved" not in page.text
    assert "first" in page.text
    assert (question.stored() or {})["comment"] == "first"


def test_the_same_form_sent_twice_says_twice_that_it_was_saved(shared_app: WebApp) -> None:
    question = asked(shared_app)

    pages = [question.form("7", name="Ann", comment="first").text for _ in range(2)]

    assert all("Your answer was saved" in page for page in pages)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"comment": "x" * 4_097}, "The comment has 4,097 characters: shorten it to at most 4,096."),
        ({"name": "x" * 257}, "The name has more than 256 characters"),
        ({"name": "Ann\x1b[2J"}, "The name has more than 256 characters, or some that cannot be printed"),
        ({"name": "nnA\u202e"}, "The name has more than 256 characters, or some"),
    ],
)
def test_a_comment_or_name_that_does_not_fit_is_refused_at_its_field_and_all_is_kept(
    shared_app: WebApp, fields: dict[str, str], sentence: str
) -> None:
    question = asked(shared_app)

    page = question.form("7", **fields)

    assert page.status_code == 422
    assert f'id="{next(iter(fields))}-error" role="alert"><p>{sentence}' in page.text
    assert '<details class="more" open>' in page.text
    assert 'value="7"' in page.text
    assert question.stored() is None


def test_names_of_all_scripts_are_taken(shared_app: WebApp) -> None:
    name = "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 O\u2019Brien-\u5f35"
    question = asked(shared_app)

    assert question.form("7", name=name).status_code == 200
    assert (question.stored() or {})["respondent"]["name"] == name


def test_after_the_deadline_it_is_too_late(shared_app: WebApp) -> None:
    question = asked(shared_app, now=datetime.now(UTC) - PAST)

    assert question.api(1).status_code == 410
    assert httpx.get(question.url).status_code == 200, "the page says that it timed out"
    assert (question.stored() or {})["outcome"] == "timed_out"
    assert question.form("1").status_code == 410


@pytest.mark.parametrize("settled", [False, True])
def test_what_was_typed_too_late_is_shown_to_be_copied(shared_app: WebApp, settled: bool) -> None:
    question = asked(shared_app, data_type=str, now=datetime.now(UTC) - PAST)
    if settled:
        assert httpx.get(question.url).status_code == 200, "the page settles the deadline"

    page = question.form("half an hour of typing", comment="and why")

    assert page.status_code == 410
    assert "half an hour of typing" in page.text
    assert "and why" in page.text
    assert "It was not saved" in page.text


def test_what_lost_is_shown_to_be_copied(shared_app: WebApp) -> None:
    question = asked(shared_app, data_type=str)
    assert question.api("first").status_code == 200

    page = question.form("my own words")

    assert page.status_code == 409
    assert "my own words" in page.text


def test_the_web_app_is_killed_and_started_again(app: WebApp) -> None:
    question = app.ask()
    answered = app.ask("answered")
    answered.api(3)

    app.stop(kill=True)
    app.start()

    assert httpx.get(question.url).status_code == 200
    assert question.api(4).status_code == 200
    assert "3" in httpx.get(answered.url).text


def test_status_is_for_who_may_see_it(shared_app: WebApp) -> None:
    question = asked(shared_app)
    url = f"{shared_app.url}/status/{question.request_id}"
    bearer = {"Authorization": f"Bearer {question.token}"}

    before = httpx.get(url, headers=bearer).json()
    question.api(5)
    # Whether a question is settled may be remembered for a second.
    asyncio.run(asyncio.sleep(1.1))
    after = httpx.get(url, headers=bearer).json()

    assert httpx.get(url).status_code == 403
    assert (before["status"], before["phase"], before["response"]) == ("pending", "Pending", None)
    assert (after["status"], after["phase"], after["response"]["value"]) == ("completed", "Answered", 5)
    assert "link" not in after["response"]["respondent"]


def test_the_page_s_command_answers(shared_app: WebApp) -> None:
    question = asked(shared_app)
    names = {"http://127.0.0.1:8080": shared_app.url, '"ID"': f'"{question.request_id}"', "TOKEN": question.token}

    printed = run_block("docs/http-api.md", "curl -sS http://127.0.0.1:8080", names)

    assert json.loads(printed)["status"] == "submitted"
    assert (question.stored() or {})["value"] == 42
