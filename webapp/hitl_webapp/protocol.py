"""Connections that cannot keep a place for ever: uvicorn's HTTP protocol with a time and a bound for each state.

uvicorn bounds the pause between two requests and nothing else: silent clients, half a request, header fields
without end and replies that nobody reads stay open (https://github.com/Kludex/uvicorn/issues/157).
"""

from __future__ import annotations

import asyncio
import math
from typing import Any, ClassVar, Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from hitl_webapp.connections import LINGER_SECONDS, Connections, Limits, Stage
from hitl_webapp.security import raw_problem

MAX_HEADERS: Final = 100
MAX_URL_BYTES: Final = 8 * 1024
# Requests that a client sends before it has the reply to the first. Browsers send none.
MAX_PIPELINED: Final = 16
# Signs of chunks and trailers beside what they carry: a chunk of one byte has five.
_FRAMING_BYTES: Final = 64 * 1024
_HELD_BYTES: Final = 4 * 1024
_FRAMING_PER_BYTE: Final = 8
# The app discards this much from a refused client, which otherwise could not read the refusal.
_LINGER_BYTES: Final = 16 * 1024 * 1024
# The app refuses a slow body with 408, and gives a large one its time twice. What the app forgot is cut later.
_GRACE_SECONDS: Final = 5.0
_BEFORE_BODY: Final = (Stage.BETWEEN, Stage.HEAD)


class _Outlet:
    """What a reply is written to: the connection's transport, which is closed in a way that the reply survives.

    The head of a reply waits for the body that follows it, as one call of the system costs half of two.
    """

    __slots__ = ("_connection", "_held", "is_closing")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._held = b""
        self.is_closing = connection.transport.is_closing

    def write(self, data: bytes) -> None:
        if self._held:
            self._held, data = b"", self._held + data
        elif len(data) <= _HELD_BYTES:
            # If no other write follows, this is sent at the end of this turn of the loop.
            self._connection.loop.call_soon(self.flush)
            self._held = data
            return
        self._connection.transport.write(data)

    def flush(self) -> None:
        if self._held:
            held, self._held = self._held, b""
            if not self.is_closing():
                self._connection.transport.write(held)

    def close(self) -> None:
        self.flush()
        self._connection.end()


