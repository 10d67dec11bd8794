"""Two users, 50 namespaces, random rights and groups: streams and bulks are told what a naive filter says."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from starlette.datastructures import Headers

from hitl.core.documents import Origin, RequestDocument, Respondent
from hitl.core.respondents import Respondents
from hitl.errors import NotAllowed
from hitl.records.submissions import Submission
from hitl.storage import Store
from hitl_webapp import bulk
from hitl_webapp.inbox.queries import Query
from hitl_webapp.service import Service
from hitl_webapp.settings import WebSettings
from tests.web.test_inbox import asked
from tests.web.test_inbox_rights import Limited

QUESTIONS = 80
GROUPS = [f"g-{number}" for number in range(6)]
SPACES = [f"ns-{number}" for number in range(50)]


@dataclass(frozen=True, kw_only=True)
class Member(Limited):
    """Stands for a user of Kubernetes, whose rights are on namespaces."""

    async def require_may_see_all(self) -> None:
        raise NotAllowed("no")

    async def require_may_see(self, request: RequestDocument, now: datetime) -> None:
        if request.origin.namespace not in self.spaces:
            raise NotAllowed("no")
        await super().require_may_see(request, now)


async def test_streams_and_bulks_of_two_users_are_those_of_a_naive_filter(tmp_path: Path) -> None:
    chance = random.Random(7)
    members = {
        name: Member(
            name=name,
            groups=tuple(chance.sample(GROUPS, 2)),
            verified=True,
            spaces=frozenset(chance.sample(SPACES, 30)),
        )
        for name in ("ann", "bob")
    }

    async def authenticate(headers: Headers) -> Member | None:
        return members.get(headers["user"])

    store = Store(str(tmp_path / "root"))
    service = Service(store, WebSettings(storage_root=store.url), authenticate)
    inbox, may_see = service.inbox, {name: set[str]() for name in members}

    async def versions() -> dict[str, str]:
        now = datetime.now(UTC)
        return {name: (await inbox.listing(each, Query(), now)).version for name, each in members.items()}

    before = await versions()
    for number in range(QUESTIONS):
        request_id, space = f"q-{number}", chance.choice(SPACES)
        users = chance.choice([[], [], ["ann"], ["bob"], ["carol"], ["ann", "bob"]])
        groups = chance.sample(GROUPS, chance.randrange(3))
        named = Respondents(users=users, groups=groups)
        await asked(store, request_id, respondents=named or None, origin=Origin(namespace=space))
        inbox.hint(request_id)
        async with asyncio.timeout(120):
            while await inbox.known() <= number:
                await asyncio.sleep(0.01)
        after = await versions()
        for name, member in members.items():
            seen = space in member.spaces and named.allow(name, list(member.groups))
            assert (before[name] != after[name]) is seen, (
                "a stream says that something changed when its version does"
            )
            may_see[name] |= {request_id} if seen else set()
        before = after

    def answer(_: RequestDocument) -> Submission:
        return Submission("answered", Respondent(via="api"), value=7, text=False)

    ids, taken = [f"q-{number}" for number in range(QUESTIONS)], set[str]()
    for name in members:
        results = await bulk.submit(service, Headers({"user": name}), ids, answer, "api")
        wanted = [403 if each not in may_see[name] else 409 if each in taken else 200 for each in ids]
        assert [each.status for each in results] == wanted
        assert not any(each.outcome for each in results if each.status == 403)
        taken |= may_see[name]
    assert 0 < len(may_see["ann"] & may_see["bob"]) < len(taken) < QUESTIONS
    await service.close()
