"""`hitl doctor` and `hitl storage check`: what is broken, and what to do."""

import asyncio
import http.server
import json
import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from hitl.cli.app import app
from hitl.core.documents import Origin
from hitl.core.keys import new_marker
from hitl.storage import Store
from tests.backends.plugin import Backend
from tests.contract.wires import Behaviour, fake_s3
from tests.library.samples import answer, asked, settle

NOBODY = "http://127.0.0.1:1"


def hitl_(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def findings() -> tuple[int, dict[str, dict[str, Any]]]:
    done = hitl_("doctor", "--json")
    return done.exit_code, {finding["part"]: finding for finding in json.loads(done.stdout)}


@pytest.fixture
def healthy() -> Iterator[str]:
    """A server that is well, and knows nothing else."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path in ("/health", "/healthz") else 404)
            self.end_headers()

        def do_PUT(self) -> None:
            self.send_response(403)
            self.end_headers()

        def log_message(self, *_arguments: Any) -> None: ...

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A root on an S3 that nobody serves."""
    monkeypatch.setenv("HITL_STORAGE_ROOT", "s3://bucket/hitl")
    options = {
        "endpoint": NOBODY,
        "access_key_id": "a",
        "secret_access_key": "b",
        "region": "us-east-1",
        "client_options": {"timeout": "1s"},
    }
    monkeypatch.setenv("HITL_STORAGE_OPTIONS", json.dumps(options))


def test_a_machine_with_nothing_set_is_well() -> None:
    code, found = findings()

    assert code == 0
    assert {part: finding["state"] for part, finding in found.items()} == {
        "python": "ok",
        "root": "ok",
        "web app": "ok",
        "flyte": "ok",
        "operator": "off",
        "questions": "off",
    }


def test_storage_out_of_reach_is_broken(unreachable: None) -> None:
    code, found = findings()

    assert code == 1
    assert found["root"]["state"] == "broken"
    assert "HITL_STORAGE_ROOT" in found["root"]["detail"]
    assert "HITL_STORAGE_OPTIONS" in found["root"]["advice"]


def test_a_web_app_that_does_not_answer_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HITL_ENDPOINT", NOBODY)

    done = hitl_("doctor")

    assert done.exit_code == 1
    assert f"{NOBODY}/health" in done.stdout
    assert "hitl serve" in done.stdout


def test_a_web_app_and_an_operator_that_answer_are_well(healthy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HITL_ENDPOINT", f"{healthy}/")
    monkeypatch.setenv("HITL_HINT_URL", f"{healthy}/")

    code, found = findings()

    assert code == 0
    assert found["web app"]["state"] == found["operator"]["state"] == "ok"


def test_a_server_that_is_something_else_is_broken(healthy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HITL_ENDPOINT", f"{healthy}/not-the-web-app")

    code, found = findings()

    assert code == 1
    assert "404" in found["web app"]["detail"]


def test_an_operator_out_of_reach_breaks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HITL_HINT_URL", NOBODY)

    code, found = findings()

    assert code == 0
    assert found["operator"]["state"] == "off"
    assert found["operator"]["advice"]


def test_storage_check_times_each_step_and_leaves_nothing(tmp_path: Path) -> None:
    done = hitl_("--root", str(tmp_path), "storage", "check", "--json")

    report = json.loads(done.stdout)
    assert (done.exit_code, report["ok"], report["problem"]) == (0, True, "")
    assert set(report["milliseconds"]) == {
        "connect and look",
        "create",
        "read",
        "list",
        "delete",
        "exclusive creation",
        "clock",
    }
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_storage_check_says_what_is_wrong(unreachable: None) -> None:
    done = hitl_("storage", "check")

    assert done.exit_code == 1
    assert "s3://bucket/hitl" in done.stderr
    assert "HITL_STORAGE_OPTIONS" in done.stderr


@pytest.mark.parametrize("metadata", ["refuses", "is not there"])
def test_who_has_no_credentials_is_told_where_they_are_looked_for(
    metadata: str, healthy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [each for each in os.environ if each.startswith(("AWS_", "FLYTE_AWS_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HITL_STORAGE_ROOT", "s3://bucket/hitl")
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", healthy if metadata == "refuses" else NOBODY)

    code, found = findings()

    assert code == 1
    advice = found["root"]["advice"]
    assert "no credentials were found" in advice
    for place in ("HITL_STORAGE_OPTIONS", "AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "metadata service"):
        assert place in advice
    assert "not permitted" not in advice


@pytest.mark.parametrize("behaviour", ["ignores conditions", "looks, then writes"])
def test_storage_check_refuses_storage_that_would_record_twice(
    behaviour: Behaviour, monkeypatch: pytest.MonkeyPatch
) -> None:
    with fake_s3(behaviour) as endpoint:
        access = {"access_key_id": "a", "secret_access_key": "b", "region": "us-east-1"}
        monkeypatch.setenv("HITL_STORAGE_OPTIONS", json.dumps({**access, "endpoint": endpoint}))
        done = hitl_("--root", "s3://bucket/hitl", "storage", "check", "--json")

    assert done.exit_code == 1
    assert "exclusively" in json.loads(done.stdout)["problem"]


def test_storage_check_names_a_clock_that_is_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    # Its objects are years from now.
    with fake_s3("honours conditions") as endpoint:
        access = {"access_key_id": "a", "secret_access_key": "b", "region": "us-east-1"}
        monkeypatch.setenv("HITL_STORAGE_OPTIONS", json.dumps({**access, "endpoint": endpoint}))
        done = hitl_("--root", "s3://bucket/hitl", "storage", "check", "--json")

    assert done.exit_code == 1
    assert "set the clock" in json.loads(done.stdout)["problem"]


def test_storage_check_finds_a_real_s3_fit(s3_backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HITL_STORAGE_OPTIONS", json.dumps(s3_backend.options))

    done = hitl_("--root", s3_backend.url, "storage", "check")

    assert done.exit_code == 0, done.output
    assert "fit for use" in done.stderr


def test_a_bucket_that_may_not_be_written_is_told(s3_backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HITL_STORAGE_OPTIONS", json.dumps(s3_backend.options))

    done = hitl_("--root", "s3://no-such-bucket/hitl", "storage", "check")

    assert done.exit_code == 1
    assert "s3://no-such-bucket/hitl: not permitted" in done.stderr
    assert "check the credentials' rights" in done.stderr


async def test_open_questions_that_no_operator_shows_are_told_by_namespace(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HITL_STORAGE_ROOT", str(tmp_path / "root"))
    store = Store(str(tmp_path / "root"))
    now = datetime.now(UTC)
    for request_id, namespace in (("one", "missing"), ("two", "missing"), ("ended", "other"), ("new", "other")):
        request = await asked(store, request_id, now=now, origin=Origin(namespace=namespace))
        await store.mark(new_marker(request_id))
        if request_id == "ended":
            await settle(store, request, answer("5"), now=now)
        if request_id != "new":
            long_ago = (now - timedelta(minutes=2)).timestamp()
            os.utime(tmp_path / "root" / new_marker(request_id), (long_ago, long_ago))

    code, found = await asyncio.to_thread(findings)

    assert (code, found["questions"]["state"]) == (1, "broken")
    assert "2 in the namespace 'missing'" in found["questions"]["detail"]
    assert "other" not in found["questions"]["detail"]
    assert "HITL_NAMESPACE" in found["questions"]["advice"]
