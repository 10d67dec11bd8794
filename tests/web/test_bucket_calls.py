"""What a submission asks of a bucket: question, link and outcome at once. Who comes too late has no marker."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TypeVar

import httpx
import pytest

from hitl.core import keys
from hitl.records.links import add_link, revoke_link
from hitl.records.requests import read_outcome
from hitl.storage import Store
from hitl_webapp.main import create_app
from hitl_webapp.settings import WebSettings
from tests.backends.plugin import Backend
from tests.library.samples import asked

ID = "a-question"
TOKEN = keys.new_token()
T = TypeVar("T")


class _Watched(Store):
    """Notes what is asked, and how many calls were under way with it."""

    def __init__(self, backend: Backend) -> None:
        super().__init__(backend.url, backend.options)
        self.calls: Counter[str] = Counter()
        self.at_once = self._under_way = 0

    async def read(self, key: str) -> bytes | None:
        return await self._noted(key, super().read(key))

    async def exists(self, key: str) -> bool:
        return await self._noted(key, super().exists(key))

    async def _noted(self, key: str, call: Awaitable[T]) -> T:
        self.calls[key.split("/")[2]] += 1
        self._under_way += 1
        self.at_once = max(self.at_once, self._under_way)
        try:
            return await call
        finally:
            self._under_way -= 1

    def clear(self) -> None:
        self.calls.clear()
        self.at_once = 0


@asynccontextmanager
async def _served(store: Store) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(WebSettings(markers=True), store)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client,
    ):
        yield client


async def _of_its_own(store: Store) -> str:
    return await add_link(store, ID, now=datetime.now(UTC))


async def _handed_out(_: Store) -> str:
    return TOKEN


@pytest.mark.parametrize(
    ("link", "calls"),
    [
        (_of_its_own, {"request.json": 1, "links": 1, "response.json": 1}),
        (_handed_out, {"request.json": 1, "links": 1, "response.json": 1, "revoked": 1}),
    ],
)
async def test_what_an_answer_needs_is_read_at_once_and_who_comes_late_is_not_announced(
    s3_backend: Backend, link: Callable[[Store], Awaitable[str]], calls: dict[str, int]
) -> None:
    store = _Watched(s3_backend)
    await asked(store, ID, now=datetime.now(UTC), link_sha256=keys.hash_token(TOKEN))
    sent = {"request_id": ID, "token": await link(store), "value": 5}
    async with _served(store) as client:
        store.clear()
        assert (await client.post("/submit/json", json=sent)).status_code == 200
        assert store.calls == calls
        assert store.at_once == 3
        assert [each.request_id for each in await store.list_markers(keys.ANSWERED)] == [ID]

        await store.delete(keys.answered_marker(ID))
        assert (await client.post("/submit/json", json=sent | {"value": 6})).status_code == 409
        assert await store.list_markers(keys.ANSWERED) == []
    outcome = await read_outcome(store, ID)
    assert outcome is not None
    assert outcome.value == 5


@pytest.mark.parametrize("request_id", [ID, "absent", "Not_an_id", "none"])
async def test_a_wrong_token_opens_nothing_for_as_many_calls_everywhere(
    s3_backend: Backend, request_id: str
) -> None:
    store = _Watched(s3_backend)
    now = datetime.now(UTC)
    await asked(store, ID, now=now, link_sha256=keys.hash_token(TOKEN))
    # What is read in the place of an id that could not be one.
    await asked(store, "none", now=now)
    revoked = await add_link(store, ID, now=now)
    await revoke_link(store, ID, keys.hash_token(revoked))
    async with _served(store) as client:
        for token in (keys.new_token(), revoked):
            store.clear()
            sent = {"request_id": request_id, "token": token, "value": 5}
            assert (await client.post("/submit/json", json=sent)).status_code == 403
            assert (store.calls.total(), store.at_once) == (3, 3)


async def test_an_outcome_that_comes_in_between_is_the_one_that_stands(
    s3_backend: Backend,
) -> None:
    store = Store(s3_backend.url, s3_backend.options)
    await asked(store, ID, now=datetime.now(UTC))
    sent = {"request_id": ID, "token": await _of_its_own(store)}
    async with _served(store) as client:
        replies = await asyncio.gather(
            *(client.post("/submit/json", json=sent | {"value": number}) for number in range(16))
        )
    codes = Counter(each.status_code for each in replies)
    assert codes == {200: 1, 409: 15}
    [won] = [number for number, each in enumerate(replies) if each.status_code == 200]
    outcome = await read_outcome(store, ID)
    assert outcome is not None
    assert outcome.value == won
