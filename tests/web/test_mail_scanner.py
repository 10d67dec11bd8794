"""What scanners of mail do to a real mail's links, on a real web app: the question stays as it is."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import UTC, datetime
from html import unescape
from urllib.parse import urljoin

import httpx
import pytest

from hitl.core import keys
from hitl.core.documents import OutcomeDocument
from hitl.notify.driver import Driver
from hitl.notify.opening import channels_of
from hitl.records.records import Records
from hitl.records.requests import create, read_outcome
from hitl.storage import Store
from tests.library.mail_server import MailServer, mail_server
from tests.library.samples import number_question
from tests.web.serving import WebApp

ANN, BOB = "ann@example.org", "bob@example.org"
ID = "a-question"
SCANS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PROPFIND")
PREFETCH = {"Sec-Purpose": "prefetch;prerender", "Purpose": "prefetch", "Cookie": "session=of-somebody"}


async def stored(store: Store) -> dict[str, bytes | None]:
    """All objects of the question."""
    return {key: await store.read(key) async for key, _ in store.list_keys(keys.question_prefix(ID))}


def urls_of(server: MailServer) -> set[str]:
    """All that begins like an address in any mail's text or HTML."""
    bodies = [part.get_content() for mail in server.mails for part in mail.iter_parts()]
    return {unescape(each) for body in bodies for each in re.findall(r"https?://[^\s\"'<>]+", body)}


async def scan(client: httpx.AsyncClient, url: str, headers: dict[str, str]) -> set[str]:
    """Do what scanners do to a link, and return the links of the page behind it."""
    for method in SCANS:
        reply = await client.request(method, url, headers=headers)
        assert reply.status_code < 500, (method, url)
    page = (await client.get(url, headers=headers)).text
    return {urljoin(url, unescape(each)) for each in re.findall(r'(?:href|src|action)="([^"#]+)', page)}


async def test_a_scanner_settles_ends_and_marks_nothing_and_the_link_still_answers(
    app: WebApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = app.store
    records = Records(store)
    now = datetime.now(UTC)
    request = await create(records, number_question(), request_id=ID, asked_at=now, endpoint=app.url)
    async with mail_server() as server:
        target = {
            "type": "mail",
            "to": [ANN, BOB],
            "sender": "hitl@example.com",
            "host": "127.0.0.1",
            "port": server.port,
            "security": "none",
            "link_key": "0123456789abcdef0123456789abcdef",
        }
        driver = Driver(
            records, request, channels_of(json.dumps([target]), private=True), [], lambda _: asyncio.Semaphore()
        )
        telling = asyncio.create_task(driver.run())
        await server.until(2)
        personal = urls_of(server)
        assert len(personal) == 2
        async with asyncio.timeout(120):
            while "notices/asked.mail/done.json" not in " ".join(await stored(store)):
                await asyncio.sleep(0.02)
        before = await stored(store)
        async with httpx.AsyncClient(follow_redirects=True, timeout=120) as client:
            behind = set[str]()
            for url in personal:
                for headers in ({}, PREFETCH):
                    behind |= await scan(client, url, headers)
            assert any(each.endswith("/submit") for each in behind)
            for url in {each for each in behind if each.startswith(app.url)} - personal:
                await scan(client, url, PREFETCH)
            assert await stored(store) == before
            assert await read_outcome(store, ID) is None

            [mail] = server.to(ANN)
            [url] = urls_of(MailServer(mails=[mail]))
            token = url.partition("?token=")[2]
            reply = await client.post(f"{app.url}/submit", data={"request_id": ID, "token": token, "value": "5"})
        assert reply.status_code == 200
        outcome = await read_outcome(store, ID)
        assert isinstance(outcome, OutcomeDocument)
        assert (outcome.value, outcome.respondent.name, outcome.respondent.verified) == (5, ANN, False)
        driver.end(outcome)
        await server.until(4)
        await telling
    assert token not in app.log.read_text()
    ended = [part.get_content() for mail in server.mails[2:] for part in mail.iter_parts()]
    assert all(f"answered by {ANN} (unverified)" in unescape(each) for each in ended)
    assert not any("token=" in each for each in ended)
