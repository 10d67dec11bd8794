"""One answer for several questions means the same to each of them, and is given once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from hitl.core.approval import Approval
from tests.web.serving import Question, WebApp, running, visible_text
from tests.web.test_inbox_api import SECRET, as_user


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebApp]:
    folder = tmp_path_factory.mktemp("bulk-again")
    with running(str(folder / "root"), folder, HITL_AUTH="proxy", HITL_PROXY_SECRET=SECRET) as found:
        yield found


def environment(*names: str) -> dict[str, Any]:
    return {"type": "object", "properties": {"env": {"enum": list(names)}}, "required": ["env"]}


@pytest.mark.parametrize(
    ("asked", "others", "sent"),
    [
        ({"choices": ["dev\t1", "prod"]}, {"choices": ["prod", "dev\t1"]}, {"choice": "0"}),
        ({"choices": ["dev", "prod"]}, {"choices": ["prod", "dev", "test"]}, {"value": "dev"}),
        (
            {"data_type": dict, "json_schema": environment("dev", "prod")},
            {"data_type": dict, "json_schema": environment("prod", "dev")},
            {"v~form": "1", "v/env": "0"},
        ),
    ],
)
def test_one_form_answers_no_questions_of_several_kinds(
    app: WebApp, asked: dict[str, Any], others: dict[str, Any], sent: dict[str, str]
) -> None:
    number = abs(hash(str(sent)))
    one = app.ask(f"kind-{number}", **{"data_type": str, **asked})
    other = app.ask(f"kind-of-others-{number}", **{"data_type": str, **others})

    reply = httpx.post(
        f"{app.url}/bulk", data={"id": [one.request_id, other.request_id], **sent}, headers=as_user("ann")
    )

    assert reply.status_code == 400
    assert "answer one kind at a time" in visible_text(reply.text)
    assert (one.stored(), other.stored()) == (None, None)


def standing(app: WebApp, question: Question) -> int:
    reply = httpx.get(f"{app.url}/status/{question.request_id}", headers=as_user("ann"))
    agree: int = reply.json()["approval"]["agree"]
    return agree


def test_a_vote_that_was_withdrawn_does_not_stand_again_when_its_page_is_loaded_again(app: WebApp) -> None:
    question = app.ask("vote-again", data_type=bool, approval=Approval(required=2))
    page = httpx.get(f"{app.url}/bulk?id={question.request_id}", headers=as_user("ann")).text
    [submission_id] = re.findall(r'name="submission_id" value="([^"]+)"', page)
    sent = {"id": question.request_id, "submission_id": submission_id, "value": "true"}

    def send() -> str:
        return visible_text(httpx.post(f"{app.url}/bulk", data=sent, headers=as_user("ann")).text)

    assert "Saved." in send()
    assert standing(app, question) == 1
    httpx.delete(f"{app.url}/votes/{question.request_id}", headers=as_user("ann"))

    assert "you took it back since" in send()
    assert standing(app, question) == 0


def test_a_vote_that_was_withdrawn_does_not_stand_again_when_a_program_repeats_it(app: WebApp) -> None:
    question = app.ask("program-again", data_type=bool, approval=Approval(required=2))
    content = {"request_ids": [question.request_id], "value": True}

    def send(key: str = "one") -> int:
        reply = httpx.post(
            f"{app.url}/bulk", json=content, headers={**as_user("ann"), "Idempotency-Key": key}, timeout=60
        )
        status: int = reply.json()["results"][0]["status"] if reply.is_success else reply.status_code
        return status

    assert (send(), send(), standing(app, question)) == (200, 200, 1)
    httpx.delete(f"{app.url}/votes/{question.request_id}", headers=as_user("ann"))

    assert (send(), standing(app, question)) == (409, 0)
    assert (send("another"), standing(app, question)) == (200, 1)
    assert send("k" * 129) == 400
