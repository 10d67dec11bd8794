"""The webhook channel against a real receiver: signed, and harmless whatever is at the other end."""

from __future__ import annotations

import dataclasses
import ipaddress
import json
import logging
import re
import ssl
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from standardwebhooks.webhooks import WebhookVerificationError

from hitl.core.approval import Approval
from hitl.core.documents import Origin, Respondent
from hitl.core.notices import NotDelivered, Notice
from hitl.errors import InvalidRequest
from hitl.notify import webhook
from hitl.notify.addresses import is_public
from hitl.notify.addresses import resolve as resolve_by_dns
from hitl.notify.channels import Message
from hitl.notify.opening import read_targets
from hitl.notify.targets import WebhookTarget
from hitl.notify.webhook import Webhook, retry_wait
from hitl.storage import Store
from tests.library.receiver import OTHER_SECRET, SECRET, Receiver, receiving
from tests.library.samples import DEADLINE, NOW, answer, asked, person, settle
from tests.web.identity_provider import certificate

PROMPT = "Ship *2.4* to production?"


@pytest.fixture
async def receiver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Receiver]:
    """A receiver over TLS, whose certificate the environment vouches for."""
    crt, key = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(crt))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(crt, key)
    async with receiving(tls) as found:
        yield found


def to(url: str, *secrets: str, private: bool = True, **more: Any) -> Webhook:
    [target] = read_targets(json.dumps([{"name": "ops", "url": url, "secrets": secrets}]))
    assert isinstance(target, WebhookTarget)
    return Webhook(target, private=private, **more)


async def message(*, answered: bool = False) -> Message:
    store = Store(f"memory://{datetime.now(UTC).timestamp()}")
    request = await asked(store, prompt=PROMPT, endpoint="https://hitl.example.org")
    if not answered:
        return Message.of(request, Notice("asked", NOW, DEADLINE), None, {})
    given = answer("42", person("ann"), comment="a secret comment")
    outcome = await settle(store, request, given, now=NOW)
    return Message.of(request, Notice("settled", NOW, DEADLINE), outcome, {})


async def test_a_message_is_a_cloudevent_that_each_key_verifies(receiver: Receiver) -> None:
    told = await message()
    await to(receiver.url, SECRET, OTHER_SECRET).send(told)
    await to(receiver.url, OTHER_SECRET).send(told)

    assert receiver.verified(0) == receiver.verified(0, OTHER_SECRET) == receiver.verified(1, OTHER_SECRET)
    with pytest.raises(WebhookVerificationError):
        receiver.verified(1, SECRET)
    event = receiver.verified(0)
    assert {name: event[name] for name in ("specversion", "type", "source", "subject", "time")} == {
        "specversion": "1.0",
        "type": "org.flyte.hitl.question.asked",
        "source": "https://hitl.example.org",
        "subject": "a-question",
        "time": "2031-05-06T07:08:09Z",
    }
    assert receiver.heads[0]["webhook-id"] == receiver.heads[1]["webhook-id"] == event["id"]
    assert "." not in event["id"]
    assert receiver.heads[0]["content-type"].startswith("application/cloudevents+json")
    assert receiver.heads[0]["host"] == f"127.0.0.1:{receiver.port}"
    assert event["data"]["prompt"] == PROMPT
    assert event["data"]["form_url"] == "https://hitl.example.org/form/a-question"
    assert event["data"]["outcome"] is None
    assert event["data"]["approval"] is None


async def test_the_end_says_who_answered_and_not_what(receiver: Receiver) -> None:
    await to(receiver.url, SECRET).send(await message(answered=True))
    event = receiver.verified(0)
    assert event["type"] == "org.flyte.hitl.question.settled"
    outcome = event["data"]["outcome"]
    by = {"name": "ann", "verified": True, "via": "web", "on_behalf_of": ""}
    assert (outcome["outcome"], outcome["by"]) == ("answered", by)
    assert b"42" not in receiver.bodies[0]
    assert b"secret" not in receiver.bodies[0]


