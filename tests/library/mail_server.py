"""A mail server on a socket of its own: TLS, a user, and what a test says about each address."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

USER, PASSWORD = "hitl", "of the mail server"


@dataclass
class MailServer:
    """What came, and what it replies: to an address, or to the data of a mail, each reply once."""

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    envelopes: list[tuple[str, list[str]]] = field(default_factory=list)
    recipients: dict[str, list[str]] = field(default_factory=dict)
    data: list[str] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)

    def to(self, person: str) -> list[EmailMessage]:
        return [each for each in self.mails if each["To"] == person]

    async def until(self, number: int) -> None:
        """Wait until so many mails came."""
        async with asyncio.timeout(120):
            while len(self.mails) < number:
                self.came.clear()
                await self.came.wait()

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, _: Any) -> str:
        replies = self.recipients.get(address)
        if replies:
            return replies.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.data:
            return self.data.pop(0)
        assert isinstance(envelope.content, bytes)
        mail = message_from_bytes(envelope.content, policy=default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        self.envelopes.append((envelope.mail_from or "", envelope.rcpt_tos))
        self.came.set()
        return "250 OK"

    def authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, given: Any
    ) -> AuthResult:
        known = isinstance(given, LoginPassword) and (given.login, given.password) == (
            USER.encode(),
            PASSWORD.encode(),
        )
        return AuthResult(success=known, handled=False)


@asynccontextmanager
async def mail_server(
    starttls: ssl.SSLContext | None = None, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[MailServer]:
    """Serve a mail server on this machine, which asks for a user where it has STARTTLS."""
    found, loop = MailServer(), asyncio.get_running_loop()

    def session() -> SMTP:
        return SMTP(
            found,
            hostname="mail.example.org",
            loop=loop,
            tls_context=starttls,
            require_starttls=starttls is not None,
            authenticator=found.authenticate,
            auth_required=starttls is not None,
        )

    logging.getLogger("mail.log").setLevel(logging.ERROR)  # the server's own: it writes down all mails
    server = await loop.create_server(session, host, 0, ssl=tls)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.close()
