"""The webhook channel: a CloudEvent is posted to a URL, signed, and whatever is there can do us no harm."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from hitl.core.notices import NotDelivered, NoticeEvent
from hitl.notify.addresses import Resolve, checked_addresses, resolve
from hitl.notify.cdevents import cd_event
from hitl.notify.channels import Message
from hitl.notify.cloudevents import CONTENT_TYPE, cloud_event
from hitl.notify.signing import key_of, signed_headers
from hitl.notify.targets import WebhookTarget
from hitl.records.records import utc_now
from hitl.tls import tls_context

if TYPE_CHECKING:
    import httpx

REPLY_SECONDS: Final = 10.0

_CONNECT_SECONDS: Final = 3.0
_GONE: Final = 410
_PORTS: Final = {"http": 80, "https": 443}


class Webhook:
    """Posts messages to one target.

    Args:
        target: Where to.
        private: Whether http, and addresses that are not public, are allowed.
        now: The present moment, with a time zone.
        resolve: Returns the addresses of a host.
    """

    def __init__(
        self,
        target: WebhookTarget,
        *,
        private: bool,
        now: Callable[[], datetime] = utc_now,
        resolve: Resolve = resolve,
    ) -> None:
        self.name = target.name
        self.events: frozenset[NoticeEvent] = frozenset(target.events)
        self._url = target.url.get_secret_value()
        self._keys = [key_of(each.get_secret_value()) for each in target.secrets]
        self._body = cd_event if target.format == "cdevents" else cloud_event
        self._private = private
        self._now = now
        self._resolve = resolve

    async def send(self, message: Message) -> str:
        """Post a message. Webhooks give no receipt.

        Raises:
            NotDelivered: the target did not take it.
        """
        # Loaded here: most programs tell nobody anything, and start sooner without.
        import httpx

        body = self._body(message)
        headers = signed_headers(self._keys, message.id, self._now(), body) | {"Content-Type": CONTENT_TYPE}
        try:
            async with asyncio.timeout(REPLY_SECONDS):
                await self._post(httpx.URL(self._url), headers, body)
        except TimeoutError:
            raise NotDelivered(f"it did not reply within {REPLY_SECONDS:.0f} s") from None
        except httpx.InvalidURL:
            raise NotDelivered("its URL cannot be used") from None
        except httpx.HTTPError as error:
            raise NotDelivered(_why(error)) from None
        return ""

    async def _post(self, url: httpx.URL, headers: dict[str, str], body: bytes) -> None:
        import httpx

        if url.scheme != "https" and not self._private:
            raise NotDelivered("it is not https: HITL_NOTIFY_PRIVATE=allow permits that")
        port = url.port or _PORTS[url.scheme]
        addresses = await checked_addresses(url.host, port, private=self._private, resolve=self._resolve)
        # The transport alone: a client would follow proxies, which resolve the name once more, and log the URL.
        async with httpx.AsyncHTTPTransport(verify=tls_context()) as transport:
            for number, address in enumerate(addresses, 1):
                request = httpx.Request(
                    "POST",
                    url.copy_with(host=address),
                    headers={**headers, "Host": url.netloc.decode(), "User-Agent": "hitl"},
                    content=body,
                    extensions={
                        "sni_hostname": url.raw_host.decode(),
                        "timeout": httpx.Timeout(REPLY_SECONDS, connect=_CONNECT_SECONDS).as_dict(),
                    },
                )
                try:
                    # What it replies is not read: however much it is, the connection is closed.
                    reply = await transport.handle_async_request(request)
                except (httpx.ConnectError, httpx.ConnectTimeout):
                    if number == len(addresses):
                        raise
                else:
                    await reply.aclose()
                    _require_taken(reply.status_code, reply.headers.get("retry-after", ""), self._now())
                    return


def _require_taken(status: int, retry_after: str, now: datetime) -> None:
    if 200 <= status < 300:
        return
    redirect = ", a redirect, which is not followed" if 300 <= status < 400 else ""
    raise NotDelivered(f"it answered {status}{redirect}", wait=retry_wait(retry_after, now), gone=status == _GONE)


def retry_wait(text: str, now: datetime) -> timedelta | None:
    """Return how long a Retry-After asks to wait; None: it cannot be read.

    Args:
        text: The header: seconds, or a date.
        now: The present moment, with a time zone.
    """
    if re.fullmatch("[0-9]{1,9}", text.strip(), re.ASCII):
        return timedelta(seconds=int(text))
    try:
        moment = parsedate_to_datetime(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now
    except (ValueError, OverflowError):
        return None


def _why(error: Exception) -> str:
    # What httpx says may repeat the URL, which may be a secret.
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "its certificate is not accepted"
        cause = cause.__cause__ or cause.__context__
    return f"it cannot be reached, or its reply is not HTTP ({type(error).__name__})"
