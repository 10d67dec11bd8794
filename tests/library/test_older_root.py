"""Roots of earlier releases are read, shown, answered, waited for and cleaned up by this one."""

from __future__ import annotations

import asyncio
import functools
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

import hitl
from hitl.cli.app import app
from hitl.errors import RequestMismatch
from hitl.storage import Store
from tests.backends.plugin import Backend
from tests.fixtures.asked import OPEN, YEAR
from tests.fixtures.older import ALL, REQUESTS, Older
from tests.web.serving import WebApp, running

ANSWERS: dict[str, Any] = {
    "int": 9,
    "float": 2.5,
    "bool": True,
    "str": "Zürich ✓",
    "text": "2026-11-26",
    "json": {"a": [1, None]},
    "list": [1, 2],
    "dict": {"x": 1.5},
    "null": None,
    "whole-list": [1, "a"],
    "waited": 2,
}
# Moved by the copy.
TIMES = {"created_at", "expires_at"}


@pytest.fixture(params=ALL, ids=lambda each: str(each.name))
def older(request: pytest.FixtureRequest) -> Older:
    found: Older = request.param
    return found


@pytest.fixture
def root(older: Older, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The copy, served by an operator, as it was."""
    folder = older.copied(tmp_path / "root")
    _use(monkeypatch, folder)
    return folder


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Older], WebApp]]:
    """Start a web app over a copy of a release's root, once for the module: each test has questions of its own."""
    with ExitStack() as started:

        @functools.cache
        def start(older: Older) -> WebApp:
            folder = tmp_path_factory.mktemp("older")
            return started.enter_context(running(str(older.copied(folder / "root")), folder))

        yield start


@pytest.fixture
def served(older: Older, serve: Callable[[Older], WebApp]) -> WebApp:
    return serve(older)


def _use(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    for name, text in (("STORAGE_ROOT", str(folder)), ("SERVE", "operator"), ("ENDPOINT", "http://forms.test")):
        monkeypatch.setenv(f"HITL_{name}", text)
    monkeypatch.setenv("HITL_NAMESPACE", "team")


def under_keys(*keys: str) -> list[Any]:
    """Return each release with each key under which it asked."""
    return [
        pytest.param(each, key, id=f"{each.name}-{key}")
        for each in ALL
        for key in keys
        if key in each.programs_keys()
    ]


def hitl_(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


async def asked_again(key: str, **changes: Any) -> hitl.Event[Any]:
    arguments = {"prompt": f"What is **{key}**?", "timeout_seconds": YEAR, **OPEN.get(key, {}), **changes}
    event: hitl.Event[Any] = await hitl.new_event.aio(
        f"open {key}", key=key, poll_interval_seconds=0.1, **arguments
    )
    return event


def test_the_command_shows_each_question_as_it_was_shown(older: Older, root: Path) -> None:
    _shows_all(older)


async def test_a_root_in_a_bucket_is_shown_as_well(
    older: Older, root: Path, s3_backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(s3_backend.url, s3_backend.options)
    for each in sorted(path for path in root.rglob("*") if path.is_file()):
        assert await store.create_once(each.relative_to(root).as_posix(), each.read_bytes())
    monkeypatch.setenv("HITL_STORAGE_ROOT", s3_backend.url)
    monkeypatch.setenv("HITL_STORAGE_OPTIONS", json.dumps(s3_backend.options))

    await asyncio.to_thread(_shows_all, older)


def _shows_all(older: Older) -> None:
    done = hitl_("list", "--all", "--json")

    now = {each["id"]: each for each in json.loads(done.stdout)}
    assert done.exit_code == 0, done.output
    assert now.keys() == older.shown().keys()
    for request_id, before in older.shown().items():
        same = before.keys() - (TIMES if before["phase"] == "Pending" else set())
        assert {name: now[request_id][name] for name in same} == {name: before[name] for name in same}


def test_each_question_is_shown_alone(older: Older, root: Path) -> None:
    for request_id, before in older.shown().items():
        done = hitl_("show", request_id, "--json")
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["phase"] == before["phase"]


def test_waiting_for_one_that_was_answered_prints_the_answer(root: Path) -> None:
    done = hitl_("wait", "answered-gitops")

    assert (done.exit_code, json.loads(done.stdout)) == (0, {"a": [1, None, {"b": "c"}]})


@pytest.mark.parametrize(("older", "key"), under_keys(*OPEN, "asked-last"), indirect=["older"])
async def test_a_program_that_is_started_again_finds_its_question(older: Older, root: Path, key: str) -> None:
    event = await asked_again(key, **({} if key in OPEN else {"data_type": int}))

    assert event.request_id == older.asked_under(key)


async def test_another_question_under_its_key_is_refused_as_before(root: Path) -> None:
    with pytest.raises(RequestMismatch):
        await asked_again("int", schema={"minimum": 2})


async def test_a_program_gets_what_was_answered_before_the_upgrade(root: Path) -> None:
    event = await asked_again("answered-last")

    assert await event.wait.aio() == 8


async def test_a_deadline_that_passed_during_the_upgrade_ends_as_it_was_asked(
    older: Older, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _use(monkeypatch, older.copied(tmp_path / "root", since=timedelta(days=367)))

    event = await asked_again("bool")

    # A default alone was not used by 0.1.0.
    if older.shown()[event.request_id]["on_timeout"] == "default":
        assert await event.wait.aio() is False
    else:
        with pytest.raises(hitl.EventTimedOut):
            await event.wait.aio()


@pytest.mark.parametrize(("older", "key"), under_keys(*ANSWERS), indirect=["older"])
async def test_its_form_is_shown_by_its_link_and_what_is_answered_reaches_the_program(
    older: Older, served: WebApp, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    request_id, value = older.asked_under(key), ANSWERS[key]
    form = httpx.get(f"{served.url}/form/{request_id}", params={"token": older.read("tokens")[request_id]})

    submitted = _submitted(served, request_id, older.read("tokens")[request_id], value)

    assert form.status_code == 200, form.text
    assert f"What is <strong>{key}</strong>?" in form.text
    assert submitted.status_code == 200, submitted.text
    _use(monkeypatch, Path(served.root))
    assert await (await asked_again(key)).wait.aio() == value


def test_links_with_an_end_hold_until_then(older: Older, served: WebApp) -> None:
    request_id = older.asked_under("int")
    statuses = {
        name: httpx.get(
            f"{served.url}/form/{request_id}", params={"token": older.read("tokens")[name]}
        ).status_code
        for name in ("later", "ended")
    }

    assert statuses == {"later": 200, "ended": 403}


def test_whoever_a_question_names_finds_it_in_the_inbox_and_answers_it(older: Older, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s")
    folder, request_id = older.copied(tmp_path / "root"), older.asked_under("named")
    headers = {"X-HITL-Proxy-Secret": "s", "X-Forwarded-User": "ada@example.org"}
    body = {"request_id": request_id, "value": 4}
    with running(str(folder), tmp_path, HITL_AUTH="proxy", HITL_PROXY_SECRET_FILE=str(secret)) as served:
        inbox = httpx.get(served.url, headers=headers)
        refused = httpx.post(
            f"{served.url}/submit/json", json=body, headers={**headers, "X-Forwarded-User": "eve"}
        )
        answered = httpx.post(f"{served.url}/submit/json", json=body, headers=headers)

    assert all(each in inbox.text for each in older.open_ids())
    assert (refused.status_code, answered.status_code) == (403, 200)


def test_gc_deletes_what_was_settled_long_ago_and_ends_the_deletion_that_had_begun(
    older: Older, root: Path
) -> None:
    requests = root / REQUESTS
    markers = [*requests.glob("_deleted/*"), *requests.glob("_probe/*"), *requests.glob("_answered/*")]
    for each in markers:
        os.utime(each, (time.time() - 3600,) * 2)
    done = hitl_("gc", "--days", "1", "--json")

    gone = set(json.loads(done.stdout)["deleted"])
    assert done.exit_code == 0, done.output
    assert {each for each in older.shown() if each.startswith(("answered-", "rejected-", "cancelled-"))} <= gone
    assert {"timed-out", "default-used"} <= gone
    assert not gone & set(older.open_ids())
    assert not (requests / "going-away" / "response.json").exists()
    assert not [*requests.glob("_probe/*")]
    assert not (requests / "_answered" / older.asked_under("int")).exists()


def _submitted(served: WebApp, request_id: str, token: str, value: Any) -> httpx.Response:
    body = {"request_id": request_id, "token": token, "value": value}
    return httpx.post(f"{served.url}/submit/json", json=body, timeout=60)
