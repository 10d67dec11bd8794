"""What the web app may believe of its memory and its clock, when it shows a question and when it records."""

import asyncio
import logging
import time
import tracemalloc
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from hitl.core import keys
from hitl.core.lifecycle import GRACE, KEPT_AT_LEAST
from hitl.core.links import LinkDocument
from hitl.records.links import add_link, list_links, revoke_link
from hitl.records.requests import StoredRequest, read_outcome
from hitl.records.retention import STALE, collect
from hitl.storage import ticks
from hitl_webapp.auth import Principal
from hitl_webapp.inbox.listing import Listing
from hitl_webapp.inbox.queries import Query
from hitl_webapp.main import create_app
from hitl_webapp.metrics import REGISTRY
from hitl_webapp.service import Service
from hitl_webapp.settings import WebSettings
from tests.library.samples import DEADLINE, NOW, SECOND, Timed, answer, asked, settle
from tests.web.serving import run

ID = "a-question"
APART = [timedelta(seconds=31), timedelta(seconds=-31), timedelta(hours=1), timedelta(days=-366)]


class Client:
    """Sends requests to an app in this process, on one event loop."""

    def __init__(self, app: FastAPI, runner: asyncio.Runner) -> None:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self._client = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")
        self._runner = runner

    def get(self, path: str, **content: Any) -> httpx.Response:
        return self._runner.run(self._client.get(path, **content))

    def post(self, path: str, **content: Any) -> httpx.Response:
        return self._runner.run(self._client.post(path, **content))


@dataclass
class Web:
    """The web app in this process, over a root whose clock a test sets."""

    client: Client
    service: Service
    store: Timed
    off: timedelta = timedelta(0)

    def __post_init__(self) -> None:
        self.service.clock.now = lambda: self.store.time + self.off

    def ask(self, **content: Any) -> StoredRequest:
        return run(asked(self.store, now=self.store.time, **content))

    def link(self, **content: Any) -> str:
        return run(add_link(self.store, ID, now=self.store.time, **content))

    def form(self, token: str) -> httpx.Response:
        return self.client.get(f"/form/{ID}", params={"token": token})

    def status(self, token: str) -> httpx.Response:
        return self.client.get(f"/status/{ID}", params={"token": token})

    def post_form(self, token: str, value: str = "42", **fields: str) -> httpx.Response:
        return self.client.post("/submit", data={"request_id": ID, "token": token, "value": value, **fields})

    def post_json(self, token: str, value: Any = 42, **fields: Any) -> httpx.Response:
        return self.client.post("/submit/json", json={"request_id": ID, "token": token, "value": value, **fields})

    def outcome(self) -> Any:
        return run(read_outcome(self.store, ID))

    def delete_the_question(self, passes: int = 1) -> None:
        self.store.time += timedelta(days=31)
        for _ in range(passes):
            run(collect(self.store, now=self.store.time, retention=KEPT_AT_LEAST))
            self.store.time += STALE


@pytest.fixture
def web() -> Iterator[Web]:
    store = Timed(f"memory://{uuid.uuid4().hex}")
    app = create_app(WebSettings(), store)
    with asyncio.Runner() as runner:
        lifespan = app.router.lifespan_context(app)
        runner.run(_aenter(lifespan))
        yield Web(Client(app, runner), app.state.service, store)
        runner.run(_leave(lifespan))


async def _aenter(lifespan: AbstractAsyncContextManager[Any]) -> None:
    # Runner.run() wants a coroutine.
    await lifespan.__aenter__()


async def _leave(lifespan: AbstractAsyncContextManager[Any]) -> None:
    await lifespan.__aexit__(None, None, None)


Posts = Callable[[Web, str], httpx.Response]
POSTS: list[Posts] = [lambda web, token: web.post_form(token), lambda web, token: web.post_json(token)]


