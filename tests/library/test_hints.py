"""A hint reaches the operator, and one that is lost costs nothing."""

import asyncio
import ssl
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from typing import Any

import pytest

from hitl import tls
from hitl.cli.doctor import _reached
from hitl.records.hints import send_hint
from tests.backends.processes import PATIENCE


async def test_a_hint_is_posted_to_the_operator() -> None:
    posted: list[str] = []

    class Operator(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(self.path)
            self.send_response(202)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing is printed."""

    with HTTPServer(("127.0.0.1", 0), Operator) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        await send_hint(f"http://127.0.0.1:{server.server_port}/", "a-question")
        server.shutdown()

    assert posted == ["/hints/a-question"]


@pytest.mark.parametrize("operator", ["", "http://127.0.0.1:9", "http://[", "nonsense", "http://127.0.0.1:0"])
async def test_a_hint_that_reaches_nobody_is_no_error(operator: str) -> None:
    await send_hint(operator, "a-question")


@pytest.mark.parametrize(("scheme", "times"), [("http", 0), ("https", 1)])
async def test_certificates_are_not_read_for_each_hint(
    scheme: str, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[ssl.SSLContext] = []
    real = ssl.create_default_context

    def reading(*args: Any, **kwargs: Any) -> ssl.SSLContext:
        read.append(real(*args, **kwargs))
        return read[-1]

    monkeypatch.setattr(ssl, "create_default_context", reading)
    tls._context.cache_clear()
    for number in range(3):
        await send_hint(f"{scheme}://127.0.0.1:9", f"question-{number}")
    assert len(read) == times


async def test_a_reply_without_an_end_keeps_nobody_waiting() -> None:
    ended = threading.Event()

    class Endless(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            self.end_headers()
            with suppress(OSError):
                while not ended.wait(0.05):
                    self.wfile.write(b"more")
            gone.set()

        def do_GET(self) -> None:
            self.do_POST()

        def log_message(self, *_: object) -> None:
            """Nothing is printed."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Endless) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        try:
            for asking in (send_hint(url, "a-question"), _reached("web app", url, "none")):
                gone = threading.Event()
                async with asyncio.timeout(PATIENCE):
                    await asking
                # The server saw that nobody listens any more.
                assert await asyncio.to_thread(gone.wait, PATIENCE)
        finally:
            ended.set()
            server.shutdown()
