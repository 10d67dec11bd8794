"""To decline is a step of its own, which asks why. What was typed before survives it, there and back."""

from __future__ import annotations

import html
import re
import uuid
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from hitl.core.respondents import Respondents
from tests.web.serving import PAST, Question, WebApp


def asked(app: WebApp, **content: Any) -> Question:
    return app.ask(f"q-{uuid.uuid4().hex[:12]}", **content)


def field_value(page: str, name: str) -> str:
    """Return what a page's field of this name holds, whichever kind of field it is."""
    area = re.search(rf'<textarea[^>]* name="{name}"[^>]*>\n(.*?)</textarea>', page, re.DOTALL)
    found = area or re.search(rf'<input[^>]* name="{name}"[^>]* value="([^"]*)"', page)
    assert found, f"there is no field {name}"
    return html.unescape(found[1])


def test_a_reason_is_all_it_takes(shared_app: WebApp) -> None:
    question = asked(shared_app)

    page = question.form("", reject="1", comment="not today")

    outcome = question.stored()
    assert page.status_code == 200
    assert outcome is not None
    assert (outcome["outcome"], outcome["comment"], outcome["value"]) == ("rejected", "not today", None)
    assert "You declined. The workflow has been told why." in page.text
    assert "not today" in page.text


@pytest.mark.parametrize("reason", ["", " ", "\n\t\r\n", "\u200b", "\ufeff\u2060 ", "\u3164"])
@pytest.mark.parametrize("data_type", [int, bool, str, "json"])
def test_without_a_reason_it_is_refused_and_the_fault_is_at_the_reason(
    shared_app: WebApp, data_type: Any, reason: str
) -> None:
    question = asked(shared_app, data_type=data_type)

    page = question.form("", reject="1", comment=reason)

    assert page.status_code == 422
    assert 'id="comment-error" role="alert"><p>A reason is needed' in page.text
    assert re.search(
        r'<textarea id="comment"[^>]*aria-describedby="comment-error" aria-invalid="true" autofocus', page.text
    )
    assert question.stored() is None


@pytest.mark.parametrize("value", ["true", "false", "maybe"])
def test_an_answer_and_declining_at_once_are_refused_and_both_are_kept(shared_app: WebApp, value: str) -> None:
    question = asked(shared_app, data_type=bool)

    page = question.form(value, reject="1", comment="because")

    assert page.status_code == 422
    assert "You gave an answer and declined as well" in page.text
    assert field_value(page.text, "comment") == "because"
    assert (f'value="{value}" checked' in page.text) == (value != "maybe")
    assert question.stored() is None


@pytest.mark.parametrize("value", ["5", ""])
@pytest.mark.parametrize(
    "reject", ["", " ", "0", "no", "False", "nein", "undefined", "[object Object]", "2", "no thanks", "11", "1\n1"]
)
def test_a_field_reject_that_says_neither_yes_nor_nothing_is_refused(
    shared_app: WebApp, reject: str, value: str
) -> None:
    question = asked(shared_app)

    assert question.form(value, reject=reject, comment="because").status_code == 400
    assert question.stored() is None


@pytest.mark.parametrize("reject", ["1", "true", "Yes", "on", "reject"])
def test_a_field_reject_that_says_yes_declines(shared_app: WebApp, reject: str) -> None:
    question = asked(shared_app)

    assert question.form("", reject=reject, comment="because").status_code == 200
    stored = question.stored()
    assert stored is not None
    assert stored["outcome"] == "rejected"


ANSWERS: dict[str, tuple[dict[str, Any], str]] = {
    "a number": ({"data_type": int}, "0,42"),
    "yes": ({"data_type": bool}, "true"),
    "lines": ({"data_type": str}, "\n first\nsecond <b>\n"),
    "json": ({"data_type": "json"}, '{"a": "\'&quot;"}'),
    "a choice": ({"data_type": str, "choices": ["red", "green"]}, "green"),
    "one of many": ({"data_type": int, "choices": list(range(20))}, "7"),
    "a choice that is not safe to print": ({"data_type": str, "choices": ["a", "\u202eb"]}, "\u202eb"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_what_was_typed_comes_along_and_comes_back(shared_app: WebApp, name: str) -> None:
    content, value = ANSWERS[name]
    question = asked(shared_app, **content)

    there = question.form(value, comment="my\ncomment", name="Ann", step="decline")
    refused = question.form("", comment=" ", name="Ann", kept=field_value(there.text, "kept"), reject="1")
    back = httpx.post(
        f"{shared_app.url}/submit",
        data={
            "request_id": question.request_id,
            "token": question.token,
            "comment": field_value(there.text, "comment"),
            "name": field_value(refused.text, "name"),
            "kept": field_value(refused.text, "kept"),
            "step": "back",
        },
    )

    assert (there.status_code, refused.status_code, back.status_code) == (200, 422, 200)
    assert field_value(back.text, "comment") == "my\ncomment"
    assert field_value(back.text, "name") == "Ann"
    if len(content.get("choices", [])) == 2 or content["data_type"] is bool:
        chosen = re.search(r'value="([^"]*)"[^>]* (?:checked|selected)', back.text)
        assert chosen
        posted = html.unescape(chosen[1])
        assert posted == ("1" if value.startswith("\u202e") else value)
    else:
        assert field_value(back.text, "value") == value
    assert question.stored() is None


def test_the_steps_show_what_stands_once_the_question_is_settled(shared_app: WebApp) -> None:
    settled = asked(shared_app)
    settled.form("5")
    late = asked(shared_app, now=datetime.now(UTC) - PAST)

    assert "Answered" in settled.form("", step="decline").text
    assert settled.form("", reject="1").status_code == 409, "who won matters more than a reason that is missing"
    assert "Timed out" in late.form("", step="decline").text
    assert late.form("", reject="1").status_code == 410


def test_a_step_needs_the_same_rights_as_a_submission(shared_app: WebApp) -> None:
    question = asked(shared_app)
    named = asked(shared_app, respondents=Respondents(users=["ann"]))
    data = {"request_id": question.request_id, "token": "x" * 43, "step": "decline"}

    assert httpx.post(f"{shared_app.url}/submit", data=data).status_code == 403
    assert named.form("", step="decline").status_code == 403
    assert question.form("", step="elsewhere").status_code == 400
    assert question.stored() is None
