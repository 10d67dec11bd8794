"""`python -m tests.bench.slow_wire PORT TARGET_PORT SECONDS`: a wire on loopback that holds back what is asked.

It is a process of its own, and looks at nothing, so that it costs what is measured as little as can be.
"""

from __future__ import annotations

import asyncio
import sys
from typing import cast

import uvloop


class _End(asyncio.Protocol):
    """One end of a wire: what comes in here goes out at the other end, a while later."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._held: list[bytes] = []
        self.transport: asyncio.Transport | None = None
        self.other: _End | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._seconds:
            asyncio.get_running_loop().call_later(self._seconds, self._pass_on, data)
        else:
            self._pass_on(data)

    def connection_lost(self, _error: Exception | None) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.close()

    def _pass_on(self, data: bytes) -> None:
        if self.other is None or self.other.transport is None:
            self._held.append(data)
            return
        self.other.transport.write(data)

    def join(self, other: _End) -> None:
        """Connect it, and pass on what came before."""
        self.other, other.other = other, self
        held, self._held = self._held, []
        for data in held:
            self._pass_on(data)


class _Near(_End):
    def __init__(self, target: int, seconds: float) -> None:
        super().__init__(seconds)
        self._target = target
        self._joining: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._joining = asyncio.get_running_loop().create_task(self._join())

    async def _join(self) -> None:
        _, far = await asyncio.get_running_loop().create_connection(lambda: _End(0), "127.0.0.1", self._target)
        self.join(far)


async def serve(port: int, target: int, seconds: float) -> None:
    """Serve until cancelled.

    Args:
        port: Where to listen.
        target: The port to connect to.
        seconds: How long what comes from a client is held back.
    """
    server = await asyncio.get_running_loop().create_server(lambda: _Near(target, seconds), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