async def test_a_digest_lists_the_messages_that_it_stands_for(receiver: Receiver) -> None:
    told, ended = await message(), await message(answered=True)
    await to(receiver.url, SECRET).send(Message("digest_1", None, NOW, digest=(told, ended)))
    event = receiver.verified(0)
    assert (event["type"], "subject" in event) == ("org.flyte.hitl.question.digest", False)
    assert [(each["id"], each["event"]) for each in event["data"]["notices"]] == [
        (told.id, "asked"),
        (ended.id, "settled"),
    ]
    assert event["data"]["notices"][0]["form_url"] == told.form_url()
    assert event["data"]["notices"][1]["outcome"]["by"]["name"] == "ann"
    assert b"secret" not in receiver.bodies[0]


REQUIRED = {
    "created": {"approvalDetailsUrl", "resourceTargetUrl", "requestor"},
    "updated": {"approvalDetailsUrl", "resourceTargetUrl", "responder", "decision"},
    "closed": {"approvalDetailsUrl", "resourceTargetUrl", "responder", "decision", "status"},
}


async def cdevent(receiver: Receiver, told: Message) -> dict[str, Any]:
    """What a receiver gets as a CDEvent, with all that the draft's schema requires, and nothing else."""
    target = WebhookTarget(url=SecretStr(receiver.url), secrets=[SecretStr(SECRET)], format="cdevents")
    await Webhook(target, private=True).send(told)
    event = receiver.verified(-1)
    context, subject = event["data"]["context"], event["data"]["subject"]
    for outside, inside in (("id", "id"), ("source", "source"), ("type", "type"), ("time", "timestamp")):
        assert event[outside] == context[inside]
    assert (context["specversion"], event["subject"]) == ("0.6.0-draft", subject["id"])
    found = re.fullmatch(r"dev[.]cdevents[.]approval[.](created|updated|closed)[.]0[.]1[.]0", event["type"])
    assert found is not None
    content = subject["content"]
    assert set(content) == REQUIRED[found[1]]
    assert all(content.values())
    return {**content, "predicate": found[1], "custom": event["data"]["customData"]}


async def test_cdevents_tell_of_an_approval_from_its_creation_to_its_end(receiver: Receiver) -> None:
    store = Store(f"memory://{datetime.now(UTC).timestamp()}")
    origin = Origin(project="flytesnacks", domain="prod", run="r1")
    request = await asked(
        store,
        data_type=bool,
        approval=Approval(required=1),
        requester="bo b@example.org",
        endpoint="https://hitl.example.org",
        origin=origin,
    )
    created = await cdevent(receiver, Message.of(request, Notice("asked", NOW, DEADLINE), None, {}))
    assert created["predicate"] == "created"
    assert created["approvalDetailsUrl"] == "https://hitl.example.org/form/a-question"
    assert created["resourceTargetUrl"] == "urn:flyte:run:flytesnacks:prod:r1"
    assert created["requestor"] == "urn:user:bo%20b%40example.org"
    assert created["custom"]["prompt"]
    assert created["custom"]["approval"]["requiredResponses"] == 1
    reminder = await cdevent(receiver, Message.of(request, Notice("reminder", NOW, DEADLINE, 60), None, {}))
    assert (reminder["predicate"], reminder["decision"]) == ("updated", "deferred")
    outcome = await settle(store, request, answer("false", person("ann"), comment="a secret comment"), now=NOW)
    closed = await cdevent(receiver, Message.of(request, Notice("settled", NOW, DEADLINE), outcome, {}))
    assert (closed["predicate"], closed["responder"]) == ("closed", "urn:user:ann")
    assert (closed["decision"], closed["status"]) == ("rejected", "rejected")
    assert b"secret" not in receiver.bodies[-1]


@pytest.mark.parametrize(
    ("changes", "decision", "status", "responder"),
    [
        ({"value": 42}, "approved", "approved", "urn:unverified:ann"),
        ({"value": 42, "reason": "DefaultUsed"}, "deferred", "expired", "urn:unverified:ann"),
        ({"outcome": "rejected"}, "rejected", "rejected", "urn:unverified:ann"),
        (
            {"outcome": "cancelled", "respondent": Respondent(via="program")},
            "deferred",
            "cancelled",
            "urn:hitl:schedule",
        ),
        (
            {"outcome": "timed_out", "respondent": Respondent(via="timeout")},
            "deferred",
            "expired",
            "urn:hitl:schedule",
        ),
        ({"value": 1, "respondent": Respondent(via="web")}, "approved", "approved", "urn:unverified:somebody"),
    ],
)
async def test_how_a_question_ended_as_a_cdevent(
    receiver: Receiver, changes: dict[str, Any], decision: str, status: str, responder: str
) -> None:
    ended = await message(answered=True)
    assert ended.outcome is not None
    outcome = ended.outcome.model_copy(update={"respondent": Respondent(name="ann", via="web"), **changes})
    event = await cdevent(receiver, dataclasses.replace(ended, outcome=outcome))
    assert (event["decision"], event["status"], event["responder"]) == (decision, status, responder)


