"""The command: what each one prints, records and ends with."""

import asyncio
import contextlib
import json
import os
import pty
import re
import subprocess
import sys
import termios
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from typer.testing import CliRunner, Result

import hitl.cli
from hitl.author.evidence import image
from hitl.cli.app import app
from hitl.cli.output import duration
from hitl.cli.view import RequestView
from hitl.core import keys
from hitl.core.documents import Origin, OutcomeDocument
from hitl.core.evidence import Evidence
from hitl.core.respondents import Respondents
from hitl.records.links import find_link
from hitl.records.requests import StoredRequest, read_outcome
from hitl.records.submissions import Submission
from hitl.storage import Store
from tests.library.beside import png, stored
from tests.library.samples import answer, asked, person, settle

FIELDS = {field.serialization_alias or name for name, field in RequestView.model_fields.items()}


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("HITL_STORAGE_ROOT", str(tmp_path / "root"))
    return Store(str(tmp_path / "root"))


def hitl_(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def data(*arguments: str) -> Any:
    done = hitl_(*arguments, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def ask(store: Store, request_id: str = "a-question", **changes: Any) -> StoredRequest:
    return asyncio.run(asked(store, request_id, **{"now": datetime.now(UTC), **changes}))


def record(store: Store, request: StoredRequest, submission: Submission) -> OutcomeDocument:
    return asyncio.run(settle(store, request, submission, now=datetime.now(UTC), markers=False))


def outcome_of(store: Store, request_id: str = "a-question") -> OutcomeDocument | None:
    return asyncio.run(read_outcome(store, request_id))


def test_list_shows_what_waits_oldest_first(root: Store) -> None:
    now = datetime.now(UTC)
    ask(root, "younger", now=now - timedelta(minutes=5))
    ask(root, "older", now=now - timedelta(minutes=9))
    record(root, ask(root, "settled"), answer())

    done = hitl_("list")

    assert [line.split()[0] for line in done.stdout.splitlines()] == ["ID", "older", "younger"]
    assert done.exit_code == 0


def test_list_all_shows_outcomes_behind_what_waits(root: Store) -> None:
    record(root, ask(root, "settled", now=datetime.now(UTC) - timedelta(minutes=5)), answer("42", "ann"))
    ask(root, "pending")

    _, pending, settled = hitl_("list", "--all").stdout.splitlines()

    assert pending.split()[:1] == ["pending"]
    assert settled.split()[:1] + settled.split()[3:8] == ["settled", "int", "Answered", "42", "ann", "web"]


def test_list_tells_namespaces_where_there_are_some(root: Store) -> None:
    ask(root, "here")
    assert "NAMESPACE" not in hitl_("list").stdout
    ask(root, "there", origin=Origin(namespace="flytesnacks-development"))

    head, *rows = hitl_("list").stdout.splitlines()

    assert head.split()[:2] == ["ID", "NAMESPACE"]
    assert [row.split()[:2] for row in rows if row.startswith("there")] == [["there", "flytesnacks-development"]]


def test_list_in_a_pipe_is_aligned_text_without_colours(root: Store) -> None:
    ask(root, "one", prompt="Short?")
    ask(root, "two", prompt="A prompt\nof two lines [red]that is longer")

    head, *rows = hitl_("list").stdout.splitlines()

    assert {row.index("int") for row in rows} == {head.index("TYPE")}
    assert "A prompt of two lines [red]that is longer" in rows[0] + rows[1]
    assert "\x1b" not in "".join(rows)


def test_what_others_wrote_cannot_rewrite_a_terminal(root: Store) -> None:
    ask(root, prompt="Drop \x1b[1A\x1b[2Kit\u202eti?\x9b")

    for done in (hitl_("list"), hitl_("show", "a-question")):
        assert "Drop �[1A�[2Kit�ti?�" in done.stdout


def test_list_says_when_nothing_waits(root: Store) -> None:
    done = hitl_("list")

    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "Nothing waits for an answer.\n")
    assert data("list") == []


def test_a_value_that_an_option_does_not_take_is_told_in_plain_words(root: Store) -> None:
    done = hitl_("list", "--type", "model")

    assert done.exit_code == 2
    assert "Invalid value for '--type': 'model' is not one of 'int'" in " ".join(done.stderr.split())


def test_each_fault_of_an_answer_is_told_once(root: Store) -> None:
    ask(root, data_type="json", schema={"properties": {"a": {"maximum": 9}, "b": {"maximum": 9}}})

    one = hitl_("answer", "a-question", '{"a": 12}')
    two = hitl_("answer", "a-question", '{"a": 12, "b": 13}')

    assert one.exit_code == two.exit_code == 2
    assert one.stderr.count("12 is greater") == two.stderr.count("12 is greater") == 1
    assert two.stderr.count("13 is greater") == 1


def test_list_leaves_out_what_is_damaged_and_names_it(root: Store) -> None:
    ask(root, "good")
    asyncio.run(root.create_once(keys.request_key("bad"), b"{"))

    done = hitl_("list", "--json")

    assert [view["id"] for view in json.loads(done.stdout)] == ["good"]
    assert keys.request_key("bad") in done.stderr


def test_json_has_the_same_fields_everywhere_and_always(root: Store) -> None:
    ask(root, "one", choices=[1, 2], default=1)
    ask(root, "two")
    ask(root, "three")

    views = [
        *data("list"),
        data("show", "one"),
        data("answer", "one", "2"),
        data("reject", "two", "--comment", "no"),
        data("cancel", "three"),
        data("wait", "one"),
    ]

    assert [set(view) for view in views] == [FIELDS] * len(views)


def test_show_tells_question_and_outcome(root: Store) -> None:
    request = ask(root, prompt="How\nmany?", choices=[3, 42], default=3)
    record(root, request, answer("42", "ann", comment="fits"))

    shown = hitl_("show", "a-question").stdout

    for part in ("a-question", "How", "many?", "int", "3, 42", "Answered", "42", "ann", "web", "fits"):
        assert part in shown
    assert data("show", "a-question")["value"] == 42


@pytest.mark.parametrize("command", [["show"], ["answer", "1"], ["reject", "--comment=x"], ["cancel"], ["wait"]])
@pytest.mark.parametrize("request_id", ["unknown", "../../etc/passwd", "UPPER"])
def test_an_unknown_request_is_named(root: Store, command: list[str], request_id: str) -> None:
    name, *rest = command

    done = hitl_(name, request_id, *rest)

    assert done.exit_code == 2
    assert repr(request_id) in done.stderr
    assert "hitl list" in done.stderr


@pytest.mark.parametrize(
    ("data_type", "typed", "value"),
    [
        (int, "-5", -5),
        (float, "-1e5", -1e5),
        (bool, "true", True),
        (str, "two words", "two words"),
        (list, "[1]", [1]),
    ],
)
def test_answer_takes_text_as_the_form_does(root: Store, data_type: type, typed: str, value: Any) -> None:
    ask(root, data_type=data_type)

    done = hitl_("answer", "a-question", typed, "--comment", "why")

    outcome = outcome_of(root)
    assert done.exit_code == 0
    assert outcome is not None
    assert (outcome.value, outcome.comment) == (value, "why")
    assert (outcome.respondent.via, outcome.respondent.verified) == ("cli", False)


def test_answer_takes_json(root: Store) -> None:
    ask(root, data_type=str)

    assert hitl_("answer", "a-question", "no json", "--json-value").exit_code == 2
    assert hitl_("answer", "a-question", r'"two\nlines"', "--json-value").exit_code == 0
    outcome = outcome_of(root)
    assert outcome is not None
    assert outcome.value == "two\nlines"


@pytest.mark.parametrize(("data_type", "typed"), [(bool, "maybe"), (int, "4.5"), (float, "NaN"), (int, "")])
def test_an_answer_that_does_not_fit_is_explained_and_not_recorded(
    root: Store, data_type: type, typed: str
) -> None:
    ask(root, data_type=data_type)

    done = hitl_("answer", "a-question", typed)

    assert done.exit_code == 2
    assert typed in done.stderr
    assert outcome_of(root) is None


def test_each_fault_of_a_schema_is_told(root: Store) -> None:
    schema = {"type": "object", "required": ["a", "b"]}
    ask(root, data_type=dict, json_schema=schema)

    done = hitl_("answer", "a-question", "{}")

    assert done.exit_code == 2
    assert {"a", "b"} <= {line.split("'")[1] for line in done.stderr.splitlines() if "'" in line}


def test_whoever_comes_late_is_told_who_won(root: Store) -> None:
    record(root, ask(root), answer("42", "ann"))

    for command in (
        ["answer", "a-question", "43"],
        ["reject", "a-question", "--comment=x"],
        ["cancel", "a-question"],
    ):
        done = hitl_(*command)
        assert done.exit_code == 1
        assert "answered by ann via web" in done.stderr


def test_nothing_is_recorded_past_the_deadline(root: Store) -> None:
    ask(root, now=datetime.now(UTC) - timedelta(hours=1))

    done = hitl_("answer", "a-question", "42")

    assert done.exit_code == 3
    assert "deadline" in done.stderr
    assert outcome_of(root) is None


@pytest.mark.parametrize("command", [["answer", "a-question", "42"], ["reject", "a-question", "--comment=x"]])
def test_a_question_that_names_people_is_not_answered_from_a_shell(root: Store, command: list[str]) -> None:
    ask(root, respondents=Respondents(users=["ann"]))

    done = hitl_(*command)

    assert done.exit_code == 1
    assert "names who may answer" in done.stderr
    assert outcome_of(root) is None


def test_reject_needs_a_reason_and_records_it(root: Store) -> None:
    ask(root)

    assert hitl_("reject", "a-question").exit_code == 2
    done = hitl_("reject", "a-question", "--comment", "not today")

    outcome = outcome_of(root)
    assert outcome is not None
    assert (outcome.outcome, outcome.comment) == ("rejected", "not today")
    assert "rejected" in done.stdout
    assert "not today" in done.stdout


def test_cancel_withdraws(root: Store) -> None:
    ask(root)

    assert hitl_("cancel", "a-question", "--comment", "moot").exit_code == 0

    outcome = outcome_of(root)
    assert outcome is not None
    assert (outcome.outcome, outcome.comment) == ("cancelled", "moot")


@pytest.mark.parametrize(
    ("submission", "code", "printed"),
    [
        (answer("42", "ann"), 0, "42\n"),
        (Submission("rejected", person("ann"), comment="no"), 1, ""),
        (Submission("cancelled", person("ann")), 4, ""),
    ],
)
def test_wait_ends_as_the_request_did(root: Store, submission: Submission, code: int, printed: str) -> None:
    record(root, ask(root), submission)

    done = hitl_("wait", "a-question")

    assert (done.exit_code, done.stdout) == (code, printed)
    assert bool(done.stderr) == bool(code)


def test_wait_settles_a_deadline_that_passed(root: Store) -> None:
    ask(root, "failing", now=datetime.now(UTC) - timedelta(hours=1))
    ask(root, "falling-back", now=datetime.now(UTC) - timedelta(hours=1), default=7, on_timeout="default")

    timed_out, default = hitl_("wait", "failing"), hitl_("wait", "falling-back")

    assert (timed_out.exit_code, timed_out.stdout) == (3, "")
    assert "nobody answered before the deadline" in timed_out.stderr
    assert (default.exit_code, default.stdout) == (0, "7\n")


def test_an_operator_is_told_of_outcomes_where_there_is_one(root: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(root, "alone")
    ask(root, "served")

    hitl_("answer", "alone", "1")
    monkeypatch.setenv("HITL_SERVE", "operator")
    hitl_("answer", "served", "1")

    marked = asyncio.run(root.list_markers(keys.ANSWERED))
    assert [marker.request_id for marker in marked] == ["served"]


def test_link_makes_one_more_that_is_labelled(root: Store) -> None:
    request = ask(root, endpoint="http://127.0.0.1:1234/")

    url = hitl_("link", "a-question", "--label", "for ann").stdout.strip()

    token = parse_qs(urlsplit(url).query)["token"][0]
    link = asyncio.run(find_link(root, "a-question", keys.hash_token(token), None))
    assert url.startswith("http://127.0.0.1:1234/form/a-question?")
    assert link is not None
    assert (link.label, link.expires_at) == ("for ann", request.document.expires_at)


def test_link_wants_to_know_where_the_web_app_is(root: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(root)

    unknown = hitl_("link", "a-question")
    assert unknown.exit_code == 5
    assert "HITL_ENDPOINT" in unknown.stderr
    assert data("link", "a-question", "--endpoint", "https://a.example")["url"].startswith(
        "https://a.example/form/"
    )
    monkeypatch.setenv("HITL_ENDPOINT", "https://b.example/")
    assert data("link", "a-question")["url"].startswith("https://b.example/form/")


def test_link_is_not_made_for_what_is_settled(root: Store) -> None:
    record(root, ask(root, endpoint="http://127.0.0.1:1234"), answer())

    assert hitl_("link", "a-question").exit_code == 1


def test_gc_deletes_what_is_old_enough(root: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    past = datetime.now(UTC) - timedelta(days=8)
    asyncio.run(settle(root, ask(root, "old", now=past), answer(), now=past, markers=False))
    ask(root, "pending")

    assert data("gc") == {"deleted": [], "left": {}, "settled": [], "dry_run": False}
    would = data("gc", "--days", "7", "--dry-run")
    assert would == {"deleted": ["old"], "left": {}, "settled": [], "dry_run": True}
    assert outcome_of(root, "old") is not None
    monkeypatch.setenv("HITL_RETENTION_DAYS", "7")
    assert hitl_("gc").stdout == "old\n"
    assert [view["id"] for view in data("list", "--all")] == ["pending"]


def test_what_has_passed_its_deadline_does_not_wait_and_gc_settles_it(root: Store) -> None:
    ask(root, "expired", now=datetime.now(UTC) - timedelta(hours=1))
    ask(root, "with-default", now=datetime.now(UTC) - timedelta(hours=1), default="5", on_timeout="default")
    ask(root, "waiting")

    listed = hitl_("list")
    assert "waiting" in listed.stdout
    assert "expired" not in listed.stdout
    assert "left out: 2 whose deadline has passed" in listed.stderr
    assert [view["id"] for view in data("list")] == ["waiting"]
    assert hitl_("gc", "--dry-run").exit_code == 0
    assert outcome_of(root, "expired") is None

    assert data("gc")["settled"] == ["expired", "with-default"]

    assert {view["id"]: view["phase"] for view in data("list", "--all")} == {
        "waiting": "Pending",
        "expired": "TimedOut",
        "with-default": "Answered",
    }
    assert data("gc")["settled"] == []


def test_gc_passes_over_what_is_damaged(root: Store) -> None:
    for request_id in ("a-damaged", "b-expired"):
        ask(root, request_id, now=datetime.now(UTC) - timedelta(hours=1))
    (Path(root.url.removeprefix("file://")) / keys.request_key("a-damaged")).write_text("{")

    assert data("gc")["settled"] == ["b-expired"]


def test_completion_offers_what_waits(root: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(root, "deploy-1")
    ask(root, "drop-2")
    record(root, ask(root, "deploy-0"), answer())
    monkeypatch.setenv("_HITL_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "hitl answer de")
    monkeypatch.setenv("COMP_CWORD", "2")

    assert CliRunner().invoke(app, [], prog_name="hitl").stdout.split() == ["deploy-1"]


def test_the_root_can_be_named_in_front(tmp_path: Path) -> None:
    ask(Store(str(tmp_path / "elsewhere")), "there")

    assert [
        view["id"] for view in json.loads(hitl_("--root", str(tmp_path / "elsewhere"), "list", "--json").stdout)
    ] == ["there"]


@pytest.mark.parametrize("root_url", ["ftp://a/b", "s3://", "file:///"])
def test_a_root_that_cannot_be_served_is_explained(root_url: str) -> None:
    done = hitl_("--root", root_url, "list")

    assert done.exit_code == 5
    assert done.stderr.startswith("hitl: ")


def test_a_setting_that_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HITL_STORAGE_OPTIONS", "{")
    assert "HITL_STORAGE_OPTIONS" in hitl_("list").stderr
    monkeypatch.setenv("HITL_STORAGE_OPTIONS", "{}")
    monkeypatch.setenv("HITL_SERVE", "nowhere")
    done = hitl_("list")
    assert done.exit_code == 2
    assert "HITL_SERVE" in done.stderr


def test_version() -> None:
    assert hitl_("--version").stdout == f"hitl {version('flyte-hitl')}\n"


def test_a_command_without_its_packages_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "typer", None)

    with pytest.raises(SystemExit, match=r"the command is not installed: .*\[cli\]"):
        hitl.cli.main()


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-3, "0s"),
        (0, "0s"),
        (59.9, "59s"),
        (60, "1m"),
        (61, "1m1s"),
        (7_500, "2h5m"),
        (7_203, "2h"),
        (90_000, "1d1h"),
    ],
)
def test_spans_are_shown_in_their_largest_units(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


def on_a_terminal(*arguments: str, columns: int) -> list[str]:
    """Run the command on a terminal of its own and return the lines that it shows, without colours."""
    leader, follower = pty.openpty()
    termios.tcsetwinsize(follower, (24, columns))
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"} | {"TERM": "xterm"}
    program = Path(sys.executable).with_name("hitl")
    with subprocess.Popen([program, *arguments], stdout=follower, stderr=follower, env=environment) as process:
        os.close(follower)
        shown = b""
        # Linux ends a terminal that nobody writes to any more with an error.
        with contextlib.suppress(OSError):
            while part := os.read(leader, 65536):
                shown += part
        os.close(leader)
    assert process.returncode == 0, shown
    assert b"\x1b[1m" in shown
    return [line.rstrip() for line in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.decode()).splitlines()]


@pytest.mark.parametrize("columns", [60, 100, 200])
def test_a_terminal_gets_a_table_that_shortens_prompts_but_no_ids(root: Store, columns: int) -> None:
    request_id = "drop-tables-3f9c1e2a77b04d1e77b04d1e"
    ask(root, request_id, prompt="How many tables may go? " * 9)

    head, row = on_a_terminal("list", columns=columns)

    assert row.split()[0] == request_id
    assert row.index("int") == head.index("TYPE")
    assert "…" in row
    assert len(row) <= max(columns, 80)


@pytest.mark.parametrize("columns", [100, 200])
def test_a_terminal_gets_a_table_that_shortens_long_answers(root: Store, columns: int) -> None:
    request = ask(root, "a-plan", data_type=str)
    record(root, request, answer("a long answer " * 99))

    head, row = on_a_terminal("list", "--all", columns=columns)

    assert row.index("a long") == head.index("VALUE")
    assert "…" in row
    assert len(row) <= columns


def test_in_a_pipe_one_long_answer_does_not_widen_each_row(root: Store) -> None:
    request = ask(root, "a-plan", data_type=str, prompt="How? " * 99)
    record(root, request, answer("a long answer " * 99))
    ask(root, "another")

    rows = hitl_("list", "--all").stdout.splitlines()

    assert max(map(len, rows)) < 600
    assert all(row.count("…") == 2 for row in rows if "a-plan" in row)
    assert ("a long answer " * 99).strip() in hitl_("show", "a-plan").stdout


def test_list_says_that_there_is_no_such_root(tmp_path: Path) -> None:
    done = hitl_("--root", str(tmp_path / "mistyped"), "list")

    assert done.exit_code == 0
    assert "Nothing waits for an answer." in done.stderr
    assert f"There is no folder {tmp_path / 'mistyped'} yet: check --root." in done.stderr


def test_one_segment_by_one_writer_is_said_as_one(root: Store) -> None:
    ask(root)
    hitl_("answer", "a-question", "42")

    assert "in 1 segment by 1 writer: no faults" in hitl_("audit", "verify").stderr


def test_show_tells_what_was_proposed_edited_and_shown_beside_it(root: Store) -> None:
    link = Evidence(name="Run", kind="link", url="https://example.org/run/7")
    shown = image(png(filler=b"x" * 1_955), name="Loss", alt="falls\nby half")
    [plot] = asyncio.run(stored(root, "a-question", [shown]))
    refused = ["image: there is no such image"]
    ask(root, data_type=dict, proposed={"image": "a:1", "replicas": 3}, evidence=[link, plot], refused=refused)
    pending = data("show", "a-question")
    assert (pending["edited"], pending["default_used"]) == (None, False)
    assert [each["name"] for each in pending["evidence"]] == ["Run", "Loss"]

    assert hitl_("answer", "a-question", '{"image": "a:2", "replicas": 3, "dry": true}').exit_code == 0

    shown = data("show", "a-question")
    assert shown["edited"] == [
        {"path": "/image", "proposed": '"a:1"', "answered": '"a:2"'},
        {"path": "/dry", "proposed": None, "answered": "true"},
    ]
    lines = hitl_("show", "a-question").stdout
    for line in (
        "image: there is no such image",
        "Run: https://example.org/run/7",
        f"Loss: image/png, 2.0 KiB, sha256 {plot.sha256[:12]} (falls by half)",
        '/image: "a:1" → "a:2"',
        "/dry: (none) → true",
    ):
        assert line in lines


@pytest.mark.parametrize("command", [["answer", "a-question", "3"], ["reject", "a-question", "--comment", "no"]])
def test_no_answer_is_taken_where_the_evidence_was_changed(root: Store, command: list[str]) -> None:
    [plot] = asyncio.run(stored(root, "a-question", [image(png(), name="Loss", alt="falls")]))
    ask(root, evidence=[plot])
    asyncio.run(root.delete(keys.evidence_key("a-question", plot.sha256)))

    refused = hitl_(*command)

    assert refused.exit_code not in (0, 2)
    assert "not what was asked with its question" in refused.stderr
    assert asyncio.run(read_outcome(root, "a-question")) is None
    assert hitl_("cancel", "a-question").exit_code == 0


def test_show_tells_labels_defaults_and_answers_as_proposed(root: Store) -> None:
    ask(root, "labelled", data_type=str, choices={"eu-1": "Frankfurt", "us-1": "us-1"}, proposed="eu-1")
    assert hitl_("answer", "labelled", "eu-1").exit_code == 0
    lines = hitl_("show", "labelled").stdout
    for line in ("eu-1 (Frankfurt), us-1", "nothing: answered as proposed"):
        assert line in lines
    assert data("show", "labelled")["edited"] == []

    past = datetime.now(UTC) - timedelta(days=1)
    ask(root, "defaulted", default=7, proposed=3, now=past)
    assert hitl_("wait", "defaulted").exit_code == 0
    shown = data("show", "defaulted")
    assert (shown["value"], shown["default_used"], shown["edited"]) == (7, True, None)
    assert "7 (the default: nobody answered)" in hitl_("show", "defaulted").stdout
