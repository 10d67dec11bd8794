"""The channel: posts a message for each question, and updates it when the question has ended."""

from __future__ import annotations

from hitl.core.notices import NoticeEvent
from hitl.errors import InvalidRequest
from hitl.notify.channels import Message
from hitl.notify.slack import blocks
from hitl.notify.slack.api import Api, MessageLost
from hitl.notify.slack.payloads import Place
from hitl.notify.slack.targets import SlackTarget
from hitl.notify.slack.texts import Block


class Slack:
    """Tells people in one channel of a Slack workspace.

    Args:
        target: Which channel.
        private: Whether Slack's Web API may be reached without TLS, as where a stand-in for it runs.

    Raises:
        InvalidRequest: slack-sdk is not installed, or the tokens would be sent without TLS.
    """

    def __init__(self, target: SlackTarget, *, private: bool = False) -> None:
        if target.api_url.startswith("http:") and not private:
            raise InvalidRequest("api_url is not https: HITL_NOTIFY_PRIVATE=allow permits that")
        self.name = target.name
        self.events: frozenset[NoticeEvent] = frozenset(target.events)
        self.target = target
        self._api = Api(target.bot_token.get_secret_value(), target.api_url)

    async def send(self, message: Message) -> str:
        """Post a message, or update the one about the same question.

        Slack knows no ids of ours: what is sent again, because a process was killed, is there twice.

        Returns:
            The channel and the time of the message, by which Slack knows it.

        Raises:
            NotDelivered: Slack did not take it.
        """
        if message.digest:
            # No receipt: what comes later about one of its questions must not replace it.
            await self._post(blocks.digest(message.digest))
            return ""
        if message.question is None:
            await self._post(blocks.test())
            return ""
        first = first_place(message)
        if message.event == "asked" or (first is None and message.outcome is None):
            answers = self.target.app_token is not None
            return await self._post(blocks.asked(message, message.question, answers=answers))
        if message.outcome is None:
            return await self._post(blocks.reminder(message, message.question), first)
        content = blocks.settled(message.question, message.outcome)
        if first is not None:
            try:
                await self._api.update(first.channel, first.at, content)
            except MessageLost:
                return await self._post(content)
            return first.receipt()
        return await self._post(content)

    async def _post(self, content: Block, thread: Place | None = None) -> str:
        channel, at = (self.target.channel, "") if thread is None else (thread.channel, thread.at)
        reply = await self._api.post(channel, content, at)
        place = Place.of(f"{reply.get('channel')}/{reply.get('ts')}")
        return "" if place is None else place.receipt()


def first_place(message: Message) -> Place | None:
    """Return where the first message about the question of a later one is; None: nowhere, as far as is known."""
    places = [(name, Place.of(receipt)) for name, receipt in message.receipts.items()]
    known = [(name != "asked", float(place.at), place) for name, place in places if place is not None]
    return min(known, key=lambda each: each[:2])[2] if known else None
