"""The channel through apprise, with its own plugin that posts JSON to a real receiver."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from hitl.core.notices import NotDelivered, Notice
from hitl.errors import InvalidRequest
from hitl.notify import services
from hitl.notify.channels import Channel, Message
from hitl.notify.opening import channels_of
from hitl.storage import Store
from tests.library.receiver import Receiver, receiving
from tests.library.samples import DEADLINE, NOW, asked

# What apprise loads has this of its own.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as found:
        yield found


def to(receiver: Receiver, *, private: bool = True, url: str = "") -> Channel:
    url = url or f"json://user:of-the-service@127.0.0.1:{receiver.port}/a-secret-path"
    [channel] = channels_of(json.dumps([{"type": "apprise", "url": url}]), private=private)
    return channel


async def told(request_id: str = "a-question") -> Message:
    store = Store(f"memory://{datetime.now(UTC).timestamp()}")
    request = await asked(store, request_id, prompt="Ship *2.4*?", endpoint="https://hitl.example.org")
    return Message.of(request, Notice("asked", NOW, DEADLINE), None, {}, store)


def posted(receiver: Receiver) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(receiver.bodies[-1])
    return found


async def test_a_service_gets_the_text_with_the_plain_address_and_no_log_its_url(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    channel = to(receiver)
    assert (channel.name, await channel.send(await told())) == ("apprise", "")
    assert posted(receiver)["title"] == "number: Ship *2.4*?"
    lines = posted(receiver)["message"].splitlines()
    assert "> Ship *2.4*?" in lines
    assert lines[-1] == "Answer: https://hitl.example.org/form/a-question"
    receiver.replies = [b"HTTP/1.1 500 a-secret-path\r\nContent-Length: 0\r\n\r\n"]
    with pytest.raises(NotDelivered, match="apprise could not send it") as failed:
        await channel.send(await told())
    assert not failed.value.gone
    logging.getLogger("apprise").warning("somebody else's")
    assert "somebody else's" in caplog.text
    assert not [each for each in ("a-secret-path", "of-the-service", "Ship") if each in caplog.text]


async def test_a_digest_is_one_list(receiver: Receiver) -> None:
    digest = Message("digest_1", None, NOW, digest=(await told("one"), await told("two")))
    await to(receiver).send(digest)
    assert posted(receiver)["title"] == "2 notices of questions"
    shown = posted(receiver)["message"]
    assert [f"Answer: https://hitl.example.org/form/{each}" in shown for each in ("one", "two")] == [True, True]
    await to(receiver).send(Message("test_1", None, NOW))
    assert posted(receiver)["message"].startswith("This is a test.")


async def test_what_cannot_be_checked_is_refused_and_silence_is_bounded(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NotDelivered, match="may lead to any address"):
        await to(receiver, private=False).send(await told())
    with pytest.raises(NotDelivered, match="knows no such URL"):
        await to(receiver, url="nosuchservice://a-secret-path").send(await told())
    with pytest.raises(InvalidRequest, match="no URL of apprise") as refused:
        to(receiver, url="a-secret-path")
    assert "a-secret-path" not in str(refused.value)
    assert receiver.bodies == []
    monkeypatch.setattr(services, "SEND_SECONDS", 0.5)
    receiver.replies = [None]
    with pytest.raises(NotDelivered, match="it took more than"):
        await to(receiver).send(await told())
