"""Questions whose evidence was written by somebody else's program: large, and listed twice."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from pathlib import Path

import httpx
import psutil
import pytest
from markupsafe import Markup

from hitl.core import keys
from hitl.core.documents import sha256_hex
from hitl.core.evidence import MAX_MARKDOWN_BYTES, MAX_PREVIEW_BYTES, Evidence, EvidenceKind
from hitl.records.links import add_link
from hitl_webapp import evidence
from hitl_webapp.prompts import markdown_once
from tests.library.samples import NOW, asked
from tests.web.serving import WebApp, run
from tests.web.test_guards import ID, Served

WORDS = b"**a** <b> _c_ [x](y) `z`\n\n- *d\n"


@pytest.mark.parametrize(
    ("kind", "most"),
    [("markdown", MAX_MARKDOWN_BYTES), ("table", MAX_PREVIEW_BYTES), ("diff", MAX_PREVIEW_BYTES)],
)
async def test_what_is_too_large_to_be_shown_is_a_download(kind: EvidenceKind, most: int) -> None:
    served = Served()
    async with served as client:
        data = b"x" * (most + 1)
        await served.store.create_once(keys.evidence_key(ID, sha256_hex(data)), data)
        piece = Evidence(
            name="Large", kind=kind, media_type="text/x", size_bytes=len(data), sha256=sha256_hex(data)
        )
        await asked(served.store, ID, evidence=[piece])
        token = await add_link(served.store, ID, now=NOW)
        page = await client.get(f"/form/{ID}", params={"token": token})

    assert page.status_code == 200
    assert f"/evidence/{ID}/{piece.sha256}" in page.text
    assert len(page.content) < 100_000


async def test_a_page_shows_so_much_markdown_and_links_to_the_rest_and_makes_it_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[int] = []

    def counted(text: str) -> Markup:
        made.append(len(text))
        return markdown_once(text)

    monkeypatch.setattr(evidence, "markdown_once", counted)
    served = Served()
    async with served as client:
        pieces = []
        for number in range(32):
            # Of what takes longest.
            data = (b"![[" * MAX_MARKDOWN_BYTES)[: MAX_MARKDOWN_BYTES - 4] + b"%04d" % number
            await served.store.create_once(keys.evidence_key(ID, sha256_hex(data)), data)
            about = {"kind": "markdown", "media_type": "text/markdown", "size_bytes": len(data)}
            pieces.append(Evidence(name=f"{number}", sha256=sha256_hex(data), **about))
        await asked(served.store, ID, evidence=pieces)
        token = await add_link(served.store, ID, now=NOW)
        address = f"/form/{ID}?token={token}"
        pages = await asyncio.gather(client.get(address), client.get(address))

    assert [each.status_code for each in pages] == [200, 200]
    assert made == [MAX_MARKDOWN_BYTES] * (evidence.MOST_SHOWN_BYTES // MAX_MARKDOWN_BYTES)
    assert [f"/evidence/{ID}/{each.sha256}" in pages[0].text for each in pieces] == [False] * 4 + [True] * 28


def test_a_page_of_the_largest_evidence_takes_little_memory(app: WebApp, tmp_path: Path) -> None:
    async def store() -> list[Evidence]:
        found = []
        for number in range(4):
            data = WORDS * (16 * 1024 * 1024 // len(WORDS)) + bytes([number + 65])
            await app.store.create_once(keys.evidence_key("large", sha256_hex(data)), data)
            found.append(
                Evidence(
                    name=f"{number}",
                    kind="markdown",
                    media_type="text/markdown",
                    size_bytes=len(data),
                    sha256=sha256_hex(data),
                )
            )
        return found

    question = app.ask("large", evidence=run(store()))
    assert app.process is not None
    before = psutil.Process(app.process.pid).memory_info().rss
    page = httpx.get(question.url, timeout=20)
    assert page.status_code == 200
    assert psutil.Process(app.process.pid).memory_info().rss - before < 64 * 1024 * 1024


def test_slow_readers_of_evidence_take_little_memory_and_keep_out_nobody_else(app: WebApp) -> None:
    async def store(request_id: str, data: bytes) -> Evidence:
        sha256 = sha256_hex(data)
        await app.store.create_once(keys.evidence_key(request_id, sha256), data)
        return Evidence(
            name="x", kind="file", media_type="application/octet-stream", size_bytes=len(data), sha256=sha256
        )

    slow, other = run(store("slow", bytes(16 * 1024 * 1024))), run(store("other", b"words"))
    question, second = app.ask("slow", evidence=[slow]), app.ask("other", evidence=[other])
    assert app.process is not None
    process = psutil.Process(app.process.pid)
    before = process.memory_info().rss
    head = (
        f"GET /evidence/slow/{slow.sha256} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {question.token}\r\n\r\n"
    )
    with contextlib.ExitStack() as stack:
        for _ in range(60):
            wire = stack.enter_context(socket.socket())
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
            wire.connect(("127.0.0.1", app.port))
            wire.sendall(head.encode())
        time.sleep(2)
        taken = process.memory_info().rss - before
        place, bearer = f"{app.url}/evidence/other/{other.sha256}", {"Authorization": f"Bearer {second.token}"}
        assert httpx.get(place, headers=bearer, timeout=20).content == b"words"

    assert taken < 96 * 1024 * 1024


async def test_a_link_has_no_bytes_that_could_be_read() -> None:
    served = Served()
    async with served as client:
        link = Evidence(name="The run", kind="link", url="https://runs.example/1")
        await asked(served.store, ID, evidence=[link])
        token = await add_link(served.store, ID, now=NOW)
        page = await client.get(f"/form/{ID}", params={"token": token})

    assert 'href="https://runs.example/1"' in page.text
    assert "<form" in page.text


async def test_bytes_that_are_listed_with_two_sizes_are_none_that_were_asked_with_the_question() -> None:
    served = Served()
    async with served as client:
        sha256 = sha256_hex(b"words")
        await served.store.create_once(keys.evidence_key(ID, sha256), b"words")
        pieces = [
            Evidence(name=f"{size}", kind="file", media_type="text/plain", size_bytes=size, sha256=sha256)
            for size in (4, 5)
        ]
        await asked(served.store, ID, evidence=pieces)
        token = await add_link(served.store, ID, now=NOW)
        reply = await client.post("/submit/json", json={"request_id": ID, "token": token, "value": 5})

    assert reply.status_code == 502
    assert await served.store.read(keys.response_key(ID)) is None
