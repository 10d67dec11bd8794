"""The mail channel against a real mail server: who gets what, once each, and what it may hold."""

from __future__ import annotations

import json
import logging
import re
import ssl
import uuid
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from email.message import EmailMessage
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from hitl.core import keys
from hitl.core.approval import Approval
from hitl.core.notices import NotDelivered, Notice, NoticeEvent
from hitl.core.respondents import Respondents
from hitl.errors import StorageUnavailable
from hitl.notify.channels import Message
from hitl.notify.mail.channel import Mail
from hitl.notify.mail.target import MailTarget
from hitl.notify.opening import read_targets
from hitl.records.links import list_links, revoke_link
from hitl.records.outbox import notice_states
from hitl.records.requests import StoredRequest
from hitl.storage import Store
from tests.library.mail_server import PASSWORD, USER, MailServer, mail_server
from tests.library.samples import DEADLINE, NOW, answer, asked, person, settle
from tests.web.identity_provider import certificate

ANN, BOB, CY = "ann@example.org", "bob@example.org", "cy@example.org"
KEY = "0123456789abcdef0123456789abcdef"
ENDPOINT = "https://hitl.example.org"


def vouched_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A certificate that the environment vouches for."""
    crt, key = certificate(folder)
    monkeypatch.setenv("SSL_CERT_FILE", str(crt))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(crt, key)
    return context


def a_store() -> Store:
    return Store(f"memory://{uuid.uuid4().hex}")


@pytest.fixture
async def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MailServer]:
    async with mail_server(starttls=vouched_for(tmp_path, monkeypatch)) as found:
        yield found


@pytest.fixture
def store() -> Store:
    return a_store()


def through(server: MailServer, *to: str, **more: Any) -> Mail:
    given: dict[str, Any] = {
        "type": "mail",
        "to": to,
        "sender": "hitl@example.com",
        "host": "127.0.0.1",
        "port": server.port,
        "user": USER,
        "password": PASSWORD,
    }
    [target] = read_targets(json.dumps([given | more]))
    assert isinstance(target, MailTarget)
    return Mail(target, private=True, now=lambda: NOW)


def told(
    request: StoredRequest, store: Store, event: NoticeEvent = "asked", receipts: dict[str, str] | None = None
) -> Message:
    return Message.of(
        request, Notice(event, NOW, DEADLINE, 60 * (event == "reminder")), None, receipts or {}, store
    )


def bodies(mail: EmailMessage) -> tuple[str, str]:
    """The text and the HTML of a mail."""
    found = [mail.get_body((kind,)) for kind in ("plain", "html")]
    assert all(found)
    text, html = (each.get_content().replace("\r\n", "\n") for each in found if each)
    return text, html


def words(html: str) -> list[str]:
    """The words that a reader sees."""
    return unescape(re.sub("<[^>]+>", " ", html)).split()


def urls(mail: EmailMessage) -> set[str]:
    return {unescape(each) for body in bodies(mail) for each in re.findall(r"https?://[^\s\"'<>]+", body)}


async def test_a_mail_says_what_the_form_will_in_text_and_in_html_and_threads(
    server: MailServer, store: Store
) -> None:
    request = await asked(store, prompt="Ship *2.4*?\n<b>Now</b> & here", event_name="ship", endpoint=ENDPOINT)
    to_them = through(server, ANN)
    receipt = await to_them.send(told(request, store))
    reminded = await to_them.send(told(request, store, "reminder", {"asked": receipt}))
    outcome = await settle(store, request, answer("42", person("ann"), comment="a secret comment"), now=NOW)
    ended = Message.of(
        request, Notice("settled", NOW, DEADLINE), outcome, {"asked": receipt, "reminder-60": reminded}
    )
    await to_them.send(ended)

    first, second, third = server.mails
    assert server.envelopes[0] == ("hitl@example.com", [ANN])
    assert (first["From"], first["To"], first["Subject"]) == (
        "HITL <hitl@example.com>",
        ANN,
        "ship: Ship *2.4*? <b>Now</b> & here",
    )
    assert first["Date"].datetime == NOW
    assert (first["Auto-Submitted"], first["List-Id"]) == ("auto-generated", "<mail.hitl.example.com>")
    assert first["In-Reply-To"] is None
    for later in (second, third):
        assert later["In-Reply-To"] == later["References"] == first["Message-ID"]
        assert later["Subject"] == f"Re: {first['Subject']}"
    assert len({each["Message-ID"] for each in server.mails}) == 3
    text, html = bodies(first)
    assert "> Ship *2.4*?\n> <b>Now</b> & here\n" in text
    assert f"Answer: {ENDPOINT}/form/a-question\n" in text
    assert "Answer until: 2031-05-06 07:18:09 UTC" in text
    assert "<b>" not in html
    assert not re.findall(r"<(?:img|link|script|style)|url\(|src=", html)
    assert set(text.replace("\n>", "\n").split()) - {">"} == set(words(html))
    for body in bodies(third):
        assert "answered by ann via web" in body
        assert "secret" not in body
        assert "42" not in body


@pytest.mark.parametrize(
    "event_name",
    ["ship\r\nBcc: eve@example.org", "\u202eship\x00\u2028\u2029x", "q" * 16_384, "\U0001f680 \u00fc" * 100],
)
async def test_no_text_makes_a_header_of_its_own(server: MailServer, store: Store, event_name: str) -> None:
    request = await asked(store, prompt=event_name * (16_384 // len(event_name)), endpoint=ENDPOINT)
    await through(server, ANN).send(told(request, store))
    [mail] = server.mails
    assert server.envelopes == [("hitl@example.com", [ANN])]
    assert mail["Bcc"] is None
    assert len(mail["Subject"]) < 100
    assert mail["Subject"].isprintable()
    assert len(bodies(mail)[0]) > 16_000


async def test_respondents_get_it_too_once_each_and_nobody_sees_the_others(
    server: MailServer, store: Store
) -> None:
    request = await asked(
        store, respondents=Respondents(users=["dan", "bob@Example.org", "x y@z"]), endpoint=ENDPOINT
    )
    await through(server, ANN, "Bob@Example.org", respondents=True).send(told(request, store))
    # As the question spells it: the link has to be that user's.
    assert [each["To"] for each in server.mails] == [ANN, "bob@Example.org"]
    assert [each for _, each in server.envelopes] == [[ANN], ["bob@Example.org"]]
    nobody = await asked(store, "b-question", respondents=Respondents(users=["dan"]))
    await through(server, respondents=True).send(told(nobody, store))
    assert len(server.mails) == 2


async def test_each_person_has_a_link_of_their_own_and_the_same_one_at_each_try(
    server: MailServer, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    request = await asked(store, endpoint=ENDPOINT)
    to_them = through(server, ANN, BOB, link_key=KEY)
    await to_them.send(told(request, store))
    await to_them.send(told(request, store, "reminder"))
    ann, bob = ([urls(each) for each in server.to(who)] for who in (ANN, BOB))
    assert ann[0] == ann[1] != bob[0] == bob[1]
    [url] = ann[0]
    token = url.removeprefix(f"{ENDPOINT}/form/a-question?token=")
    assert {each.person: token_hash for token_hash, each in await list_links(store, "a-question")}[
        ANN
    ] == keys.hash_token(token)
    assert f"Links in this mail are for {ANN} alone" in bodies(server.mails[0])[0]
    assert token not in caplog.text
    await revoke_link(store, "a-question", keys.hash_token(token))
    await to_them.send(told(request, store, "reminder"))
    assert urls(server.to(ANN)[-1]) == {f"{ENDPOINT}/form/a-question"}
    assert urls(server.to(BOB)[-1]) == bob[0]


async def test_who_may_answer_later_is_told_then_with_a_link_that_answers(
    server: MailServer, store: Store
) -> None:
    step = (timedelta(seconds=60), {"users": [BOB]})
    request = await asked(store, respondents=Respondents(users=[ANN]), escalate=[step], endpoint=ENDPOINT)
    to_them = through(server, respondents=True, link_key=KEY)
    await to_them.send(told(request, store))
    later = Notice("escalated", NOW + timedelta(seconds=60), DEADLINE, 60)
    await to_them.send(Message.of(request, later, None, {}, store))
    assert [each["To"] for each in server.mails] == [ANN, ANN, BOB]
    assert "From now on, more people may give it." in bodies(server.mails[2])[0]
    assert all("?token=" in url for each in server.mails for url in urls(each))


@pytest.mark.parametrize(
    ("question", "more"),
    [
        ({}, {}),
        ({"respondents": Respondents(users=[BOB])}, {"link_key": KEY}),
        ({"approval": Approval(required=2)}, {"link_key": KEY}),
    ],
)
async def test_where_no_link_is_enough_the_mail_has_the_plain_address(
    server: MailServer, store: Store, question: dict[str, Any], more: dict[str, Any]
) -> None:
    request = await asked(store, endpoint=ENDPOINT, **question)
    await through(server, ANN, **more).send(told(request, store))
    assert urls(server.mails[0]) == {f"{ENDPOINT}/form/a-question"}
    assert await list_links(store, "a-question") == []


async def test_who_got_it_does_not_get_it_again_and_who_never_can_is_named(
    server: MailServer, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    request = await asked(store, endpoint=ENDPOINT)
    to_them = through(server, ANN, BOB, CY)
    server.recipients = {BOB: ["450 later", "451 later"], CY: ["550 eve@example.org says no"]}
    for _ in range(2):
        with pytest.raises(NotDelivered, match=f"does not take mail for {BOB} now") as failed:
            await to_them.send(told(request, store))
        assert not failed.value.gone
    await to_them.send(told(request, store))
    assert [each["To"] for each in server.mails] == [ANN, BOB]
    states = {each.ended: each.why for each in await notice_states(store, "a-question")}
    assert states == {"done": "", "dead": f"its server refuses the address {CY} (550)"}
    assert "eve" not in caplog.text


async def test_what_another_server_refuses_for_a_target_of_the_same_name_is_nothing_to_this_one(
    server: MailServer, store: Store
) -> None:
    # In a namespace, others may choose the name that the operator's own target has.
    request = await asked(store, endpoint=ENDPOINT)
    server.recipients = {BOB: ["550 no"]}
    await through(server, ANN, BOB, sender="hitl@example.org").send(told(request, store))
    await through(server, ANN, BOB).send(told(request, store))
    assert [each["To"] for each in server.mails] == [ANN, ANN, BOB]


@pytest.mark.parametrize(
    ("to", "recipients", "data", "why", "gone"),
    [
        ([ANN], {ANN: ["550 no"]}, [], f"refuses the address {ANN} \\(550\\)", True),
        ([ANN, BOB], {ANN: ["550 no"], BOB: ["551 no"]}, [], f"refuses the address {ANN} \\(550\\)", True),
        ([ANN], {}, ["554 spam"], f"refuses the mail to {ANN} \\(554\\)", True),
        ([ANN], {}, ["452 full"], "does not take mail now \\(452\\)", False),
        ([ANN], {ANN: ["421 bye"]}, [], "421", False),
    ],
)
async def test_what_the_server_says_decides_whether_it_is_tried_again(
    server: MailServer,
    store: Store,
    to: Sequence[str],
    recipients: dict[str, list[str]],
    data: list[str],
    why: str,
    gone: bool,
) -> None:
    server.recipients, server.data = recipients, data
    with pytest.raises(NotDelivered, match=why) as failed:
        await through(server, *to).send(told(await asked(store), store))
    assert failed.value.gone is gone
    assert server.mails == []
    assert await notice_states(store, "a-question") == []


async def test_a_digest_lists_all_with_their_links(server: MailServer, store: Store) -> None:
    requests = [
        await asked(store, f"question-{each}", event_name=f"ship-{each}", endpoint=ENDPOINT) for each in (1, 2)
    ]
    digest = Message("digest_1", None, NOW, digest=tuple(told(each, store) for each in requests))
    await through(server, ANN, link_key=KEY).send(digest)
    [mail] = server.mails
    assert mail["Subject"] == "2 notices of questions"
    for body in bodies(mail):
        assert body.count("answer until 2031-05-06 07:18:09 UTC") == 2
        assert "ship-1" in body
    assert {each.partition("?")[0] for each in urls(mail)} == {
        f"{ENDPOINT}/form/question-{each}" for each in (1, 2)
    }
    assert all("?token=" in each for each in urls(mail))


async def test_of_a_digest_each_person_gets_once_what_they_did_not_get(server: MailServer, store: Store) -> None:
    one, two, three = [told(await asked(store, f"question-{each}"), store) for each in (1, 2, 3)]
    to_them = through(server, ANN, BOB)
    server.recipients = {BOB: ["450 later"]}
    with pytest.raises(NotDelivered):
        await to_them.send(Message("digest_1", None, NOW, digest=(one, two)))
    await to_them.send(Message("digest_2", None, NOW, digest=(one, two, three)))
    listed = [(each["To"], bodies(each)[0].count("Its id is question-")) for each in server.mails]
    assert listed == [(ANN, 2), (ANN, 1), (BOB, 3)]
    assert server.mails[1]["Message-ID"].startswith("<question-3_asked_")


class Away(Store):
    """A real store that takes so many links, and then does not answer any more."""

    left = 1

    async def create_once(self, key: str, data: bytes) -> bool:
        if "/links/" in key:
            self.left -= 1
            if self.left < 0:
                raise StorageUnavailable("it did not answer")
        return await super().create_once(key, data)


async def test_who_got_a_mail_before_the_storage_was_away_does_not_get_it_again(server: MailServer) -> None:
    store = Away(f"memory://{uuid.uuid4().hex}")
    message = told(await asked(store, endpoint=ENDPOINT), store)
    to_them = through(server, ANN, BOB, link_key=KEY)
    with pytest.raises(NotDelivered, match="the storage did not take a link"):
        await to_them.send(message)
    store.left = 9
    await to_them.send(message)
    assert [each["To"] for each in server.mails] == [ANN, BOB]


async def test_a_test_goes_to_all_or_to_the_sender(server: MailServer) -> None:
    test = Message("test_1", None, NOW)
    await through(server, ANN, BOB).send(test)
    await through(server, respondents=True).send(test)
    assert [each["To"] for each in server.mails] == [ANN, BOB, "hitl@example.com"]
    assert "This is a test." in bodies(server.mails[0])[0]
