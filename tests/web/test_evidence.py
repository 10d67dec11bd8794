"""The bytes of evidence: who gets them, as what, and what happens to a question whose evidence was changed."""

from __future__ import annotations

import re
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import psutil
import pytest

from hitl.author import evidence
from hitl.author.evidence import Shown
from hitl.core import keys
from hitl.core.documents import sha256_hex
from hitl.core.evidence import MAX_HTML_BYTES, Evidence
from hitl.records.links import add_link, revoke_link
from tests.library.beside import png, stored, stored_as
from tests.library.samples import NOW, asked
from tests.web.serving import WebApp, run
from tests.web.test_guards import ID, Served

SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
PROXY = {"auth": "proxy", "proxy_secret": "secret"}


async def ask(served: Served, *shown: Shown, request_id: str = ID, **content: Any) -> tuple[str, list[Evidence]]:
    """Ask a question; return its link's token and its evidence."""
    found = await stored(served.store, request_id, shown)
    await asked(served.store, request_id, evidence=found, **content)
    return await add_link(served.store, request_id, now=NOW), found


def place(piece: Evidence, token: str = "", request_id: str = ID) -> str:
    return f"/evidence/{request_id}/{piece.sha256}" + (f"?key={keys.hash_token(token)}" if token else "")


def policy(reply: httpx.Response) -> dict[str, list[str]]:
    parts = (each.split() for each in reply.headers["content-security-policy"].split(";"))
    return {name: values for name, *values in parts}


@pytest.mark.parametrize(
    ("shown", "media_type", "inline"),
    [
        (evidence.image(png(), name="plot.png"), "image/png", True),
        (evidence.image(b"GIF89a=1;alert(1)//", name="x.js"), "image/gif", True),
        (evidence.file(png(), name="plot.html"), "image/png", True),
        (evidence.file(b"words", name="a.html"), "text/plain; charset=utf-8", True),
        (evidence.file(SVG, name="a.svg"), "text/plain; charset=utf-8", True),
        (evidence.file(b"<script>alert(1)</script>", name="a.html"), "text/plain; charset=utf-8", True),
        (evidence.file(b"%PDF-1.7", name="a.pdf"), "application/octet-stream", False),
        (evidence.file(b"MZ\0", name="plot.png"), "application/octet-stream", False),
        (evidence.html("<p>words</p>"), "text/html; charset=utf-8", True),
        (evidence.markdown("<script>"), "text/plain; charset=utf-8", True),
        (evidence.table([{"<b>": "<script>"}]), "application/json", False),
        (evidence.diff("<script>", "<b>"), "application/json", False),
    ],
)
async def test_the_bytes_say_what_they_are_and_their_name_says_nothing(
    shown: Shown, media_type: str, inline: bool
) -> None:
    served = Served()
    async with served as client:
        token, (piece,) = await ask(served, shown)
        reply = await client.get(place(piece, token))
        head = await client.head(place(piece, token))

    assert reply.status_code == 200
    assert sha256_hex(reply.content) == piece.sha256
    assert reply.headers["content-type"] == media_type
    assert reply.headers["content-disposition"].startswith("inline" if inline else "attachment")
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["referrer-policy"] == "no-referrer"
    found = policy(reply)
    assert found["sandbox"] == []
    assert found["default-src"] == ["'none'"]
    assert found["frame-ancestors"] == ["'self'"]
    assert "script-src" not in found
    assert (head.content, head.headers["content-length"]) == (b"", reply.headers["content-length"])


