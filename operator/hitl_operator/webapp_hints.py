"""Hints to web apps, so that their inboxes show at once what was asked and settled. Listing finds it without."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final
from urllib.parse import urlsplit

import aiohttp

from hitl.core.urls import hint_url
from hitl.records.hints import HINT_SECONDS
from hitl_operator.metrics import WEBAPP_HINTS
from hitl_operator.settings import RootSettings

# Beyond it, an inbox reads by listing sooner than by so many hints.
_MOST: Final = 500
_CONNECTIONS: Final = 16
# Pods come and go seldom, and a name without any pod is asked for as often.
_RESOLVED_SECONDS: Final = 5.0
# A web app that is busy or just starts takes a hint a moment later.
_TRIES: Final = 3
_AGAIN_SECONDS: Final = 1.0
# Of a hint: to whichever web apps there are.
_ALL: Final = ""

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

_log = logging.getLogger("hitl.operator.webapp")


async def addresses_of(host: str, port: int) -> list[str]:
    """Return the addresses of a host name: of a headless Service, those of its ready pods."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


class WebAppHints:
    """Tells the web apps of each root. What works waits for none of it, and a hint that is lost costs time only.

    Args:
        roots: The roots, each with the address of its web apps.
        resolve: Returns the addresses of a host name.
    """

    def __init__(self, roots: Iterable[RootSettings], resolve: Resolve = addresses_of) -> None:
        self._lines = {each.name: _Line(each.webapp_url, resolve) for each in roots if each.webapp_url}

    def tell(self, root: str, request_id: str) -> None:
        """Have the web apps of a root told of a question that is new, or has an outcome.

        Args:
            root: The root's name.
            request_id: The question.
        """
        if (line := self._lines.get(root)) is not None:
            line.add(request_id)

    async def run(self) -> None:
        """Send hints until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for line in self._lines.values():
                tasks.create_task(line.run())


class _Line:
    """The hints that wait for the web apps of one root."""

    def __init__(self, url: str, resolve: Resolve) -> None:
        self._url = urlsplit(url)
        self._resolve = resolve
        # By question and address: how often it was tried.
        self._waiting: dict[tuple[str, str], int] = {}
        self._wake = asyncio.Event()
        self._known: tuple[float, Sequence[str]] = (0.0, ())

    def add(self, request_id: str) -> None:
        if self._wait(request_id, _ALL, 0):
            self._wake.set()

    async def run(self) -> None:
        limits = aiohttp.TCPConnector(limit=_CONNECTIONS)
        # It counts from when a hint waits for a connection, so each round has an end.
        patience = aiohttp.ClientTimeout(total=HINT_SECONDS)
        async with aiohttp.ClientSession(connector=limits, timeout=patience) as session:
            while True:
                await self._wake.wait()
                self._wake.clear()
                try:
                    await self._round(session)
                except Exception:  # noqa: BLE001 - a fault with one root's hints must not end the operator
                    _log.exception("hints to the web apps at %s", self._url.netloc)

    async def _round(self, session: aiohttp.ClientSession) -> None:
        """Send what waits, each hint once; have what failed wait for another round."""
        some, self._waiting = self._waiting, {}
        try:
            addresses = await self._addresses()
        except TimeoutError:
            failed = list(some)
        else:
            due: dict[tuple[str, str], int] = {}
            for (request_id, to), tries in some.items():
                for each in addresses if to == _ALL else [to]:
                    due[request_id, each] = min(tries, due.get((request_id, each), tries))
            some = due
            sent = await asyncio.gather(*(self._send(session, to, request_id) for request_id, to in due))
            failed = [each for each, reached in zip(due, sent, strict=True) if not reached]
        again = [self._wait(*each, some[each] + 1) for each in failed if some[each] + 1 < _TRIES]
        if any(again):
            asyncio.get_running_loop().call_later(_AGAIN_SECONDS, self._wake.set)

    def _wait(self, request_id: str, address: str, tries: int) -> bool:
        """Have a hint sent in the next round; False where more wait than inboxes would take."""
        if len(self._waiting) >= _MOST:
            WEBAPP_HINTS.labels(result="dropped").inc()
            return False
        self._waiting[request_id, address] = min(tries, self._waiting.get((request_id, address), tries))
        return True

    async def _addresses(self) -> Sequence[str]:
        """Return the addresses of all web apps; none while they are scaled to zero.

        Raises:
            TimeoutError: nobody says in time.
        """
        at, known = self._known
        if time.monotonic() - at < _RESOLVED_SECONDS and at:
            return known
        found: Sequence[str] = ()
        try:
            async with asyncio.timeout(HINT_SECONDS):
                found = await self._resolve(self._url.hostname or "", self._url.port or 80)
        except TimeoutError:
            raise
        except OSError as error:
            _log.debug("no web app is told: %s", error)
        self._known = (time.monotonic(), found)
        return found

    async def _send(self, session: aiohttp.ClientSession, address: str, request_id: str) -> bool:
        """Tell one web app; False when it did not take the hint."""
        host = f"[{address}]" if ":" in address else address
        base = f"http://{host}:{self._url.port or 80}{self._url.path}"
        try:
            # By its name, as a web app may answer to no other.
            async with session.post(hint_url(base, request_id), headers={"Host": self._url.netloc}) as reply:
                reached = reply.ok
        except (aiohttp.ClientError, OSError) as error:
            _log.debug("no hint to the web app at %s: %s", address, error)
            reached = False
        WEBAPP_HINTS.labels(result="sent" if reached else "failed").inc()
        return reached
