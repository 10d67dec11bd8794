"""Answers that go on for hours, a hundred of them in one connection: watches of many namespaces by HTTP/2.

HTTP/1.1 takes a connection for each, with buffers of a quarter of a MiB where there is TLS.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Final, cast
from urllib.parse import urlsplit

import h2.config
import h2.connection
import h2.events
import h2.exceptions

# As many as API servers grant by themselves.
_MOST_STREAMS: Final = 100
# A server of which nothing came in the first is asked for a sign in the second, which it may give in the third.
_BEATS_OF_PATIENCE: Final = 3
_PROTOCOL: Final = "h2"


class NoHttp2(OSError):
    """What answers speaks no HTTP/2."""


class Streams:
    """Connections to one server.

    Args:
        url: The server's address, by https.
        tls: The servers to trust, and our own certificate.
        name: By which name the server's certificate is checked; empty: that of the address.
        seconds: How long the server may take to connect, to begin an answer, and to give a sign when it is asked.
    """

    def __init__(self, url: str, tls: ssl.SSLContext, name: str = "", *, seconds: float = 15) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 443
        self._authority, self._prefix = parts.netloc, parts.path.rstrip("/")
        self._name = name or self._host
        self.trust(tls)
        self._seconds = seconds
        self._connections: list[_Connection] = []
        self._connecting = asyncio.Lock()

    def trust(self, tls: ssl.SSLContext) -> None:
        """Say which servers the next connections trust, and our own certificate."""
        self._tls = tls
        self._tls.set_alpn_protocols([_PROTOCOL])

    def retire(self) -> None:
        """Ask nothing more by the connections that there are: they show a former certificate."""
        for each in self._connections:
            each.retire()

    def __len__(self) -> int:
        """Return how many connections there are."""
        return len(self._connections)

    @asynccontextmanager
    async def get(self, path: str, headers: Mapping[str, str]) -> AsyncIterator[Stream]:
        """Ask for something, and give the answer as it comes; what is left of it at the end is not wanted.

        Raises:
            NoHttp2: when the server speaks none.
            OSError: when it cannot be reached, or does not begin an answer in time.
        """
        async with asyncio.timeout(self._seconds):
            connection = await self._free()
            stream = connection.open(
                [
                    (":method", "GET"),
                    (":authority", self._authority),
                    (":scheme", "https"),
                    (":path", self._prefix + path),
                    *((name.lower(), value) for name, value in headers.items()),
                ]
            )
        try:
            async with asyncio.timeout(self._seconds):
                await stream.begun()
            yield stream
        finally:
            connection.drop(stream)

    async def close(self) -> None:
        """End all connections."""
        for each in self._connections:
            each.end()
        self._connections.clear()

    async def _free(self) -> _Connection:
        # One at a time: hundreds that begin together share what the first one opens.
        async with self._connecting:
            self._connections = [each for each in self._connections if not each.ended]
            for each in self._connections:
                if each.has_room:
                    return each
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: _Connection(self._seconds),
                self._host,
                self._port,
                ssl=self._tls,
                server_hostname=self._name,
            )
            try:
                await connection.ready
            except BaseException:
                connection.end()
                raise
            self._connections.append(connection)
            return connection


class Stream:
    """One answer.

    Attributes:
        status: Its status.
        content_type: What its `Content-Type` says, without parameters.
    """

    def __init__(self, number: int, connection: _Connection) -> None:
        self.number = number
        self.status = 0
        self.content_type = ""
        self._connection = connection
        self._pieces: deque[tuple[bytes, int]] = deque()
        self._ended = False
        self._error: OSError | None = None
        self._waiting: asyncio.Future[None] | None = None

    async def begun(self) -> None:
        """Wait for its status."""
        while not self.status:
            if self._error is not None:
                raise self._error
            await self._wait()

    async def pieces(self, silence: float) -> AsyncIterator[bytes]:
        """Yield its content as it comes.

        Args:
            silence: It is a `TimeoutError` when nothing comes for so many seconds.
        """
        while True:
            while self._pieces:
                data, counted = self._pieces.popleft()
                # Only now may the server send as much again.
                self._connection.took(self, counted)
                yield data
            if self._error is not None:
                raise self._error
            if self._ended:
                return
            async with asyncio.timeout(silence):
                await self._wait()

    def head(self, headers: Mapping[str, str]) -> None:
        """Take its status and its headers."""
        self.status = int(headers[":status"])
        self.content_type = headers.get("content-type", "").partition(";")[0].strip()
        self._wake()

    def feed(self, data: bytes, counted: int) -> None:
        """Take a piece of it, which counted so much against what the server may send."""
        self._pieces.append((data, counted))
        self._wake()

    def left_over(self) -> int:
        """Give up what nobody read; return how much it counted."""
        counted = sum(each for _, each in self._pieces)
        self._pieces.clear()
        return counted

    def end(self, error: OSError | None = None) -> None:
        """Take note that nothing more comes."""
        self._ended, self._error = True, self._error or error
        self._wake()

    async def _wait(self) -> None:
        self._waiting = asyncio.get_running_loop().create_future()
        try:
            await self._waiting
        finally:
            self._waiting = None

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)


class _Connection(asyncio.Protocol):
    """One connection, with what h2 knows of it. It is `ready` once the server has said how many answers it grants.

    A network may lose it without a word, and the system notices after 15 minutes. So it is pinged.

    Args:
        seconds: How long the server may take for a sign.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._silent_beats = 0
        self._h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=True, header_encoding="utf-8", validate_outbound_headers=False)
        )
        self._streams: dict[int, Stream] = {}
        self._transport: asyncio.Transport | None = None
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.ended = False
        self._retired = False

    @property
    def has_room(self) -> bool:
        """Whether the server grants one more answer here."""
        most = min(_MOST_STREAMS, self._h2.remote_settings.max_concurrent_streams)
        return len(self._streams) < most and not self._retired

    def open(self, headers: list[tuple[str, str]]) -> Stream:
        """Ask for something."""
        if self.ended:
            raise ConnectionResetError("the connection was ended")
        number = self._h2.get_next_available_stream_id()
        self._h2.send_headers(number, headers, end_stream=True)
        self._flush()
        stream = self._streams[number] = Stream(number, self)
        return stream

    def took(self, stream: Stream, counted: int) -> None:
        """Let the server send as much again."""
        if not self.ended:
            with suppress(h2.exceptions.ProtocolError):
                self._h2.acknowledge_received_data(counted, stream.number)
            self._flush()

    def drop(self, stream: Stream) -> None:
        """Want no more of an answer."""
        goes_on = self._streams.pop(stream.number, None) is not None
        if self.ended:
            return
        # What came and nobody reads counts against what the server may send to all others of this connection.
        with suppress(h2.exceptions.ProtocolError):
            self._h2.acknowledge_received_data(stream.left_over(), stream.number)
        if goes_on:
            # It may just have ended.
            with suppress(h2.exceptions.ProtocolError):
                self._h2.reset_stream(stream.number)
        self._flush()
        if self._retired:
            self.retire()

    def retire(self) -> None:
        """Take nothing more, and end with the last answer that still comes."""
        self._retired = True
        if not self._streams:
            self.end()

    def end(self) -> None:
        """End the connection and all that comes by it."""
        self._fail(ConnectionResetError("the connection was ended"))
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to speak HTTP/2, if the server agreed to it."""
        # uvloop's is one in all but its class.
        self._transport = transport = cast("asyncio.Transport", transport)
        tls = transport.get_extra_info("ssl_object")
        if tls is None or tls.selected_alpn_protocol() != _PROTOCOL:
            self._fail(NoHttp2("the server speaks no HTTP/2"))
            transport.close()
            return
        self._h2.initiate_connection()
        self._flush()
        self._next_beat()

    def data_received(self, data: bytes) -> None:
        """Hand what came to its readers."""
        self._silent_beats = 0
        try:
            events = self._h2.receive_data(data)
        except h2.exceptions.ProtocolError as error:
            self._fail(ConnectionResetError(f"the server broke the rules of HTTP/2: {error}"))
        else:
            for event in events:
                self._take(event)
        self._flush()
        if self.ended and self._transport is not None:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell all that nothing more comes."""
        self._fail(ConnectionResetError(f"the connection was lost: {exc or 'the server ended it'}"))

    def _next_beat(self) -> None:
        asyncio.get_running_loop().call_later(self._seconds, self._beat)

    def _beat(self) -> None:
        if self.ended or self._transport is None:
            return
        self._silent_beats += 1
        if self._silent_beats >= _BEATS_OF_PATIENCE:
            self._fail(ConnectionResetError("the server gives no sign any more"))
            # Nobody takes what a farewell would wait for.
            self._transport.abort()
            return
        if self._silent_beats == _BEATS_OF_PATIENCE - 1:
            self._h2.ping(bytes(8))
            self._flush()
        self._next_beat()

    def _take(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.RemoteSettingsChanged) and not self.ready.done():
            self.ready.set_result(None)
        elif isinstance(event, h2.events.ConnectionTerminated):
            self._fail(ConnectionResetError("the server ended the connection"))
        elif isinstance(event, h2.events.DataReceived):
            if (stream := self._streams.get(event.stream_id)) is not None:
                stream.feed(event.data, event.flow_controlled_length)
            else:
                self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.ResponseReceived):
            if (stream := self._streams.get(event.stream_id)) is not None:
                stream.head({str(name): str(value) for name, value in event.headers})
        elif isinstance(event, h2.events.StreamEnded):
            if (stream := self._streams.pop(event.stream_id, None)) is not None:
                stream.end()
        elif isinstance(event, h2.events.StreamReset) and (stream := self._streams.pop(event.stream_id, None)):
            stream.end(ConnectionResetError("the server broke off its answer"))

    def _fail(self, error: OSError) -> None:
        self.ended = True
        if not self.ready.done():
            self.ready.set_exception(error)
            # Its reader may have gone.
            self.ready.exception()
        for each in self._streams.values():
            each.end(error)
        self._streams.clear()

    def _flush(self) -> None:
        if self._transport is not None and not self._transport.is_closing() and (data := self._h2.data_to_send()):
            self._transport.write(data)