@pytest.mark.parametrize(
    ("name", "downloaded"),
    [
        ("../../etc/passwd", "passwd"),
        ('a"; filename=b.exe\r\nSet-Cookie: c=d', 'a"; filename=b.exe\ufffd Set-Cookie: c=d'),
        ("Größe 日本.bin", "Größe 日本.bin"),
        ("x\u202egnp.exe", "x\ufffdgnp.exe"),
    ],
)
async def test_a_name_adds_no_header_and_no_path(name: str, downloaded: str) -> None:
    served = Served()
    data = b"\0binary"
    # As somebody may write it who does not use our functions.
    piece = Evidence(
        name=name, kind="file", media_type="text/html\r\nX: y", size_bytes=len(data), sha256=sha256_hex(data)
    )
    async with served as client:
        await stored_as(served.store, ID, piece, data)
        await asked(served.store, ID, evidence=[piece])
        token = await add_link(served.store, ID, now=NOW)
        reply = await client.get(place(piece, token))

    assert reply.headers["content-type"] == "application/octet-stream"
    assert "set-cookie" not in reply.headers
    message = Message()
    message["content-disposition"] = reply.headers["content-disposition"]
    plain = re.search(r'filename="([^"]*)"', reply.headers["content-disposition"])
    assert plain is not None
    assert plain[1].isascii()
    assert "/" not in plain[1]
    assert message.get_filename() is not None
    assert reply.headers["content-disposition"].endswith(f"filename*=UTF-8''{quote(downloaded, safe='')}")


async def test_a_part_of_it_is_not_to_be_had() -> None:
    served = Served()
    async with served as client:
        token, (piece,) = await ask(served, evidence.file(b"0123456789", name="x"))
        for asked_for in ("bytes=0-1", "bytes=2-", "bytes=0-1,3-4", "bytes=99-", "nonsense"):
            reply = await client.get(place(piece, token), headers={"Range": asked_for})
            assert (reply.status_code, reply.content) == (200, b"0123456789")
            assert reply.headers["accept-ranges"] == "none"


async def test_only_who_may_see_the_question_gets_what_it_lists() -> None:
    served = Served()
    async with served as client:
        token, (piece,) = await ask(served, evidence.file(b"mine", name="x"))
        others, (other,) = await ask(served, evidence.file(b"other", name="x"), request_id="other")
        link, (unlisted,) = keys.hash_token(token), await stored(served.store, ID, [evidence.file(b"more")])
        await served.store.create_once(keys.evidence_key(ID, unlisted.sha256), b"more")

        refused = [
            place(piece),
            place(piece, others),
            f"/evidence/{ID}/{piece.sha256}?key={token}",
            f"/evidence/{ID}/{piece.sha256}?token={token}",
            f"/evidence/{ID}/{piece.sha256}?key=",
            f"/evidence/{ID}/{piece.sha256}?key={'0' * 64}",
            f"/evidence/nothing/{piece.sha256}?key={link}",
        ]
        missing = [
            place(other, token),
            place(unlisted, token),
            f"/evidence/{ID}/{'0' * 64}?key={link}",
            f"/evidence/{ID}/x?key={link}",
            f"/evidence/{ID}/..%2frequest.json?key={link}",
        ]
        assert [(await client.get(each)).status_code for each in refused] == [403] * len(refused)
        assert [(await client.get(each)).status_code for each in missing] == [404] * len(missing)
        assert (await client.get(place(piece, token))).content == b"mine"
        bearer = {"Authorization": f"Bearer {token}"}
        assert (await client.get(place(piece), headers=bearer)).content == b"mine"


async def test_an_address_of_evidence_answers_nothing_and_shows_no_form() -> None:
    served = Served()
    async with served as client:
        token, (piece,) = await ask(served, evidence.image(png()))
        page = (await client.get(f"/form/{ID}", params={"token": token})).text
        (key,) = set(re.findall(rf"/evidence/{ID}/{piece.sha256}\?key=([0-9a-f]+)", page))
        body = {"request_id": ID, "value": 7}
        replies = [
            await client.get(f"/form/{ID}", params={"token": key}),
            await client.get(f"/form/{ID}", params={"key": key}),
            await client.get(f"/status/{ID}", params={"token": key}),
            await client.post("/submit/json", json={**body, "token": key}),
            await client.post("/submit/json", json=body, headers={"Authorization": f"Bearer {key}"}),
            await client.post("/submit", data={"request_id": ID, "token": key, "value": "7"}),
        ]

    assert [reply.status_code for reply in replies] == [403] * len(replies)
    assert await served.store.read(keys.response_key(ID)) is None
    assert token not in "".join(re.findall(r'(?:src|href)="([^"]*evidence[^"]*)"', page))


async def test_a_link_that_was_revoked_shows_no_evidence() -> None:
    served = Served()
    async with served as client:
        token, (piece,) = await ask(served, evidence.file(b"x"))
        await revoke_link(served.store, ID, keys.hash_token(token))

        assert (await client.get(place(piece, token))).status_code == 403


