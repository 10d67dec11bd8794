"""The channel: one mail to each person, with a link of their own where links may answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from email.message import EmailMessage
from importlib.util import find_spec
from itertools import starmap
from typing import Final

from hitl.core.escalation import may_answer
from hitl.core.noticekeys import NoticeBox
from hitl.core.notices import NotDelivered, NoticeEvent
from hitl.core.personal import link_is_enough
from hitl.core.urls import form_url
from hitl.errors import InvalidRequest, StorageError
from hitl.extras import how_to_install
from hitl.notify.addresses import Resolve, resolve
from hitl.notify.channels import Message
from hitl.notify.mail.addresses import address_of, mark_of
from hitl.notify.mail.letters import letter
from hitl.notify.mail.smtp import connected, hand_over
from hitl.notify.mail.target import MailTarget
from hitl.notify.words import Part, usable
from hitl.records.links import personal_link
from hitl.records.recipients import ended_boxes, note_recipient
from hitl.records.records import utc_now
from hitl.storage import Store

SEND_SECONDS: Final = 9.0
"""How long all mails of a message may take. Who drives the channel waits some seconds more: for what is noted."""

_AT_ONCE: Final = 16
_MARKED_CHARS: Final = 27
_log = logging.getLogger("hitl")


class Mail:
    """Sends mails to the people of one target.

    Args:
        target: Who, and through which server.
        private: Whether a server without TLS, or at an address that is not public, may be used.
        now: The present moment, with a time zone.
        resolve: Returns the addresses of a host.

    Raises:
        InvalidRequest: aiosmtplib is not installed.
    """

    def __init__(
        self,
        target: MailTarget,
        *,
        private: bool,
        now: Callable[[], datetime] = utc_now,
        resolve: Resolve = resolve,
    ) -> None:
        if find_spec("aiosmtplib") is None:
            raise InvalidRequest(f"notices by mail need aiosmtplib: {how_to_install('mail')}")
        self.name = target.name
        self.events: frozenset[NoticeEvent] = frozenset(target.events)
        self._target = target
        self._private = private
        self._now = now
        self._resolve = resolve

    async def send(self, message: Message) -> str:
        """Send a message to each of its people who did not get it before.

        Returns:
            The message's id, by which later mails refer to this one.

        Raises:
            NotDelivered: somebody did not get it. Who did is noted, so that the next try leaves them out.
        """
        wanted = await self._wanted(message)
        told, failure = dict[str, str](), None
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._send_all(message, wanted, told)
        except NotDelivered as error:
            failure = error
        except TimeoutError:
            failure = NotDelivered(f"its server did not take all mails within {SEND_SECONDS:.0f} s")
        except StorageError:
            failure = NotDelivered("the storage did not take a link")
        refused = {person: why for person, why in told.items() if why}
        if refused and len(refused) == len(self._people(message)):
            raise NotDelivered(next(iter(refused.values())), gone=True)
        for person, why in (refused if failure is None else told).items():
            await self._note(person, wanted[person], why)
        if failure is not None:
            raise failure
        return "" if message.digest else message.id

    async def _send_all(
        self, message: Message, wanted: Mapping[str, tuple[Message, ...]], told: dict[str, str]
    ) -> None:
        """Send the mails, and put into `told` who got theirs, or why they never will."""
        if not wanted:
            return
        failure: NotDelivered | None = None
        async with connected(
            self._target, private=self._private, resolve=self._resolve, seconds=SEND_SECONDS
        ) as client:
            for person, members in wanted.items():
                mail = await self._mail(person, message, members)
                try:
                    told[person] = await hand_over(client, self._target.sender, person, mail)
                except NotDelivered as error:
                    failure = error
                    if not client.is_connected:
                        break
        if failure is not None:
            raise failure

    async def _mail(self, person: str, message: Message, members: tuple[Message, ...]) -> EmailMessage:
        slots = asyncio.Semaphore(_AT_ONCE)

        async def part(member: Message) -> Part | None:
            async with slots:
                return await self._part(member, person)

        parts = [each for each in await asyncio.gather(*map(part, members)) if each is not None]
        said = members[0] if len(members) == 1 else replace(message, digest=members)
        return letter(self._target, person, said, parts, self._now())

    async def _wanted(self, message: Message) -> dict[str, tuple[Message, ...]]:
        """Return the people, each with what they did not get before."""
        people = self._people(message)
        if len(people) < 2:
            return people
        stores = {each.kept.request.request_id: each.kept.store for each in _members(message) if each.kept}
        slots = asyncio.Semaphore(_AT_ONCE)

        async def look(request_id: str, store: Store) -> frozenset[NoticeBox]:
            async with slots:
                return await ended_boxes(store, request_id)

        ended = frozenset[NoticeBox]().union(*await asyncio.gather(*starmap(look, stores.items())))
        left = {
            person: tuple(each for each in members if self._box(each, person) not in ended)
            for person, members in people.items()
        }
        return {person: members for person, members in left.items() if members}

    def _people(self, message: Message) -> dict[str, tuple[Message, ...]]:
        """Return the people, each with the messages that are for them."""
        found = dict[str, tuple[str, tuple[Message, ...]]]()
        for member in _members(message):
            for person in self._addresses(member):
                spelled, before = found.get(person.lower(), (person, ()))
                found[person.lower()] = spelled, (*before, member)
        return dict(found.values())

    def _addresses(self, message: Message) -> Sequence[str]:
        if message.question is None:
            return self._target.to or [self._target.sender]
        named = may_answer(message.question, message.at).users if self._target.respondents else []
        # Spelled as the question has it: that is who may answer.
        asked = [each for each in named if (address_of(each) or "").lower() == each.lower()]
        return list({each.lower(): each for each in (*self._target.to, *asked)}.values())

    async def _part(self, message: Message, person: str) -> Part | None:
        question, kept, key = message.question, message.kept, self._target.link_key
        if question is None:
            return None
        token = ""
        enough = link_is_enough(question, person, message.at)
        if key and kept and message.outcome is None and question.app_endpoint and enough:
            secret = key.get_secret_value().encode()
            token = await personal_link(kept.store, kept.request, person, key=secret, now=self._now())
        url = form_url(question.app_endpoint, question.request_id, token=token) if token else message.form_url()
        return Part(message, question, usable(url), bool(token))

    def _box(self, message: Message, person: str) -> NoticeBox | None:
        if message.kept is None:
            return None
        # Another target may have the same name: one of a program, or one in a namespace beside the operator's own.
        through = self._target
        known = f"{self.name} {through.user} {through.sender} {through.host}:{through.at_port} {person.lower()}"
        target = f"{self.name[:_MARKED_CHARS].rstrip('-')}-{mark_of(known)}"
        return NoticeBox(message.kept.request.request_id, message.kept.notice, target)

    async def _note(self, person: str, members: Sequence[Message], why: str) -> None:
        for each in members:
            if (box := self._box(each, person)) is None or each.kept is None:
                continue
            if why:
                _log.warning(
                    "%s: the notice %r to %s is given up: %s", box.request_id, box.notice, box.target, why
                )
            await note_recipient(each.kept.store, box, self._now(), why)


def _members(message: Message) -> tuple[Message, ...]:
    return message.digest or (message,)
