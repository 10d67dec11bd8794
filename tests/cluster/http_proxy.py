"""A proxy before the API server or the storage, which delays, refuses, hangs and cuts as a test says."""

import asyncio
import ssl
import threading
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, TypeAlias

import aiohttp
import yaml
from aiohttp import web
from yarl import URL

Fault: TypeAlias = tuple[str, float | int | bytes] | None
"""``("delay", seconds)``, ``("status", code)``, ``("body", bytes)``, ``("hang", 0)``, ``("cut", 0)`` or none.

``("page", bytes)`` is a body with the status 404. With ``("lose", 0)`` the request is handed on, and the
connection ends before its reply.
"""

_HOP = ("connection", "transfer-encoding", "keep-alive")


class HttpProxy:
    """Hands requests on, unless its rule says otherwise.

    Args:
        target: Such as ``http://127.0.0.1:8333``.
        tls: How to speak to a target with TLS.

    Attributes:
        rule: Told the method and the path with its query; returns what is to happen.
        url: Where it listens.
    """

    def __init__(self, target: str, tls: ssl.SSLContext | None = None) -> None:
        self._target = target
        self._tls = tls
        self.rule: Callable[[str, str], Fault] = lambda method, path: None
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._open: set[asyncio.Transport] = set()
        self._stopped = asyncio.Event()
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self._thread.start()
        ready.wait(10)

    def always(self, fault: Fault) -> None:
        """Let one thing happen to every request from now on, and end the connections that there are."""
        self.rule = lambda method, path: fault
        self.cut()

    def cut(self) -> None:
        """End the connections that there are."""
        self._call(self._cut())

    def connections(self) -> int:
        """Return how many connections are open."""
        return len(self._open)

    def stop(self) -> None:
        """End it."""
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(10)

    def kubeconfig(self, folder: Path, **user: str) -> Path:
        """Write a kubeconfig that leads here."""
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "proxy",
            "clusters": [{"name": "proxy", "cluster": {"server": self.url}}],
            "users": [{"name": "proxy", "user": user}],
            "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "proxy"}}],
        }
        path = folder / f"proxy-{self.url.rpartition(':')[2]}.kubeconfig"
        path.write_text(yaml.safe_dump(content))
        return path

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def _run(self, ready: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve(ready))
        self._loop.close()

    async def _serve(self, ready: threading.Event) -> None:
        connector = aiohttp.TCPConnector(limit=0, ssl=self._tls or False)
        async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as self._client:
            app = web.Application(client_max_size=2**26)
            app.router.add_route("*", "/{path:.*}", self._handle)
            # What a client left hanging is not waited for.
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            ready.set()
            await self._stopped.wait()
            await self._cut()
            await runner.cleanup()

    async def _cut(self) -> None:
        for transport in list(self._open):
            transport.abort()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        transport = request.transport
        assert transport is not None
        self._open.add(transport)
        fault = self.rule(request.method, request.path_qs)
        if fault is not None:
            kind, what = fault
            if kind == "status":
                return web.json_response({"kind": "Status", "message": "as the test says"}, status=int(what))
            if kind == "body":
                assert isinstance(what, bytes)
                return web.Response(body=what)
            if kind == "page":
                assert isinstance(what, bytes)
                return web.Response(body=what, status=404)
            if kind == "lose":
                async with self._hand_on(request, await request.read()) as answer:
                    await answer.read()
            if kind in ("cut", "lose"):
                transport.abort()
                return web.Response()
            await asyncio.sleep(3600 if kind == "hang" else float(what))
        try:
            return await self._forward(request)
        except ConnectionResetError:
            if not transport.is_closing():
                raise
            # The client is gone, so nobody reads this.
            return web.Response()
        finally:
            if transport.is_closing():
                self._open.discard(transport)

    def _hand_on(self, request: web.Request, data: bytes) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        headers = [(name, value) for name, value in request.headers.items() if name.lower() not in _HOP]
        return self._client.request(
            request.method,
            URL(self._target + request.raw_path, encoded=True),
            headers=headers,
            data=data or None,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=None),
        )

    async def _forward(self, request: web.Request) -> web.StreamResponse:
        async with self._hand_on(request, await request.read()) as answer:
            reply = web.StreamResponse(status=answer.status, reason=answer.reason)
            for name, value in answer.headers.items():
                if name.lower() not in _HOP:
                    reply.headers.add(name, value)
            await reply.prepare(request)
            async for data in answer.content.iter_any():
                await reply.write(data)
            await reply.write_eof()
            return reply
