"""Local mode: the inbox of one's own questions, for who knows its address, and for nobody else of the machine."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from hitl.author import evidence
from hitl.core import keys
from hitl.core.respondents import Respondents
from hitl.serving.keys import inbox_key
from hitl.settings import Settings
from tests.backends.processes import PATIENCE, free_ports
from tests.library.beside import png, stored
from tests.library.samples import asked as asked_by_program
from tests.library.test_cli_process import Running
from tests.web.serving import Question, WebApp, run

# What another user's program sends, and what it gets: tries the key's file, then each way in without the key.
STRANGER = """
import encodings.idna, json, os, sys, urllib.error, urllib.request
os.setgid(65534); os.setuid(65534)
base, key_file, request_id = sys.argv[1:]
got = {}
try:
    got["key"] = open(key_file).read()
except OSError as error:
    got["key"] = type(error).__name__
def ask(path, data=None):
    request = urllib.request.Request(base + path, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request) as reply:
            return [reply.status, reply.read().decode()]
    except urllib.error.HTTPError as error:
        return [error.code, error.read().decode()]
body = json.dumps({"request_id": request_id, "value": 7}).encode()
for path in ("/", "/questions", "/next", "/form/" + request_id, "/" + "A" * 22 + "/"):
    got[path] = ask(path)
