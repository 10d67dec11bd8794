"""How replies leave: head and body together, and nothing of them stays behind."""

import asyncio

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from hitl_webapp.connections import Limits
from hitl_webapp.protocol import bounded

LIMITS = Limits(connections=4, header_bytes=16_384, head_seconds=5, body_seconds=5, reply_seconds=5)


class Noted:
    """A real transport whose writes are noted."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.written: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.written.append(data)
        self._transport.write(data)

    def __getattr__(self, name: str) -> object:
        return getattr(self._transport, name)


def serving(pause: bool = False) -> tuple[type[asyncio.Protocol], list[Noted]]:
    """Return a protocol whose app answers everything by `body`, and the transports it will have."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-length", b"4")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        if pause:
            await asyncio.sleep(0.01)
        await send({"type": "http.response.body", "body": b"body"})

    config = uvicorn.Config(app, http=bounded(LIMITS), log_config=None)
    config.load()
    state, noted = uvicorn.server.ServerState(), list[Noted]()

    class Watched(config.http_protocol_class):  # type: ignore[misc,name-defined]  # made by uvicorn
        def __init__(self) -> None:
            super().__init__(config=config, server_state=state, app_state={})

        def connection_made(self, transport: asyncio.Transport) -> None:
            noted.append(Noted(transport))
            super().connection_made(noted[-1])

    return Watched, noted


async def exchanged(protocol: type[asyncio.Protocol], request: bytes) -> bytes:
    """Send a request that ends the connection, and return all that comes back."""
    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
        writer.write(request)
        got = await asyncio.wait_for(reader.read(), 20)
        writer.close()
        return got


async def test_head_and_body_leave_together() -> None:
    protocol, noted = serving()

    got = await exchanged(protocol, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

    assert got.startswith(b"HTTP/1.1 200 OK\r\n")
    assert got.endswith(b"\r\n\r\nbody")
    assert noted[0].written == [got]


async def test_a_head_waits_for_no_body_that_is_late() -> None:
    protocol, noted = serving(pause=True)

    got = await exchanged(protocol, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

    head, _, _ = got.partition(b"body")
    assert noted[0].written == [head, b"body"]


@pytest.mark.parametrize("pause", [False, True])
async def test_a_reply_without_a_body_leaves_whole(pause: bool) -> None:
    protocol, _ = serving(pause)

    got = await exchanged(protocol, b"HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

    assert got.startswith(b"HTTP/1.1 200 OK\r\n")
    assert got.endswith(b"\r\n\r\n")


async def test_replies_to_requests_that_came_together_keep_their_order() -> None:
    protocol, _ = serving()
    request = b"GET / HTTP/1.1\r\nHost: x\r\n"

    got = await exchanged(protocol, (request + b"\r\n") * 3 + request + b"Connection: close\r\n\r\n")

    assert got.count(b"HTTP/1.1 200 OK") == got.count(b"\r\n\r\nbody") == 4
