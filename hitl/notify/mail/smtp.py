"""Handing mails to a mail server, which can do us no harm."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from email.message import EmailMessage
from typing import TYPE_CHECKING, Final

from hitl.core.notices import NotDelivered
from hitl.notify.addresses import Resolve, checked_addresses
from hitl.notify.mail.target import MailTarget
from hitl.tls import tls_context

if TYPE_CHECKING:
    from aiosmtplib import SMTP

_CONNECT_SECONDS: Final = 3.0
_REFUSED: Final = 500


@asynccontextmanager
async def connected(target: MailTarget, *, private: bool, resolve: Resolve, seconds: float) -> AsyncIterator[SMTP]:
    """Connect to a mail server, and sign in.

    Args:
        target: Which server.
        private: Whether one without TLS, or at an address that is not public, may be used.
        resolve: Returns the addresses of a host.
        seconds: How long each reply may take.

    Raises:
        NotDelivered: it cannot be used, or the connection was lost.
    """
    # Loaded here: most programs send no mail.
    import aiosmtplib

    if target.security == "none" and not private:
        raise NotDelivered("it is not TLS: HITL_NOTIFY_PRIVATE=allow permits that")
    client = aiosmtplib.SMTP(
        hostname=target.host,
        sock=await _socket(target, private=private, resolve=resolve),
        use_tls=target.security == "tls",
        start_tls=target.security == "starttls",
        tls_context=None if target.security == "none" else tls_context(),
        username=target.user or None,
        password=target.password.get_secret_value() or None,
        local_hostname=target.domain,
        timeout=seconds,
    )
    try:
        await client.connect()
        yield client
        with suppress(aiosmtplib.SMTPException):
            await client.quit()
    except (aiosmtplib.SMTPException, OSError) as error:
        raise NotDelivered(_why(error)) from None
    finally:
        client.close()


async def hand_over(client: SMTP, sender: str, person: str, mail: EmailMessage) -> str:
    """Hand a mail to the server.

    Returns:
        Why it never will take it, as a sentence part; empty: it took it.

    Raises:
        NotDelivered: it may take it later.
    """
    import aiosmtplib

    try:
        await client.sendmail(sender, [person], mail.as_bytes())
    except aiosmtplib.SMTPRecipientsRefused as refused:
        code = refused.recipients[0].code
        if code >= _REFUSED:
            return f"its server refuses the address {person} ({code})"
        raise NotDelivered(f"its server does not take mail for {person} now ({code})") from None
    except aiosmtplib.SMTPDataError as refused:
        if refused.code >= _REFUSED:
            return f"its server refuses the mail to {person} ({refused.code})"
        raise NotDelivered(f"its server does not take mail now ({refused.code})") from None
    except (aiosmtplib.SMTPException, OSError) as error:
        raise NotDelivered(_why(error)) from None
    return ""


async def _socket(target: MailTarget, *, private: bool, resolve: Resolve) -> socket.socket:
    # To an address that was checked: the library would resolve the name once more.
    found = await checked_addresses(target.host, target.at_port, private=private, resolve=resolve)
    for address in found:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setblocking(False)
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                await asyncio.get_running_loop().sock_connect(sock, (address, target.at_port))
        except OSError:
            sock.close()
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise NotDelivered("its server cannot be reached")


def _why(error: Exception) -> str:
    # What the library says may repeat what the server wrote.
    import aiosmtplib

    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "the certificate of its server is not accepted"
        cause = cause.__cause__ or cause.__context__
    match error:
        case aiosmtplib.SMTPAuthenticationError():
            return f"its server does not accept user and password ({error.code})"
        case aiosmtplib.SMTPSenderRefused():
            return f"its server does not take mail from this sender ({error.code})"
        case aiosmtplib.SMTPResponseException():
            return f"its server answered {error.code}"
        case aiosmtplib.SMTPTimeoutError():
            return "its server did not reply in time"
        case aiosmtplib.SMTPException() if not isinstance(error, OSError):
            return "its server does not offer what security and user ask for"
    return f"its server cannot be reached, or does not speak SMTP ({type(error).__name__})"
