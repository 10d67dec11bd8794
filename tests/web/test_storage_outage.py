"""Storage that cannot be reached, on a real S3 that is stopped."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.backends.processes import PATIENCE
from tests.backends.seaweed import BUCKET, Seaweed
from tests.library.test_cli import hitl_
from tests.web.serving import WebApp, running
from tests.web.test_cli_list import TOKEN, Team, serving
from tests.web.test_inbox_api import SECRET, as_user


def test_storage_out_of_reach_while_somebody_submits(seaweed: Seaweed, tmp_path: Path) -> None:
    with running(f"s3://{BUCKET}/outage", tmp_path, seaweed.options) as app:
        question = app.ask(data_type=str)
        seen = httpx.get(question.url, timeout=60)
        seaweed.pause()

        page, problem = question.form("what I typed"), question.api("what I typed")

        seaweed.resume()
        assert seen.status_code == 200
        assert (page.status_code, problem.status_code) == (503, 503)
        assert page.headers["retry-after"] == problem.headers["retry-after"] == "5"
        assert "what I typed" in page.text
        assert "Not saved." in page.text
        assert question.form("what I typed").status_code == 200


def test_an_inbox_without_its_storage_never_looks_as_if_nothing_waited(
    seaweed: Seaweed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HITL_TOKEN", TOKEN)
    settings = {"HITL_AUTH": "proxy", "HITL_PROXY_SECRET": SECRET}
    with running(f"s3://{BUCKET}/inbox-outage", tmp_path, seaweed.options, **settings) as app:
        team = Team(app)

        def page() -> httpx.Response:
            return httpx.get(app.url, headers=as_user("ann"), timeout=PATIENCE)

        with serving(team.reply) as server:
            seaweed.pause()
            unread, problem, listed = page(), team.get("/questions"), hitl_("list", "--server", server)
            seaweed.resume()

            assert (unread.status_code, problem.status_code) == (503, 503)
            assert unread.headers["retry-after"] == problem.headers["retry-after"] == "5"
            assert "The storage does not answer" in unread.text
            assert ">Try again</a>" in unread.text
            assert (listed.exit_code, listed.stdout) == (5, "")
            assert "The storage does not answer" in listed.stderr
            assert "Try again in 5 s." in listed.stderr

            until(lambda: "No question waits for you." in page().text)
            seaweed.pause()
            until(lambda: team.get("/questions").json()["notice"])
            empty, content, listed = (
                page(),
                team.get("/questions").json(),
                hitl_("list", "--server", server, "--json"),
            )
            seaweed.resume()

            assert empty.status_code == 200
            assert "The storage does not answer" in empty.text
            assert ">Try again</a>" in empty.text
            assert "No question waits for you." not in empty.text
            assert (content["questions"], content["complete"]) == ([], False)
            assert (listed.exit_code, listed.stdout) == (5, "")
            assert "The storage does not answer" in listed.stderr
            until(lambda: "No question waits for you." in page().text)


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_web_app_that_starts_before_its_storage_waits_for_it(seaweed: Seaweed, tmp_path: Path) -> None:
    seaweed.kill()
    app = WebApp(f"s3://{BUCKET}/late", tmp_path / "web.log", seaweed.options)
    with ThreadPoolExecutor(1) as pool:
        starting = pool.submit(app.start)
        while "not serving yet" not in (app.log.read_text() if app.log.exists() else ""):
            assert not starting.done()
            time.sleep(0.1)
        seaweed.start()
        starting.result()
    assert app.ask().api(1).status_code == 200
    app.stop(kill=True)


def test_probes_answer_while_the_storage_does_not(seaweed: Seaweed, tmp_path: Path) -> None:
    with running(f"s3://{BUCKET}/probes", tmp_path, seaweed.options, HITL_READY_SECONDS="0.5") as app:
        assert httpx.get(f"{app.url}/ready").status_code == 200
        seaweed.pause()

        # The storage's own patience is longer than this.
        with httpx.Client(timeout=5) as client:
            health, ready = client.get(f"{app.url}/health"), client.get(f"{app.url}/ready")

        seaweed.resume()
        assert (health.status_code, ready.status_code) == (200, 503)
        assert httpx.get(f"{app.url}/ready").status_code == 200
