"""Telling open pages that the inbox changed: server-sent events, one stream a page, bounded in number and length.

A stream holds no queue: it only says that what its visitor sees is not what they saw before, and the page asks for
itself. So a slow reader costs nothing, and the server's own bound of unread replies ends it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final

from hitl.errors import HITLError
from hitl_webapp.inbox.queries import Query
from hitl_webapp.places import Places
from hitl_webapp.problems import TooMany

if TYPE_CHECKING:
    from datetime import datetime

    from hitl_webapp.auth import Principal
    from hitl_webapp.inbox.inbox import Inbox

MOST: Final = 300
# Nobody alone keeps the pages of others from being told.
_MOST_EACH: Final = 20
_LOOK_SECONDS: Final = 1.0
# With many streams each is looked at less often, so that all together take a small part of the time.
_LOOK_SECONDS_EACH: Final = 0.05
# Rights and deadlines may change what is seen, though no question did.
_LOOK_ANYHOW_SECONDS: Final = 30.0
_BEAT_SECONDS: Final = 15.0
# A page connects again by itself. By then a proxy may have forgotten the connection, or a pod may be gone.
_LONGEST_SECONDS: Final = 600.0
_CONNECT_AGAIN: Final = b"retry: 5000\n\n"
_BEAT: Final = b":\n\n"
# A browser that connects again says by the id what its page shows.
_CHANGED: Final = "id: {}\nevent: changed\ndata: {{}}\n\n"
_AWAY: Final = "away"


class Streams:
    """The streams of one web app.

    Args:
        inbox: The inbox.
        ending: Set when the server is told to end, which ends all streams at once.
        most: How many there may be.
    """

    def __init__(self, inbox: Inbox, ending: asyncio.Event, most: int = MOST) -> None:
        self._inbox = inbox
        self._ending = ending
        self._places = Places(most, _MOST_EACH)

    @property
    def open(self) -> int:
        """How many there are."""
        return self._places.taken

    def opened(
        self,
        visitor: str,
        look: Callable[[], Awaitable[Principal | None]],
        query: Query,
        now: Callable[[], Awaitable[datetime]],
        version: str = "",
    ) -> AsyncIterator[bytes]:
        """Return the bytes of a new stream.

        Args:
            visitor: The visitor's name.
            look: Finds the visitor again; None: they are not signed in any more, which ends the stream.
            query: What their page shows.
            now: The present moment, by the storage's clock.
            version: That of the list that the page shows; empty: what the first look finds.

        Raises:
            TooMany: there are as many streams as there may be, of all or of this visitor.
        """
        if not self._places.free_for(visitor):
            raise TooMany("Too many pages are open to tell each of changes: look again now and then.")
        return self._stream(visitor, self._events(look, query, now, version))

    async def _stream(self, visitor: str, events: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        # Of many that were asked for in the same moment, none had begun yet.
        if not self._places.free_for(visitor):
            return
        with self._places.one(visitor):
            async for each in events:
                yield each

    async def _events(
        self,
        look: Callable[[], Awaitable[Principal | None]],
        query: Query,
        now: Callable[[], Awaitable[datetime]],
        seen: str,
    ) -> AsyncIterator[bytes]:
        yield _CONNECT_AGAIN
        version, looked, beat = -1, 0.0, time.monotonic()
        until = beat + _LONGEST_SECONDS
        while not self._ending.is_set() and (moment := time.monotonic()) < until:
            self._inbox.touch()
            if self._inbox.version != version or moment - looked > _LOOK_ANYHOW_SECONDS:
                version, looked = self._inbox.version, moment
                shown = await self._unless_ending(self._looked(look, query, now))
                if shown is None:
                    return
                if seen not in ("", shown):
                    beat = moment
                    yield _CHANGED.format(shown).encode()
                seen = shown
            if moment - beat > _BEAT_SECONDS:
                beat = moment
                yield _BEAT
            await self._unless_ending(asyncio.sleep(max(_LOOK_SECONDS, _LOOK_SECONDS_EACH * self.open)))

    async def _looked(
        self, look: Callable[[], Awaitable[Principal | None]], query: Query, now: Callable[[], Awaitable[datetime]]
    ) -> str | None:
        """Return the version of what the visitor sees; None: they are not signed in any more."""
        try:
            principal = await look()
            if principal is None:
                return None
            return (await self._inbox.listing(principal, query, await now())).version
        except HITLError:
            # The page shows that itself, when it asks again.
            return _AWAY

    async def _unless_ending(self, work: Coroutine[Any, Any, str | None]) -> str | None:
        """Do something, which the end of the server cuts short: a storage may hang, and a pause may be long."""
        working, ending = asyncio.create_task(work), asyncio.create_task(self._ending.wait())
        try:
            await asyncio.wait([working, ending], return_when=asyncio.FIRST_COMPLETED)
            return working.result() if working.done() else None
        finally:
            working.cancel()
            ending.cancel()