@pytest.mark.parametrize("off", APART)
def test_by_a_clock_that_is_not_the_storages_nothing_is_accepted(
    web: Web, off: timedelta, caplog: pytest.LogCaptureFixture
) -> None:
    web.ask(timeout_seconds=86_400)
    token = web.link()
    web.off = off

    with caplog.at_level(logging.WARNING, "hitl.web"):
        page, problem, again = web.post_form(token, comment="as typed"), web.post_json(token), web.post_json(token)

        assert page.status_code == problem.status_code == again.status_code == 503
        assert "as typed" in page.text
        for reply in (page.text, problem.json()["detail"]):
            assert "clocks of this service and of its storage disagree, so nothing was recorded" in reply
        assert "memory://" not in page.text + problem.text
        assert problem.headers["Retry-After"]
        assert web.outcome() is None
        assert [each.message.partition(":")[0] for each in caplog.records if "clock" in each.message].count(
            "nothing is recorded"
        ) == 1, "told once"

        told = f"{abs(off.total_seconds()):.0f} s {'ahead of' if off > timedelta(0) else 'behind'} the storage's"
        assert web.client.get("/health").json() == {"status": "healthy", "clock": told}
        assert REGISTRY.get_sample_value("hitl_web_clock_difference_seconds") == off.total_seconds()

        web.off = timedelta(0)
        assert web.post_json(token).status_code == 200

    assert web.client.get("/health").json()["clock"] == "agrees with the storage's"
    assert "agrees with the storage's again" in caplog.text


@pytest.mark.parametrize("seconds", [-30, -5, 0, 5, 30])
def test_a_clock_that_is_nearly_right_is_right(web: Web, seconds: int) -> None:
    web.ask()
    web.off = timedelta(seconds=seconds)

    assert web.post_json(web.link()).status_code == 200


def test_readiness_compares_the_clocks_and_still_shows_people_their_questions(web: Web) -> None:
    assert web.client.get("/health").json()["clock"] == "not compared yet"
    web.off = timedelta(hours=1)

    reply = web.client.get("/ready")

    assert reply.status_code == 200
    assert reply.json() == {"status": "ready", "clock": "3600 s ahead of the storage's"}


def test_a_clock_ahead_settles_no_deadline_and_tells_nobody_that_it_has_passed(web: Web) -> None:
    web.ask()
    token = web.link()
    web.off = timedelta(hours=1)

    form, status = web.form(token), web.status(token)

    assert form.status_code == 503
    assert "clocks" in form.text
    assert status.json()["phase"] == "Pending"
    assert web.outcome() is None


@pytest.mark.parametrize("post", POSTS)
@pytest.mark.parametrize("off", APART)
def test_a_clock_that_is_wrong_ends_no_link_and_keeps_none_open(web: Web, off: timedelta, post: Posts) -> None:
    web.ask(timeout_seconds=86_400)
    good, ended = web.link(expires_at=NOW + 120 * SECOND), web.link(expires_at=NOW + 20 * SECOND)
    web.store.time += 60 * SECOND
    web.off = off

    for token in (good, ended):
        assert post(web, token).status_code == 503
        assert web.form(token).status_code == 503
        assert web.status(token).status_code == 503
    assert web.form("another").status_code == 403
    web.off = timedelta(0)

    assert (web.form(good).status_code, web.form(ended).status_code) == (200, 403)
    assert web.outcome() is None


@pytest.mark.parametrize("off", APART)
def test_the_inbox_tells_by_the_storages_clock_what_waits(web: Web, off: timedelta) -> None:
    web.ask()
    web.off = off

    def listed() -> Listing:
        now = run(web.service.clock.storage_time())
        return run(web.service.inbox.listing(Principal(name="ann", verified=True), Query(), now))

    assert [each.request_id for each in listed().rows] == [ID]
    web.store.time = DEADLINE

    found = listed()
    assert ([each.request_id for each in found.settled], found.rows) == ([ID], ())


def test_what_is_kept_of_questions_and_outcomes_is_counted_by_what_it_takes(web: Web) -> None:
    properties: Any = {f"field{each}": {"type": "string", "maxLength": each + 1} for each in range(1_000)}
    run(asked(web.store, "large", now=web.store.time, data_type=dict, json_schema={"properties": properties}))
    choices = [f"{each:0>250}" for each in range(64)]
    run(asked(web.store, "many-choices", now=web.store.time, data_type=str, choices=choices))
    kept = web.service.questions._requests

    for request_id in ("large", "many-choices"):
        before = kept.bytes
        tracemalloc.start()
        run(web.service.questions.request(request_id))
        taken, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert taken < 2 * (kept.bytes - before), request_id

    web.ask(data_type=list)
    assert web.post_json(web.link(), [{}] * 20_000, comment="x" * 4_096).status_code == 200
    outcome = web.service.questions._settled
    tracemalloc.start()
    again = outcome._kept[ID].value.model_copy(deep=True)
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert again.outcome == "answered"
    assert taken < 2 * outcome.bytes


