"""What each middleware lets through, what every reply has, and what one submission costs the storage."""

import uuid
from typing import Any

import httpx
import pytest

from hitl.core import keys
from hitl.records.links import add_link
from hitl.storage import Store
from hitl_webapp.main import create_app
from hitl_webapp.security import SECURITY_HEADERS
from hitl_webapp.settings import WebSettings
from tests.library.samples import NOW, Timed, asked

ID = "a-question"


class Served:
    """An app in this process, over storage in memory."""

    def __init__(self, **settings: Any) -> None:
        self.store = Timed(f"memory://{uuid.uuid4().hex}")
        self.app = create_app(WebSettings(**settings), self.store)

    async def __aenter__(self) -> httpx.AsyncClient:
        self.lifespan = self.app.router.lifespan_context(self.app)
        await self.lifespan.__aenter__()
        self.app.state.service.clock.now = lambda: NOW
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        self.client = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")
        return self.client

    async def __aexit__(self, *error: object) -> None:
        await self.client.aclose()
        await self.lifespan.__aexit__(None, None, None)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("a.example", 200),
        ("A.example:8080", 200),
        ("x.b.example", 200),
        ("b.example", 400),
        ("evil.example", 400),
        ("a.example.evil.example", 400),
        ("", 400),
    ],
)
async def test_only_the_allowed_hosts_are_answered(host: str, status: int) -> None:
    async with Served(allowed_hosts=["a.example", "*.b.example"]) as client:
        reply = await client.get("/health", headers={"Host": host})

    assert reply.status_code == status
    for name, value in SECURITY_HEADERS.items():
        assert reply.headers[name] == value


@pytest.mark.parametrize("name", ["Host", "Origin", "Authorization", "Idempotency-Key", "X-Forwarded-User"])
async def test_a_field_that_decides_something_is_taken_once(name: str) -> None:
    async with Served() as client:
        reply = await client.post("/submit/json", headers=[(name, "a"), (name, "b")], content=b"{}")

    assert reply.status_code == 400
    assert f"{name.lower()} is there twice" in reply.json()["detail"]
    assert reply.headers["connection"] == "close"


async def test_a_fault_of_ours_is_one_reply_with_the_headers_of_every_reply(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    served = Served()
    async with served as client:
        await asked(served.store)
        token = await add_link(served.store, ID, now=NOW)

        async def broken(*_: object, **__: object) -> None:
            raise RuntimeError("secret")

        monkeypatch.setattr(served.app.state.service.questions, "outcome", broken)
        monkeypatch.setattr(served.app.state.service.submissions, "settle", broken)
        sent = {"request_id": ID, "token": token, "value": "1"}
        replies = [
            await client.get(f"/form/{ID}", params={"token": token}),
            await client.post("/submit", data=sent),
            await client.post("/submit/json", json=sent),
        ]

    for reply in replies:
        assert reply.status_code == 500
        assert "secret" not in reply.text
        assert reply.headers["content-security-policy"] == SECURITY_HEADERS["Content-Security-Policy"]


async def test_a_submission_reads_link_and_question_once(monkeypatch: pytest.MonkeyPatch) -> None:
    served, read = Served(), list[str]()
    async with served as client:
        await asked(served.store)
        token = await add_link(served.store, ID, now=NOW)
        read_once = Store.read

        async def noted(store: Store, key: str) -> bytes | None:
            read.append(key)
            return await read_once(store, key)

        monkeypatch.setattr(Store, "read", noted)
        for value, status in ((7, 200), (7, 200), (8, 409)):
            reply = await client.post("/submit/json", json={"request_id": ID, "token": token, "value": value})
            assert reply.status_code == status

    each = [keys.request_key(ID), keys.link_key(ID, keys.hash_token(token))]
    outcome = keys.response_key(ID)
    assert read == [*each, *each, outcome, *each, outcome]