class Connection(HttpToolsProtocol):
    """One connection, bounded in time and size. A subclass names its `among`."""

    among: ClassVar[Connections]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.stage = Stage.BETWEEN
        self.since = 0.0
        self._served = False
        self._head_bytes = 0
        self._framing = 0
        self._discarded = 0
        self._refusal: tuple[int, str] | None = None
        self._unread_since: float | None = None
        self._outlet: Any = None
        # uvicorn's `cycle` is the request that came last; this is the one that is being answered.
        self._active: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Take the connection in, or refuse it when all places are taken."""
        super().connection_made(transport)
        self.since = self.loop.time()
        self._outlet = _Outlet(self)
        if not self.among.admit(self):
            transport.write(raw_problem(503, "Too many connections are open: try again soon."))
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Free the connection's place. A reader of the body learns that it is incomplete."""
        self.among.forget(self)
        if self._active is not None and self._active is not self.cycle and not self._active.response_complete:
            # uvicorn reports the disconnect to the last request only.
            self._active.disconnected = True
            self._active.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came, within the bounds."""
        if self.stage in (Stage.LINGERING, Stage.ENDING):
            self._discard(len(data))
            return
        self._unset_keepalive_if_required()
        if self.stage is Stage.BETWEEN:
            self._begin_head()
        try:
            self._feed(data)
        except httptools.HttpParserUpgrade:
            # Answered as if no upgrade had been asked for, and what follows is not read: it may be anything.
            self._end_reading()
        except httptools.HttpParserError:
            self._refuse(*(self._refusal or (400, "This is not HTTP that can be served.")))

    def _feed(self, data: bytes) -> None:
        while data and self.stage not in (Stage.LINGERING, Stage.ENDING):
            if self.stage is Stage.BODY:
                self._framing += len(data)
                self.parser.feed_data(data)
                if self.stage is Stage.BODY and self._framing > _FRAMING_BYTES:
                    self._refuse(400, "The body has more signs of chunks and trailers than content.")
                return
            room = max(1, self.among.limits.header_bytes - self._head_bytes)
            piece, data = (data, b"") if len(data) <= room else (data[:room], data[room:])
            self._head_bytes += len(piece)
            self.parser.feed_data(piece)
            if self.stage in _BEFORE_BODY and self._head_bytes >= self.among.limits.header_bytes:
                self._refuse(431, "The header fields are larger than is read here.")

    def on_message_begin(self) -> None:
        """Begin a request: the first of a connection, or one that follows another at once."""
        if self.stage is not Stage.HEAD:
            self._begin_head()
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Take a piece of the URL."""
        super().on_url(url)
        if len(self.url) > MAX_URL_BYTES:
            self._refusal = (414, f"The URL is longer than {MAX_URL_BYTES:,} bytes.")
            raise ValueError

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header field; those after a chunked body are ignored, so that none comes late."""
        if self.stage is Stage.BODY:
            return
        super().on_header(name, value)
        if len(self.headers) > MAX_HEADERS:
            self._refusal = (431, f"There are more than {MAX_HEADERS} header fields.")
            raise ValueError

    def on_headers_complete(self) -> None:
        """Hand the request to the app."""
        if len(self.pipeline) >= MAX_PIPELINED:
            self._refusal = (400, f"More than {MAX_PIPELINED} requests were sent without waiting for a reply.")
            raise ValueError
        super().on_headers_complete()
        self.cycle.transport = self._outlet
        if self._active is None or self._active.response_complete:
            self._active = self.cycle
        self.stage = Stage.BODY
        self.since = self.loop.time()
        self._framing = 0

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body."""
        # What is delivered pays for the signs around it.
        self._framing = max(self._framing - len(body) * (1 + _FRAMING_PER_BYTE), -_FRAMING_BYTES)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that a request came whole."""
        self.stage = Stage.BETWEEN
        self.since = self.loop.time()
        self._head_bytes = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the next request, unless the rest of this one was not worth reading."""
        self._served = True
        self._outlet.flush()
        if self.pipeline:
            self._active = self.pipeline[-1][0]
        super().on_response_complete()
        if self.cycle.response_complete and self.cycle.more_body:
            self.end()

    def pause_writing(self) -> None:
        """Note since when a reply is not read."""
        self._unread_since = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        """Note that a reply is read."""
        self._unread_since = None
        super().resume_writing()

    def shutdown(self) -> None:
        """End with the server: a request in work gets its reply, if the client reads it within a moment."""
        if self._busy() and self.stage is not Stage.BODY:
            self._end_reading()
        else:
            super().shutdown()
        if self.transport.is_closing() or self.stage is Stage.BODY or self._unread_since is not None:
            self.loop.call_later(LINGER_SECONDS, self.transport.abort)

    def waits(self) -> bool:
        """Tell whether the client has still to send something, or to read what it was sent."""
        return self.stage is Stage.BODY or self._unread_since is not None or not self._busy()

    def end(self) -> None:
        """Close after what was written has left; what is still being sent is thrown away for a moment.

        Otherwise the client's system could drop the reply, because its sending failed.
        """
        if self.stage in (Stage.BODY, Stage.ENDING):
            self._linger()
        else:
            self.transport.close()

    def end_overdue(self, now: float) -> None:
        """End the connection, if what it waits for is late.

        Args:
            now: The loop's time in seconds.
        """
        limits = self.among.limits
        waited = now - self.since
        if self.transport.is_closing():
            # Unsent bytes still take memory, so the client has limited time to read them.
            self._unread_since = self._unread_since or now
        unread = self._unread_since is not None and now - self._unread_since > limits.reply_seconds
        allowed = {Stage.LINGERING: LINGER_SECONDS, Stage.BODY: 2 * limits.body_seconds + _GRACE_SECONDS}
        if unread or waited > allowed.get(self.stage, math.inf):
            self.transport.abort()
        elif self._busy() or waited <= limits.head_seconds:
            return
        elif self.stage is Stage.HEAD:
            self._refuse(408, f"The request did not arrive within {limits.head_seconds:g} s.")
        elif self.stage is Stage.BETWEEN and not self._served:
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Refuse what cannot be parsed."""
        self._refuse(400, msg)

    def _busy(self) -> bool:
        return self._active is not None and not self._active.response_complete

    def _begin_head(self) -> None:
        if self._served or self.stage is not Stage.BETWEEN:
            self.since = self.loop.time()
        self.stage = Stage.HEAD
        self._head_bytes = 0

    def _refuse(self, status: int, detail: str) -> None:
        """Answer the request that is being read, and end. Earlier ones get their replies first."""
        current = self.cycle if self.stage is Stage.BODY else None
        if current is not None and not self.pipeline:
            if current.response_started or current.response_complete:
                self.transport.abort()
                return
            current.disconnected = True
            current.message_event.set()
        elif self._busy():
            self._end_reading()
            return
        self._outlet.flush()
        self.transport.write(raw_problem(status, detail))
        self._linger()

    def _end_reading(self) -> None:
        """Read no more: a request in work gets its reply, and the connection ends with it."""
        if self._active is None or self._active.response_complete:
            self.end()
            return
        self.stage = Stage.ENDING
        self.pipeline.clear()
        self._active.keep_alive = False

    def _linger(self) -> None:
        if self.transport.is_closing():
            return
        if not self.transport.can_write_eof():
            self.transport.close()
            return
        self.stage = Stage.LINGERING
        self.since = self.loop.time()
        self.transport.write_eof()
        self.flow.resume_reading()

    def _discard(self, count: int) -> None:
        self._discarded += count
        if self._discarded > _LINGER_BYTES:
            self.transport.abort()


def bounded(limits: Limits) -> type[Connection]:
    """Return a protocol for one server, whose connections share these limits."""

    class Bounded(Connection):
        among = Connections(limits)

    return Bounded
