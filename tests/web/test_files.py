"""A file as the answer: from a form, from a program, whole or not at all, and back in the task."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

import hitl
from hitl.author.files import File
from hitl.core import keys
from hitl.core.documents import sha256_hex
from hitl.errors import DocumentDamaged, InvalidRequest, InvalidValue
from hitl.records.links import add_link
from hitl.records.requests import StoredRequest, read_request
from tests.library.samples import NOW, answer, asked, event_of, number_question, settle
from tests.web.serving import WebApp, run
from tests.web.test_guards import ID, Served

DATA = bytes(number % 251 for number in range(3_000_001))
SENT: dict[str, Any] = {
    "name": "report.pdf",
    "media_type": "application/octet-stream",
    "size_bytes": len(DATA),
    "sha256": sha256_hex(DATA),
}


async def ask(served: Served, request_id: str = ID) -> tuple[StoredRequest, str]:
    request = await asked(served.store, request_id, data_type=hitl.File)
    return request, await add_link(served.store, request_id, now=NOW)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def parts(served: Served) -> list[str]:
    return [key async for key, _ in served.store.list_keys(keys.question_prefix(ID)) if "/answers/" in key]


async def test_a_program_sends_a_file_and_the_task_gets_it() -> None:
    served = Served()
    async with served as client:
        request, token = await ask(served)
        reply = await client.put(
            f"/answers/{ID}", params={"name": "a/../report.pdf"}, content=DATA, headers=bearer(token)
        )
        url, sender = f"/answers/{ID}", bearer(token)
        again = await client.put(url, params={"name": "report.pdf", "comment": "so"}, content=DATA, headers=sender)
        other = await client.put(url, params={"name": "report.pdf"}, content=DATA + b"x", headers=sender)
        named = await client.put(url, params={"name": "other.pdf"}, content=DATA, headers=sender)

    assert (reply.status_code, reply.json()["value"]) == (200, SENT)
    # The reply may have been lost: it is one submission, whose comment stands. Nothing more is kept.
    assert (again.status_code, again.json()["value"]) == (200, SENT)
    assert "its comment is kept" in again.json()["message"]
    assert (other.status_code, named.status_code) == (409, 409)
    assert len(await parts(served)) == 3
    event = event_of(served.store, request, hitl.File)
    file = await event.wait.aio()
    assert isinstance(file, hitl.File)
    path = await file.path.aio()
    assert (path.name, path.read_bytes()) == ("report.pdf", DATA)
    assert await file.path.aio() == path
    with await file.open.aio() as opened:
        assert sha256_hex(opened.read()) == file.sha256


@pytest.mark.parametrize(
    ("query", "media_type", "status"),
    [
        ("name=a&name=b", "application/octet-stream", 400),
        ("name=a&comment=one&comment=two", "application/octet-stream", 400),
        ("name=a&coment=one", "application/octet-stream", 400),
        ("name=gr%FCn.txt", "application/octet-stream", 400),
        ("name=a&comment=gr%FCn", "application/octet-stream", 400),
        ("name=a", "multipart/form-data; boundary=x", 415),
        ("name=a", " Multipart/mixed", 415),
    ],
)
async def test_what_a_program_did_not_mean_as_its_file_is_refused(
    query: str, media_type: str, status: int
) -> None:
    served = Served()
    async with served as client:
        _, token = await ask(served)
        headers = {**bearer(token), "Content-Type": media_type}
        reply = await client.put(f"/answers/{ID}?{query}", content=DATA, headers=headers)

    assert reply.status_code == status
    assert await parts(served) == []


async def test_a_form_sends_a_file_its_comment_and_its_name() -> None:
    served = Served()
    async with served as client:
        _, token = await ask(served)
        page = await client.get(f"/form/{ID}", params={"token": token})
        reply = await client.post(
            "/submit/file",
            data={"request_id": ID, "token": token, "comment": "as agreed", "name": "Ann"},
            files={"file": ("Vertrag für Ann.pdf", b"%PDF-1.7 words", "text/html")},
        )

    assert 'enctype="multipart/form-data"' in page.text
    assert reply.status_code == 200
    assert "Your answer was saved" in reply.text
    outcome = await served.store.read(keys.response_key(ID))
    assert outcome is not None
    for text in ("Vertrag für Ann.pdf", "application/pdf", "as agreed", "Ann", '"web"'):
        assert text in outcome.decode()


@pytest.mark.parametrize(
    ("data", "name", "status", "said"),
    [
        (b"", "", 422, "Choose a file."),
        (b"", "empty.txt", 422, "The file is empty"),
        (b"x" * 70_000, "large.txt", 413, "The file has more than 65,536 bytes: nothing was recorded."),
    ],
)
async def test_what_is_no_usable_file_is_refused_and_nothing_is_recorded(
    data: bytes, name: str, status: int, said: str
) -> None:
    served = Served(max_file_bytes=65_536)
    async with served as client:
        _, token = await ask(served)
        form = {"request_id": ID, "token": token}
        by_form = await client.post("/submit/file", data=form, files={"file": (name, data)})
        by_put = await client.put(f"/answers/{ID}", params={"name": "x"}, content=data, headers=bearer(token))
        late = await client.put(
            f"/answers/{ID}", params={"name": "x"}, content=pieces(b"x" * 70_000), headers=bearer(token)
        )

    assert (by_form.status_code, by_put.status_code) == (status, status)
    assert said in by_form.text
    assert late.status_code == 413
    assert await served.store.read(keys.response_key(ID)) is None


async def pieces(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 10_000):
        yield data[start : start + 10_000]


async def test_nobody_else_sends_a_file_and_nothing_of_it_is_written() -> None:
    served = Served()
    async with served as client:
        _, token = await ask(served)
        await asked(served.store, "number")
        other = await add_link(served.store, "number", now=NOW)
        file = {"file": ("x.txt", b"words")}
        put = {"params": {"name": "x"}, "content": b"words"}
        statuses = [
            (await client.put(f"/answers/{ID}", **put)).status_code,  # type: ignore[arg-type]  # as given above
            (await client.put(f"/answers/{ID}", **put, headers=bearer(other))).status_code,  # type: ignore[arg-type]
            (await client.put(f"/answers/{ID}", **put, headers=bearer(keys.hash_token(token)))).status_code,  # type: ignore[arg-type]
            (await client.post("/submit/file", data={"request_id": ID}, files=file)).status_code,
            (await client.post("/submit/file", data={"request_id": ID, "token": other}, files=file)).status_code,
            (await client.put("/answers/number", **put, headers=bearer(other))).status_code,  # type: ignore[arg-type]
            (await client.put("/answers/nothing", **put, headers=bearer(token))).status_code,  # type: ignore[arg-type]
        ]
        foreign = await client.put(
            f"/answers/{ID}",
            content=b"x",
            params={"name": "x"},
            headers={**bearer(token), "Origin": "https://evil.example"},
        )

    assert statuses == [403, 403, 403, 403, 403, 400, 403]
    assert foreign.status_code == 403
    assert await parts(served) == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--b\r\n",
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\nwords\r\n--b--\r\n',
        b'--b\r\nContent-Disposition: form-data; name="request_id"\r\n\r\nQ\r\n--b--\r\n',
        b'--b\r\nContent-Disposition: form-data; name="request_id"\r\n\r\nQ\r\n'
        b'--b\r\nContent-Disposition: form-data; name="other"; filename="x"\r\n\r\nwords\r\n--b--\r\n',
        b'--b\r\nContent-Disposition: form-data; name="request_id"\r\n\r\nQ\r\n' * 2 + b"--b--\r\n",
        b'--b\r\nContent-Disposition: form-data; name="request_id"\r\n\r\n' + b"x" * 70_000,
        b"no form at all",
    ],
)
async def test_a_malformed_form_is_refused(body: bytes) -> None:
    served = Served()
    async with served as client:
        await ask(served)
        content_type = {"Content-Type": "multipart/form-data; boundary=b"}
        reply = await client.post("/submit/file", content=body.replace(b"Q", ID.encode()), headers=content_type)

    assert reply.status_code == 400
    assert await parts(served) == []


REQUEST_ID = 'form-data; name="request_id"'
COMMENT = 'form-data; name="comment"'
FILE = 'form-data; name="file"; filename="a.txt"'


@pytest.mark.parametrize(
    ("comment", "file"),
    [
        ([COMMENT, "Content-Transfer-Encoding: base64"], [FILE]),
        ([COMMENT, "Content-Encoding: gzip"], [FILE]),
        ([COMMENT, "Content-Type: text/plain; charset=utf-16le"], [FILE]),
        ([COMMENT, "Content-Type: multipart/mixed; boundary=c"], [FILE]),
        ([f'{COMMENT}; name="name"'], [FILE]),
        ([f'{COMMENT}; filename="c.txt"'], [FILE]),
        (['attachment; name="comment"'], [FILE]),
        ([COMMENT, 'Content-Disposition: form-data; name="name"'], [FILE]),
        ([COMMENT], [FILE, "Content-Transfer-Encoding: base64"]),
        ([COMMENT], [FILE, "Content-Encoding: gzip"]),
        ([COMMENT], [FILE, "Content-Type: multipart/mixed; boundary=c"]),
        ([COMMENT], [FILE, "Content-Type: text/plain", "Content-Type: text/html"]),
        ([COMMENT], [f'{FILE}; filename="b.exe"']),
        ([COMMENT], [f"{FILE}; filename*=utf-8''b.exe"]),
        ([COMMENT], [f'{FILE}; name="file"']),
        ([COMMENT], ['attachment; name="file"; filename="a.txt"']),
        ([COMMENT], ['form-data; name="files"; filename="a.txt"']),
        # As a program of another locale sends it.
        ([COMMENT], ['form-data; name="file"; filename="gr\udcfcn.txt"']),
    ],
)
async def test_a_form_with_a_file_that_could_mean_two_things_is_refused(
    comment: list[str], file: list[str]
) -> None:
    refused = await sent_file(comment, file)
    taken = await sent_file([COMMENT, "Content-Type: text/plain; charset=utf-8"], [FILE, "Content-Type: text/csv"])

    assert refused[:2] == (400, None)
    assert taken[0] == 200
    assert b"as agreed" in (taken[1] or b"")


@pytest.mark.parametrize("name", ["a;b.txt", "Vertrag für Ann.pdf", "a%22b.txt", "50 % (2).txt", "a,b=c.txt"])
async def test_a_file_keeps_the_name_that_a_browser_sends(name: str) -> None:
    status, outcome = await sent_file([COMMENT], [f'form-data; name="file"; filename="{name}"'])

    assert status == 200
    assert name in (outcome or b"").decode()


async def sent_file(comment: list[str], file: list[str]) -> tuple[int, bytes | None]:
    """Send a form with a comment and a file, each with these headers; return the status and what was recorded."""
    served = Served()
    async with served as client:
        _, token = await ask(served)
        fields = [
            ([REQUEST_ID], ID),
            (['form-data; name="token"'], token),
            (comment, "as agreed"),
            (file, "words"),
        ]
        body = "".join(
            "\r\n".join(["--b", f"Content-Disposition: {first}", *more, "", text, ""])
            for (first, *more), text in fields
        )
        content_type = {"Content-Type": "multipart/form-data; boundary=b"}
        reply = await client.post(
            "/submit/file", content=f"{body}--b--\r\n".encode(errors="surrogateescape"), headers=content_type
        )
    return reply.status_code, await served.store.read(keys.response_key(ID))


async def test_a_form_that_ends_in_the_middle_of_its_file_records_nothing() -> None:
    served = Served()
    async with served as client:
        _, token = await ask(served)
        form = {"request_id": ID, "token": token}
        request = client.build_request(
            "POST", "/submit/file", data=form, files={"file": ("x.txt", b"words" * 100)}
        )
        whole = request.read()
        for cut in (len(whole) - 10, len(whole) - 40, len(whole) - 200):
            reply = await client.post(
                "/submit/file", content=whole[:cut], headers={"Content-Type": request.headers["content-type"]}
            )
            assert reply.status_code == 400

    assert await served.store.read(keys.response_key(ID)) is None


async def test_who_may_not_send_a_file_takes_nobodys_turn() -> None:
    served = Served(large_bodies=1)
    async with served as client:
        _, token = await ask(served)
        form, file = {"request_id": ID, "token": token}, {"file": ("x.txt", b"words")}
        async with served.app.state.service.uploads.one("another", 60):
            busy = await client.post("/submit/file", data=form, files=file)
            unknown = await client.post("/submit/file", data={**form, "token": "x"}, files=file)
        taken = await client.post("/submit/file", data=form, files=file)

    assert [reply.status_code for reply in (busy, unknown, taken)] == [503, 403, 200]


async def test_a_sender_that_is_too_slow_is_told_so() -> None:
    async def slowly() -> AsyncIterator[bytes]:
        yield b"words"
        await asyncio.sleep(60)

    served = Served(upload_seconds=0.1)
    async with served as client:
        _, token = await ask(served)
        reply = await client.put(f"/answers/{ID}", params={"name": "x"}, content=slowly(), headers=bearer(token))

    assert reply.status_code == 408
    assert await served.store.read(keys.response_key(ID)) is None


def test_an_upload_that_stops_half_way_records_nothing(app: WebApp) -> None:
    question = app.ask(data_type=hitl.File)
    head = (
        f"PUT /answers/{question.request_id}?name=x HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(DATA)}\r\n"
        f"Authorization: Bearer {question.token}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", app.port), timeout=30) as wire:
        wire.sendall(head.encode() + DATA[: len(DATA) // 2])
        wire.shutdown(socket.SHUT_WR)
        with contextlib.suppress(OSError):
            wire.recv(65_536)

    assert question.stored() is None
    reply = httpx.put(
        f"{app.url}/answers/{question.request_id}",
        params={"name": "x"},
        content=DATA,
        headers=bearer(question.token),
        timeout=60,
    )
    assert reply.status_code == 200


async def test_on_no_other_way_a_file_is_only_described() -> None:
    served = Served()
    async with served as client:
        request, token = await ask(served)
        body = {"request_id": ID, "token": token}
        replies = [
            await client.post("/submit/json", json={**body, "value": SENT}),
            await client.post("/submit", data={**body, "value": '{"name": "x"}'}),
        ]
        with pytest.raises(InvalidValue, match="PUT /answers"):
            await settle(served.store, request, answer(SENT, text=False), now=NOW)
        declined = await client.post("/submit/json", json={**body, "reject": True, "comment": "no"})

    assert [reply.status_code for reply in replies] == [422, 422]
    assert all("answered by a file" in reply.text for reply in replies)
    assert declined.status_code == 200


async def test_a_file_that_was_changed_in_the_bucket_never_reaches_the_task() -> None:
    served = Served()
    async with served as client:
        request, token = await ask(served)
        await client.put(f"/answers/{ID}", params={"name": "x"}, content=DATA, headers=bearer(token))
        file = await event_of(served.store, request, hitl.File).wait.aio()
        key = (await parts(served))[1]
        data = await served.store.read(key) or b""
        await served.store.delete(key)
        with pytest.raises(DocumentDamaged):
            await file.path.aio()
        await served.store.create_once(key, data[:-1] + b"\xff")
        with pytest.raises(DocumentDamaged):
            await file.path.aio()


async def test_a_name_from_outside_is_no_path_where_the_file_is_downloaded() -> None:
    served = Served()
    async with served as client:
        request, token = await ask(served)
        await client.put(
            f"/answers/{ID}", params={"name": "../../x\x00\r\n"}, content=b"words", headers=bearer(token)
        )
        file = await event_of(served.store, request, hitl.File).wait.aio()

    file.name = "../../escaped"
    path: Path = await file.path.aio()
    assert path.name == "escaped"
    assert path.parent.name.startswith("hitl-")
    with pytest.raises(InvalidRequest):
        await File(**{**SENT, "name": "x"}).path.aio()


@pytest.mark.parametrize("data_type", [list[hitl.File], hitl.File | None, dict[str, hitl.File]])
def test_a_file_is_never_a_part_of_an_answer(data_type: Any) -> None:
    with pytest.raises(InvalidRequest, match=r"a file can only be the whole answer"):
        number_question(data_type=data_type)


def test_a_file_has_no_default() -> None:
    with pytest.raises(InvalidRequest, match="a file has no default"):
        number_question(data_type=hitl.File, default=File(**SENT))


def test_a_person_uploads_a_file_without_javascript(app: WebApp, page: Page, tmp_path: Path) -> None:
    question = app.ask(data_type=hitl.File)
    path = tmp_path / "the contract.pdf"
    path.write_bytes(DATA)
    page.goto(question.url)
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    page.get_by_role("button", name="Send file").click()
    assert "Choose a file." in page.inner_text("main")
    page.get_by_label("Your file").set_input_files(path)
    page.get_by_role("button", name="Send file").click()

    assert "Your answer was saved" in page.inner_text("main")
    outcome = question.stored()
    assert outcome is not None
    assert outcome["value"] == {**SENT, "name": "the contract.pdf"}
    assert run(read_request(app.store, question.request_id)).document.data_type == "json"