@pytest.mark.parametrize(
    ("reply", "why", "gone"),
    [
        (b"HTTP/1.1 500 Oh\r\n\r\n", "it answered 500", False),
        (b"HTTP/1.1 410 Gone\r\n\r\n", "it answered 410", True),
        (b"HTTP/1.1 307 Go\r\nLocation: http://127.0.0.1:1/\r\n\r\n", "it answered 307, a redirect", False),
        (b"220 mail.example.org ESMTP\r\n", "its reply is not HTTP", False),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 300_000 + b"\r\n\r\n", "its reply is not HTTP", False),
        (b"", "its reply is not HTTP", False),
    ],
)
async def test_what_is_no_success_is_a_failure_and_nothing_is_followed(
    receiver: Receiver, reply: bytes, why: str, gone: bool
) -> None:
    receiver.replies = [reply]
    with pytest.raises(NotDelivered, match=why) as failed:
        await to(receiver.url).send(await message())
    assert failed.value.gone is gone
    assert len(receiver.bodies) == 1


async def test_a_reply_without_an_end_is_not_read(receiver: Receiver) -> None:
    receiver.replies, receiver.endless = [b"HTTP/1.1 200 OK\r\n\r\n"], True
    await to(receiver.url).send(await message())


async def test_silence_is_bounded(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "REPLY_SECONDS", 0.5)
    receiver.replies = [None]
    with pytest.raises(NotDelivered, match="did not reply"):
        await to(receiver.url).send(await message())


@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_is_read(receiver: Receiver, status: int) -> None:
    receiver.replies = [f"HTTP/1.1 {status} Later\r\nRetry-After: 120\r\n\r\n".encode()]
    with pytest.raises(NotDelivered) as failed:
        await to(receiver.url).send(await message())
    assert failed.value.wait == timedelta(minutes=2)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *(("7", 7), (format_datetime(NOW + timedelta(hours=1), usegmt=True), 3600)),
        *((each, None) for each in ("", "soon", "9" * 400, "-5", "١")),
    ],
)
def test_a_retry_after_is_seconds_or_a_date(text: str, seconds: int | None) -> None:
    assert retry_wait(text, NOW) == (None if seconds is None else timedelta(seconds=seconds))


