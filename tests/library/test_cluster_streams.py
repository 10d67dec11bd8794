"""Many answers that go on for long share connections by HTTP/2, and one never holds up another."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import h2.settings
import pytest
from kubernetes.aio.client import Configuration

from hitl.cluster.streams import Stream, Streams
from hitl.cluster.transport import Transport
from tests.library.certificates import serving, write_certificate


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for this machine, with its key in the same file."""
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    write_certificate(path)
    return path


class _Server(asyncio.Protocol):
    """An HTTP/2 server that answers 200, and sends what the test says."""

    made: list["_Server"] = []
    most = 100

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.paths: dict[int, str] = {}
        self.pings = 0
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        self.h2.local_settings = h2.settings.Settings(
            client=False, initial_values={h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: self.most}
        )
        self.h2.initiate_connection()
        self.flush()
        _Server.made.append(self)

    def data_received(self, data: bytes) -> None:
        for event in self.h2.receive_data(data):
            if isinstance(event, h2.events.RequestReceived):
                path = {str(name): str(value) for name, value in event.headers}[":path"]
                self.paths[event.stream_id] = path
                if path != "/silent":
                    headers = [(":status", "200"), ("content-type", "application/json; charset=utf-8")]
                    self.h2.send_headers(event.stream_id, headers)
            if isinstance(event, h2.events.PingReceived):
                self.pings += 1
            if isinstance(event, h2.events.StreamReset):
                self.paths.pop(event.stream_id, None)
        self.flush()

    def send(self, path: str, data: bytes, *, last: bool = False) -> None:
        for number, each in self.paths.items():
            if each == path:
                self.h2.send_data(number, data, end_stream=last)
        self.flush()

    def flush(self) -> None:
        self.transport.write(self.h2.data_to_send())