def test_a_question_that_no_page_showed_is_not_remembered_when_a_program_answers_it(web: Web) -> None:
    web.ask()
    token = web.link()
    kept = web.service.questions._requests, web.service.admission._links

    assert web.post_json(token).status_code == 200
    assert [each.bytes for each in kept] == [0, 0]

    assert web.form(token).status_code == 200
    assert web.post_json(token).status_code == 200
    assert all(each.bytes > 0 for each in kept)


def test_a_clock_ahead_still_shows_what_was_recorded(web: Web) -> None:
    request = web.ask()
    token = web.link()
    run(settle(web.store, request, answer("7"), now=NOW, markers=False))
    web.off = timedelta(hours=1)

    assert web.status(token).json()["response"]["value"] == 7
    assert web.form(token).status_code == 200


def test_the_page_of_a_timeout_tells_the_deadline_and_not_when_somebody_looked(web: Web) -> None:
    web.ask()
    token = web.link()
    web.store.time = DEADLINE + GRACE + timedelta(hours=3)

    page = web.form(token)

    assert "Timed out" in page.text
    assert f"{DEADLINE:%Y-%m-%d %H:%M:%S} UTC" in page.text
    assert f"{web.store.time:%H:%M:%S}" not in page.text
    detail = web.post_json(token).json()["detail"]
    assert detail.endswith(f"nobody answered before the deadline ({DEADLINE:%Y-%m-%d %H:%M:%S} UTC).")


@pytest.mark.parametrize("post", POSTS)
def test_a_link_that_was_revoked_answers_nothing_from_that_moment(web: Web, post: Posts) -> None:
    web.ask()
    token, other = web.link(), web.link(label="other")
    assert web.form(token).status_code == 200
    assert web.form(token).status_code == 200, "from memory"

    assert run(revoke_link(web.store, ID, keys.hash_token(token)))

    assert post(web, token).status_code == 403
    assert web.form(token).status_code == 403, "once it is known"
    assert web.outcome() is None
    assert post(web, other).status_code == 200


def test_a_page_of_a_revoked_link_is_shown_for_a_second_at_most_however_busy_the_question_is(web: Web) -> None:
    web.ask()
    token, other = web.link(), web.link(label="other")
    web.form(token)
    run(revoke_link(web.store, ID, keys.hash_token(token)))

    until = time.monotonic() + 1.1
    while time.monotonic() < until:
        assert web.form(other).status_code == 200
        time.sleep(0.05)

    assert web.form(token).status_code == 403
    assert web.status(token).status_code == 403


@pytest.mark.parametrize("post", POSTS)
def test_a_link_ends_with_its_own_deadline_by_the_moment_of_the_submission(web: Web, post: Posts) -> None:
    web.ask()
    token = web.link(expires_at=NOW + 60 * SECOND)
    assert web.form(token).status_code == 200

    web.store.time += 60 * SECOND

    assert post(web, token).status_code == 403
    assert web.outcome() is None


def test_the_links_of_a_question_can_be_told_apart_and_revoked_once(web: Web) -> None:
    web.ask()
    hashes = [keys.hash_token(web.link(label=label)) for label in ("ann", "bob")]
    run(web.store.create_once(keys.link_key(ID, "0" * 64), b"{}"))

    assert sorted((found, link.label) for found, link in run(list_links(web.store, ID))) == sorted(
        zip(hashes, ("ann", "bob"), strict=True)
    )
    assert run(revoke_link(web.store, ID, hashes[0])) is True
    assert run(revoke_link(web.store, ID, hashes[0])) is False
    assert [found for found, _ in run(list_links(web.store, ID))] == hashes[1:]


