"""The connections to the API server: one pool for everything, as a kubeconfig or a pod's credentials say."""

from __future__ import annotations

import asyncio
import ssl
import urllib.request
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
from kubernetes.aio.client import Configuration

from hitl.cluster.streams import NoHttp2, Streams

_TIMEOUT: Final = aiohttp.ClientTimeout(total=15, connect=5)
_READ_AHEAD: Final = 2**16


class AnswerTooLarge(Exception):
    """An answer has more bytes than were asked for.

    Args:
        status: Its status.
    """

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def tls_context(configuration: Configuration) -> ssl.SSLContext:
    """Return which servers to trust, and our own certificate."""
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert, cadata=configuration.ca_cert_data)
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, keyfile=configuration.key_file)
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if configuration.disable_strict_ssl_verification:
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def _proxy_from_environment(base: str) -> str:
    """Return the proxy that `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` name for a server; empty: none."""
    server = urlsplit(base)
    if urllib.request.proxy_bypass(server.hostname or ""):
        return ""
    found = urllib.request.getproxies().get(server.scheme, "")
    # aiohttp speaks no TLS with a proxy.
    return "" if found.startswith("https://") else found


class Transport:
    """One pool of connections for everything. Use it in the event loop that made it, and close it.

    Its methods raise `aiohttp.ClientError`, `TimeoutError` and `OSError` when the server cannot be reached.

    Args:
        configuration: Where the server is, and who we are.
    """

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._base = configuration.host.rstrip("/")
        named = {
            "proxy": configuration.proxy or _proxy_from_environment(self._base),
            "proxy_headers": configuration.proxy_headers,
            "server_hostname": configuration.tls_server_name,
        }
        self._options: dict[str, Any] = {name: given for name, given in named.items() if given}
        self._session: aiohttp.ClientSession | None = None
        self._streams: Streams | None = None
        self._tls: ssl.SSLContext | None = None
        # Which of our own certificates that shows.
        self._shown: tuple[str, int] | None = None

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
        if self._streams is not None:
            await self._streams.close()

    async def send(
        self, verb: str, path: str, headers: Mapping[str, str], content: bytes | None, most: int | None = None
    ) -> tuple[int, str, bytes]:
        """Send a request; return status, `Date` and content of the answer.

        Args:
            verb: The method.
            path: The path and the query.
            headers: Who asks, and for what.
            content: What is sent.
            most: So many bytes the answer may have; None: any number.

        Raises:
            AnswerTooLarge: it has more, and was not read to its end.
        """
        async with (
            self._rotating(),
            self._opened().request(
                verb,
                self._base + path,
                headers=headers,
                data=content,
                timeout=_TIMEOUT,
                ssl=self._trusted(),
                **self._options,
            ) as response,
        ):
            self._doubt(response.status)
            found = await (response.read() if most is None else _read(response, most))
            return response.status, response.headers.get("Date", ""), found

    def share(self) -> None:
        """Let what `stream` returns share connections, where that is possible."""
        if self._base.startswith("https://") and "proxy" not in self._options:
            name = self._configuration.tls_server_name or ""
            self._trusted()
            self._streams = Streams(self._base, tls_context(self._configuration), name)

    @asynccontextmanager
    async def stream(
        self, path: str, headers: Mapping[str, str], silence: float
    ) -> AsyncGenerator[tuple[int, str, AsyncIterator[bytes]], None]:
        """Ask for an answer that goes on for long; yields its status, content type and content.

        Args:
            path: The path and the query.
            headers: Who asks, and for what.
            silence: It is a `TimeoutError` when nothing comes for so many seconds.
        """
        if self._streams is not None:
            try:
                async with self._rotating(), self._streams.get(path, headers) as stream:
                    self._doubt(stream.status)
                    yield stream.status, stream.content_type, stream.pieces(silence)
                return
            except NoHttp2:
                # A connection for each, then.
                self._streams = None
        async with self._rotating(), asyncio.timeout(_TIMEOUT.total):
            response = await self._opened().get(
                self._base + path,
                headers=headers,
                ssl=self._trusted(),
                timeout=aiohttp.ClientTimeout(sock_connect=_TIMEOUT.connect, sock_read=silence),
                **self._options,
            )
        async with response:
            self._doubt(response.status)
            yield response.status, response.content_type, response.content.iter_any()

    def _trusted(self) -> ssl.SSLContext:
        if self._tls is None:
            shown = self._own_certificate()
            self._tls = tls_context(self._configuration)
            self._shown = shown
        return self._tls

    def _own_certificate(self) -> tuple[str, int] | None:
        """Return what tells our own certificate from another one; None where there is none."""
        path: str | None = self._configuration.cert_file
        if not path:
            return None
        try:
            return path, Path(path).stat().st_mtime_ns
        except OSError:
            return path, 0

    def _doubt(self, status: int) -> None:
        """Show our own certificate as it is now, when the API server does not know who asks: it was renewed."""
        if status == 401 and self._own_certificate() != self._shown:
            self._read_again()
            if self._streams is not None:
                self._streams.retire()

    def _read_again(self) -> None:
        """Read the files of certificates again for the next connection."""
        self._tls = None
        if self._streams is not None:
            # One that is just being written is read the next time.
            with suppress(OSError):
                self._streams.trust(tls_context(self._configuration))

    @asynccontextmanager
    async def _rotating(self) -> AsyncGenerator[None, None]:
        """Read the files of certificates again for the next connection, when one fails by a certificate.

        A cluster's authority is replaced while this process runs, and its file with it.
        """
        try:
            yield
        except (aiohttp.ClientSSLError, ssl.SSLError):
            self._read_again()
            raise

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            # Watches stay in the pool for long, so that it has no bound of its own.
            connector = aiohttp.TCPConnector(limit=0)
            # Not `trust_env`: with it a thread reads the environment and ~/.netrc before each request, and a
            # default login in that file refuses every request that has a token.
            self._session = aiohttp.ClientSession(
                connector=connector, read_bufsize=_READ_AHEAD, cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._session


async def _read(response: aiohttp.ClientResponse, most: int) -> bytes:
    try:
        await response.content.readexactly(most + 1)
    except asyncio.IncompleteReadError as whole:
        return whole.partial
    raise AnswerTooLarge(response.status)
