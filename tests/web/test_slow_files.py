"""Files over slow networks and from people who send many: nobody keeps out others, and a bucket does not fill."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from datetime import timedelta

import httpx
import pytest

import hitl
from hitl.core import keys
from hitl.records.files import upload
from hitl.records.links import add_link
from hitl.records.requests import read_request
from tests.library.samples import NOW, asked
from tests.web.serving import visible_text
from tests.web.test_files import ask, bearer, parts
from tests.web.test_guards import ID, Served

FORM = {"Content-Type": "multipart/form-data; boundary=b"}


class Held:
    """A body of which the end comes when it is let go."""

    def __init__(self, begin: bytes, end: bytes = b"") -> None:
        self.go = asyncio.Event()
        self.sent = asyncio.Event()
        self._begin, self._end = begin, end

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._begin
        self.sent.set()
        await self.go.wait()
        yield self._end


def form_of(token: str, comment: str = "") -> Held:
    fields = {"request_id": ID, "token": token, "comment": comment}
    texts = [
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}' for name, text in fields.items()
    ]
    file = '--b\r\nContent-Disposition: form-data; name="file"; filename="plan.txt"\r\n\r\nwords'
    return Held("\r\n".join([*texts, file]).encode(), b"\r\n--b--\r\n")


async def begun(request: Awaitable[httpx.Response], body: Held) -> asyncio.Task[httpx.Response]:
    task = asyncio.ensure_future(request)
    await body.sent.wait()
    return task


async def test_who_may_send_nothing_keeps_nobody_from_sending_a_file() -> None:
    served = Served(large_bodies=1)
    async with served as client:
        _, token = await ask(served)
        halves = [Held(b'--b\r\nContent-Disposition: form-data; name="comment"\r\n\r\n') for _ in range(4)]
        slow = [await begun(client.post("/submit/file", content=each, headers=FORM), each) for each in halves]
        reply = await client.put(f"/answers/{ID}?name=x", content=b"words", headers=bearer(token))
        for each in halves:
            each.go.set()
        statuses = {(await each).status_code for each in slow}

    assert reply.status_code == 200
    assert statuses == {400}


async def test_a_form_whose_beginning_does_not_come_is_given_up_soon() -> None:
    served = Served(body_seconds=0.1)
    async with served as client:
        held = Held(b"--b\r\n")
        reply = await client.post("/submit/file", content=held, headers=FORM)
    assert reply.status_code == 408


async def test_slow_senders_of_one_question_leave_room_for_those_of_others() -> None:
    served = Served()
    async with served as client:
        _, token = await ask(served)
        await asked(served.store, "other", data_type=hitl.File)
        other = await add_link(served.store, "other", now=NOW)
        held = [Held(b"words", b"words") for _ in range(2)]
        url = f"/answers/{ID}?name=x"
        slow = [await begun(client.put(url, content=each, headers=bearer(token)), each) for each in held]
        third = await client.put(url, content=b"words", headers=bearer(token))
        elsewhere = await client.put("/answers/other?name=x", content=b"words", headers=bearer(other))
        for each in held:
            each.go.set()
        statuses = [(await each).status_code for each in slow]

    assert (third.status_code, elsewhere.status_code) == (503, 200)
    # The same file by the same link is the same answer.
    assert statuses == [200, 200]


async def test_files_that_never_answer_do_not_fill_the_bucket() -> None:
    served = Served(max_file_bytes=65_536)
    async with served as client:
        _, token = await ask(served)
        form, file = {"request_id": ID, "token": token, "comment": "c" * 5_000}, {"file": ("x", b"words")}
        by_form = [(await client.post("/submit/file", data=form, files=file)).status_code for _ in range(20)]
        by_put = await client.put(f"/answers/{ID}?name=x", content=b"words", headers=bearer(token))
        declined = await client.post(
            "/submit/json", json={"request_id": ID, "token": token, "reject": True, "comment": "no"}
        )

    assert by_form == [422] * 16 + [413] * 4
    assert len(await parts(served)) == 16
    assert by_put.status_code == 413
    assert "Too much was sent for this question" in by_put.json()["detail"]
    assert declined.status_code == 200


async def test_a_comment_that_cannot_be_recorded_is_refused_before_the_file_arrives() -> None:
    served = Served()
    async with served as client:
        _, token = await ask(served)
        reply = await client.put(
            f"/answers/{ID}", params={"name": "x", "comment": "c" * 5_000}, content=b"words", headers=bearer(token)
        )
    assert reply.status_code == 400
    assert await parts(served) == []


@pytest.mark.parametrize("late", [False, True])
async def test_who_came_second_or_late_is_told_of_the_file_by_its_name(
    late: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = Served()
    async with served as client:
        request, token = await ask(served)
        held = form_of(await add_link(served.store, ID, now=NOW))
        slow = await begun(client.post("/submit/file", content=held, headers=FORM), held)
        if late:
            over = request.document.expires_at + timedelta(seconds=1)
            monkeypatch.setattr(served.app.state.service.clock, "now", lambda: over)
            served.store.time = over
        else:
            await client.put(f"/answers/{ID}?name=first", content=b"words", headers=bearer(token))
        held.go.set()
        reply = await slow

    text = " ".join(visible_text(reply.text).split())
    assert reply.status_code == (410 if late else 409)
    assert "It was not saved. You can copy it from here. plan.txt" in text


async def test_no_other_question_is_touched_by_what_was_sent_for_one() -> None:
    served = Served(max_file_bytes=1_024)
    async with served as client:
        _, token = await ask(served)
        await asked(served.store, f"{ID}-2", data_type=hitl.File)

        async def words() -> AsyncIterator[bytes]:
            yield b"words"

        for number in range(16):
            await upload(served.store, f"{ID}-2", f"s-{number}", "x", words(), 1_024)
        reply = await client.put(f"/answers/{ID}?name=x", content=b"words", headers=bearer(token))

    assert reply.status_code == 200
    assert (await read_request(served.store, f"{ID}-2")).request_id == f"{ID}-2"
    assert await served.store.read(keys.response_key(f"{ID}-2")) is None