def test_the_same_answer_with_another_comment_is_told_that_the_first_ones_stays(web: Web) -> None:
    web.ask()
    token = web.link()
    assert "sent before" not in web.post_json(token, comment="one").json()["message"]

    again, page = web.post_json(token, comment="two"), web.post_form(token, comment="three", name="Ann")

    assert again.status_code == page.status_code == 200
    assert again.json()["message"].endswith("sent before: its comment is kept, and yours was not saved.")
    assert again.json()["outcome"]["comment"] == "one"
    assert "its comment and name are kept, and yours were not saved" in page.text
    assert "one" in page.text
    assert "three" not in page.text


@pytest.mark.parametrize("key", ["the-key", ""])
def test_the_form_refuses_the_same_key_with_another_answer(web: Web, key: str) -> None:
    web.ask()
    token, other = web.link(), web.link()
    assert web.post_form(token, "1", submission_id=key).status_code == 200

    replies = [
        web.post_form(token, "2", submission_id=key),
        web.post_form(other, "1", submission_id=key),
        web.post_form(token, "1", submission_id=key, reject="reject", comment="no"),
        web.post_form(other, "2", submission_id=key, reject="reject", comment="no"),
    ]

    for reply in replies:
        assert reply.status_code == 409
        assert "Someone answered first. " in reply.text
        assert " was not used. Recorded: 1." in reply.text
    assert web.post_form(token, "1", submission_id=key).status_code == 200


@pytest.mark.parametrize(
    ("content", "fields"),
    [
        ({"choices": ["a", "\u202eb"]}, {"value": "a", "choice": "1"}),
        ({"choices": ["a", "\u202eb"]}, {"value": "a", "choice": "0"}),
        ({"choices": ["a", "b"]}, {"value": "a", "choice": "1"}),
        ({}, {"value": "a", "choice": "0"}),
    ],
)
def test_a_form_with_a_value_and_a_choice_records_neither(
    web: Web, content: dict[str, Any], fields: dict[str, str]
) -> None:
    web.ask(data_type=str, **content)

    assert web.post_form(web.link(), **fields).status_code == 400
    assert web.outcome() is None


@pytest.mark.parametrize("passes", [1, 2, 3])
@pytest.mark.parametrize("post", POSTS)
def test_a_question_that_was_deleted_is_answered_from_no_memory(web: Web, post: Posts, passes: int) -> None:
    request = web.ask(timeout_seconds=60 * 86_400)
    token = web.link()
    assert web.form(token).status_code == 200
    run(settle(web.store, request, answer("7"), now=web.store.time, markers=False))
    web.store.time += timedelta(days=40)
    web.delete_the_question(passes)
    # Somebody put the link back.
    run(web.store.create_once(keys.link_key(ID, keys.hash_token(token)), LinkDocument(created_at=NOW).to_bytes()))

    assert post(web, token).status_code in (404, 409, 410)
    left = web.outcome()
    assert left is None or left.value == 7


def test_what_is_asked_later_under_the_same_id_is_shown_and_answered_as_what_it_is(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    web.ask()
    token = web.link()
    web.post_json(token, 7)
    assert web.status(token).json()["response"]["value"] == 7
    web.delete_the_question(passes=3)
    web.ask(prompt="How few?")
    again = web.link()
    # Memory lasts for five minutes, and a deletion takes thirty.
    later = ticks() + 300
    for module in ("questions", "admission"):
        monkeypatch.setattr(f"hitl_webapp.{module}.ticks", lambda: later)

    assert web.status(token).status_code == 403
    status = web.status(again).json()
    assert status["phase"] == "Pending"
    assert status["request"]["prompt"] == "How few?"
    assert web.post_json(again, 8).json()["value"] == 8


def test_an_outcome_of_another_question_is_damage_on_every_route(web: Web) -> None:
    request = web.ask()
    token = web.link()
    outcome = run(settle(web.store, request, answer("7"), now=NOW, markers=False))
    forged = outcome.model_copy(update={"request_sha256": "0" * 64})
    run(web.store.delete(keys.response_key(ID)))
    run(web.store.create_once(keys.response_key(ID), forged.to_bytes()))

    replies = [web.form(token), web.status(token), web.post_form(token, "7"), web.post_json(token, 7)]

    assert [each.status_code for each in replies] == [502] * 4
    assert not any("saved" in each.text.lower().replace("not saved", "") for each in replies)
