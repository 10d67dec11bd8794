"""Whatever comes from a client is hostile."""

import json
import socket
import time
import uuid
from pathlib import Path

import httpx
import psutil
import pytest

from hitl.core import keys
from tests.web.serving import WebApp, running

NASTY = [
    "file:///etc/passwd",
    "/etc/passwd",
    "s3://another-bucket/hitl-requests/x/response.json",
    "../../../etc/passwd",
    "hitl-requests/another/response.json",
]


@pytest.mark.parametrize("path", NASTY)
def test_a_path_of_something_else_is_refused_and_nothing_outside_is_touched(
    shared_app: WebApp, tmp_path: Path, path: str
) -> None:
    question = shared_app.ask(f"q-{uuid.uuid4().hex[:12]}")
    other = shared_app.ask(f"q-{uuid.uuid4().hex[:12]}")

    replies = [
        question.form("1", response_path=path),
        question.api(1, response_path=path),
        question.api(1, response_path=other.response_path),
        httpx.get(question.url, params={"token": question.token, "request_path": path}),
        httpx.get(
            f"{shared_app.url}/status/{question.request_id}",
            params={"token": question.token, "response_path": path},
        ),
    ]

    assert [reply.status_code for reply in replies] == [400] * 5
    assert question.stored() is None
    assert other.stored() is None


@pytest.mark.parametrize("request_id", ["%2e%2e%2f", "a%2fb", "_new", "A", "-", "x" * 64, "é", "a.b"])
def test_an_id_that_could_not_be_one_is_no_different_from_one_that_is_not_there(
    shared_app: WebApp, request_id: str
) -> None:
    reply = httpx.get(f"{shared_app.url}/form/{request_id}?token={'x' * 43}")

    assert reply.status_code in (403, 404)


def test_markup_in_a_question_is_shown_harmless(shared_app: WebApp) -> None:
    question = shared_app.ask(
        "markup",
        event_name="\"><script>alert('name')</script>",
        prompt="<script>alert(1)</script> [click](javascript:alert(2)) <img src=x onerror=alert(3)> ![x](http://a/b)"
        " [ok](https://example.org)",
    )

    page = httpx.get(question.url)

    assert "<script>alert" not in page.text
    assert "<img" not in page.text
    assert "javascript:alert(2)" not in page.text.replace("[click](javascript:alert(2))", "")
    assert 'href="https://example.org" rel="noopener noreferrer nofollow"' in page.text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_without_the_right_token_the_answer_is_the_same_whether_or_not_the_question_exists(
    shared_app: WebApp,
) -> None:
    question = shared_app.ask("kept")
    other = shared_app.ask("other")
    attempts = [
        ("kept", ""),
        ("kept", other.token),
        ("kept", "x" * 43),
        ("absent", ""),
        ("absent", question.token),
    ]

    pages = [httpx.get(f"{shared_app.url}/form/{name}", params={"token": token}) for name, token in attempts]
    posts = [
        httpx.post(f"{shared_app.url}/submit/json", json={"request_id": name, "token": token, "value": 1})
        for name, token in attempts
    ]

    for replies in (pages, posts):
        assert {reply.status_code for reply in replies} == {403}
        assert len({reply.text for reply in replies}) == 1
        assert len({tuple(name for name, _ in reply.headers.items()) for reply in replies}) == 1
    assert question.stored() is None