async def test_who_signed_in_sees_the_evidence_of_their_own_questions() -> None:
    served = Served(**PROXY)
    async with served as client:
        token, (piece,) = await ask(served, evidence.file(b"x"), respondents={"users": ["ann"]})
        known = {"X-HITL-Proxy-Secret": "secret"}
        statuses = {
            user: (await client.get(place(piece), headers={**known, "X-Forwarded-User": user})).status_code
            for user in ("ann", "bob")
        }
        unknown = await client.get(place(piece), headers={"X-Forwarded-User": "ann"})
        by_link = await client.get(place(piece, token))
        page = await client.get(f"/form/{ID}", headers={**known, "X-Forwarded-User": "ann"})

    assert statuses == {"ann": 200, "bob": 403}
    assert unknown.status_code == 401
    assert by_link.status_code == 200
    assert f'href="/evidence/{ID}/{piece.sha256}"' in page.text


ALL = [
    evidence.image(png(), name="plot"),
    evidence.table([{"a": 1}], name="numbers"),
    evidence.markdown("words"),
    evidence.diff("a", "b"),
    evidence.html("<p>x</p>"),
    evidence.file(b"x" * 3_000_000, name="dump"),
]


async def test_a_page_reads_each_piece_once(monkeypatch: pytest.MonkeyPatch) -> None:
    served = Served()
    async with served as client:
        token, pieces = await ask(served, *ALL[:-1])
        there = served.store.read
        read: list[str] = []

        async def noted(key: str) -> bytes | None:
            read.append(key)
            return await there(key)

        monkeypatch.setattr(served.store, "read", noted)
        page = await client.get(f"/form/{ID}", params={"token": token})

    assert "Send answer" in page.text
    of_pieces = [keys.evidence_key(ID, each.sha256) for each in pieces]
    assert sorted(each for each in read if each in of_pieces) == sorted(of_pieces)


async def test_who_looks_later_sees_what_the_answer_was_given_by() -> None:
    served = Served()
    async with served as client:
        token, pieces = await ask(served, *ALL)
        sent = await client.post("/submit", data={"request_id": ID, "token": token, "value": "7"})
        page = await client.get(f"/form/{ID}", params={"token": token})
        await served.store.delete(keys.evidence_key(ID, pieces[0].sha256))
        after = await client.get(f"/form/{ID}", params={"token": token})

    assert sent.status_code == 200
    assert "This question was answered." in page.text
    assert all(place(each, token).replace("&", "&amp;") in page.text for each in pieces if each.kind == "image")
    assert "<iframe" in page.text
    assert "frame-src 'self'" in page.headers["content-security-policy"]
    assert "This question was answered." in after.text
    assert "What was shown beside this question is missing, was changed since" in after.text


@pytest.mark.parametrize("changed", range(len(ALL)))
@pytest.mark.parametrize("how", ["changed", "missing"])
async def test_when_a_byte_changes_the_page_says_so_and_no_answer_is_taken(changed: int, how: str) -> None:
    served = Served()
    async with served as client:
        token, pieces = await ask(served, *ALL)
        form = {"request_id": ID, "token": token, "value": "7"}
        assert "Send answer" in (await client.get(f"/form/{ID}", params={"token": token})).text
        key = keys.evidence_key(ID, pieces[changed].sha256)
        data = b"".join([await served.store.read_part(key, 0, pieces[changed].size_bytes) or b""])
        await served.store.delete(key)
        if how == "changed":
            await served.store.create_once(key, data[:-1] + bytes([data[-1] ^ 1]))

        page = await client.get(f"/form/{ID}", params={"token": token})
        replies = [
            await client.post("/submit", data=form),
            await client.post("/submit/json", json=form),
            await client.post("/submit/json", json={**form, "value": None, "reject": True}),
        ]
        bytes_of_it = await client.get(place(pieces[changed], token))

    assert bytes_of_it.status_code == 502
    assert page.status_code == 200
    assert "missing, or was changed after it was asked" in page.text
    assert "Send answer" not in page.text
    assert [reply.status_code for reply in replies] == [502, 502, 502]
    assert all("was changed after it was asked" in reply.text for reply in replies)
    assert await served.store.read(keys.response_key(ID)) is None


