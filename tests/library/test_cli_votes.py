"""The command, where several people must agree: what it shows, which votes it takes, and how it asks."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from hitl.cli import output
from hitl.cli.app import app
from hitl.cli.cluster_view import read, shown
from hitl.cli.web_listing import ListedQuestion
from hitl.core.approval import Approval
from hitl.core.business_hours import BusinessHours
from hitl.core.documents import format_time
from hitl.records import outcomes
from hitl.records.delegating import delegate
from hitl.records.records import Records
from hitl.records.requests import StoredRequest, read_outcome, read_request
from hitl.records.submissions import Submission
from hitl.records.votes import read_votes
from hitl.storage import Store
from tests.library.samples import NOW, answer, asked, person


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setenv("HITL_STORAGE_ROOT", str(tmp_path / "root"))
    return Store(str(tmp_path / "root"))


def hitl_(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def ask(store: Store, **changes: Any) -> StoredRequest:
    return asyncio.run(asked(store, now=datetime.now(UTC), **changes))


def vote(store: Store, request: StoredRequest, submission: Submission) -> str:
    return asyncio.run(outcomes.settle(Records(store), request, submission)).kind


def test_show_says_who_must_agree_and_where_it_stands(root: Store) -> None:
    request = ask(root, approval=Approval(required=2, groups={"sre": 1}, exclude_requester=True), requester="eve")
    assert vote(root, request, answer("4", "ann", comment="fine")) == "voted"

    shown = hitl_("show", "a-question")

    assert shown.exit_code == 0
    lines = " ".join(shown.stdout.split())
    assert "Must agree: 2 people must give the same answer, among them 1 of sre." in lines
    assert "Requester: eve" in lines
    assert "Votes: 1/2 agree so far. Still needed: 1 more of sre. ann: 4, via web at" in lines
    found = json.loads(hitl_("show", "a-question", "--json").stdout)
    assert found["approval"]["requiredResponses"] == 2
    assert [(each["by"], each["answer"], each["comment"]) for each in found["votes"]] == [("ann", "4", "fine")]

    sre = person("bob").model_copy(update={"groups": ["sre"]})
    assert vote(root, request, answer("4", sre)) == "recorded"
    settled = json.loads(hitl_("show", "a-question", "--json").stdout)
    assert [(each["by"], each["answer"]) for each in settled["votes"]] == [("ann", "4"), ("bob", "4")]
    assert settled["standing"] == ""


def test_show_says_who_declined_who_handed_over_and_when_people_are_reminded(root: Store) -> None:
    named = {"respondents": {"users": ["ann", "bob", "cem"]}, "reminders": [timedelta(seconds=60)]}
    request = ask(root, approval=Approval(required=2, rejections=2), **named)
    vote(root, request, Submission("rejected", person("ann"), comment="too early"))
    handed = asyncio.run(delegate(Records(root), request, person("bob"), "eve", now=datetime.now(UTC)))
    assert handed.kind == "delegated"

    lines = " ".join(hitl_("show", "a-question").stdout.split())
    assert "ann: declined, via web at" in lines
    assert "Handed over: by bob to eve" in lines
    moment = request.document.expires_at - timedelta(seconds=60)
    assert f"Reminders: {format_time(moment)} (in " in lines
    found = json.loads(hitl_("show", "a-question", "--json").stdout)
    assert found["votes"][0]["answer"] is None
    assert found["handed_over"] == [{"by": "bob", "to": "eve", "used": False}]
    assert [datetime.fromisoformat(each) for each in found["reminded_at"]] == [moment]

    days = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
    hours = BusinessHours(time_zone="UTC", days=days, start="00:00", end="00:01")
    both = [timedelta(minutes=2), timedelta(minutes=1)]
    then = datetime(2031, 5, 6, tzinfo=UTC)
    moved = asyncio.run(
        asked(root, request_id="moved", now=then, timeout_seconds=129_600, reminders=both, business_hours=hours)
    )
    assert moved.document.reminders is not None
    found = json.loads(hitl_("show", "moved", "--json").stdout)
    assert found["reminded_at"] == ["2031-05-07T00:01:00Z"]

    # One person decides on this one, who may hand it over all the same.
    alone = ask(root, request_id="alone", respondents={"users": ["ann"]})
    asyncio.run(delegate(Records(root), alone, person("ann"), "eve", now=datetime.now(UTC)))
    assert "Handed over: by ann to eve" in " ".join(hitl_("show", "alone").stdout.split())


@pytest.mark.parametrize(
    ("by_policy", "said"),
    [
        (False, "Escalates: to group oncall: 2026-11-01 12:01:00 UTC"),
        (True, "Escalates: to those in its policy: 2026-11-01 12:01:00 UTC"),
    ],
)
def test_show_of_a_humaninput_says_when_others_may_answer_and_when_people_are_reminded(
    by_policy: bool, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    own = {
        "escalation": [{"afterSeconds": 60, "respondents": {"groups": ["oncall"]}}],
        "reminders": {"beforeDeadlineSeconds": [300]},
    }
    spec = {"prompt": "?", "dataType": "bool", "timeoutSeconds": 600, "respondents": {"users": ["ann"]}}
    content = {
        "metadata": {"name": "ship", "namespace": "red", "creationTimestamp": "2026-11-01T12:00:00Z"},
        "spec": {**spec, **({"policyRef": {"name": "two"}} if by_policy else own)},
        "status": {"escalatesAt": ["2026-11-01T12:01:00Z"], "expiresAt": "2026-11-01T12:10:00Z"},
    }

    output.print_request(shown(read(content), everywhere=False), datetime.now(UTC), stored=False)

    lines = " ".join(capsys.readouterr().out.split())
    assert said in lines
    # The reminders of a policy are copied into the question alone.
    assert ("Reminders: 2026-11-01 12:05:00 UTC" in lines) is not by_policy


def test_list_has_a_column_of_votes_where_several_people_must_agree(
    root: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    ask(root, request_id="alone")
    assert "AGREE" not in hitl_("list").stdout
    named = {"users": ["ann", "bob"]}
    request = ask(root, request_id="together", approval=Approval(required=2), respondents=named)
    vote(root, request, answer("4", "ann"))

    head, *rows = [line.split() for line in hitl_("list").stdout.splitlines()]
    assert head == ["ID", "PROMPT", "TYPE", "AGREE", "DEADLINE", "AGE"]
    assert [(row[0], "1/2" in row) for row in rows] == [("alone", False), ("together", True)]
    head, *rows = [line.split() for line in hitl_("list", "--all").stdout.splitlines()]
    assert head[-3:] == ["AGREE", "DEADLINE", "AGE"]

    vote(root, request, answer("5", "bob"))
    shown = hitl_("show", "together")
    assert "1/2 agree so far. Too few people are left to agree" in " ".join(shown.stdout.split())

    listed = {
        **dict.fromkeys(("request_id", "name", "prompt", "namespace"), "listed"),
        "state": "open",
        "data_type": "int",
        "ended": None,
        "asked_at": NOW,
        "expires_at": NOW,
    }
    votes = {"agree": 1, "required": 2, "declined": 0, "needed": "1 more", "unreachable": False, "voted": True}
    capsys.readouterr()
    output.print_listed(
        [ListedQuestion.model_validate({**listed, "approval": votes})], datetime.now(UTC), settled=False
    )
    head, row = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert row[head.index("AGREE")] == "1/2"


@pytest.mark.parametrize(
    "command",
    [("answer", "a-question", "4"), ("reject", "a-question", "--comment", "no"), ("withdraw", "a-question")],
)
def test_a_shell_verifies_no_name_so_it_has_no_vote(root: Store, command: tuple[str, ...]) -> None:
    request = ask(root, approval=Approval(required=2))

    done = hitl_(*command)

    assert done.exit_code == 1
    assert "a-question is for several people to agree on, and a shell verifies no name" in done.stderr
    assert asyncio.run(read_votes(root, request)) == []


def test_where_links_may_vote_a_shell_has_one_vote(root: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    request = ask(root, approval=Approval(required=2, allow_links=True))
    monkeypatch.setenv("LOGNAME", "ann")

    for _ in range(2):
        done = hitl_("answer", "a-question", "4")
        assert done.exit_code == 0
        assert done.stdout == "a-question: your vote was saved. 1/2 agree so far. Still needed: 1 more.\n"
    assert hitl_("answer", "a-question", "5").exit_code == 1
    assert asyncio.run(read_outcome(root, request.request_id)) is None
    for _ in range(2):
        done = hitl_("withdraw", "a-question")
        assert (done.exit_code, done.stdout) == (
            0,
            "a-question: withdrawn. 0/2 agree so far. Still needed: 2 more.\n",
        )
    assert "or with kubectl hitl delegate" in hitl_("delegate", "a-question", "bob").stderr
    assert hitl_("answer", "a-question", "4").exit_code == 0

    monkeypatch.setenv("LOGNAME", "bob")
    both = "ann (unverified) and bob (unverified)"
    assert hitl_("answer", "a-question", "4").stdout.startswith(f"a-question: answered 4 by {both} at")
    assert f"By: {both}" in " ".join(hitl_("show", "a-question").stdout.split())
    assert both in hitl_("list", "--all").stdout
    outcome = asyncio.run(read_outcome(root, request.request_id))
    assert outcome is not None
    assert outcome.by() == both
    too_late = hitl_("withdraw", "a-question")
    assert too_late.exit_code == 1
    assert "answered" in too_late.stderr


def test_ask_takes_a_policy(root: Store) -> None:
    policy = '{"requiredResponses": 2, "rejections": 2, "allowLinks": true}'

    done = hitl_("ask", "Ship?", "--timeout=0.1s", "--json", f"--approval={policy}")

    found = json.loads(done.stdout)
    assert found["phase"] == "TimedOut"
    asked_for = asyncio.run(read_request(root, found["id"])).document.approval
    assert asked_for == Approval(required=2, rejections=2, allow_links=True)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--approval=2"], "people must be known by name, and the web app that this program starts verifies no"),
        (["--approval=two"], "--approval: "),
        (["--approval=0"], "--approval: required: Input should be greater than or equal to 1"),
        (['--approval={"majority": true}'], "--approval: "),
        (["--requester=ann"], "--requester is whose vote may not count"),
    ],
)
def test_ask_refuses_a_policy_that_it_cannot_keep(root: Store, options: list[str], sentence: str) -> None:
    done = hitl_("ask", "Ship?", "--timeout=0.1s", *options)

    assert done.exit_code == 2
    assert sentence in done.stderr
