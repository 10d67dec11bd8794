"""Slack's Web API, by `slack-sdk`, and what its errors mean. Nothing that Slack wrote is repeated."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from hitl.core.notices import NotDelivered
from hitl.errors import InvalidRequest
from hitl.extras import how_to_install
from hitl.notify.slack.texts import MOST_PROMPT_CHARS, escaped, literal
from hitl.notify.webhook import retry_wait
from hitl.records.records import utc_now

if TYPE_CHECKING:
    from slack_sdk.web.async_client import AsyncWebClient

BASE_URL: Final = "https://slack.com/api/"
REPLY_SECONDS: Final = 10.0

_REFUSED: Final = "Slack does not accept the token: copy the app's tokens again, as it may have been reinstalled"
_NO_CHANNEL: Final = "Slack knows no such channel for the app: check the id in `channel`, and invite the app to it"
_SENTENCES: Final[Mapping[str, str]] = {
    "account_inactive": "the app was removed from the workspace, or its token was revoked: install it again",
    "channel_not_found": _NO_CHANNEL,
    "invalid_auth": _REFUSED,
    "is_archived": "the channel is archived: name another one in `channel`",
    "missing_scope": "the app lacks a scope: add chat:write, users:read and users:read.email, and reinstall it",
    "msg_too_long": "Slack says that the message is too long",
    "not_allowed_token_type": "the token is of another kind: bot_token is xoxb-…, and app_token is xapp-…",
    "not_authed": _REFUSED,
    "not_in_channel": _NO_CHANNEL,
    "expired_trigger_id": "Slack gave us too little time: click again",
    "restricted_action": "the workspace does not let the app post in the channel: ask those who run the workspace",
    "user_not_found": "Slack knows no such user in the workspace",
    "token_expired": _REFUSED,
    "token_revoked": _REFUSED,
}
_LOST: Final = frozenset({"message_not_found", "cant_update_message", "edit_window_closed"})
_TOO_MANY: Final = 429


class MessageLost(NotDelivered):
    """The message that was to be updated is not there any more, or may not be changed."""


class Api:
    """The Web API, for one app in one workspace.

    Args:
        token: The bot token, or the app's token for Socket Mode.
        url: Where the Web API is; empty: at Slack's own address.
        now: The present moment, with a time zone.

    Raises:
        InvalidRequest: slack-sdk is not installed.
    """

    def __init__(self, token: str, url: str, now: Callable[[], datetime] = utc_now) -> None:
        # Loaded here: most programs tell nobody by Slack.
        try:
            from slack_sdk.web.async_client import AsyncWebClient
        except ImportError as error:
            raise InvalidRequest(f"Slack needs the extra slack: {how_to_install('slack')}") from error
        self._now = now
        self.client: AsyncWebClient = AsyncWebClient(
            token, url or BASE_URL, timeout=round(REPLY_SECONDS), logger=silent(), retry_handlers=[]
        )

    async def post(self, channel: str, content: Mapping[str, Any], thread: str = "") -> Mapping[str, Any]:
        """Post a message, to a thread if one is named; return Slack's reply.

        Raises:
            NotDelivered: Slack did not take it.
        """
        return await self.call(self.client.chat_postMessage(channel=channel, thread_ts=thread or None, **content))

    async def update(self, channel: str, at: str, content: Mapping[str, Any]) -> None:
        """Replace what a message says.

        Raises:
            MessageLost: it is not there any more, or may not be changed.
            NotDelivered: Slack did not take it.
        """
        given = {name: content[name] for name in ("text", "blocks", "parse", "link_names")}
        await self.call(self.client.chat_update(channel=channel, ts=at, **given))

    async def whisper(self, channel: str, user: str, text: str) -> None:
        """Tell one person something where a message is.

        Args:
            channel: The channel's id.
            user: The user's id.
            text: What is told; Slack looks for nothing in it.

        Raises:
            NotDelivered: Slack did not take it.
        """
        section = {"type": "section", "text": literal(text, MOST_PROMPT_CHARS)}
        await self.call(
            self.client.chat_postEphemeral(
                channel=channel,
                user=user,
                text=escaped(text, MOST_PROMPT_CHARS),
                parse="none",
                blocks=[section],
            )
        )

    async def open_view(self, trigger: str, view: Mapping[str, Any]) -> None:
        """Open a form for who clicked.

        Raises:
            NotDelivered: Slack did not open it.
        """
        await self.call(self.client.views_open(trigger_id=trigger, view=dict(view)))

    async def call(self, calling: Awaitable[Any]) -> Mapping[str, Any]:
        """Return the reply to a call of the client.

        Raises:
            MessageLost, NotDelivered: it failed.
        """
        import aiohttp
        from slack_sdk.errors import SlackClientError

        try:
            async with asyncio.timeout(REPLY_SECONDS):
                reply = await calling
            if isinstance(reply.data, dict):
                return reply.data
        except SlackClientError as error:
            raise self._failure(getattr(error, "response", None)) from None
        except TimeoutError:
            raise NotDelivered(f"Slack did not reply within {REPLY_SECONDS:.0f} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise NotDelivered(f"Slack cannot be reached ({type(error).__name__})") from None
        except (AttributeError, LookupError, TypeError, ValueError):
            # The client takes it that each reply is an object.
            pass
        raise NotDelivered("what replied is not Slack")

    def _failure(self, reply: Any) -> NotDelivered:
        status = getattr(reply, "status_code", None) or getattr(reply, "status", 0)
        headers, data = getattr(reply, "headers", None) or {}, getattr(reply, "data", None)
        found = data.get("error") if isinstance(data, dict) else ""
        said = found if isinstance(found, str) else ""
        if status == _TOO_MANY or said in ("ratelimited", "rate_limited"):
            wait = retry_wait(str(headers.get("Retry-After", "")), self._now())
            return NotDelivered("Slack asks for fewer messages", wait=wait)
        if said in _LOST:
            return MessageLost("the message is not there any more, or may not be changed")
        if said in _SENTENCES:
            return NotDelivered(_SENTENCES[said])
        return NotDelivered(f"Slack answered {status}" if status != 200 else "Slack refused it")


def silent() -> logging.Logger:
    """Return a logger that writes nothing: what the client logs may hold tokens and answers."""
    logger = logging.Logger("slack_sdk", logging.CRITICAL + 1)
    logger.propagate = False
    return logger
