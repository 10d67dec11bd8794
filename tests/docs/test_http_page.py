"""The page of the HTTP API names every field of requests and replies, and the replies that it shows are real."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from hitl.core.approval import Approval
from hitl.core.documents import Origin
from hitl.core.respondents import Respondents
from hitl.core.submissions import HITLSubmissionTyped
from hitl_webapp.inbox import api
from hitl_webapp.routes.api import Submitted
from tests.docs.commands import ALL, run_block
from tests.web.serving import WebApp, running

PAGE = (Path(__file__).parents[2] / "docs" / "http-api.md").read_text()
LISTED = api.LIST["responses"]["200"]["content"]["application/json"]["schema"]["properties"]
QUESTION = LISTED["questions"]["items"]["properties"]
# What another run has otherwise: only the type is compared.
VARIES = {"submission_id", "answered_at", "request_sha256", "expires_at", "asked_at", "version"}


def table(head: str) -> set[str]:
    """Return the names in the first column of the table whose first cell this is."""
    [rows] = re.findall(rf"^\| {re.escape(head)} \| \|\n\|[-|]+\|\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    return {name for row in rows.splitlines() for name in re.findall(r"`(\w+)`", row.split(" | ")[0])}


def shown(number: int) -> Any:
    return json.loads(re.findall(r"^```json\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)[number])


def masked(reply: Any) -> Any:
    if isinstance(reply, list):
        return [masked(each) for each in reply]
    if not isinstance(reply, dict):
        return reply
    return {name: type(each).__name__ if name in VARIES else masked(each) for name, each in reply.items()}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebApp]:
    folder = tmp_path_factory.mktemp("http-page")
    with running(str(folder / "root"), folder, HITL_AUTH="proxy", HITL_PROXY_SECRET="s") as app:
        yield app


@pytest.mark.parametrize(
    ("head", "names"),
    [
        ("field of a submission", HITLSubmissionTyped.model_fields),
        ("field of the reply", Submitted.model_fields),
        ("parameter of a list", {each["name"] for each in api.LIST["parameters"]}),
        ("field of a list", LISTED),
        ("field of a question", QUESTION),
        ("field of a question's `approval`", QUESTION["approval"]["properties"]),
        ("field of `ended`", QUESTION["ended"]["properties"]),
    ],
)
def test_a_table_has_every_field_and_no_other(head: str, names: Any) -> None:
    assert table(head) == set(names)


def test_the_shown_reply_to_an_answer_is_the_one_of_the_shown_command(app: WebApp) -> None:
    expected = shown(0)
    question = app.ask(expected["request_id"], prompt="How many rows?")
    names = {"http://127.0.0.1:8080": app.url, '"ID"': f'"{question.request_id}"', "TOKEN": question.token}

    printed = json.loads(run_block("docs/http-api.md", "curl -sS http://127.0.0.1:8080", names))

    assert masked(printed) == masked(expected)


def test_the_tables_of_votes_have_every_field_of_a_real_reply(app: WebApp) -> None:
    question = app.ask("votes", approval=Approval(required=2, allow_links=True))

    reply = question.api(5).json()

    assert reply["status"] == "voted"
    assert table("field of `approval`") == set(reply["approval"])
    assert table("field of a vote") == set(reply["approval"]["votes"][0])


def test_the_shown_list_is_the_one_of_the_shown_command(app: WebApp) -> None:
    expected = shown(1)
    [asked] = expected["questions"]
    app.ask(
        asked["request_id"],
        event_name=asked["name"],
        prompt="Deploy **2.4** to production?",
        data_type=bool,
        origin=Origin(project="shop", domain="prod", run=asked["run"], namespace=asked["namespace"]),
        respondents=Respondents(users=["ann"], groups=["sre"]),
        approval=Approval(required=2, groups={"sre": 1}),
    )
    [url] = [
        found for block in ALL for each in block.commands for found in re.findall(r'"(\S+/questions\?\S+)"', each)
    ]
    user = {"X-HITL-Proxy-Secret": "s", "X-Forwarded-User": "ann", "X-Forwarded-Groups": "sre"}

    reply = httpx.get(f"{app.url}/questions", params=parse_qsl(urlsplit(url).query), headers=user)

    assert masked(reply.json()) == masked(expected)