got["submit"] = ask("/submit/json", body)
got["bulk"] = ask("/bulk", json.dumps({"request_ids": [request_id], "value": 7}).encode())
print(json.dumps(got))
"""


class Own:
    """`hitl serve` over a data folder of its own."""

    def __init__(self, folder: Path, served: Running) -> None:
        self.folder = folder
        self.inbox = served.said(r"for you alone: (\S+)")[1]
        self.base = re.sub(r"/[^/]+/$", "", self.inbox)
        self.key = self.inbox.removeprefix(self.base).strip("/")
        self.app = WebApp(str(folder), folder / "unused.log")

    def ask(self, request_id: str, **asked: Any) -> Question:
        """Ask as a program does."""
        run(asked_by_program(self.app.store, request_id, now=datetime.now(UTC), timeout_seconds=600, **asked))
        return Question(self.app, request_id, "", "")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Own]:
    folder = tmp_path_factory.mktemp("own")
    # Another user gets as far as the key's file.
    for each in (folder, *folder.parents):
        if each.owner() == folder.owner() and each != Path("/"):
            each.chmod(each.stat().st_mode | 0o011)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HITL_DATA_DIR", str(folder))
        patch.delenv("HITL_STORAGE_ROOT", raising=False)
        served = Running("serve", "--port", str(free_ports(1)[0]))
    try:
        yield Own(folder, served)
    finally:
        served.close()


def test_all_is_listed_found_answered_and_followed_by_the_address_alone(own: Own, page: Page) -> None:
    mine = own.ask("deploy", event_name="deploy eu")
    own.ask("for-ann", event_name="of another", respondents=Respondents(users=["ann"]))
    own.ask("two", data_type=bool)

    page.goto(own.inbox)
    expect(page.locator(".entries li")).to_have_count(3)
    page.get_by_label("Words in the name").fill("deploy")
    page.get_by_role("button", name="Search").click()
    expect(page.locator(".entries li")).to_have_count(1)
    page.get_by_role("link", name="How many?").click()
    page.get_by_label("Your answer").fill("41")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_text("Your answer was saved.")).to_be_visible()

    outcome = mine.stored()
    assert outcome is not None
    assert (outcome["value"], outcome["respondent"]["verified"]) == (41, False)
    assert outcome["respondent"]["name"]
    assert own.key not in json.dumps(outcome)
    page.get_by_role("link", name="Next question").click()
    assert page.url.startswith(f"{own.inbox}form/")
    page.get_by_role("link", name="All your questions").click()
    assert page.url == own.inbox
    found = httpx.get(f"{own.inbox}questions").json()
    assert {each["request_id"] for each in found["questions"]} >= {"for-ann", "two"}
    refused = httpx.post(f"{own.inbox}submit/json", json={"request_id": "for-ann", "value": 1})
    assert refused.status_code == 403, "a machine verifies no name"


def test_the_program_that_asks_serves_it_and_goes_on_with_the_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HITL_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("HITL_STORAGE_ROOT", raising=False)
    asking = Running("ask", "How many?", "--type", "int")
    try:
        inbox = asking.said(r"All questions that wait for you: (\S+)")[1]
        [question] = httpx.get(f"{inbox}questions").json()["questions"]
        page = httpx.get(inbox)
        assert f'href="{question["form"]}"' in page.text
        reply = httpx.post(f"{inbox}submit/json", json={"request_id": question["request_id"], "value": 5})
        assert reply.status_code == 200
        assert (asking.ended(), asking.stdout) == (0, "5\n")
    finally:
        asking.close()


def test_what_is_damaged_is_named_to_its_owner(own: Own) -> None:
    question = own.ask("damaged")
    (own.folder / keys.request_key(question.request_id)).write_text("{}")
    deadline = time.monotonic() + PATIENCE
    while "Cannot be read" not in (page := httpx.get(own.inbox).text):
        assert time.monotonic() < deadline, page
        time.sleep(0.2)
    assert "<code>damaged</code>" in page


@pytest.mark.parametrize("path", ["?state=new", "nothing", "form/nothing", "statistics?weeks=3"])
def test_a_page_that_cannot_be_shown_leads_back_to_the_list(own: Own, page: Page, path: str) -> None:
    page.goto(f"{own.inbox}{path}")
    page.get_by_role("link", name="All your questions").click()

    expect(page).to_have_url(own.inbox)


def test_without_the_key_nothing_is_told_and_nothing_taken(own: Own) -> None:
    question = own.ask("secret", event_name="not for others")
    wrong = own.key[:-1] + ("A" if own.key[-1] != "A" else "B")

    page = httpx.get(own.base)
    assert "Questions are answered by link" in page.text
    assert "<code>hitl serve</code>, prints the address of your questions" in page.text
    assert httpx.get(f"{own.base}/questions").status_code == 403
    assert httpx.get(f"{own.base}/{wrong}/").status_code == 404
    assert httpx.get(f"{own.base}/{own.key}").status_code == 404
    assert httpx.post(f"{own.base}/bulk", json={"request_ids": ["secret"], "value": 1}).status_code == 403
    # By a name that a hostile name server gave to loopback.
    for host in ("evil.test", "127.0.0.1.evil.test", "localhost.evil.test:8080"):
        assert httpx.get(own.inbox, headers={"Host": host}).status_code == 404
    # Who knows the address does not send it from a page of another site.
    body = {"request_id": "secret", "value": 1}
    for headers in ({"Origin": "http://evil.test"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "null"}):
        assert httpx.post(f"{own.inbox}submit/json", json=body, headers=headers).status_code == 403
    assert question.stored() is None
    assert httpx.get(own.inbox.replace("127.0.0.1", "localhost")).status_code == 200


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run a program as another user")
def test_another_user_of_the_machine_gets_nothing(own: Own) -> None:
    question = own.ask("of-root", event_name="of root alone")
    command = [sys.executable, "-c", STRANGER, own.base, str(own.folder / "inbox-key"), "of-root"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    got = json.loads(done.stdout)

    assert got.pop("key") == "PermissionError"
    assert {path: status for path, (status, _) in got.items()} == {
        "/": 200,
        "/questions": 403,
        "/next": 403,
        "/form/of-root": 403,
        f"/{'A' * 22}/": 404,
        "submit": 403,
        "bulk": 403,
    }
    assert "of root alone" not in done.stdout
    assert question.stored() is None


def test_a_question_is_selected_by_a_finger(own: Own, browser: Browser) -> None:
    own.ask("touched", event_name="touched")
    context = browser.new_context(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.goto(own.inbox)

    box = page.get_by_role("checkbox", name="touched")
    # Beside the box, within what a finger covers: 44 pixels from the edge of the page's text.
    label = page.locator("label").filter(has=box)
    # Others may be above it.
    label.scroll_into_view_if_needed()
    around = label.bounding_box()
    assert around is not None
    assert around["width"] >= 44
    assert around["height"] >= 44
    page.touchscreen.tap(around["x"] + 40, around["y"] + 40)
    expect(box).to_be_checked()
    context.close()


def test_a_page_of_another_program_on_this_machine_gets_nothing_from_the_browser(own: Own, page: Page) -> None:
    """The user looks at the inbox, then at what another user serves on the same host."""
    question = own.ask("forged", event_name="forged")
    sent: list[dict[str, str]] = []

    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            sent.append(dict(self.headers))
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(
                f"""<form method=post action="{own.base}/submit"><input name=request_id value=forged>
                <input name=value value=7><button>go</button></form>""".encode()
            )

        def log_message(self, *_: object) -> None:
            """Nothing is printed."""

    with HTTPServer(("127.0.0.1", 0), Other) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page.goto(own.inbox)
        expect(page.get_by_text("forged").first).to_be_visible(timeout=PATIENCE * 1000)
        page.evaluate("url => { location.href = url }", f"http://127.0.0.1:{server.server_port}/")
        expect(page.get_by_role("button", name="go")).to_be_visible()
        read = page.evaluate(
            "url => fetch(url, {credentials: 'include'}).then(r => r.text(), () => 'refused')",
            f"{own.base}/questions",
        )
        page.get_by_role("button", name="go").click()
        expect(page.get_by_text("Answers are not accepted from pages of other sites.")).to_be_visible()
        server.shutdown()

    assert read == "refused"
    assert question.stored() is None
    assert not page.context.cookies()
    assert sent
    assert not any({"Cookie", "Authorization"} & headers.keys() or own.key in str(headers) for headers in sent)


def test_an_address_of_evidence_has_no_key_and_answers_nothing(own: Own) -> None:
    shown = run(stored(own.app.store, "seen", [evidence.image(png(), name="plot.png")]))
    question = own.ask("seen", evidence=shown)
    page = httpx.get(f"{own.inbox}form/seen").text
    [address] = set(re.findall(r'src="([^"]*/evidence/[^"]+)"', page))

    assert address.startswith(f"/evidence/seen/{shown[0].sha256}?key=")
    assert own.key not in address
    assert httpx.get(own.base + address).content == png()
    link = address.partition("key=")[2]
    body = {"request_id": "seen", "value": 1}
    for way in (f"/form/seen?token={link}", f"/form/seen?key={link}", f"/{link}/", f"/questions/seen?key={link}"):
        assert httpx.get(own.base + way).status_code in (403, 404)
    assert httpx.post(f"{own.base}/submit/json", json={**body, "token": link}).status_code == 403
    assert question.stored() is None


@pytest.mark.parametrize("mode", [0o644, 0o620, 0o602])
def test_a_key_that_others_could_read_or_write_is_not_used(
    tmp_path: Path, mode: int, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    key = inbox_key(settings)
    assert (inbox_key(settings), len(key)) == (key, 22)
    path = tmp_path / "data" / "inbox-key"
    assert path.stat().st_mode & 0o777 == 0o600

    path.chmod(mode)
    assert not inbox_key(settings)
    assert "other users may read or write" in caplog.text
    path.chmod(0o600)
    elsewhere = path.rename(tmp_path / "elsewhere")
    path.symlink_to(elsewhere)
    assert not inbox_key(settings), "another user may have made the link"


def test_programs_that_start_at_once_have_one_key(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    with ThreadPoolExecutor(16) as pool:
        assert len(set(pool.map(lambda _: inbox_key(settings), range(64)))) == 1
    assert [each.name for each in (tmp_path / "data").iterdir()] == ["inbox-key"]