def test_the_token_appears_in_no_log_line_and_no_referer(app: WebApp) -> None:
    question = app.ask()
    page = httpx.get(question.url)
    question.api("nonsense")
    httpx.get(f"{app.url}/status/{question.request_id}?response_path={question.response_path}%23{question.token}")
    question.form("5")

    app.stop()

    log = app.log.read_text()
    assert "/form/a-question" in log
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    by_logger = {
        name: [line for line in lines if line["logger"] == name] for name in ("hitl.access", "hitl.audit")
    }
    assert [line["status"] for line in by_logger["hitl.access"] if line["method"] == "POST"] == [422, 200]
    assert [(line["result"], line["via"]) for line in by_logger["hitl.audit"]] == [
        ("InvalidValue", "api"),
        ("Recorded", "web"),
    ]
    assert question.token not in log
    assert keys.hash_token(question.token) not in log
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null", "Sec-Fetch-Site": "none"},
        {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_page_of_another_site_is_refused(shared_app: WebApp, headers: dict[str, str]) -> None:
    question = shared_app.ask(f"q-{uuid.uuid4().hex[:12]}")
    data = {"request_id": question.request_id, "token": question.token, "value": "1"}

    assert httpx.post(f"{shared_app.url}/submit", data=data, headers=headers).status_code == 403
    assert question.stored() is None
    assert httpx.post(f"{shared_app.url}/submit", data=data, headers={"Origin": shared_app.url}).status_code == 200


def test_another_host_header_is_refused_on_loopback(tmp_path: Path) -> None:
    with running(str(tmp_path / "root"), tmp_path, HITL_LOOPBACK_ONLY="true") as app:
        question = app.ask()
        port = app.port
        for host in ("evil.example", f"evil.example:{port}", "127.0.0.1.evil.example", ""):
            assert httpx.get(question.url, headers={"Host": host}).status_code == 400
        for host in (f"127.0.0.1:{port}", f"localhost:{port}", f"[::1]:{port}"):
            assert httpx.get(question.url, headers={"Host": host}).status_code == 200
        data = {"request_id": question.request_id, "token": question.token, "value": "1"}
        assert httpx.post(f"{app.url}/submit", data=data, headers={"Origin": "null"}).status_code == 403
        assert question.stored() is None


def test_a_damaged_request_is_a_page_and_nothing_crashes(app: WebApp) -> None:
    question = app.ask()
    whole = app.ask("whole")
    path = Path(app.root) / keys.request_key(question.request_id)
    path.write_text("{ this is not")

    page, problem = httpx.get(question.url), question.api(1)

    assert (page.status_code, problem.status_code) == (502, 502)
    assert "damaged" in page.text
    assert str(path) not in page.text + problem.text
    assert "Traceback" not in app.log.read_text()
    assert whole.api(1).status_code == 200


def test_a_body_too_large_too_many_fields_and_a_slow_sender(tmp_path: Path) -> None:
    with running(str(tmp_path / "root"), tmp_path, HITL_BODY_SECONDS="1") as app:
        question = app.ask()
        assert question.form("1" * 100).status_code == 422
        assert app.process is not None
        before = psutil.Process(app.process.pid).memory_info().rss

        large = [httpx.post(f"{app.url}/submit", content=b"x" * 10_000_000) for _ in range(5)]
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        pieces = (b"x" * 100_000 for _ in range(100))
        chunked = httpx.post(f"{app.url}/submit", content=pieces, headers=form)
        many = httpx.post(f"{app.url}/submit", data={f"field{n}": "x" for n in range(10_000)})
        grown = psutil.Process(app.process.pid).memory_info().rss - before

        assert {reply.status_code for reply in (*large, chunked)} == {413}
        assert many.status_code == 400
        assert _slow(app) == 408
        assert grown < 40 * 2**20
        assert question.stored() is None
        assert question.api(1).status_code == 200


def _slow(app: WebApp) -> int:
    with socket.create_connection(("127.0.0.1", app.port), timeout=60) as sender:
        sender.sendall(b"POST /submit/json HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n{")
        time.sleep(0.2)
        sender.sendall(b" ")
        return int(sender.recv(100).split()[1])


def test_what_is_not_json_or_no_form_is_refused(shared_app: WebApp) -> None:
    url = f"{shared_app.url}/submit"

    assert httpx.post(f"{url}/json", content=b"{", headers={"Content-Type": "application/json"}).status_code == 400
    assert httpx.post(f"{url}/json", json={"request_id": 5}).status_code == 400
    assert httpx.post(url, json={}).status_code == 415
    assert httpx.post(url, data={"value": "1"}).status_code == 400
    assert httpx.get(f"{shared_app.url}/nowhere").status_code == 404
