"""A hint reaches the operator, and one that is lost costs nothing."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from hitl.records.hints import send_hint


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
