"""The command when storage or a cluster is in trouble: a sentence and the documented code, and no traceback."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from hitl.cli.app import app
from hitl.errors import StorageUnavailable
from hitl.storage import Store
from tests.backends.plugin import Backend
from tests.backends.processes import free_ports
from tests.library.samples import answer, asked, settle

HITL = Path(sys.executable).with_name("hitl")
ONE_REQUEST = [
    ["show", "a"],
    ["answer", "a", "1"],
    ["reject", "a", "--comment", "no"],
    ["cancel", "a"],
    ["wait", "a"],
    ["link", "a"],
]
LINKS = [["link", "a", "--list"], ["link", "a", "--revoke=12345678"], ["link", "a", "--revoke-all"]]
WHOLE_ROOT = [["list"], ["list", "--all"], ["list", "--json"], ["gc"], ["gc", "--dry-run", "--json"]]
CREATING = [["ask", "How many?", "--type", "int"], ["serve", "--port", "0"]]
CHECKING = [["doctor"], ["storage", "check"]]
COMMANDS = [*ONE_REQUEST, *LINKS, *WHOLE_ROOT, *CREATING, *CHECKING]


def hitl_(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def assert_a_sentence(command: list[str], done: Any, code: int) -> None:
    said = done.stderr + (done.stdout if command in CHECKING else "")
    assert (done.exit_code if isinstance(done, Result) else done.returncode) == code, said
    assert not isinstance(getattr(done, "exception", None), Exception), done.exception
    assert "Traceback" not in said
    assert "hitl: " in said or command == ["doctor"]


@contextmanager
def serving(reply: Callable[[str], tuple[int, bytes]]) -> Iterator[str]:
    """Serve what a function returns for a path, to every method, and yield the address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, body = reply(self.path.partition("?")[0])
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_PUT = do_POST = do_HEAD = do_DELETE = do_GET  # noqa: N815 - the names that the module looks for

        def log_message(self, *_arguments: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


# As a server's console, on the port beside that of its API, answers every path. It can be parsed as XML.
PAGE = b'<!doctype html><html><head><meta charset="utf-8"/></head><body><div id="root"></div></body></html>'


@pytest.fixture(params=["away", "refuses everybody", "no such bucket", "a web page"])
def troubled(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A root on an S3 that is of no use, and what is wrong with it."""
    access: dict[str, Any] = {"access_key_id": "test", "secret_access_key": "test", "region": "us-east-1"}
    url = "s3://no-such-bucket/root"
    with ExitStack() as stack:
        if request.param == "no such bucket":
            backend: Backend = request.getfixturevalue("s3_backend")
            options = dict(backend.options)
        elif request.param == "away":
            options = {**access, "endpoint": f"http://127.0.0.1:{free_ports(1)[0]}"}
        else:
            # An S3 of this repository's knows no rights.
            refused = (403, b"<Error><Code>AccessDenied</Code></Error>")
            reply = (200, PAGE) if request.param == "a web page" else refused
            options = {**access, "endpoint": stack.enter_context(serving(lambda _path: reply))}
        monkeypatch.setenv("HITL_STORAGE_ROOT", url)
        monkeypatch.setenv("HITL_STORAGE_OPTIONS", json.dumps(options))
        monkeypatch.setenv("HITL_ENDPOINT", "http://127.0.0.1:9")
        yield request.param


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_storage_of_no_use_is_told_in_a_sentence(troubled: str, command: list[str]) -> None:
    done = hitl_(*command)

    assert_a_sentence(command, done, 1 if command in CHECKING else 5)
    assert "s3://no-such-bucket/root" in done.stderr + done.stdout


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("HITL_STORAGE_ROOT", str(tmp_path / "root"))
    monkeypatch.setenv("HITL_ENDPOINT", "http://127.0.0.1:9")
    store = Store(str(tmp_path / "root"))
    # Settled for so long that it may go.
    past = datetime.now(UTC) - timedelta(days=99)
    asyncio.run(settle(store, asyncio.run(asked(store, "old", now=past)), answer(), now=past, markers=False))
    asyncio.run(asked(store, "good", now=datetime.now(UTC)))
    return store


def not_json(folder: Path) -> None:
    (folder / "request.json").write_text("{")


def too_large(folder: Path) -> None:
    (folder / "request.json").write_bytes(b" " * 5_000_000)


def of_another(folder: Path) -> None:
    (folder / "request.json").write_bytes((folder.parent / "good" / "request.json").read_bytes())


def outcome_damaged(folder: Path) -> None:
    (folder / "request.json").write_bytes((folder.parent / "good" / "request.json").read_bytes())
    (folder / "response.json").write_text("[]")


DAMAGES: list[Callable[[Path], None]] = [not_json, too_large, of_another, outcome_damaged]


@pytest.fixture(params=DAMAGES, ids=lambda damage: damage.__name__)
def damaged(root: Store, tmp_path: Path, request: pytest.FixtureRequest) -> Store:
    folder = tmp_path / "root" / "hitl-requests" / "a"
    folder.mkdir()
    request.param(folder)
    return root


@pytest.mark.parametrize("command", [*ONE_REQUEST, ["link", "a", "--revoke=12345678"]], ids=" ".join)
def test_a_damaged_request_is_named(damaged: Store, command: list[str]) -> None:
    done = hitl_(*command)

    assert_a_sentence(command, done, 5)
    assert "hitl-requests/a/re" in done.stderr


def test_a_damaged_request_costs_its_own_row(damaged: Store) -> None:
    done = hitl_("list", "--json")

    assert done.exit_code == 0
    assert [view["id"] for view in json.loads(done.stdout)] == ["good"]
    assert "left out: hitl-requests/a/" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_damaged_request_keeps_no_other_one_from_being_deleted(damaged: Store) -> None:
    assert json.loads(hitl_("gc", "--dry-run", "--json").stdout)["deleted"] == ["old"]

    done = hitl_("gc")

    assert (done.exit_code, done.stdout) == (0, "old\n")


def test_what_had_to_stay_is_named(root: Store, tmp_path: Path) -> None:
    (tmp_path / "root" / "hitl-requests" / "old" / "response.json").write_text("{")

    done = hitl_("gc")

    assert (done.exit_code, done.stdout) == (0, "")
    assert "left old: hitl-requests/old/response.json is damaged" in done.stderr
    assert "0 deleted, 1 left." in done.stderr
    assert list(json.loads(hitl_("gc", "--json").stdout)["left"]) == ["old"]


def test_what_was_settled_lately_stays_whatever_is_asked_for(root: Store) -> None:
    lately = datetime.now(UTC) - timedelta(hours=23)
    asyncio.run(settle(root, asyncio.run(asked(root, "lately", now=lately)), answer(), now=lately, markers=False))

    kept, forced = hitl_("gc", "--dry-run"), hitl_("gc", "--days", "0")

    assert (kept.stdout, forced.stdout) == ("old\n", "old\n")
    # What is younger than asked for is no surprise.
    assert "lately" not in kept.stderr
    assert "left lately: a program may still wait for it" in forced.stderr
    assert "1 deleted, 1 left." in forced.stderr


def test_an_empty_list_does_not_hide_that_something_was_left_out(tmp_path: Path, root: Store) -> None:
    (tmp_path / "root" / "hitl-requests" / "good" / "request.json").write_text("{")

    assert "Nothing waits" not in hitl_("list").stderr


def with_rights_of_a_user(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command without root's right to read everything."""
    drop = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    return subprocess.run([*drop, str(HITL), *arguments], capture_output=True, text=True)


def test_what_may_not_be_read_costs_its_own_row(root: Store, tmp_path: Path) -> None:
    folder = tmp_path / "root" / "hitl-requests"
    (folder / "good" / "request.json").chmod(0)
    (folder / "old" / "response.json").chmod(0)
    asyncio.run(asked(root, "other", now=datetime.now(UTC)))

    shown, collected = with_rights_of_a_user("list", "--all", "--json"), with_rights_of_a_user("gc", "--json")

    assert (shown.returncode, collected.returncode) == (0, 0), shown.stderr + collected.stderr
    assert [view["id"] for view in json.loads(shown.stdout)] == ["other"]
    assert "hitl-requests/good/request.json" in shown.stderr
    assert "hitl-requests/old/response.json" in shown.stderr
    assert list(json.loads(collected.stdout)["left"]) == ["old"]


@pytest.mark.parametrize("command", [["list"], ["gc"], ["show", "good"], ["answer", "good", "1"]], ids=" ".join)
def test_a_root_that_may_not_be_read_is_told_in_a_sentence(
    root: Store, tmp_path: Path, command: list[str]
) -> None:
    (tmp_path / "root").chmod(0)
    try:
        done = with_rights_of_a_user(*command)
    finally:
        (tmp_path / "root").chmod(0o755)

    assert_a_sentence(command, done, 5)


def test_storage_that_goes_away_under_a_list_is_no_traceback(root: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Store.read

    async def away(store: Store, key: str) -> bytes | None:
        if key.endswith(".json"):
            raise StorageUnavailable(f"{store.url} did not answer in time to read {key}")
        return await read(store, key)

    # No real storage goes away between two requests of one command when it is told to.
    monkeypatch.setattr(Store, "read", away)

    for command in (["list"], ["gc"]):
        assert_a_sentence(command, hitl_(*command), 5)


GOOD: dict[str, Any] = {
    "kind": "HumanInput",
    "metadata": {"name": "good", "namespace": "team", "creationTimestamp": "2031-01-01T00:00:00Z", "uid": "u"},
    "spec": {"prompt": "How many?", "dataType": "int", "timeoutSeconds": 60},
}
BAD: list[dict[str, Any]] = [
    {**GOOD, "metadata": {**GOOD["metadata"], "name": "bad"}, "spec": {"prompt": "x", "dataType": "colour"}},
    {**GOOD, "metadata": {**GOOD["metadata"], "name": "bad", "creationTimestamp": None}},
    {**GOOD, "metadata": {**GOOD["metadata"], "name": "bad"}, "status": {"phase": "Answered", "value": "many"}},
]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[dict[str, tuple[int, bytes]]]:
    """What an API server answers by path; a real one would not store what newer releases write."""
    replies: dict[str, tuple[int, bytes]] = {}
    with serving(lambda path: replies.get(path, (404, b"{}"))) as address:
        config = {
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u", "namespace": "team"}}],
            "clusters": [{"name": "c", "cluster": {"server": address}}],
            "users": [{"name": "u", "user": {}}],
        }
        (tmp_path / "config").write_text(json.dumps(config))
        yield replies


def in_cluster(tmp_path: Path, *arguments: str) -> Result:
    # The client reads KUBECONFIG once in a process.
    return hitl_(*arguments, "--kubeconfig", str(tmp_path / "config"))


HUMAN_INPUTS = "/apis/hitl.flyte.org/v1alpha1/namespaces/team/humaninputs"


@pytest.mark.parametrize("bad", BAD, ids=["type", "no time", "value"])
def test_a_human_input_that_cannot_be_read_costs_its_own_row(
    cluster: dict[str, tuple[int, bytes]], bad: dict[str, Any], tmp_path: Path
) -> None:
    cluster[HUMAN_INPUTS] = (
        200,
        json.dumps({"kind": "HumanInputList", "items": [bad, GOOD], "metadata": {}}).encode(),
    )
    cluster[f"{HUMAN_INPUTS}/bad"] = (200, json.dumps(bad).encode())

    listed, shown = in_cluster(tmp_path, "list", "--json"), in_cluster(tmp_path, "show", "bad")

    assert (listed.exit_code, shown.exit_code) == (0, 5), listed.stderr + shown.stderr
    assert [view["id"] for view in json.loads(listed.stdout)] == ["good"]
    assert "left out: HumanInput team/bad is damaged" in listed.stderr
    assert "hitl: HumanInput team/bad is damaged" in shown.stderr


@pytest.mark.parametrize("name", ["..", "", "a/..", "../b", "a,metadata.name=b", "a%2Fb", "A"])
def test_a_name_reaches_no_other_object(cluster: dict[str, tuple[int, bytes]], name: str, tmp_path: Path) -> None:
    for path in (HUMAN_INPUTS, f"{HUMAN_INPUTS}/", HUMAN_INPUTS.rpartition("/")[0]):
        cluster[path] = (200, json.dumps({"kind": "HumanInputList", "items": [GOOD], "metadata": {}}).encode())

    for command in (["show", name], ["answer", name, "1"], ["cancel", name]):
        done = in_cluster(tmp_path, *command)
        assert done.exit_code == 2, done.output
        assert repr(name) in done.stderr


@pytest.mark.parametrize("command", [["list"], *ONE_REQUEST[:5]], ids=" ".join)
def test_a_cluster_that_is_not_there_is_told_in_a_sentence(command: list[str], tmp_path: Path) -> None:
    assert_a_sentence(command, in_cluster(tmp_path, *command), 5)


def test_an_answer_that_is_no_json_is_told_in_a_sentence(
    cluster: dict[str, tuple[int, bytes]], tmp_path: Path
) -> None:
    cluster[HUMAN_INPUTS] = (200, b"<html>Please sign in</html>")

    assert_a_sentence(["list"], in_cluster(tmp_path, "list"), 5)
