"""What other people wrote reaches a terminal printable, on lines of its own, and JSON unchanged."""

import asyncio
import json
import logging
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from hitl.cli import app as cli
from hitl.cli.app import app
from hitl.core.respondents import Respondents
from hitl.errors import AlreadySettled, DocumentDamaged, EventRejected, printable
from hitl.records.links import add_link
from hitl.records.requests import read_outcome
from hitl.records.submissions import Submission
from hitl.storage import Store
from tests.library.samples import answer, asked, create_request, draft_request, person, settle

HOSTILE = "no\x1b]0;pwn\x07\nCRITICAL forged line \x9b31m\u202e\u2066 end"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("COLUMNS", "400")
    monkeypatch.setenv("HITL_STORAGE_ROOT", str(tmp_path / "root"))
    store = Store(str(tmp_path / "root"))
    now = datetime.now(UTC)
    texts: dict[str, Any] = {"event_name": HOSTILE, "prompt": HOSTILE, "data_type": str, "now": now}
    who = person(HOSTILE, verified=False)

    # A release before this one, or whoever writes the root, may have stored such names.
    named = draft_request(request_id="named", timeout_seconds=600, root=store.url, **texts).model_copy(
        update={"respondents": Respondents(users=[HOSTILE], groups=[HOSTILE])}
    )

    async def fill() -> None:
        await asked(store, "pending", **texts, choices=[HOSTILE, "b"], default=HOSTILE)
        await create_request(store, named)
        answered = await asked(store, "answered", **texts)
        await settle(store, answered, answer(HOSTILE, who, comment=HOSTILE), now=now, markers=False)
        rejected = await asked(store, "rejected", **texts)
        await settle(store, rejected, Submission("rejected", who, comment=HOSTILE), now=now, markers=False)
        await add_link(store, "pending", now=now, label=HOSTILE)

    asyncio.run(fill())
    return store


def hitl_(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def assert_harmless(text: str) -> None:
    assert printable(text) == text
    assert not [line for line in text.splitlines() if line.startswith("CRITICAL")]


SHOWING = [
    ["list"],
    ["list", "--all"],
    *(["show", each] for each in ("pending", "named", "answered", "rejected")),
    ["wait", "rejected"],
    ["answer", "named", "x"],
    ["answer", "answered", "other"],
    ["answer", "pending", "other"],
    ["answer", "pending", "b", "--comment", HOSTILE],
    ["reject", "pending", "--comment", HOSTILE],
    ["cancel", "pending", "--comment", HOSTILE],
    ["cancel", "rejected"],
    ["link", "pending", "--list"],
    ["link", "answered"],
    ["link", "pending", f"--revoke={HOSTILE}"],
    ["show", HOSTILE],
    ["show", f"--{HOSTILE}"],
    ["answer", "pending", f"-{HOSTILE}"],
    ["reject", "pending", "--comment", f"--{HOSTILE}"],
    ["gc"],
]


@pytest.mark.parametrize("command", SHOWING, ids=lambda command: printable(" ".join(command)))
def test_no_command_lets_others_write_to_the_terminal(root: Store, command: list[str]) -> None:
    done = hitl_(*command)

    assert not isinstance(done.exception, Exception), done.exception
    assert_harmless(done.stdout)
    assert_harmless(done.stderr)


@pytest.mark.parametrize(
    "command",
    [
        ["list", "--all"],
        ["show", "answered"],
        ["wait", "answered"],
        ["link", "pending", "--list"],
        ["link", "pending", "--endpoint=http://x", "--label", HOSTILE],
        ["cancel", "pending", "--comment", HOSTILE],
    ],
    ids=lambda command: printable(" ".join(command)),
)
def test_json_is_printable_and_says_what_was_written(root: Store, command: list[str]) -> None:
    done = hitl_(*command, "--json")

    assert_harmless(done.stdout)
    assert json.dumps(HOSTILE) in json.dumps(json.loads(done.stdout))


def test_a_program_gets_the_value_as_it_was_given(root: Store) -> None:
    assert hitl_("wait", "answered").stdout == HOSTILE + "\n"


def test_exceptions_about_what_lies_in_storage_are_printable(root: Store) -> None:
    outcome = asyncio.run(read_outcome(root, "rejected"))
    assert outcome is not None

    for error in (EventRejected(outcome), AlreadySettled(outcome), DocumentDamaged(HOSTILE, HOSTILE)):
        assert_harmless(str(error))


@pytest.mark.parametrize(
    "program",
    [
        "import sys, hitl\nhitl.ask(sys.argv[1])",
        "import sys\nfrom hitl.cli.app import app\napp(['ask', sys.argv[1]])",
    ],
    ids=["hitl.ask", "hitl ask"],
)
def test_a_question_is_printable_where_it_is_asked(program: str) -> None:
    command = [sys.executable, "-c", program, f"Why {HOSTILE}"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as asking:
        assert asking.stderr is not None
        said = ""
        while "Answer at http://" not in said and (line := asking.stderr.readline()):
            said += line
        asking.kill()

    assert "forged line" in said
    # Its lines are its own: whoever asks wrote them.
    assert printable(said) == said


def test_what_the_library_logs_on_a_terminal_is_printable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "app", lambda **_: None)
    assert logging.lastResort is not None
    before = logging.lastResort.formatter
    try:
        cli.run()
        record = logging.LogRecord("hitl", logging.WARNING, __file__, 1, "left out: %s", (HOSTILE,), None)
        assert printable(shown := logging.lastResort.format(record)) == shown
        assert "forged line" in shown
    finally:
        logging.lastResort.formatter = before
