"""Who must write a comment, on every channel: nothing is saved without it, and each says so in its own way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
from typer.testing import CliRunner

from hitl.cli.app import app as command
from hitl.cluster.mapping import Given
from hitl.core.approval import Approval
from hitl.core.documents import Respondent
from hitl.records.records import Records
from hitl.records.requests import read_request
from hitl.records.votes import read_votes
from hitl_operator.context import Context
from hitl_operator.submissions import record
from tests.web.serving import Question, WebApp, run, running, visible_text
from tests.web.test_identity import SECRET, as_user

NEEDED = "A comment is needed: write why you decide like this."
REASON = "A reason is needed: write why you decline to answer."

Said = tuple[bool, str]
"""Whether a vote was taken, and what the voter reads."""


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebApp]:
    folder = tmp_path_factory.mktemp("comments")
    with running(str(folder / "root"), folder, HITL_AUTH="proxy", HITL_PROXY_SECRET=SECRET) as app:
        yield app


def _in_its_field(reply: httpx.Response) -> Said:
    assert reply.status_code in (200, 422)
    assert ('id="comment-error"' in reply.text) is (reply.status_code == 422)
    return reply.status_code == 200, visible_text(reply.text)


def _form(question: Question, declines: bool, comment: str) -> Said:
    fields = {"reject": "1"} if declines else {"value": "true"}
    data = {"request_id": question.request_id, "comment": comment, **fields}
    headers = {**as_user("ann"), "Origin": question.app.url}
    return _in_its_field(httpx.post(f"{question.app.url}/submit", data=data, headers=headers))


def _several_in_a_form(question: Question, declines: bool, comment: str) -> Said:
    fields = {"reject": "1"} if declines else {"value": "true"}
    headers = {**as_user("ann"), "Origin": question.app.url}
    data = {"id": question.request_id, "comment": comment, **fields}
    return _in_its_field(httpx.post(f"{question.app.url}/bulk", data=data, headers=headers))


def _api(question: Question, declines: bool, comment: str) -> Said:
    given: dict[str, Any] = {"reject": True} if declines else {"value": True}
    body = {"request_id": question.request_id, "comment": comment, **given}
    reply = httpx.post(f"{question.app.url}/submit/json", json=body, headers=as_user("ann"))
    if reply.status_code != 200:
        assert (reply.status_code, reply.headers["content-type"]) == (422, "application/problem+json")
        return False, str(reply.json()["detail"])
    return True, reply.text


def _several_by_api(question: Question, declines: bool, comment: str) -> Said:
    given: dict[str, Any] = {"reject": True} if declines else {"value": True}
    body = {"request_ids": [question.request_id], "comment": comment, **given}
    [result] = httpx.post(f"{question.app.url}/bulk", json=body, headers=as_user("ann")).json()["results"]
    assert result["status"] in (200, 422)
    return result["status"] == 200, str(result["detail"])


def _shell(question: Question, declines: bool, comment: str) -> Said:
    given = ["reject", question.request_id] if declines else ["answer", question.request_id, "true"]
    done = CliRunner().invoke(
        command, [*given, "--comment", comment], env={"HITL_STORAGE_ROOT": question.app.store.url}
    )
    assert done.exit_code in (0, 1, 2)
    return done.exit_code == 0, done.output


def _humaninputresponse(question: Question, declines: bool, comment: str) -> Said:
    """As the operator settles one: tests/cluster has the real API server."""

    async def settled() -> Said:
        store = question.app.store
        request = await read_request(store, question.request_id)
        who = Respondent(name="ann", via="kubectl", verified=True)
        kind: Any = "rejected" if declines else "answered"
        given = Given(kind, who, None if declines else "true", comment, f"{declines}{comment}")
        context = cast("Context", SimpleNamespace(now=lambda: datetime.now(UTC)))
        root = cast("Any", SimpleNamespace(store=store, require_clock=store.require_clock))
        recorded = await record(context, root, Records(store), request, given, may_vote=True, looked=None)
        if recorded.refusal is not None:
            assert recorded.refusal.reason == "Invalid"
            return False, recorded.refusal.message
        return True, ""

    return asyncio.run(settled())


CHANNELS: dict[str, Callable[[Question, bool, str], Said]] = {
    "form": _form,
    "several": _several_in_a_form,
    "api": _api,
    "several-api": _several_by_api,
    "shell": _shell,
    "humaninputresponse": _humaninputresponse,
}


@pytest.mark.parametrize("channel", CHANNELS)
def test_a_vote_that_needs_a_comment_is_saved_with_one_only_and_each_channel_says_so(
    web: WebApp, channel: str
) -> None:
    def asked(when: Any, name: str = "") -> Question:
        policy = Approval(required=2, rejections=2, comment_required=when, allow_links=True)
        return web.ask(f"{channel}-{name or when.lower()}", data_type=bool, approval=policy)

    def votes(question: Question) -> int:
        async def read() -> int:
            return len(await read_votes(web.store, await read_request(web.store, question.request_id)))

        return run(read())

    vote, always, on_reject, never = CHANNELS[channel], *map(asked, ("Always", "OnReject", "Never"))
    page = visible_text(httpx.get(f"{web.url}/form/{always.request_id}", headers=as_user("ann")).text)
    assert "A comment is needed" in page
    for blank in ("", " \n "):
        for question, declines in ((always, False), (always, True), (on_reject, True)):
            taken, said = vote(question, declines, blank)
            assert not taken
            assert NEEDED in said or (declines and REASON in said) or (declines and channel == "shell")
            assert votes(question) == 0
    for question, declines, comment in (
        (always, False, "fine"),
        (on_reject, False, ""),
        (never, False, ""),
        (asked("OnReject", "declined"), True, "too risky"),
    ):
        assert vote(question, declines, comment)[0], question.request_id
        assert votes(question) == 1
