"""The connection to Slack in Socket Mode: Slack sends envelopes, and each is acknowledged at once.

`slack_sdk.socket_mode` is not used: it keeps what it receives without a limit, and, when a connection fails, it
tries the address again that was good for one connection only. What remains is short.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hitl.core.notices import NotDelivered
from hitl.notify.slack.api import Api
from hitl.storage import ticks

if TYPE_CHECKING:
    from aiohttp import ClientSession, ClientWebSocketResponse

ACK_SECONDS: Final = 2.5
"""Slack waits three seconds, then it tells the person that something went wrong."""

_CONNECT_SECONDS: Final = 10.0
_HEARTBEAT_SECONDS: Final = 10.0
_CLOSE_SECONDS: Final = 2.0
_STEADY_SECONDS: Final = 30.0
_FIRST_PAUSE_SECONDS: Final = 0.5
_LONGEST_PAUSE_SECONDS: Final = 60.0
_LONGEST_WAIT: Final = timedelta(minutes=15)
_MOST_BYTES: Final = 1024 * 1024

_log = logging.getLogger("hitl")


class Envelope(BaseModel):
    """What Slack sends."""

    model_config = ConfigDict(extra="ignore", strict=True)

    type: str = Field(max_length=64)
    envelope_id: str = Field(default="", max_length=256)
    payload: Any = None


class Socket:
    """A connection that is made again whenever it ends.

    Args:
        api: Slack's Web API, with the app's token for Socket Mode.
        token: That token.
        take: Given a payload, returns what the acknowledgement says, empty for nothing; None: it is not taken, and
            not acknowledged.
    """

    def __init__(self, api: Api, token: str, take: Callable[[object], Mapping[str, Any] | None]) -> None:
        self._api = api
        self._token = token
        self._take = take
        self._failure = ""

    async def run(self) -> None:
        """Stay connected until this is cancelled."""
        pause = 0.0
        while True:
            began, wait = ticks(), timedelta()
            try:
                await self._connected()
            except NotDelivered as failure:
                wait = min(failure.wait or wait, _LONGEST_WAIT)
                if failure.why != self._failure:
                    _log.warning("answers by Slack do not arrive, retried automatically: %s", failure.why)
                self._failure = failure.why
            except Exception as error:  # noqa: BLE001 - nothing that comes may end it, and its text may be secret
                _log.error("answers by Slack are held up: %s", type(error).__name__)
            steady = ticks() - began >= _STEADY_SECONDS
            pause = 0.0 if steady else min(max(_FIRST_PAUSE_SECONDS, pause * 2), _LONGEST_PAUSE_SECONDS)
            spread = 0.5 + random.random() / 2  # noqa: S311 - no secret
            await asyncio.sleep(max(pause * spread, wait.total_seconds()))

    async def _connected(self) -> None:
        import aiohttp

        reply = await self._api.call(self._api.client.apps_connections_open(app_token=self._token))
        url, over_tls = reply.get("url"), self._api.client.base_url.startswith("https:")
        if not isinstance(url, str) or not url.startswith("wss://" if over_tls else ("ws://", "wss://")):
            raise NotDelivered("what replied is not Slack")
        try:
            async with aiohttp.ClientSession() as session, await self._opened(session, url) as connection:
                self._failure = ""
                _log.info("answers by Slack arrive")
                await self._receive(connection)
        except TimeoutError:
            raise NotDelivered("Slack does not reply") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise NotDelivered(f"Slack cannot be reached ({type(error).__name__})") from None

    async def _opened(self, session: ClientSession, url: str) -> ClientWebSocketResponse:
        import aiohttp

        async with asyncio.timeout(_CONNECT_SECONDS):
            return await session.ws_connect(
                url,
                heartbeat=_HEARTBEAT_SECONDS,
                max_msg_size=_MOST_BYTES,
                proxy=self._api.client.proxy,
                timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_SECONDS),
            )

    async def _receive(self, connection: ClientWebSocketResponse) -> None:
        """Take what comes, until Slack ends the connection, or says that it will."""
        async for message in connection:
            try:
                envelope = Envelope.model_validate(json.loads(message.data))
            except (TypeError, ValueError, RecursionError, ValidationError):
                continue
            if envelope.type == "disconnect":
                return
            if not envelope.envelope_id:
                continue
            # What is not interactive is for another purpose of the app.
            said = self._take(envelope.payload) if envelope.type == "interactive" else {}
            if said is None:
                continue
            answer = {"envelope_id": envelope.envelope_id} | ({"payload": said} if said else {})
            async with asyncio.timeout(ACK_SECONDS):
                await connection.send_str(json.dumps(answer))
