"""The link that was handed out as a question was asked: its hash is part of the question, and no page tells it."""

import json
import logging
from collections import Counter
from typing import Any

import pytest

from hitl.core import keys
from hitl.core.documents import sha256_hex
from hitl.core.evidence import Evidence
from hitl.records.links import add_link, list_links, revoke_link
from hitl.records.requests import read_outcome
from hitl.storage import Store
from tests.library.beside import stored_as
from tests.library.samples import NOW, asked
from tests.web.test_guards import ID, Served

TOKEN = keys.new_token()
HASH = keys.hash_token(TOKEN)
PROXY: dict[str, Any] = {"auth": "proxy", "proxy_secret": "of-the-proxy"}
ANN = {"X-HITL-Proxy-Secret": "of-the-proxy", "X-Forwarded-User": "ann"}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Counts what is asked of the storage, by the first part of the key below the question's folder."""
    made: Counter[str] = Counter()
    for name in ("read", "exists"):
        original = getattr(Store, name)

        async def counted(store: Store, key: str, original: Any = original) -> Any:
            made[key.split("/")[2]] += 1
            return await original(store, key)

        monkeypatch.setattr(Store, name, counted)
    return made


@pytest.mark.parametrize("api", [False, True])
async def test_it_opens_the_form_and_answers_for_as_many_calls_as_any_link(api: bool, calls: Counter[str]) -> None:
    served = Served()
    async with served as client:
        await asked(served.store, ID, link_sha256=HASH)
        calls.clear()
        page = await client.get(f"/form/{ID}", params={"token": TOKEN})
        assert page.status_code == 200
        assert calls == {"request.json": 1, "revoked": 1, "response.json": 1}

        calls.clear()
        sent = {"request_id": ID, "token": TOKEN, "value": 5}
        reply = await (client.post("/submit/json", json=sent) if api else client.post("/submit", data=sent))
        assert reply.status_code == 200
        assert calls == {"request.json": 1, "revoked": 1}

    outcome = await read_outcome(served.store, ID)
    assert outcome is not None
    assert (outcome.value, outcome.respondent.link) == (5, HASH)


async def test_its_hash_shows_the_evidence_and_answers_nothing() -> None:
    served, data = Served(), b"shown"
    piece = Evidence(name="x", kind="file", media_type="text/plain", size_bytes=5, sha256=sha256_hex(data))
    async with served as client:
        await stored_as(served.store, ID, piece, data)
        await asked(served.store, ID, evidence=[piece], link_sha256=HASH)
        place = f"/evidence/{ID}/{piece.sha256}"
        assert (await client.get(place, params={"key": HASH})).content == data
        assert (await client.get(place, params={"key": "0" * 64})).status_code == 403
        sent = {"request_id": ID, "token": HASH, "value": 5}
        assert (await client.post("/submit/json", json=sent)).status_code == 403


async def test_once_it_is_revoked_it_never_opens_again() -> None:
    served = Served()
    async with served as client:
        await asked(served.store, ID, link_sha256=HASH)
        other = await add_link(served.store, ID, now=NOW, label="other")
        assert (await client.get(f"/form/{ID}", params={"token": TOKEN})).status_code == 200
        links = await list_links(served.store, ID)
        assert sorted((link.label, link.created_at) for _, link in links) == [("HumanInput", NOW), ("other", NOW)]

        assert await revoke_link(served.store, ID, HASH) is True
        assert await revoke_link(served.store, ID, HASH) is False
        sent = {"request_id": ID, "token": TOKEN, "value": 5}
        assert (await client.post("/submit", data=sent)).status_code == 403
        assert (await client.post("/submit/json", json=sent)).status_code == 403
        # What was remembered of it is forgotten with the first refusal.
        assert (await client.get(f"/form/{ID}", params={"token": TOKEN})).status_code == 403
        assert [link.label for _, link in await list_links(served.store, ID)] == ["other"]
        assert (await client.post("/submit/json", json=sent | {"token": other})).status_code == 200


@pytest.mark.parametrize("remembered", [False, True])
async def test_a_wrong_token_takes_as_many_calls_as_a_question_that_is_not_there(
    remembered: bool, calls: Counter[str]
) -> None:
    served = Served()
    wrong = keys.new_token()
    async with served as client:
        await asked(served.store, ID)
        await asked(served.store, "linked", link_sha256=HASH)
        if remembered:
            for each, token in ((ID, await add_link(served.store, ID, now=NOW)), ("linked", TOKEN)):
                assert (await client.get(f"/form/{each}", params={"token": token})).status_code == 200
        said: list[tuple[int, str]] = []
        for each in (ID, "linked", "absent", "Not_an_id", "x" * 64):
            for way in ("form", "status", "submit"):
                calls.clear()
                if way == "submit":
                    sent = {"request_id": each, "token": wrong, "value": 5}
                    reply = await client.post("/submit/json", json=sent)
                else:
                    reply = await client.get(f"/{way}/{each}", params={"token": wrong})
                assert reply.status_code == 403, (each, way)
                assert calls.total() == 2, (each, way, calls)
                if way != "form":
                    said.append((reply.status_code, json.dumps(reply.json()["detail"])))
    assert len(set(said)) == 1


async def test_no_page_and_no_log_tells_its_hash(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    served = Served(**PROXY)
    async with served as client:
        await asked(served.store, ID, link_sha256=HASH)
        other = await add_link(served.store, ID, now=NOW)
        replies = [
            await client.get(path, params=params, headers=headers)
            for path in (f"/form/{ID}", f"/status/{ID}", "/", "/questions", "/openapi.json", "/metrics", "/stats")
            for params, headers in (({}, ANN), ({"token": other}, {}))
        ]
        replies += [
            await client.post("/submit/json", json={"request_id": ID, "value": value}, headers=ANN)
            for value in ("wrong", 5, 6)
        ]
        replies += [await client.get(f"/{each}/{ID}", headers=ANN) for each in ("form", "status")]

    assert sum(reply.status_code == 200 for reply in replies) > 8
    assert [reply.status_code for reply in replies[14:17]] == [422, 200, 409]
    for reply in replies:
        assert HASH not in reply.text + str(reply.headers), reply.url
    assert HASH not in caplog.text
    kept = [key async for key, _ in served.store.list_keys(keys.PREFIX)]
    assert len(kept) > 3
    for key in kept:
        found = await served.store.read(key)
        assert HASH not in key
        assert found is not None
        assert (HASH.encode() in found) == (key == keys.request_key(ID)), key