async def test_a_fault_in_the_form_shows_the_evidence_again_and_what_was_typed() -> None:
    served = Served()
    async with served as client:
        token, _ = await ask(served, *ALL)
        form = {"request_id": ID, "token": token}
        pages = [
            await client.post("/submit", data={**form, "value": "many"}),
            await client.post("/submit", data={**form, "value": "many", "step": "decline"}),
            await client.post("/submit", data={**form, "value": "7"}),
        ]

    assert [page.status_code for page in pages] == [422, 200, 200]
    assert all('class="evidence"' in page.text for page in pages[:2])
    assert "many" in pages[0].text
    assert "frame-src 'self'" in pages[0].headers["content-security-policy"]


async def test_pages_without_a_report_have_no_frames() -> None:
    served = Served()
    async with served as client:
        token, _ = await ask(served, evidence.image(png()))
        page = await client.get(f"/form/{ID}", params={"token": token})

    assert "frame-src" not in page.headers["content-security-policy"]


async def test_what_an_older_or_another_writer_stores_does_no_harm() -> None:
    data = b"<script>alert(1)</script>" * 200_000
    large = Evidence(name="r", kind="html", media_type="text/html", size_bytes=len(data), sha256=sha256_hex(data))
    bad = Evidence(name="t", kind="table", media_type="x", size_bytes=2, sha256=sha256_hex(b"[]"))
    image = Evidence(
        name="i", kind="image", media_type="image/svg+xml", size_bytes=len(SVG), sha256=sha256_hex(SVG)
    )
    assert large.size_bytes > MAX_HTML_BYTES
    served = Served()
    async with served as client:
        for number, (piece, written) in enumerate(((large, data), (image, SVG), (bad, b"[]"))):
            await stored_as(served.store, f"q-{number}", piece, written)
            await asked(served.store, f"q-{number}", evidence=[piece])
            token = await add_link(served.store, f"q-{number}", now=NOW)
            page = await client.get(f"/form/q-{number}", params={"token": token})
            reply = await client.get(place(piece, token, f"q-{number}"))
            assert page.status_code == 200
            assert ("Send answer" in page.text) == (piece is not bad)
            if piece is not bad:
                assert reply.headers["content-type"] == "application/octet-stream"
                assert reply.headers["content-disposition"].startswith("attachment")


async def test_when_too_much_is_sent_at_once_others_wait_and_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hitl_webapp.evidence._SENT_AT_ONCE", 1)
    monkeypatch.setattr("hitl_webapp.evidence._PATIENCE_SECONDS", 0.05)
    served = Served()
    async with served as client:
        token, (piece,) = await ask(served, evidence.file(b"x"))
        async with served.app.state.service.evidence.sending("another"):
            refused = await client.get(place(piece, token))
        taken = await client.get(place(piece, token))

    assert (refused.status_code, taken.status_code) == (503, 200)
    assert "retry-after" in refused.headers


def test_large_evidence_is_sent_in_parts(tmp_path: Path, app: WebApp) -> None:
    data = bytes(range(256)) * (60 * 1024)
    shown = [evidence.file(data, name="large"), evidence.image(png())]
    question = app.ask(evidence=run(stored(app.store, "a-question", shown)))
    assert app.process is not None
    process = psutil.Process(app.process.pid)
    address = f"{app.url}/evidence/a-question/{sha256_hex(data)}?key={keys.hash_token(question.token)}"
    httpx.get(question.url)
    before = process.memory_info().rss

    with httpx.Client() as client:
        streams = [client.send(client.build_request("GET", address), stream=True) for _ in range(10)]
        after = process.memory_info().rss
        assert [sha256_hex(stream.read()) for stream in streams] == [sha256_hex(data)] * 10

    assert question.api(7).status_code == 200
    assert after - before < 5 * len(data)


async def test_a_link_is_on_the_page_though_it_has_no_bytes() -> None:
    served = Served()
    async with served as client:
        token, _ = await ask(served, evidence.link("https://runs.example.com/1", name="The run"))
        page = await client.get(f"/form/{ID}?token={token}")

    assert page.status_code == 200
    assert 'href="https://runs.example.com/1"' in page.text
