"""How a request is named, and what the command adds to it: ids cut short, links, waits with an end."""

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from hitl.cli.app import app
from hitl.cli.asked_times import escalation_of
from hitl.core.documents import OutcomeDocument
from hitl.records.links import list_links
from hitl.records.requests import read_outcome, read_request
from hitl.storage import Store
from tests.library.samples import answer, asked, settle

TOKEN = "-" + "k7Yq_x-9" * 5 + "ab"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("HITL_STORAGE_ROOT", str(tmp_path / "root"))
    monkeypatch.setenv("COLUMNS", "300")
    store = Store(str(tmp_path / "root"))
    for request_id in ("deploy-3f9c", "deploy-3fa0", "drop-77"):
        asyncio.run(asked(store, request_id, endpoint="http://127.0.0.1:1/", now=datetime.now(UTC)))
    return store


def hitl_(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def outcome(store: Store, request_id: str) -> OutcomeDocument | None:
    return asyncio.run(read_outcome(store, request_id))


def settled(store: Store, request_id: str) -> None:
    request = asyncio.run(read_request(store, request_id))
    asyncio.run(settle(store, request, answer(), now=datetime.now(UTC), markers=False))


@pytest.mark.parametrize(
    ("command", "phase"),
    [
        (["answer", "deploy-3f9", "7"], "answered"),
        (["cancel", "drop"], "cancelled"),
        (["reject", "drop-"], "rejected"),
    ],
)
def test_the_beginning_of_an_id_names_the_request(root: Store, command: list[str], phase: str) -> None:
    more = ["--comment=no"] if command[0] == "reject" else []

    assert hitl_(*command, *more).exit_code == 0

    found = [each for each in (outcome(root, "deploy-3f9c"), outcome(root, "drop-77")) if each]
    assert [each.outcome for each in found] == [phase]


def test_a_beginning_that_several_have_names_none_of_them(root: Store) -> None:
    done = hitl_("answer", "deploy-3f", "7")

    assert done.exit_code == 2
    assert "deploy-3f9c, deploy-3fa0" in done.stderr
    assert outcome(root, "deploy-3f9c") is None


def test_a_question_that_is_settled_still_has_its_beginning(root: Store) -> None:
    settled(root, "deploy-3f9c")

    assert "2 questions begin" in hitl_("answer", "deploy-3f", "7").stderr
    assert "Answered" in hitl_("show", "deploy-3f9").stdout
    assert outcome(root, "deploy-3fa0") is None


@pytest.mark.parametrize("typed", ["dro", "", "drop-77x", "deploy-3f9c/../drop-77"])
def test_less_than_four_characters_or_others_name_nothing(root: Store, typed: str) -> None:
    done = hitl_("show", typed)

    assert done.exit_code == 2
    assert "there is no question" in done.stderr


def test_too_short_a_beginning_is_said_to_be_too_short(root: Store) -> None:
    assert "(the beginning of an id has at least 4 characters)" in hitl_("show", "dro").stderr
    assert "the beginning of an id" not in hitl_("show", "drop-78").stderr


def test_an_id_that_begins_another_one_names_itself(root: Store) -> None:
    asyncio.run(asked(root, "deploy-3f", now=datetime.now(UTC)))

    assert hitl_("answer", "deploy-3f", "7").exit_code == 0
    assert outcome(root, "deploy-3f") is not None


def test_links_are_made_by_the_beginning_of_an_id(root: Store) -> None:
    url = hitl_("link", "drop").stdout.strip()

    assert url.startswith("http://127.0.0.1:1/form/drop-77?token=")
    assert hitl_("link", "drop", "--revoke", url).stderr == "drop-77: 1 link was revoked.\n"


def test_a_form_s_url_names_its_request_and_its_token_is_not_repeated(root: Store) -> None:
    url = hitl_("link", "drop-77").stdout.strip()

    assert json.loads(hitl_("show", url, "--json").stdout)["id"] == "drop-77"
    missing = hitl_("show", url.replace("drop-77", "unknown"))
    assert missing.exit_code == 2
    assert "'unknown'" in missing.stderr
    assert url.rpartition("=")[2] not in missing.stderr


def test_show_tells_where_the_form_is_and_how_to_get_a_link(root: Store) -> None:
    shown = hitl_("show", "drop").stdout

    assert "http://127.0.0.1:1/form/drop-77\n" in shown
    assert "hitl link drop-77\n" in shown
    settled(root, "drop-77")
    assert "Link" not in hitl_("show", "drop").stdout


@pytest.mark.parametrize("typed", [["--revoke", TOKEN], [TOKEN], ["--revoke=00000000", "--revoke", TOKEN]])
def test_a_token_that_begins_like_an_option_is_not_repeated(root: Store, typed: list[str]) -> None:
    done = hitl_("link", "drop-77", *typed)

    assert done.exit_code == 2
    assert TOKEN[4:] not in done.output
    assert asyncio.run(list_links(root, "drop-77")) == []


@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_a_wait_ends_after_the_time_it_is_given(root: Store, as_json: list[str]) -> None:
    done = hitl_("wait", "drop", "--timeout", "0.1", *as_json)

    assert done.exit_code == 6
    assert "drop-77: still waits for an answer" in done.stderr
    assert (json.loads(done.stdout)["phase"] == "Pending") if as_json else not done.stdout
    assert outcome(root, "drop-77") is None


@pytest.mark.parametrize("timeout", ["0", "1h"])
def test_a_wait_finds_what_is_there_within_its_time(root: Store, timeout: str) -> None:
    settled(root, "drop-77")

    done = hitl_("wait", "drop-77", f"--timeout={timeout}")

    assert (done.exit_code, done.stdout) == (0, "42\n")


def test_a_time_that_is_none_is_explained(root: Store) -> None:
    assert "'soon' is no span of time" in hitl_("wait", "drop-77", "--timeout", "soon").stderr


@pytest.mark.parametrize(
    "command",
    [["list"], ["list", "--all"], ["show", "none"], ["answer", "none", "1"], ["wait", "none"], ["link", "none"]],
)
def test_a_command_that_finds_nothing_makes_no_root(tmp_path: Path, command: list[str]) -> None:
    hitl_("--root", str(tmp_path / "mistyped"), *command)

    assert list(tmp_path.iterdir()) == []


def test_completion_makes_no_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {"_HITL_COMPLETE": "complete_bash", "COMP_WORDS": "hitl answer de", "COMP_CWORD": "2"}
    for name, value in {**names, "HITL_STORAGE_ROOT": str(tmp_path / "root")}.items():
        monkeypatch.setenv(name, value)

    assert CliRunner().invoke(app, [], prog_name="hitl").stdout.strip() == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("named", "users", "groups"),
    [
        (["ann@example.org"], ["ann@example.org"], []),
        (["user=ann", "group=sre", "Groups=dba"], ["ann"], ["sre", "dba"]),
        (["cn=ann,dc=example"], ["cn=ann,dc=example"], []),
    ],
)
def test_ask_names_who_may_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: list[str], users: list[str], groups: list[str]
) -> None:
    for name, value in {
        "SERVE": "operator",
        "STORAGE_ROOT": str(tmp_path),
        "ENDPOINT": "http://127.0.0.1:1",
    }.items():
        monkeypatch.setenv(f"HITL_{name}", value)

    done = hitl_("ask", "Ship?", "--timeout=0.1s", "--json", *(f"--respondents={each}" for each in named))

    assert json.loads(done.stdout)["respondents"] == {"users": users, "groups": groups}


