"""The mail channel and its servers: which of them it trusts, and which targets are refused."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from hitl.core.notices import NotDelivered
from hitl.errors import InvalidRequest
from hitl.notify import services
from hitl.notify.mail import channel
from hitl.notify.opening import channels_of
from hitl.storage import Store
from tests.library.mail_server import PASSWORD, MailServer, mail_server
from tests.library.samples import asked
from tests.library.test_mail import ANN, BOB, a_store, through, told, vouched_for


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    return vouched_for(tmp_path, monkeypatch)


@pytest.fixture
def store() -> Store:
    return a_store()


async def test_tls_from_the_beginning(tls: ssl.SSLContext, store: Store) -> None:
    async with mail_server(tls=tls) as server:
        await through(server, ANN, security="tls", user="", password="").send(told(await asked(store), store))
        assert len(server.mails) == 1


async def test_nothing_is_sent_without_tls_or_to_a_server_nobody_vouches_for(
    tls: ssl.SSLContext, store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    message = told(await asked(store), store)
    async with mail_server(starttls=tls) as server, mail_server() as plain:
        with pytest.raises(NotDelivered, match="does not accept user and password"):
            await through(server, ANN, password="wrong").send(message)
        with pytest.raises(NotDelivered, match="does not offer what security"):
            await through(plain, ANN).send(message)
        await through(plain, ANN, security="none", user="", password="").send(message)
        assert len(plain.mails) == 1
        public = {"type": "mail", "to": [ANN], "sender": BOB, "host": "127.0.0.1", "port": plain.port}
        for security, why in (("starttls", "its address is not public"), ("none", "it is not TLS")):
            [guarded] = channels_of(json.dumps([public | {"security": security}]), private=False)
            with pytest.raises(NotDelivered, match=why):
                await guarded.send(message)
        monkeypatch.delenv("SSL_CERT_FILE")
        with pytest.raises(NotDelivered, match="certificate of its server is not accepted"):
            await through(server, ANN).send(message)
        assert server.mails == []
    assert PASSWORD not in caplog.text


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"", "its server cannot be reached, or does not speak SMTP"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "its server"),
        (b"554 eve@example.org\r\n", "its server answered 554"),
        (b"220-" + b"x" * 200_000, "its server"),
        (b"220-again and again\r\n" * 50_000, "its server"),
        (None, "did not take all mails within|did not reply in time"),
    ],
)
async def test_a_server_that_is_none_does_no_harm(
    store: Store, monkeypatch: pytest.MonkeyPatch, said: bytes | None, why: str
) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            if said is None:
                await reader.read()
            else:
                writer.write(said)
                await writer.drain()
        writer.close()
        served.set()

    served = asyncio.Event()
    if said is None:
        monkeypatch.setattr(channel, "SEND_SECONDS", 0.5)
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        with pytest.raises(NotDelivered, match=why) as failed:
            await through(MailServer(port=port), ANN).send(told(await asked(store), store))
        async with asyncio.timeout(120):
            await served.wait()
    finally:
        server.close()
    assert "eve" not in failed.value.why
    assert not failed.value.gone


@pytest.mark.parametrize("kind", ["mail", "apprise"])
def test_a_library_that_is_missing_is_named_with_its_extra(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (channel, services):
        monkeypatch.setattr(module, "find_spec", lambda name: None)
    target = {"type": kind, "url": "json://x", "to": [ANN], "sender": BOB, "host": "x"}
    wanted = {"mail": ("type", "to", "sender", "host"), "apprise": ("type", "url")}[kind]
    with pytest.raises(InvalidRequest, match=rf"need \w+: .*\[{kind}\]"):
        channels_of(json.dumps([{name: target[name] for name in wanted}]), private=True)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"to": []}, "nobody gets it"),
        ({"to": ["ann"]}, "no address such as"),
        ({"to": ["ann@example.org\r\nBcc: eve@example.org"]}, "no address such as"),
        ({"sender": "HITL <hitl@example.com>"}, "no address such as"),
        ({"host": "mail example"}, "host"),
        ({"password": ""}, "both user and password"),
        ({"security": "none"}, "over TLS only"),
        ({"link_key": "short-secret"}, "at least 32 characters"),
        ({"sekrets": 1}, "sekrets"),
    ],
)
def test_a_wrong_target_is_refused_with_a_sentence_that_repeats_nothing_secret(
    more: dict[str, Any], why: str
) -> None:
    with pytest.raises(InvalidRequest, match=why) as refused:
        through(MailServer(), ANN, **({"port": 25} | more))
    assert "short-secret" not in str(refused.value)
    assert PASSWORD not in str(refused.value)
