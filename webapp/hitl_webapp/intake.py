"""How much of a body is read: little before the sender is authorized, then what the question needs.

By hand, as Starlette's limit is one number for everybody, and lets the app see a body that did not come whole.
"""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hitl.core.documents import RequestDocument
from hitl.core.limits import MAX_COMMENT_CHARS
from hitl.core.values import MAX_VALUE_CHARS
from hitl_webapp.auth import bearer
from hitl_webapp.bodies import PREFIX_BYTES, declared_length, find_address, require_plain
from hitl_webapp.explain import refuse
from hitl_webapp.problems import BadInput, TooLarge, TooMany, TooSlow
from hitl_webapp.service import Service
from hitl_webapp.settings import WebSettings

_WITH_BODY: Final = ("/submit", "/submit/json", "/bulk")
# One character is at most 12 bytes: %F0%9F%98%80 in a form, \ud83d\ude00 in JSON.
_BYTES_PER_CHAR: Final = 12
# Room for what people type around a number, such as leading zeros.
_SCALAR_CHARS: Final = 4_096
_WAITING_PER_SLOT: Final = 4
_BUSY: Final = "Too many large answers arrive at the same time: nothing was recorded, try again."


class WholeBodies:
    """Reads a body whole before the app sees the request, within bounds of bytes and of seconds.

    One that does not come whole never reaches the app.
    """

    def __init__(self, app: ASGIApp, settings: WebSettings) -> None:
        self._app = app
        self._intake = Intake(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if _streamed(scope):
            # It goes on to the storage as it arrives.
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] not in _WITH_BODY:
            # The other routes read no body; the server ends the connection if one was announced.
            await self._app(scope, receive if scope["type"] != "http" else _replay(b"", receive), send)
            return
        large = Large()
        try:
            try:
                body = await self._intake.read(scope, receive, large)
            except _Gone:
                return
            except Exception as error:  # noqa: BLE001 - whatever it was leaves as a problem
                await refuse(scope, receive, send, error)
                return
            await self._app(scope, _replay(body, receive), send)
        finally:
            # The memory of a large body counts until there is a reply.
            if large.taken:
                self._intake.leave()


def _streamed(scope: Scope) -> bool:
    if scope["type"] != "http":
        return False
    path: str = scope["path"]
    return (scope["method"] == "POST" and path == "/submit/file") or (
        scope["method"] == "PUT" and path.startswith("/answers/")
    )


class Large:
    """Whether a body has taken one of the places of large ones."""

    __slots__ = ("taken",)

    def __init__(self) -> None:
        self.taken = False


class Intake:
    """Reads bodies, and bounds how many large ones there are at once."""

    def __init__(self, settings: WebSettings) -> None:
        self._settings = settings
        self._slots = asyncio.Semaphore(settings.large_bodies)
        self._large = 0

    async def read(self, scope: Scope, receive: Receive, large: Large) -> bytes:
        """Read a body.

        Args:
            scope: The request.
            receive: Gives the body's pieces.
            large: Is told when the body takes the place of a large one; the caller gives it back by `leave`.

        Raises:
            TooLarge, TooSlow, TooMany, WrongMediaType: the body is not read on.
            BadInput: it is not as long as it was announced.
            HITLError, Unauthenticated: for a large body, why its sender may not answer the question.
        """
        headers = Headers(scope=scope)
        require_plain(headers)
        announced, most = declared_length(headers), self._settings.max_body_bytes
        if announced is not None and announced > most:
            raise _too_large(most)
        body = bytearray()
        more = await self._read_until(body, receive, min(most, PREFIX_BYTES))
        if len(body) > most:
            raise _too_large(most)
        if more or len(body) > PREFIX_BYTES:
            await self._enter()
            large.taken = True
            limit = await self._limit(scope, headers, bytes(body[:PREFIX_BYTES]))
            if more:
                await self._read_until(body, receive, limit)
            if len(body) > limit:
                raise _too_large(limit)
        if announced is not None and announced != len(body):
            raise BadInput("The body is not as long as its Content-Length: nothing was recorded.")
        return bytes(body)

    def leave(self) -> None:
        """Give the place of a large body to the next."""
        self._large -= 1
        self._slots.release()

    async def _read_until(self, body: bytearray, receive: Receive, limit: int) -> bool:
        """Append pieces until the body ends, or is larger than the limit; return whether there is more to come."""
        try:
            async with asyncio.timeout(self._settings.body_seconds):
                while len(body) <= limit:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _Gone
                    body += message.get("body", b"")
                    if not message.get("more_body", False):
                        return False
        except TimeoutError as error:
            seconds = self._settings.body_seconds
            raise TooSlow(f"The body did not arrive within {seconds:g} s: nothing was recorded.") from error
        return True

    async def _enter(self) -> None:
        if self._large >= self._settings.large_bodies * (1 + _WAITING_PER_SLOT):
            raise TooMany(_BUSY)
        self._large += 1
        try:
            async with asyncio.timeout(self._settings.body_seconds):
                await self._slots.acquire()
        except BaseException as error:
            self._large -= 1
            if isinstance(error, TimeoutError):
                raise TooMany(_BUSY) from error
            raise

    async def _limit(self, scope: Scope, headers: Headers, prefix: bytes) -> int:
        """Return how many bytes an answer to this question by this visitor may have."""
        address = find_address(headers.get("content-type", ""), prefix)
        if address is None:
            raise TooLarge(
                f"The first {PREFIX_BYTES:,} bytes do not say which question this is for: nothing was recorded. "
                "Send request_id and token before the value."
            )
        if not address.token:
            address = address._replace(token=bearer(headers))
        service: Service = scope["app"].state.service
        admitted = await service.submissions.admit(address, headers)
        return min(self._settings.max_body_bytes, needed_bytes(admitted.request.document))


class _Gone(Exception):
    """The client went away before the body had come whole."""


def needed_bytes(question: RequestDocument) -> int:
    """Return how many bytes the largest answer to a question can have, as a form or as JSON."""
    if question.choices:
        value = max(map(len, question.choices))
    elif question.data_type in ("int", "float", "bool"):
        value = _SCALAR_CHARS
    else:
        value = MAX_VALUE_CHARS
    # A comment, a reason and a name beside the value, and as much again for everything around them.
    return _BYTES_PER_CHAR * (value + 3 * MAX_COMMENT_CHARS) + PREFIX_BYTES


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"The body is larger than {limit:,} bytes: nothing was recorded.")


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return what gives the body once, and then waits for the client to go, as a response may do meanwhile."""
    sent = False

    async def replay() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
