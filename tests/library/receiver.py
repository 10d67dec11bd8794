"""A receiver of webhooks on a socket of its own: it verifies signatures, and replies as a test says."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from standardwebhooks.webhooks import Webhook

TAKEN = b"HTTP/1.1 204 No Content\r\n\r\n"
SECRET = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER_SECRET = "whsec_" + "C2FVsBQIhrscChlQIMV+b5sSYspob7oD"


@dataclass
class Receiver:
    """What came, and what it replies: each reply once, then `TAKEN`. None: silence."""

    port: int = 0
    host: str = "127.0.0.1"
    scheme: str = "http"
    heads: list[dict[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    replies: list[bytes | None] = field(default_factory=list)
    endless: bool = False
    held: asyncio.Event | None = None
    came: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}/hook?key=of-the-hook"

    def verified(self, number: int, secret: str = SECRET) -> dict[str, Any]:
        """Return what came as a JSON object, once the signature is verified."""
        content = Webhook(secret).verify(self.bodies[number], self.heads[number])
        assert isinstance(content, dict)
        return content

    async def until(self, number: int) -> None:
        """Wait until so many requests came."""
        async with asyncio.timeout(120):
            while len(self.bodies) < number:
                self.came.clear()
                await self.came.wait()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[1:]
            headers = dict(_header(line) for line in head if line)
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            self.heads.append(headers)
            self.bodies.append(body)
            self.came.set()
            if self.held is not None:
                await self.held.wait()
            reply = self.replies.pop(0) if self.replies else TAKEN
            if reply is None:
                await reader.read()
            else:
                writer.write(reply)
                while self.endless:
                    writer.write(b"x" * 65_536)
                    await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            writer.close()


def _header(line: str) -> tuple[str, str]:
    name, _, value = line.partition(": ")
    return name.lower(), value


@asynccontextmanager
async def receiving(tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> AsyncIterator[Receiver]:
    """Serve a receiver on this machine."""
    receiver = Receiver(host=host, scheme="https" if tls else "http")
    server = await asyncio.start_server(receiver.serve, host, 0, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
