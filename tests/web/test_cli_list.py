"""`hitl list`: the inbox's filters, over storage and over the API of a real web app."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from hitl.cli import web_listing
from hitl.core.documents import Origin
from hitl.core.respondents import Respondents
from tests.library.samples import asked
from tests.library.test_cli import hitl_
from tests.web.serving import WebApp, run, running
from tests.web.test_inbox_api import SECRET, as_user

TOKEN = "the-token-of-ann"

Reply = tuple[int, str, dict[str, str], bytes]


@contextmanager
def serving(reply: Callable[[str, dict[str, str]], Reply]) -> Iterator[str]:
    """Serve what a function returns for a path and header fields."""
    ended = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, media_type, headers, body = reply(self.path, dict(self.headers))
            self.send_response(status)
            length = {} if "Drip" in headers else {"Content-Length": str(len(body))}
            for name, value in {**headers, "Content-Type": media_type, **length}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
            # One piece after another: each comes in time, and none is the last one.
            while "Drip" in headers and not ended.wait(0.05):
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing is printed."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            ended.set()
            server.shutdown()


class Team:
    """A real web app, behind a stand-in for a proxy where Ann signs in by a token; and what it was asked."""

    def __init__(self, app: WebApp) -> None:
        self.app = app
        self.server = ""
        self.paths: list[str] = []

    def reply(self, path: str, headers: dict[str, str]) -> Reply:
        self.paths.append(path)
        known = headers.get("Authorization") == f"Bearer {TOKEN}"
        found = httpx.get(self.app.url + path, headers=as_user("ann", "sre") if known else {}, timeout=60)
        kept = {name: text for name, text in found.headers.items() if name in ("retry-after", "location")}
        return found.status_code, found.headers["content-type"], kept, found.content

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.app.url + path, headers=as_user("ann"), timeout=60)

    def listed(self, *options: str) -> Any:
        done = hitl_("list", "--server", self.server, *options, "--json")
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    """120 questions of 40 runs, some of other kinds, one answered, one overdue, and one for Bob alone."""
    folder = tmp_path_factory.mktemp("cli-list")
    with running(str(folder / "root"), folder, HITL_AUTH="proxy", HITL_PROXY_SECRET=SECRET) as app:
        run(_ask_all(app))
        answer = {"request_id": "done", "value": 42, "comment": "as last week"}
        httpx.post(f"{app.url}/submit/json", json=answer, headers=as_user("ann")).raise_for_status()
        found = Team(app)
        with serving(found.reply) as found.server:
            yield found


async def _ask_all(app: WebApp) -> None:
    # A module is loaded long before its tests run.
    store, now = app.store, datetime.now(UTC)
    for number in range(120):
        origin = Origin(project=f"p{number % 2}", run=f"r{number % 40}", namespace="payments")
        at = now - timedelta(seconds=number)
        await asked(store, f"q-{number:03}", name=f"of {number}", origin=origin, now=at, timeout_seconds=9_000)
    yes: dict[str, Any] = {"data_type": bool, "prompt": "Löschen wir EU-West?"}
    origin = Origin(human_input="yes", namespace="data")
    await asked(store, "yes", now=now, timeout_seconds=9_000, origin=origin, **yes)
    await asked(store, "mine", now=now, timeout_seconds=900, respondents=Respondents(users=["ann"]))
    await asked(store, "ours", now=now, timeout_seconds=900, respondents=Respondents(groups=["sre"]))
    await asked(store, "over", now=now - timedelta(seconds=700), timeout_seconds=600)
    await asked(store, "done", now=now - timedelta(seconds=60), timeout_seconds=900)
    await asked(store, "of-bob", now=now, timeout_seconds=900, respondents=Respondents(users=["bob"]))


@pytest.fixture(autouse=True)
def _ann(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HITL_TOKEN", TOKEN)
    monkeypatch.setenv("COLUMNS", "300")
    # `--root` sets it for the rest of a process.
    monkeypatch.setenv("HITL_STORAGE_ROOT", "")


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ((), 123),
        (("-n", "payments"), 120),
        (("--project", "p1"), 60),
        (("--run", "r7", "--sort", "name"), 3),
        (("--text", "lösch eu"), 1),
        (("--text", "LOSCHEN"), 1),
        (("--text", "q-007"), 1),
        (("--type", "bool"), 1),
        (("--asked-by", "humaninput"), 1),
        (("--asked-by", "run", "--sort", "deadline"), 120),
        (("--state", "answered"), 1),
        (("--state", "overdue"), 1),
        (("--state", "settled", "--sort", "ended"), 2),
        (("--all", "--sort", "age"), 125),
        (("--sort", "name", "--limit", "60"), 60),
        (("--view", "mine", "--text", "nothing"), 0),
    ],
)
def test_a_filter_means_the_same_over_storage_and_over_the_api(
    team: Team, options: tuple[str, ...], count: int
) -> None:
    over_api = team.listed(*options)
    stored = hitl_("--root", team.app.root, "list", *options, "--json")
    # Whoever reads the storage sees what is for Bob as well.
    over_storage = [each for each in json.loads(stored.stdout) if each["request_id"] != "of-bob"]

    assert len(over_api) == count
    names = [each["request_id"] for each in over_api]
    expected = [each["request_id"] for each in over_storage]
    if "--sort" in options and "--limit" not in options:
        assert names == expected
    elif "--limit" not in options:
        assert sorted(names) == sorted(expected)
    assert "of-bob" not in names


def test_what_is_mine_or_my_groups_the_web_app_knows(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [each["request_id"] for each in team.listed("--view", "mine")] == ["mine"]
    assert [each["request_id"] for each in team.listed("--view", "groups")] == ["ours"]
    monkeypatch.setenv("LOGNAME", "ann")
    stored = hitl_("--root", team.app.root, "list", "--view", "mine", "--json")
    assert [each["request_id"] for each in json.loads(stored.stdout)] == ["mine"]


def test_pages_are_asked_for_as_far_as_they_are_wanted(team: Team) -> None:
    team.paths.clear()
    done = hitl_("list", "--server", f"{team.server}/", "--limit", "60", "-n", "payments")

    assert len(team.paths) == 2
    head, *rows = done.stdout.splitlines()
    assert head.split() == ["ID", "NAMESPACE", "PROMPT", "TYPE", "DEADLINE", "AGE"]
    assert [row.split()[0] for row in rows] == [f"q-{number:03}" for number in range(119, 59, -1)]
    assert "60 more match: raise --limit to see them" in done.stderr
    [row] = hitl_("list", "--server", team.server, "--state", "answered").stdout.splitlines()[1:]
    assert row.split()[0] == "done"
    assert {"Answered", "42", "ann"} <= set(row.split())


def test_nothing_is_shown_as_nothing_only_where_nothing_is(team: Team, tmp_path: Path) -> None:
    done = hitl_("list", "--server", team.server, "--text", "nothing")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "No question matches.\n")

    def reading(_: str, __: dict[str, str]) -> Reply:
        return _page(complete=False)

    with serving(reading) as server:
        done = hitl_("list", "--server", server)
    assert "has not read all questions yet" in done.stderr
    assert "Nothing waits" not in done.stderr


def test_who_is_not_known_is_told_what_to_give(
    team: Team, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HITL_TOKEN")
    done = hitl_("list", "--server", team.server)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "You are not signed in." in done.stderr
    assert "HITL_TOKEN or --token-file" in done.stderr

    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    assert hitl_("list", "--server", team.server, "--token-file", str(file)).exit_code == 0
    file.write_text("a secret that was cut\nin two")
    done = hitl_("list", "--server", team.server, "--token-file", str(file))
    assert done.exit_code == 2
    assert "secret" not in done.output
    assert hitl_("list", "--token-file", str(file)).exit_code == 2
    assert hitl_("list", "--server", team.server, "--context", "prod").exit_code == 2
    assert hitl_("list", "--all", "--state", "open").exit_code == 2


def _problem(status: int, detail: str, **headers: str) -> Reply:
    return status, "application/problem+json", headers, json.dumps({"title": "T", "detail": detail}).encode()


def _page(**more: Any) -> Reply:
    page = {"questions": [], "counts": {}, "next": None, "complete": True, **more}
    return 200, "application/json", {}, json.dumps(page).encode()


# What it holds is more than a page may have: if it were unpacked, that would be told.
_BOMB = gzip.compress(gzip.compress(bytes(50_000_000)))


@pytest.mark.parametrize(
    ("reply", "code", "told"),
    [
        (
            _problem(503, "The storage does not answer.", **{"Retry-After": "5"}),
            5,
            "not answer. Try again in 5 s.",
        ),
        (_problem(503, "Wait.\x1b[2J\u202e", **{"Retry-After": "soon"}), 5, "Wait.�[2J�"),
        (_problem(400, "state is one of open."), 2, "state is one of open."),
        (_problem(403, "Not for you."), 1, "Not for you."),
        ((502, "text/html", {}, b"<h1>Bad gateway"), 5, "502 Bad Gateway"),
        ((302, "text/html", {"Location": "/oauth2/start"}, b""), 1, "sign in"),
        ((200, "text/html", {}, b"<h1>Sign in"), 5, "is it a HITL web app?"),
        ((200, "application/json", {}, b"[" * 100_000), 5, "is it a HITL web app?"),
        ((200, "application/json", {}, b" " * 5_000_000), 5, "is it a HITL web app?"),
        (_page(next="//evil.test/questions"), 5, "names another server"),
        (_page(next="https://127.0.0.1/questions"), 5, "names another server"),
        (_page(next="http://[x"), 5, "names another server"),
        (_page(next="/questions"), 5, "no questions, and yet more"),
        ((200, "application/json", {"Content-Encoding": "gzip, gzip"}, _BOMB), 5, "lists no questions"),
    ],
)
def test_a_web_app_in_trouble_or_none_at_all_is_told_in_a_sentence(reply: Reply, code: int, told: str) -> None:
    with serving(lambda _, __: reply) as server:
        done = hitl_("list", "--server", server)
    assert (done.exit_code, done.stdout) == (code, "")
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert TOKEN not in done.stderr


@pytest.mark.parametrize("server", ["http://127.0.0.1:9", "HTTP://127.0.0.1:9", "http://["])
def test_a_server_that_is_not_there_is_told_in_a_sentence(server: str) -> None:
    done = hitl_("list", "--server", server)
    assert (done.exit_code, done.stdout) == (5, "")
    assert "check --server, and try again" in done.stderr


@pytest.mark.parametrize("server", ["nonsense", "ftp://127.0.0.1", ""])
def test_a_server_that_is_no_address_of_the_web_is_a_usage_error(server: str) -> None:
    done = hitl_("list", "--server", server)
    assert (done.exit_code, done.stdout) == (2, "")
    assert f"--server is {server!r}: write the web app's address, with https:// or http://" in done.stderr


def test_pages_without_an_end_and_a_page_without_an_end_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    at = "2031-05-06T00:00:00Z"
    question = dict.fromkeys(("request_id", "state", "name", "prompt", "namespace"), "x" * 100)
    listed = {**question, "data_type": "int", "asked_at": at, "expires_at": at, "ended": None}
    monkeypatch.setattr(web_listing, "_MOST_BYTES_OF_ALL", 10_000)
    with serving(lambda _, __: _page(questions=[listed], next="/questions?after=here")) as server:
        done = hitl_("list", "--server", server)
        assert (done.exit_code, done.stdout) == (5, "")
        assert "more questions than fit in memory here" in done.stderr
        assert hitl_("list", "--server", server, "--limit", "3").exit_code == 0

    monkeypatch.setattr(web_listing, "_PAGE_SECONDS", 0.3)
    with serving(lambda _, __: (200, "application/json", {"Drip": "1"}, b" " * 100)) as server:
        done = hitl_("list", "--server", server)
    assert (done.exit_code, done.stdout) == (5, "")
    assert "sent no page within 0.3 s" in done.stderr
