"""The form and the JSON API take the same values, and record nothing that is of another type."""

import json
import uuid
from datetime import date
from decimal import Decimal
from typing import Any, Literal

import httpx
import pytest

from tests.web.serving import Question, WebApp


def asked(app: WebApp, data_type: Any, **content: Any) -> Question:
    return app.ask(f"q-{uuid.uuid4().hex[:12]}", data_type=data_type, **content)


@pytest.mark.parametrize(
    ("data_type", "value"),
    [
        (list[str], {"a": 1}),
        (list[str], [1, 2]),
        (list[str], None),
        (list[str], "plain text"),
        (list[int], ["1"]),
        (list[int], [1.5]),
        (list[int], [2**63]),
        (list[int], [True]),
        (dict, [1]),
        (dict, "x"),
        (dict[str, int], {"a": "b"}),
        (dict[str, list[Literal["red"]]], {"a": ["blue"]}),
        (list, {}),
        (None, {}),
    ],
    ids=ascii,
)
def test_another_shape_is_refused_over_both(shared_app: WebApp, data_type: Any, value: Any) -> None:
    question = asked(shared_app, data_type)

    page = question.form(json.dumps(value))
    problem = question.api(value)

    assert (page.status_code, problem.status_code) == (422, 422)
    assert problem.json()["errors"]
    assert question.stored() is None


@pytest.mark.parametrize(
    ("data_type", "text", "value"),
    [
        (int, "\u22125", -5),
        (int, "\u00a01000\u202f", 1000),
        (float, "\u22120.5", -0.5),
        (list[int], "[1, 2]", [1, 2]),
        (dict[str, float], '{"a": 1}', {"a": 1}),
        (None, "null", None),
    ],
    ids=ascii,
)
def test_the_same_text_is_the_same_value_over_both(
    shared_app: WebApp, data_type: Any, text: str, value: Any
) -> None:
    by_form, by_json = (asked(shared_app, data_type) for _ in range(2))

    assert by_form.form(text).status_code == 200
    assert by_json.api(text if data_type in (int, float) else json.loads(text)).status_code == 200

    for question in (by_form, by_json):
        stored = question.stored()
        assert stored is not None
        assert stored["value"] == value


@pytest.mark.parametrize(
    ("data_type", "typed"), [(date, "2026-02-28"), (Decimal, "1.50"), (uuid.UUID, str(uuid.UUID(int=7)))]
)
def test_blanks_around_a_date_or_the_like_are_dropped_as_around_a_number(
    shared_app: WebApp, data_type: Any, typed: str
) -> None:
    question = asked(shared_app, data_type)

    assert question.form(f" {typed} ").status_code == 200
    stored = question.stored()
    assert stored is not None
    assert stored["value"] == typed


@pytest.mark.parametrize("data_type", [int, float])
@pytest.mark.parametrize("text", ["1.234,5", "1 000", "1,000", "1'000", "٣", "１２", "12 %", "\u20135", "0,42"])
def test_a_number_that_could_be_another_is_refused_over_both(
    shared_app: WebApp, data_type: Any, text: str
) -> None:
    question = asked(shared_app, data_type)

    assert question.form(text).status_code == 422
    problem = question.api(text)
    assert problem.status_code == 422
    assert "number: write" in problem.json()["detail"]
    assert question.stored() is None


@pytest.mark.parametrize(
    "body",
    [
        {"value": 1, "rejct": True},
        {"value": 1, "Reject": True},
        {"value": 1, "reject": "true"},
        {"value": 1, "reject": True},
        {"reject": 1},
        {"vlaue": 1},
        {"comment": "yes"},
        {},
    ],
    ids=json.dumps,
)
@pytest.mark.parametrize("data_type", [int, "json"])
def test_a_body_that_says_something_else_too_records_nothing(
    shared_app: WebApp, data_type: Any, body: dict[str, Any]
) -> None:
    question = asked(shared_app, data_type)
    sent = {"request_id": question.request_id, "token": question.token, **body}

    reply = httpx.post(f"{shared_app.url}/submit/json", json=sent)

    assert 400 <= reply.status_code < 500
    assert question.stored() is None


def test_a_client_of_the_old_plugin_answers_as_before(shared_app: WebApp) -> None:
    question = asked(shared_app, int)
    body = {
        "request_id": question.request_id,
        "value": 42,
        "data_type": "int",
        "response_path": f"{question.response_path}#{question.token}",
    }

    assert httpx.post(f"{shared_app.url}/submit/json", json=body).status_code == 200
