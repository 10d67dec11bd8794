"""All other services, through apprise: text with the form's plain address."""

from __future__ import annotations

import asyncio
import functools
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from importlib.util import find_spec
from typing import Annotated, Final, Literal

from pydantic import Field, SecretStr, field_validator

from hitl.core.noticekeys import TARGET_PATTERN
from hitl.core.notices import NotDelivered, NoticeEvent
from hitl.errors import InvalidRequest
from hitl.extras import how_to_install
from hitl.notify.channels import Message
from hitl.notify.targets import Target
from hitl.notify.words import Part, subject_of, text_of, usable

SEND_SECONDS: Final = 11.0

_MOST_THREADS: Final = 8
# What these write down may hold the URL, which is a secret.
_LOGGERS: Final = ("apprise", "urllib3.connectionpool")
_ours: ContextVar[bool] = ContextVar("ours", default=False)


class AppriseTarget(Target):
    """A service that apprise knows."""

    type: Literal["apprise"] = "apprise"
    """Its channel."""
    name: Annotated[str, Field(pattern=TARGET_PATTERN)] = "apprise"
    """Its name in keys, logs and commands: at most 40 of a-z, 0-9 and `-`."""
    url: SecretStr
    """The service, as apprise names it, such as `tgram://…`. It is never logged."""

    @field_validator("url")
    @classmethod
    def _printable(cls, url: SecretStr) -> SecretStr:
        text = url.get_secret_value()
        if "://" not in text or not text.isprintable():
            raise ValueError("it is no URL of apprise such as tgram://TOKEN/CHAT")
        return url


class Service:
    """Sends messages to one service.

    Args:
        target: The service.
        private: Whether addresses may be used that are not public: where apprise leads, nobody can check.

    Raises:
        InvalidRequest: apprise is not installed.
    """

    def __init__(self, target: AppriseTarget, *, private: bool) -> None:
        if find_spec("apprise") is None:
            raise InvalidRequest(f"notices by apprise need apprise: {how_to_install('apprise')}")
        self.name = target.name
        self.events: frozenset[NoticeEvent] = frozenset(target.events)
        self._url = target.url.get_secret_value()
        self._private = private
        self._free = threading.BoundedSemaphore(_MOST_THREADS)

    async def send(self, message: Message) -> str:
        """Send a message. Services give no receipt.

        Raises:
            NotDelivered: apprise could not send it. It says why in its log alone, which may name the URL.
        """
        if not self._private:
            raise NotDelivered("apprise may lead to any address: HITL_NOTIFY_PRIVATE=allow permits that")
        members = message.digest or (message,)
        parts = [
            Part(each, each.question, usable(each.form_url()), personal=False)
            for each in members
            if each.question is not None
        ]
        try:
            async with asyncio.timeout(SEND_SECONDS):
                why = await self._in_thread(
                    functools.partial(_notify, self._url, subject_of(message), text_of(parts))
                )
        except TimeoutError:
            why = f"it took more than {SEND_SECONDS:.0f} s"
        if why:
            raise NotDelivered(why)
        return ""

    async def _in_thread(self, work: Callable[[], str]) -> str:
        """Do some work in a thread of its own, which keeps no program from ending."""
        if not self._free.acquire(blocking=False):
            raise NotDelivered("earlier messages to it are still being sent")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[str] = loop.create_future()

        def tell(why: str) -> None:
            if not done.done():
                done.set_result(why)

        def run() -> None:
            try:
                why = work()
            finally:
                self._free.release()
            # A loop that has ended has nobody who waits.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(tell, why)

        threading.Thread(target=run, name="hitl-apprise", daemon=True).start()
        return await done


def _notify(url: str, title: str, body: str) -> str:
    """Send a text; return why that failed, as a sentence part; empty: it did not."""
    # The thread is ours, so this need not be taken back. Apprise hands it on to threads of its own.
    _ours.set(True)
    try:
        # Loaded here: it takes a second, and most programs do without.
        import apprise

        _silence()
        # Nothing is kept in files.
        service = apprise.Apprise(asset=apprise.AppriseAsset(async_mode=False, storage_mode="memory"))
        if not service.add(url):
            return "apprise knows no such URL"
        sent = service.notify(body=body, title=title, body_format=apprise.NotifyFormat.TEXT)
        return "" if sent else "apprise could not send it"
    except Exception as error:  # noqa: BLE001 - the plugins are many, and what they say may be secret
        return f"apprise failed ({type(error).__name__})"


@functools.cache
def _silence() -> None:
    """Have nothing written down of what we send, and leave what others send alone."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(lambda _: not _ours.get())
