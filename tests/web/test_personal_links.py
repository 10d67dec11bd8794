"""Links for one person and one question: who answers by them, and when they are enough."""

import uuid
from typing import Any

import httpx
import pytest

from hitl.core import keys
from hitl.core.approval import Approval
from hitl.core.respondents import Respondents
from hitl.records.links import find_link, list_links, personal_link, revoke_link
from hitl.records.requests import read_outcome
from hitl.storage import Store
from tests.library.samples import NOW, asked
from tests.web.test_guards import ID, Served

KEY = b"k" * 32
ANN = "ann@example.org"
PROXY = {"auth": "proxy", "proxy_secret": "of-the-proxy"}


async def link_for(store: Store, person: str = ANN, **question: Any) -> str:
    return await personal_link(store, await asked(store, ID, **question), person, key=KEY, now=NOW)


async def submit(client: httpx.AsyncClient, token: str, **more: str) -> httpx.Response:
    return await client.post("/submit", data={"request_id": ID, "token": token, "value": "5", **more})


@pytest.mark.parametrize("respondents", [None, Respondents(users=["bob@example.org", ANN])])
@pytest.mark.parametrize("api", [False, True])
async def test_who_has_it_answers_in_the_person_s_name_whatever_name_they_type(
    api: bool, respondents: Respondents | None
) -> None:
    served = Served()
    async with served as client:
        token = await link_for(served.store, respondents=respondents)
        page = (await client.get(f"/form/{ID}", params={"token": token})).text
        declining = (await client.post("/submit", data={"request_id": ID, "token": token, "step": "decline"})).text
        if api:
            body = {"request_id": ID, "token": token, "value": 5}
            reply = await client.post("/submit/json", json=body)
        else:
            reply = await submit(client, token, name="bob")
    assert reply.status_code == 200, reply.text
    for each in (page, declining):
        assert f"You answer as <strong><bdi>{ANN}</bdi></strong>, by a link sent to that address." in each
        assert 'name="name"' not in each
        assert "Your questions" not in each
    outcome = await read_outcome(served.store, ID)
    assert outcome is not None
    who = outcome.respondent
    assert (who.name, who.verified, who.link) == (ANN, False, keys.hash_token(token))
    assert f"answered by {ANN} (unverified)" in outcome.summary()


@pytest.mark.parametrize(
    ("settings", "question", "why"),
    [
        ({}, {"respondents": Respondents(users=["bob@example.org"])}, f"for others to answer; you are {ANN}"),
        ({}, {"respondents": Respondents(groups=["sre"])}, f"for others to answer; you are {ANN}"),
        ({}, {"approval": Approval(required=2)}, "nobody has verified yours"),
        (
            {},
            {"approval": Approval(required=1, exclude_requester=True), "requester": "bob"},
            "nobody has verified yours",
        ),
        (PROXY, {"respondents": Respondents(users=[ANN])}, "its link is not enough. Sign in to answer it."),
    ],
)
async def test_where_it_is_not_enough_it_shows_the_question_and_says_why(
    settings: dict[str, Any], question: dict[str, Any], why: str
) -> None:
    served = Served(**settings)
    async with served as client:
        token = await link_for(served.store, **question)
        page = await client.get(f"/form/{ID}", params={"token": token})
        reply = await submit(client, token)
    assert (page.status_code, reply.status_code) == (200, 403)
    assert why in page.text
    assert why in reply.text
    assert "You answer as" not in page.text
    assert await read_outcome(served.store, ID) is None


async def test_it_is_the_same_at_each_try_and_no_notice_makes_it_again_once_it_is_revoked() -> None:
    served = Served()
    async with served as client:
        request = await asked(served.store, ID)
        first, again, other = [
            await personal_link(served.store, request, person, key=KEY, now=NOW)
            for person in (ANN, ANN, "bob@example.org")
        ]
        assert first == again != other
        assert keys.looks_like_token(first)
        links = await list_links(served.store, ID)
        assert {(token_hash, link.label) for token_hash, link in links} == {
            (keys.hash_token(first), ANN),
            (keys.hash_token(other), "bob@example.org"),
        }
        assert await revoke_link(served.store, ID, keys.hash_token(first))
        assert await personal_link(served.store, request, ANN, key=KEY, now=NOW) == ""
        assert await find_link(served.store, ID, keys.hash_token(first), None) is None
        refused = await submit(client, first)
        assert refused.status_code == 403
        assert "This link does not open a question" in refused.text
        assert (await submit(client, other)).status_code == 200


class Revoking(Store):
    """A real store in which somebody revokes the link just before, or just after, it is written again."""

    when = ""

    async def create_once(self, key: str, data: bytes) -> bool:
        when, self.when = self.when, ""
        if when == "before":
            await revoke_link(self, ID, key.rpartition("/")[2].removesuffix(".json"))
        created = await super().create_once(key, data)
        if when == "after":
            await revoke_link(self, ID, key.rpartition("/")[2].removesuffix(".json"))
        return created


@pytest.mark.parametrize("when", ["before", "after"])
async def test_who_revokes_it_while_a_notice_writes_it_has_revoked_it(when: str) -> None:
    store = Revoking(f"memory://{uuid.uuid4().hex}")
    request = await asked(store, ID)
    token = await personal_link(store, request, ANN, key=KEY, now=NOW)
    store.when = when
    assert await personal_link(store, request, ANN, key=KEY, now=NOW) == ""
    assert await find_link(store, ID, keys.hash_token(token), None) is None


async def test_another_question_key_or_person_is_another_link() -> None:
    store = Served().store
    one = await asked(store, ID)
    two = await asked(store, "b-question")
    made = {
        await personal_link(store, request, person, key=key, now=NOW)
        for request in (one, two)
        for person in (ANN, "bob@example.org")
        for key in (KEY, b"l" * 32)
    }
    assert len(made) == 8
