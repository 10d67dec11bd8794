"""The inbox shows how far the votes are and who has voted, and learns of votes without reading every question."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from hitl.core.approval import Approval
from hitl.core.documents import Respondent
from hitl.records import outcomes
from hitl.records.records import Records
from hitl.records.requests import StoredRequest
from hitl.records.retention import scan_all
from hitl.records.submissions import Submission
from hitl.records.voting import withdraw
from hitl_webapp import pages
from hitl_webapp.auth import Principal
from hitl_webapp.inbox import api
from hitl_webapp.inbox.inbox import Inbox
from hitl_webapp.inbox.listing import Listing
from hitl_webapp.inbox.queries import Query
from tests.library.counting import Counting
from tests.library.samples import NOW, asked
from tests.web.serving import visible_text
from tests.web.test_inbox_filling import Ticking, ids, inbox_of

TWO = Approval(required=2)
ANN, BOB = (Principal(name=name, verified=True) for name in ("ann", "bob"))


def counting() -> Counting:
    return Counting(f"memory://{uuid.uuid4().hex}", page=1_000)


async def waits(store: Counting, request_id: str, **given: Any) -> StoredRequest:
    return await asked(store, request_id, timeout_seconds=86_400, **given)


def who(name: str) -> Respondent:
    return Respondent(name=name, via="kubectl", verified=True)


async def vote(store: Counting, request: StoredRequest, name: str, value: str = "4") -> None:
    """Vote as another process does, which tells this web app nothing."""
    settled = await outcomes.settle(
        Records(store), request, Submission("answered", who(name), value), now=store.time
    )
    assert settled.kind in ("voted", "recorded")


async def seen(inbox: Inbox, store: Counting, principal: Principal = ANN, query: Query | None = None) -> Listing:
    return await inbox.listing(principal, query or Query(), store.time)


def shown(found: Listing) -> dict[str, tuple[str, bool]]:
    return {each.request_id: (each.ballot.progress(), each.ballot.voted) for each in found.rows if each.ballot}


async def test_votes_of_other_processes_are_seen_and_only_what_changed_is_read_again() -> None:
    store, clock = counting(), Ticking()
    for number in range(20):
        await waits(store, f"plain-{number}")
    ship, stop, _ = [await waits(store, name, approval=TWO) for name in ("ship", "stop", "wait")]
    await vote(store, stop, "bob")
    await scan_all(store, now=NOW)
    inbox = inbox_of(store, clock)
    assert shown(await seen(inbox, store)) == {
        "ship": ("0/2", False),
        "stop": ("1/2", False),
        "wait": ("0/2", False),
    }

    await vote(store, ship, "ann")
    clock.seconds += 31
    await store.cost(seen(inbox, store))
    found = await seen(inbox, store)
    assert shown(found) == {"ship": ("1/2", True), "stop": ("1/2", False), "wait": ("0/2", False)}
    # The question, its outcome and its one vote: of the one that changed alone.
    assert (store.asked["exists"], store.asked["read"]) == (23, 3)
    assert shown(await seen(inbox, store, BOB))["stop"] == ("1/2", True)
    clock.seconds += 31
    await store.cost(seen(inbox, store))
    assert (store.asked["exists"], store.asked["read"]) == (23, 0)

    await withdraw(Records(store), ship, who("ann"), now=store.time)
    await vote(store, stop, "cyd")
    clock.seconds += 31
    await seen(inbox, store)
    assert shown(await seen(inbox, store)) == {"ship": ("0/2", False), "wait": ("0/2", False)}


async def test_a_question_on_which_somebody_voted_does_not_wait_for_them() -> None:
    for is_indexed in (True, False):
        store, clock = counting(), Ticking()
        first = await waits(store, "first", approval=TWO)
        await asked(store, "second", timeout_seconds=86_500)
        await vote(store, first, "ann")
        if is_indexed:
            await scan_all(store, now=NOW)
        inbox = inbox_of(store, clock)

        assert ids((await seen(inbox, store)).rows) == ["first", "second"]
        assert ids((await seen(inbox, store, query=Query(voted="no"))).rows) == ["second"]
        assert ids((await seen(inbox, store, query=Query(voted="yes"))).rows) == ["first"]
        assert ids((await seen(inbox, store, BOB, Query(voted="no"))).rows) == ["first", "second"]
        assert await inbox.next(ANN, "", store.time) == "second"
        assert await inbox.next(BOB, "", store.time) == "first"
        # The same name, which nobody verified, is another voter.
        assert shown(await seen(inbox, store, Principal(name="ann")))["first"] == ("1/2", False)
        page = pages.render("inbox.html", found=await seen(inbox, store), name="ann")
        assert "1 of 2 agree. Still needed: 1 more. You have voted." in " ".join(visible_text(page).split())
        assert ('name="id" value="first"' in page, 'name="id" value="second"' in page) == (False, True)
        [listed, _] = api.document(await seen(inbox, store))["questions"]
        assert listed["approval"] == {
            "agree": 1,
            "required": 2,
            "declined": 0,
            "needed": "1 more",
            "unreachable": False,
            "voted": True,
        }


async def test_the_list_says_that_too_few_people_are_left_to_agree() -> None:
    store, clock = counting(), Ticking()
    split = await waits(store, "split", approval=TWO, respondents={"users": ["ann", "bob"]})
    inbox = inbox_of(store, clock)
    version = (await seen(inbox, store)).version
    await vote(store, split, "ann", "4")
    await vote(store, split, "bob", "5")
    clock.seconds += 61
    store.time += timedelta(seconds=61)
    found = await seen(inbox, store)

    assert found.version != version
    assert api.document(found)["questions"][0]["approval"]["unreachable"]
    text = " ".join(visible_text(pages.render("inbox.html", found=found, name="ann")).split())
    assert "1 of 2 agree. Too few people are left to agree, so the deadline decides" in text


async def test_the_requester_sees_a_question_that_others_must_decide_on_and_cannot_select_it() -> None:
    store, clock = counting(), Ticking()
    policy = Approval(required=2, exclude_requester=True)
    await waits(store, "release", approval=policy, requester="ann@example.org")
    inbox = inbox_of(store, clock)

    def page(found: Listing) -> str:
        return pages.render("inbox.html", found=found, name="somebody")

    for name, barred in (("Ann@example.org", True), ("bob@example.org", False)):
        text = page(await seen(inbox, store, Principal(name=name, verified=True)))
        assert ('type="checkbox" class="select"' in text) is not barred
        assert ("It is asked for you, so others must decide." in text) is barred


async def test_a_question_that_the_policy_keeps_from_somebody_does_not_wait_for_them() -> None:
    store, clock = counting(), Ticking()
    policy = Approval(required=2, exclude_requester=True)
    await waits(store, "mine", approval=policy, requester="ann")
    await asked(store, "another", timeout_seconds=86_500)
    inbox = inbox_of(store, clock)

    assert ids((await seen(inbox, store)).rows) == ["mine", "another"]
    for name, awaited in (("ann", ["another"]), ("ANN", ["another"]), ("bob", ["mine", "another"])):
        somebody = Principal(name=name, verified=True)
        assert ids((await seen(inbox, store, somebody, Query(voted="no"))).rows) == awaited
        assert await inbox.next(somebody, "", store.time) == awaited[0]
        assert ids((await seen(inbox, store, somebody, Query(voted="yes"))).rows) == []
