"""What the author of a task writes where several people must agree, and what comes back."""

import asyncio
from datetime import UTC, datetime

import pytest

import hitl
from hitl.records.links import add_link
from tests.library.running import answer


async def test_a_program_waits_until_people_agree_and_learns_who_did() -> None:
    event = await hitl.new_event.aio(
        "ship", int, prompt="How many?", approval=hitl.Approval(required=2, allow_links=True)
    )
    waiting = asyncio.ensure_future(event.result.aio())
    context = event._asked.context
    token = await add_link(context.records.store, event.request_id, now=datetime.now(UTC))
    other = event.form_url.replace(event._asked.token, token)
    assert (await asyncio.to_thread(answer, event.form_url, 4)).json()["status"] == "voted"
    assert not waiting.done()
    assert (await asyncio.to_thread(answer, other, 4)).json()["status"] == "submitted"

    outcome = await waiting

    assert outcome.value == 4
    assert [(vote.by, vote.verified, vote.via) for vote in outcome.votes] == [("", False, "api")] * 2
    assert event.outcome == outcome


@pytest.mark.parametrize("approval", [hitl.Approval(required=2), hitl.Approval(required=1, groups={"sre": 1})])
def test_where_the_form_verifies_no_names_a_policy_that_needs_them_is_refused(approval: hitl.Approval) -> None:
    with pytest.raises(hitl.InvalidRequest, match=r"people must be known by name.*allow_links=True"):
        hitl.new_event("ship", bool, approval=approval)


def test_one_person_without_a_name_may_decide_alone() -> None:
    event = hitl.new_event("ship", bool, approval=hitl.Approval(required=1, comment_required="Always"))

    assert event.prompt
    event.cancel()


def test_a_policy_that_makes_no_sense_is_refused_where_it_is_written() -> None:
    with pytest.raises(hitl.InvalidRequest, match="give required=3 or more"):
        hitl.Approval(required=2, groups={"sre": 2, "security": 1})