@pytest.fixture
async def streams(certificate: Path) -> AsyncIterator[Callable[..., Streams]]:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate)
    tls.set_alpn_protocols(["h2"])
    _Server.made, _Server.most = [], 100
    server = await asyncio.get_running_loop().create_server(_Server, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    opened = []

    def open_(seconds: float = 15) -> Streams:
        found = Streams(
            f"https://127.0.0.1:{port}", ssl.create_default_context(cafile=certificate), seconds=seconds
        )
        opened.append(found)
        return found

    yield open_
    for each in opened:
        await each.close()
    server.close()


async def _next(stream: Stream) -> bytes:
    return await anext(stream.pieces(5))


@pytest.mark.parametrize(("most", "connections"), [(100, 3), (1000, 3), (25, 10)])
async def test_as_many_share_a_connection_as_the_server_grants(
    streams: Callable[..., Streams], most: int, connections: int
) -> None:
    _Server.most = most
    shared = streams()
    async with AsyncExitStack() as stack:
        got = await asyncio.gather(
            *(stack.enter_async_context(shared.get(f"/{number}", {"Accept": "x"})) for number in range(250))
        )
        assert len(shared) == connections
        assert {(each.status, each.content_type) for each in got} == {(200, "application/json")}
        for number in (249, 0, 100):
            for server in _Server.made:
                server.send(f"/{number}", b"for %d" % number)
            # Whoever waits for nothing yet holds up nobody.
            assert await _next(got[number]) == b"for %d" % number


async def test_one_that_is_not_read_holds_up_no_other(streams: Callable[..., Streams]) -> None:
    shared = streams()
    async with shared.get("/slow", {}), shared.get("/quick", {}) as quick:
        [server] = _Server.made
        server.send("/slow", b"x" * 16_000)
        for number in range(100):
            server.send("/quick", b"%d" % number)
            assert await _next(quick) == b"%d" % number


async def test_what_was_read_lets_the_server_send_more(streams: Callable[..., Streams]) -> None:
    shared = streams()
    async with shared.get("/much", {}) as stream:
        [server] = _Server.made
        for _ in range(100):
            server.send("/much", b"x" * 16_000)
            await _next(stream)
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("last", [True, False])
async def test_what_nobody_reads_of_an_answer_takes_no_room_from_the_others(
    streams: Callable[..., Streams], last: bool
) -> None:
    # As a proxy's page in the place of a watch: its content is not wanted, and more than the server may send at
    # once on the whole connection comes in all.
    shared = streams()
    for number in range(6):
        async with shared.get(f"/page-{number}", {}):
            [server] = _Server.made
            server.send(f"/page-{number}", b"x" * 12_000, last=last)
            await asyncio.sleep(0.05)
    async with shared.get("/watch", {}) as watch:
        [server] = _Server.made
        server.send("/watch", b"an event")
        assert await _next(watch) == b"an event"


async def test_the_end_of_an_answer_is_none_of_the_connection(streams: Callable[..., Streams]) -> None:
    shared = streams()
    async with shared.get("/ends", {}) as ends, shared.get("/stays", {}) as stays:
        [server] = _Server.made
        server.send("/ends", b"last", last=True)
        assert [each async for each in ends.pieces(5)] == [b"last"]
        server.send("/stays", b"more")
        assert await _next(stays) == b"more"
    async with asyncio.timeout(5):
        while "/stays" in server.paths.values():
            await asyncio.sleep(0.01)


async def test_a_connection_that_breaks_ends_its_answers_and_another_one_begins(
    streams: Callable[..., Streams],
) -> None:
    shared = streams()
    async with shared.get("/one", {}) as one, shared.get("/two", {}) as two:
        _Server.made[0].transport.abort()
        for each in (one, two):
            with pytest.raises(ConnectionResetError):
                await _next(each)
    async with shared.get("/one", {}) as again:
        _Server.made[1].send("/one", b"again")
        assert await _next(again) == b"again"
    assert len(shared) == 1


async def test_a_server_that_says_farewell_ends_its_answers(streams: Callable[..., Streams]) -> None:
    shared = streams()
    async with shared.get("/one", {}) as one:
        server = _Server.made[0]
        server.h2.close_connection()
        server.flush()
        with pytest.raises(ConnectionResetError):
            await _next(one)


async def test_silence_is_noticed(streams: Callable[..., Streams]) -> None:
    shared = streams(seconds=0.2)
    async with shared.get("/quiet", {}) as quiet:
        with pytest.raises(TimeoutError):
            await anext(quiet.pieces(0.05))
    with pytest.raises(TimeoutError):
        async with shared.get("/silent", {}):
            pass


async def test_a_server_that_has_nothing_to_say_is_asked_for_a_sign(streams: Callable[..., Streams]) -> None:
    shared = streams(seconds=0.5)
    async with shared.get("/quiet", {}) as quiet:
        [server] = _Server.made
        async with asyncio.timeout(5):
            while server.pings < 2:
                await asyncio.sleep(0.01)
        server.send("/quiet", b"still there")
        assert await _next(quiet) == b"still there"
    assert len(_Server.made) == 1


async def test_a_connection_that_died_without_a_word_ends_its_answers_and_another_one_begins(
    streams: Callable[..., Streams],
) -> None:
    shared = streams(seconds=0.5)
    async with shared.get("/one", {}) as one, shared.get("/two", {}) as two:
        # As where the network loses all that is sent: neither side learns of it.
        _Server.made[0].transport.pause_reading()
        for each in (one, two):
            with pytest.raises(ConnectionResetError, match="no sign"):
                await _next(each)
        async with shared.get("/one", {}) as again:
            _Server.made[1].send("/one", b"again")
            assert await _next(again) == b"again"
    assert len(shared) == 1


async def test_where_the_server_speaks_no_http_2_each_has_a_connection(certificate: Path) -> None:
    async with serving(certificate) as port:
        configuration = Configuration(host=f"https://127.0.0.1:{port}")
        configuration.ssl_ca_cert = str(certificate)
        transport = Transport(configuration)
        transport.share()
        async with transport.stream("/asked", {}, 5) as (status, content_type, pieces):
            assert (status, content_type) == (200, "application/json")
            assert b"".join([each async for each in pieces]) == b'{"kind": "Status"}'
        await transport.close()
