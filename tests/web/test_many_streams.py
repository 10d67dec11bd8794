"""As many open pages as there may be, some that never read, and a restart: bounded, and none is left."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from playwright.sync_api import Browser, Page, expect

from hitl.core.keys import OpenRow
from hitl.records.requests import read_request
from hitl_webapp.inbox.events import MOST
from tests.web.serving import WebApp, run, running
from tests.web.test_inbox_api import SECRET, as_user

PATIENCE = 120
_EACH = 20
_MIB = 2**20


@pytest.fixture
def app(tmp_path: Path) -> Iterator[WebApp]:
    with running(str(tmp_path / "root"), tmp_path, HITL_AUTH="proxy", HITL_PROXY_SECRET=SECRET) as found:
        yield found


@pytest.fixture
def signed_in(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(extra_http_headers=as_user("ann"))
    yield context.new_page()
    context.close()


@contextlib.contextmanager
def streams(app: WebApp, count: int) -> Iterator[list[socket.socket]]:
    """Open streams, some for each user; that they began was read, and nothing after it."""
    with contextlib.ExitStack() as stack:
        several = []
        for number in range(count):
            each = stack.enter_context(socket.create_connection(("127.0.0.1", app.port), timeout=PATIENCE))
            fields = {**as_user(f"user-{number // _EACH}"), "Host": f"127.0.0.1:{app.port}"}
            head = "".join(f"{name}: {text}\r\n" for name, text in fields.items())
            each.sendall(f"GET /questions/events HTTP/1.1\r\n{head}\r\n".encode())
            several.append(each)
        for each in several:
            assert b"retry: 5000" in until(each, b"retry: 5000\n\n")
        yield several


def ask(app: WebApp, request_id: str) -> None:
    """Ask as programs of this release do, who write the row of the root's index; and tell the web app."""
    app.ask(request_id, event_name=f"the {request_id} one")
    document = run(read_request(app.store, request_id)).document
    run(app.store.mark(OpenRow(request_id, document.expires_at).key))
    with contextlib.suppress(httpx.TransportError):
        httpx.post(f"{app.url}/hints/{request_id}")


def until(connection: socket.socket, wanted: bytes) -> bytes:
    """Return what came up to some bytes; all that came, if the connection ended before."""
    found = b""
    while wanted not in found and (data := connection.recv(4_096)):
        found += data
    return found


def test_300_streams_take_little_memory_the_next_page_looks_for_itself_and_a_stop_ends_all(
    app: WebApp, signed_in: Page
) -> None:
    ask(app, "first")
    httpx.get(app.url, headers=as_user("ann"), timeout=PATIENCE).raise_for_status()
    assert app.process is not None
    process = psutil.Process(app.process.pid)
    before = process.memory_info().rss
    with streams(app, MOST) as several:
        refused = httpx.get(f"{app.url}/questions/events", headers=as_user("late"))
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        signed_in.clock.install()
        signed_in.goto(app.url)
        expect(signed_in.locator("#live")).to_contain_text("the first one")

        for number in range(20):
            ask(app, f"new-{number}")
        # Every other one never reads what it is told.
        for each in several[::2]:
            assert b"event: changed" in until(each, b"event: changed")
        signed_in.clock.run_for(31_000)
        expect(signed_in.locator("#live")).to_contain_text("the new-19 one", timeout=PATIENCE * 1_000)
        assert process.memory_info().rss - before < 64 * _MIB

        app.stop()
        assert "timeout graceful shutdown exceeded" not in app.log.read_text()
        assert all(until(each, b"never").endswith((b"0\r\n\r\n", b"\n\n")) for each in several)

    signed_in.clock.run_for(31_000)
    expect(signed_in.locator("#changes")).to_contain_text("could not be read again", timeout=PATIENCE * 1_000)
    app.start()
    ask(app, "later")
    signed_in.clock.run_for(31_000)
    expect(signed_in.locator("#live")).to_contain_text("the later one", timeout=PATIENCE * 1_000)
    # It is told again from now on.
    ask(app, "told")
    expect(signed_in.locator("#live")).to_contain_text("the told one", timeout=PATIENCE * 1_000)