async def test_a_certificate_that_nobody_vouches_for_is_refused(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(NotDelivered, match="certificate"):
        await to(receiver.url).send(await message())
    assert receiver.bodies == []


async def test_a_certificate_for_another_name_is_refused(receiver: Receiver) -> None:
    # Its address is the one that the certificate names, and what was asked for is not.
    async def here(_host: str, _port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    with pytest.raises(NotDelivered, match="certificate"):
        await to(receiver.url.replace("127.0.0.1", "receiver.example"), resolve=here).send(await message())
    assert receiver.bodies == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]"])
async def test_no_private_address_is_connected_to(receiver: Receiver, host: str) -> None:
    with pytest.raises(NotDelivered, match=r"not public|cannot be resolved"):
        await to(receiver.url.replace("127.0.0.1", host), private=False).send(await message())
    assert receiver.bodies == []


async def test_a_name_is_resolved_once_so_that_the_address_that_was_checked_is_connected_to() -> None:
    asked_for: list[str] = []

    async def once(host: str, _port: int) -> Sequence[str]:
        asked_for.append(host)
        return ["127.0.0.1"]

    async with receiving() as receiver:
        # No name server knows it: only the address that was found here leads there.
        await to(f"http://receiver.example:{receiver.port}/", SECRET, resolve=once).send(await message())
        assert asked_for == ["receiver.example"]
        assert receiver.heads[0]["host"] == f"receiver.example:{receiver.port}"
        assert receiver.verified(0)["subject"] == "a-question"


async def test_one_private_address_among_public_ones_is_enough_to_refuse() -> None:
    async def mixed(_host: str, _port: int) -> Sequence[str]:
        return ["93.184.215.14", "10.0.0.1"]

    with pytest.raises(NotDelivered, match="not public"):
        await to("https://receiver.example/", private=False, resolve=mixed).send(await message())


async def test_an_address_that_does_not_answer_is_followed_by_the_next(receiver: Receiver) -> None:
    async def several(_host: str, _port: int) -> Sequence[str]:
        return ["127.0.0.2", "127.0.0.1"]

    await to(receiver.url, resolve=several).send(await message())
    assert len(receiver.bodies) == 1


async def test_plain_http_is_refused_unless_it_is_allowed() -> None:
    async with receiving() as receiver:
        with pytest.raises(NotDelivered, match="not https"):
            await to(receiver.url, private=False).send(await message())
        assert receiver.bodies == []
        await to(receiver.url).send(await message())


@pytest.mark.parametrize(
    "address",
    [
        *("10.1.2.3", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1", "::1", "fe80::1", "fd00::1"),
        *("ff02::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::", "2001:0:a00:1::", "::"),
        *("fec0::2", "::7f00:1", "64:ff9b:1::a00:1", "5f00::1", "192.0.0.192", "192.88.99.1", "168.63.129.16"),
    ],
)
def test_these_addresses_are_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:21f::1", "64:ff9b::5db8:d70e", "::ffff:8.8.8.8"])
def test_these_addresses_are_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


async def test_an_unknown_name_is_a_failure() -> None:
    assert await resolve_by_dns("127.0.0.1", 1) == ["127.0.0.1"]
    with pytest.raises(NotDelivered, match="cannot be resolved"):
        await to(f"https://{'x' * 70}.invalid/").send(await message())


async def test_nothing_secret_is_in_a_log_or_in_what_is_raised(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.replies = [b"HTTP/1.1 500 Oh\r\n\r\n", b"nonsense"]
    # Of everybody: httpx's own client logs each URL at INFO.
    with caplog.at_level(logging.DEBUG):
        for _ in range(2):
            with pytest.raises(NotDelivered) as failed:
                await to(receiver.url, SECRET).send(await message())
            assert "of-the-hook" not in failed.value.why
    assert caplog.records
    assert not [record for record in caplog.records if _secret(record.getMessage())]


def _secret(text: str) -> bool:
    return any(each in text for each in ("of-the-hook", SECRET[6:], "Ship"))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("ftp://example.org", "neither a URL nor JSON"),
        ("https://user:pw@example.org/", "a user or a password"),
        ("https://", "not a URL such as"),
        ("https://example.org/\u00e9", "not a URL such as"),
        ("https://example.org:99999/", "not a URL such as"),
        ('{"url": "https://example.org"}', "list"),
        ('[{"url": "https://example.org", "secrets": ["whsec_abc"]}]', "whsec_"),
        ('[{"url": "https://example.org", "secrets": ["whsec_aGl0bA=="]}]', "24 to 64 bytes"),
        ('[{"url": "https://example.org", "name": "A"}]', "name"),
        ('[{"url": "https://example.org", "events": ["other"]}]', "events"),
        ('[{"url": "https://example.org", "sekrets": []}]', "sekrets"),
        ('[{"url": "https://example.org", "type": "whsec_aGl0bA=="}]', "an object whose type is"),
        ('["https://example.org"]', "an object whose type is"),
        ('[{"url": "https://example.org"}, {"url": "https://example.org"}]', "twice"),
    ],
)
def test_a_wrong_setting_is_refused_with_a_sentence_that_repeats_nothing_secret(text: str, why: str) -> None:
    with pytest.raises(InvalidRequest, match=why) as refused:
        read_targets(text)
    assert "HITL_NOTIFY" in str(refused.value)
    assert "pw@" not in str(refused.value)
    assert "aGl0bA" not in str(refused.value)


def test_a_url_alone_is_one_target_and_nothing_is_none() -> None:
    assert read_targets("https://example.org/hook") == [WebhookTarget(url=SecretStr("https://example.org/hook"))]
    assert read_targets(" ") == []