def test_who_may_answer_later_is_typed_and_shown(root: Store) -> None:
    later = escalation_of(["2h=user=eve", "30m=group=oncall", "2h=cn=ann"])
    assert later == [(1_800, {"groups": ["oncall"]}), (7_200, {"users": ["eve", "cn=ann"]})]
    named: dict[str, Any] = {"respondents": {"users": ["bob"]}, "timeout_seconds": 9_000, "escalate": later}
    asyncio.run(asked(root, "later", now=datetime.now(UTC) - timedelta(hours=1), **named))

    shown = hitl_("show", "later").stdout
    assert re.search(r"^Escalates: +to group oncall: \S+ \S+ UTC \(\S+ ago\)$", shown, re.MULTILINE)
    assert re.search(r"^ +to eve, cn=ann: \S+ \S+ UTC \(in \S+\)$", shown, re.MULTILINE)
    first, second = json.loads(hitl_("show", "later", "--json").stdout)["escalation"]
    assert first["respondents"] == {"users": [], "groups": ["oncall"]}
    assert datetime.fromisoformat(second["at"]) - datetime.fromisoformat(first["at"]) == timedelta(minutes=90)


@pytest.mark.parametrize(
    ("option", "why"),
    [
        ("--escalate=0.2s=ann", "--escalate[0] is 0.2: give whole seconds"),
        ("--remind=0.2s", "--remind[0] is 0.2: give whole seconds"),
        ("--escalate=oncall", "--escalate is 'oncall': write a time and who"),
        ("--escalate=soon=ann", "--escalate: 'soon' is no span of time"),
        ("--escalate=30m=", "--escalate has '', which names nobody: write user=NAME or group=NAME"),
        ("--remind=soon", "--remind: 'soon' is no span of time"),
        ("--business-hours=9-5", "--business-hours: "),
        ("--business-hours=[]", "give a JSON object, with at least the time_zone"),
        ('--business-hours={"days": ["Mon"]}', "--business-hours: time_zone: Field required"),
    ],
)
def test_ask_refuses_times_that_make_no_sense(tmp_path: Path, option: str, why: str) -> None:
    done = hitl_("--root", str(tmp_path / "root"), "ask", "Ship?", "--respondents=bob", option)

    assert done.exit_code == 2
    assert why in " ".join(done.stderr.replace("│", " ").split())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("named", ["", "group=", " ", "user=\t"])
def test_ask_refuses_respondents_who_are_nobody(tmp_path: Path, named: str) -> None:
    done = hitl_("--root", str(tmp_path / "root"), "ask", "Ship?", f"--respondents={named}")

    assert done.exit_code == 2
    assert f"--respondents has {named!r}, which names nobody: write user=NAME or group=NAME" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_no_summary_is_cut_off_in_the_help() -> None:
    said = " ".join(hitl_("--help").output.split())

    group: Any = typer.main.get_command(app)
    assert "..." not in said.partition("Commands:")[2]
    for command in group.commands.values():
        first, *_ = re.split(r"\.\s", command.help)
        assert " ".join(first.split()) in said
