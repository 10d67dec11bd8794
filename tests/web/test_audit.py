"""The audit of real processes on a real S3: every channel has its line, and a kill is no fault."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

import hitl
from hitl.core import keys
from hitl.core.chain import Finding
from hitl.core.respondents import Respondents
from hitl.records.audit_check import Verification
from tests.backends.seaweed import BUCKET, Seaweed
from tests.library.running import Program, answer, form_url
from tests.web.serving import Question, WebApp, run, running
from tests.web.test_identity import SECRET, as_user

HITL = Path(sys.executable).with_name("hitl")
TODAY = str((datetime.now(UTC) - timedelta(days=1)).date())


def over(s3: Seaweed, folder: Path, **settings: str) -> Any:
    """Run a web app over a root of its own."""
    return running(f"s3://{BUCKET}/{uuid.uuid4().hex}", folder, s3.options, **settings)


@pytest.fixture
def app(s3_server: Seaweed, tmp_path: Path) -> Iterator[WebApp]:
    with over(s3_server, tmp_path, HITL_AUTH="proxy", HITL_PROXY_SECRET=SECRET) as found:
        yield found


def command(app: WebApp, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": "/usr/bin:/bin",
        "USER": "cli-user",
        "LOGNAME": "cli-user",
        "HITL_STORAGE_ROOT": app.root,
        "HITL_STORAGE_OPTIONS": json.dumps(app.options),
    }
    done = subprocess.run(
        [str(HITL), *words], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == code, done.stderr
    return done


def exported(app: WebApp) -> list[dict[str, Any]]:
    return [json.loads(line) for line in command(app, "audit", "export", "--since", TODAY).stdout.splitlines()]


def findings(app: WebApp, *words: str, code: int = 0) -> list[dict[str, Any]]:
    """Return what `hitl audit verify` says, without its summary."""
    out = command(app, "audit", "verify", "--json", *words, code=code).stdout
    return [found for line in out.splitlines() if (found := json.loads(line))["kind"] != "summary"]


def test_every_channel_of_the_web_app_and_the_command_has_a_line(app: WebApp) -> None:
    form, api, named, program, late = (app.ask(each) for each in ("form", "api", "named", "program", "late"))
    file = app.ask("file", data_type=hitl.File)
    both = [app.ask(f"bulk-{number}") for number in range(2)]
    over_it = app.ask("over", timeout_seconds=1, now=datetime.now(UTC) - timedelta(minutes=5))
    secret = app.ask("group", respondents=Respondents(groups=["leads"]))

    assert form.form("7", name="Ann", comment="by form").is_success
    assert form.form("8", name="Bob").status_code == 409
    assert api.api(9).is_success
    assert api.api("nine").status_code == 409
    assert named.form("x").status_code == 422
    assert httpx.post(
        f"{app.url}/submit/json", json={"request_id": "group", "value": 1}, headers=as_user("bob")
    ).is_error
    assert httpx.post(f"{app.url}/submit/json", json={"request_id": "group", "value": 1}).status_code == 401
    by_lead = as_user("cy", "leads")
    assert httpx.post(
        f"{app.url}/submit/json", json={"request_id": secret.request_id, "value": 1}, headers=by_lead
    ).is_success
    ids = [each.request_id for each in both]
    assert httpx.post(f"{app.url}/bulk", json={"request_ids": ids, "value": 3}, headers=as_user("dora")).is_success
    put = httpx.put(
        f"{app.url}/answers/file",
        params={"name": "a.txt"},
        content=b"bytes",
        headers={"Authorization": f"Bearer {file.token}"},
    )
    assert put.is_success, put.text
    assert over_it.api(1).is_error
    command(app, "answer", program.request_id, "5")
    command(app, "cancel", late.request_id, "--comment", "not needed")
    command(app, "reject", secret.request_id, "--comment", "no", code=1)
    command(app, "gc")
    app.stop()

    lines = exported(app)
    said = [
        (each["request_id"], each["result"], each["via"], each["right"], each["name"])
        for each in lines
        if each["request_id"] != "group"
    ]
    assert Counter(said) == Counter(
        [
            ("form", "recorded", "web", "link", "Ann"),
            ("form", "lost", "web", "link", "Bob"),
            ("api", "recorded", "api", "link", ""),
            ("api", "lost", "api", "link", ""),
            ("named", "refused", "web", "link", ""),
            ("bulk-0", "recorded", "api", "proxy", "dora"),
            ("bulk-1", "recorded", "api", "proxy", "dora"),
            ("file", "recorded", "api", "link", ""),
            ("over", "too_late", "api", "link", ""),
            ("over", "recorded", "timeout", "deadline", ""),
            ("program", "recorded", "cli", "storage", "cli-user"),
            ("late", "recorded", "cli", "storage", "cli-user"),
        ]
    )
    group = [(each["result"], each["name"], each["named"]) for each in lines if each["request_id"] == "group"]
    assert group == [
        ("refused", "bob", ""),
        ("refused", "", ""),
        ("recorded", "cy", "group leads"),
        ("refused", "cli-user", ""),
    ]
    assert [each["at"] for each in lines] == sorted(each["at"] for each in lines)
    assert findings(app) == []
    kept = "".join(run(read(app, each["file"])) for each in lines)
    assert not any(each.token in kept for each in (form, api, named, file))


async def read(app: WebApp, key: str) -> str:
    return ((await app.store.read(key)) or b"").decode()


def test_a_program_that_withdraws_its_question_has_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HITL_STORAGE_ROOT", str(tmp_path / "root"))
    monkeypatch.setenv("HITL_SERVE", "local")
    program = Program("ending", "blocking")
    program.line("Answer at")
    program.process.terminate()
    program.end()

    [line] = exported(WebApp(str(tmp_path / "root"), tmp_path / "none"))

    assert (line["attempt"], line["result"], line["via"]) == ("cancelled", "recorded", "program")


def test_a_program_that_ends_right_after_its_answer_has_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HITL_STORAGE_ROOT", str(tmp_path / "root"))
    monkeypatch.setenv("HITL_SERVE", "local")
    program = Program("ending", "blocking")
    assert answer(form_url(program.line("Answer at")), 4).status_code == 200
    assert program.end() == 0

    [line] = exported(WebApp(str(tmp_path / "root"), tmp_path / "none"))

    assert (line["attempt"], line["result"], line["via"], line["value"]) == ("answered", "recorded", "api", "4")
    assert line["line"] is not None


def test_a_killed_web_app_loses_at_most_lines_that_verify_names(s3_server: Seaweed, tmp_path: Path) -> None:
    with over(s3_server, tmp_path) as app:
        questions = [app.ask(f"q-{number}") for number in range(60)]

        def submit(question: Question) -> bool:
            # Those that are sent after the kill get no reply.
            with suppress(httpx.TransportError):
                return question.api(1).is_success
            return False

        with ThreadPoolExecutor(8) as pool:
            told = [pool.submit(submit, each) for each in questions]
            assert told[30].result()
            app.stop(kill=True)
        recorded = {each.request_id for each in questions if each.stored() is not None}
        # The index, by which outcomes are found, lost rows as well.
        command(app, "gc", "--full")
        lines = [each for each in exported(app) if each["result"] == "recorded"]
        found = run(verified(app, datetime.now(UTC) + timedelta(minutes=2)))

    assert {each.kind for each in found} <= {"unlisted"}
    unlisted = {each.file for each in found}
    with_line = {each["request_id"] for each in lines if each["line"] is not None}
    assert unlisted == {keys.response_key(each) for each in recorded - with_line}
    # The export names all of them.
    assert sorted(each["request_id"] for each in lines) == sorted(recorded)


async def verified(app: WebApp, now: datetime) -> list[Finding]:
    """Return what is found at a moment at which no outcome is too young to be told of."""
    return [each async for each in Verification(app.store, now=now).findings()]


def test_racing_processes_write_one_line_for_each_outcome_and_tell_who_lost(
    s3_server: Seaweed, tmp_path: Path
) -> None:
    other_log = tmp_path / "other"
    other_log.mkdir()
    with over(s3_server, tmp_path) as first, running(first.root, other_log, first.options) as second:
        questions = [first.ask(f"race-{number}") for number in range(10)]
        apps = [first, second] * 4
        with ThreadPoolExecutor(8) as pool:
            for each in questions:
                list(
                    pool.map(
                        lambda app, each=each: Question(app, each.request_id, each.token, "").form(
                            "1", name=f"racer-{uuid.uuid4().hex[:4]}"
                        ),
                        apps,
                    )
                )
        first.stop()
        second.stop()
        found, lines = findings(first), exported(first)

    assert found == []
    by_question = Counter((each["request_id"], each["result"]) for each in lines)
    assert all(by_question[each.request_id, "recorded"] == 1 for each in questions)
    assert len(lines) == len(questions) * len(apps)


def test_an_export_for_a_spreadsheet_holds_no_formula(tmp_path: Path) -> None:
    with running(str(tmp_path / "root"), tmp_path) as app:
        question = app.ask("formula", data_type=str)
        question.form("=1+1", name="@SUM(A1)", comment='a, "quoted" line\nand -another')
        app.stop()

    out = command(app, "audit", "export", "--since", TODAY, "--format", "csv").stdout

    assert "'=1+1" in out
    assert ",'@SUM(A1)," in out
    assert '"a, ""quoted"" line\nand -another"' in out
    assert out.splitlines()[0].startswith("at,request_id,namespace,attempt,result,")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["export", "--since", "yesterday"], "is no day"),
        (["export", "--since", "2031-05-06", "--until", "2031-05-05"], "is before"),
        (["verify", "--anchor", "{}"], "is no anchor"),
        (["verify", "--anchor", "@/nowhere"], "cannot be read"),
    ],
)
def test_what_is_not_understood_is_refused_with_what_to_do(tmp_path: Path, words: list[str], said: str) -> None:
    app = WebApp(str(tmp_path / "root"), tmp_path / "none")

    assert said in " ".join(command(app, "audit", *words, code=2).stderr.split())


def test_a_root_without_an_audit_is_fine(tmp_path: Path) -> None:
    app = WebApp(str(tmp_path / "root"), tmp_path / "none")

    assert "There is no audit here." in command(app, "audit", "verify").stderr
    assert exported(app) == []


def test_a_name_in_the_audit_forges_no_finding(tmp_path: Path) -> None:
    app = WebApp(str(tmp_path), tmp_path / "none")
    folder = tmp_path / keys.AUDIT / TODAY
    folder.mkdir(parents=True)
    (folder / "x\nforged: changed: a line\x1b[2J").write_text("")

    verified = command(app, "audit", "verify", code=1).stdout
    left = command(app, "audit", "export", "--since", TODAY).stderr
    for printed in (verified, left):
        (line,) = [each for each in printed.splitlines() if "forged" in each]
        assert not line.startswith("forged")
        assert "\x1b" not in line


def test_the_end_of_verify_says_plainly_whether_there_are_faults(tmp_path: Path) -> None:
    with running(str(tmp_path / "root"), tmp_path) as app:
        app.ask("tampered").form("42")
        app.stop()
    assert command(app, "audit", "verify").stderr.rstrip().endswith("in 2 segments by 1 writer: no faults")

    segment = next(
        path for path in (tmp_path / "root").rglob("_audit/**/*.jsonl") if "tampered" in path.read_text()
    )
    segment.chmod(0o600)
    segment.write_text(segment.read_text().replace("recorded", "refused"))

    said = command(app, "audit", "verify", code=1)
    assert f"{segment.name}:" in said.stdout
    assert said.stderr.rstrip().endswith("the audit has 1 fault")
