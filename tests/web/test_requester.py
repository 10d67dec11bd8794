"""The requester decides on no channel, for nobody: each refuses with a sentence, and the audit has a line."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
from typer.testing import CliRunner

from hitl.cli.app import app as command
from hitl.cluster.mapping import Given
from hitl.core import keys
from hitl.core.documents import Respondent, Via
from hitl.records.audit import Alone
from hitl.records.records import Records
from hitl.records.requests import read_request
from hitl.records.votes import read_ballots
from hitl_operator.submissions import record, withdraw_or_delegate
from tests.web.serving import Question, WebApp, run
from tests.web.test_identity import as_user
from tests.web.test_votes import api, asked, form, signed_in

__all__ = ["signed_in"]
_PATIENCE_SECONDS = 120.0


def bulk(question: Question) -> str:
    body = {"request_ids": [question.request_id], "value": True}
    return httpx.post(f"{question.app.url}/bulk", json=body, headers=as_user("asker")).text


def by_the_operator(via: Via, to: str = "") -> Callable[[Question], str]:
    """A HumanInputResponse of the requester, as the operator takes it; admission stamped the name."""

    async def checked(_now: datetime) -> None:
        """Compare no clocks: there is one machine."""

    async def refused(question: Question) -> str:
        store = question.app.store
        root = cast("Any", SimpleNamespace(store=store, require_clock=checked))
        context = cast("Any", SimpleNamespace(now=lambda: datetime.now(UTC)))
        records = Records(store, audited=Alone(store, "operator").note)
        request = await read_request(store, question.request_id)
        given = Given("answered", Respondent(name="asker", via=via, verified=True), "true", "", "0" * 32)
        if to:
            return str((await withdraw_or_delegate(context, root, records, request, given, to)).error)
        told = await record(context, root, records, request, given, may_vote=True, looked=None)
        return "" if told.refusal is None else told.refusal.message

    return lambda question: run(refused(question))


def by_command(question: Question) -> str:
    done = CliRunner().invoke(command, ["--root", question.app.root, "answer", question.request_id, "true"])
    return done.stderr


CHANNELS: dict[str, tuple[Callable[[Question], str], str]] = {
    "form": (lambda question: form(question, "asker", "sre", value="true").text, "others must decide"),
    "API": (lambda question: api(question, "asker", "sre", value=True).text, "others must decide"),
    "several at once": (bulk, "others must decide"),
    "kubectl": (by_the_operator("kubectl"), "others must decide"),
    "Git": (by_the_operator("gitops"), "others must decide"),
    # A shell verifies no name, so it has no vote on such a question whoever types.
    "command": (by_command, "a shell verifies no name"),
    "hands it over in the form": (
        lambda question: form(question, "asker", "sre", step="hand-over", to="bob").text,
        "others must decide",
    ),
    "hands it over by the API": (
        lambda question: api(question, "asker", "sre", delegate_to="bob").text,
        "others must decide",
    ),
    "hands it over by kubectl": (by_the_operator("kubectl", "bob"), "others must decide"),
    "as a delegate": (
        lambda question: api(question, "ann", "sre", delegate_to="asker").text,
        "it cannot be handed over to asker",
    ),
}


@pytest.mark.parametrize("channel", CHANNELS)
def test_the_requester_is_refused_on_each_channel_and_as_a_delegate_and_the_audit_says_so(
    signed_in: WebApp, channel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "asker")
    # The command's own option sets it for this process.
    monkeypatch.setenv("HITL_STORAGE_ROOT", signed_in.root)
    question = asked(signed_in, f"asked-{list(CHANNELS).index(channel)}")
    act, sentence = CHANNELS[channel]

    assert sentence in act(question)

    assert question.stored() is None
    request = run(read_request(signed_in.store, question.request_id))
    assert run(read_ballots(signed_in.store, request)).everything() == []
    line = noted(signed_in, question.request_id)
    assert (line["result"], sentence in line["reason"]) in (("refused", True), ("not_allowed", True))
    assert "asker" in (line.get("name"), line.get("to"))


def noted(app: WebApp, request_id: str) -> dict[str, Any]:
    """The audit's one line about a question, which is written a moment later."""

    async def lines() -> list[dict[str, Any]]:
        found = [key async for key, _ in app.store.list_keys(keys.AUDIT)]
        data = await asyncio.gather(*(app.store.read(each) for each in found))
        read = [json.loads(line) for each in data if each for line in each.splitlines()]
        return [each for each in read if each.get("request_id") == request_id]

    until = time.monotonic() + _PATIENCE_SECONDS
    while not (found := run(lines())):
        assert time.monotonic() < until
        time.sleep(0.1)
    [line] = found
    return line
