"""What is sent a second time: a vote that was withdrawn stays withdrawn, and what is not saved is said."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from hitl.core.lifecycle import GRACE
from hitl.core.votekeys import VoteKey
from hitl.core.votes import voter_of
from hitl.errors import AlreadyVoted
from hitl.records.delegating import delegate
from hitl.records.outcomes import expire
from hitl.records.records import Records
from hitl.records.requests import StoredRequest
from hitl.records.votes import read_votes
from hitl.records.voting import withdraw
from hitl.storage import Store
from tests.library.samples import DEADLINE, NOW, SECOND, asked
from tests.library.test_voting import LINKS, TWO, Mortal, declines, says, settle, who


@pytest.fixture
def store() -> Mortal:
    return Mortal()


async def standing(store: Store, request: StoredRequest) -> list[str]:
    """Return whose votes were not withdrawn."""
    return [each.vote.respondent.name for each in await read_votes(store, request) if each.end != "withdrawn"]


@pytest.mark.parametrize("value", ["4", "5"])
async def test_a_vote_that_was_withdrawn_and_arrives_again_is_refused(store: Mortal, value: str) -> None:
    request = await asked(store, approval=TWO)
    await settle(store, request, says(4, submission_id="s1"))
    await withdraw(Records(store), request, who("ann"), now=NOW)

    again = await settle(store, request, says(value, submission_id="s1"))
    assert (again.kind, type(again.error)) == ("voted_before", AlreadyVoted)
    assert "send a new submission" in str(again.error)
    assert (await settle(store, request, says(4, "bob"))).kind == "voted"
    assert await standing(store, request) == ["bob"]
    # Said anew, it counts.
    assert (await settle(store, request, says(4, submission_id="s2"))).kind == "recorded"


async def test_no_later_withdrawal_hides_that_a_vote_was_withdrawn_before(store: Mortal) -> None:
    request = await asked(store, approval=TWO)
    for each in ("s1", "s2", "s3"):
        await settle(store, request, says(4, submission_id=each))
        await withdraw(Records(store), request, who("ann"), now=NOW)

    for each in ("s1", "s2", "s3"):
        assert (await settle(store, request, says(4, submission_id=each))).kind == "voted_before"
    assert await standing(store, request) == []


async def test_a_withdrawal_belongs_to_who_sends_it_whatever_ids_others_use(store: Mortal) -> None:
    request = await asked(store, approval=TWO)
    await settle(store, request, says(4, "ann"))
    await withdraw(Records(store), request, who("ann"), now=NOW, submission_id="1")
    await settle(store, request, says(4, "bob"))

    theirs = await withdraw(Records(store), request, who("bob"), now=NOW, submission_id="1")
    assert theirs.kind == "withdrawn"
    assert await standing(store, request) == []


async def test_a_withdrawal_that_is_sent_again_says_that_a_later_vote_stands(store: Mortal) -> None:
    request = await asked(store, approval=TWO)
    await settle(store, request, says(4, submission_id="s1"))
    first = await withdraw(Records(store), request, who("ann"), now=NOW, submission_id="w1")
    assert first == await withdraw(Records(store), request, who("ann"), now=NOW, submission_id="w1")
    await settle(store, request, says(4, submission_id="s2"))

    again = await withdraw(Records(store), request, who("ann"), now=NOW, submission_id="w1")
    assert "what you have said since stands" in again.note
    assert await standing(store, request) == ["ann"]


async def test_a_vote_after_a_delegation_that_was_taken_back_is_another_submission(store: Mortal) -> None:
    request = await asked(store, approval=TWO, respondents={"users": ["ann", "bob"]})
    await delegate(Records(store), request, who("ann"), "cyd", now=NOW, submission_id="s1")
    await withdraw(Records(store), request, who("ann"), now=NOW)

    assert (await settle(store, request, says(4, submission_id="s2"))).kind == "voted"


async def test_a_vote_that_is_sent_again_says_which_of_its_parts_are_not_saved(store: Mortal) -> None:
    request = await asked(store, approval=TWO)
    first = says(4, submission_id="s1", comment="looks good")
    assert (await settle(store, request, first)).note == ""
    assert (await settle(store, request, first)).note == ""
    kept = "The same vote was sent before: its comment is kept, and yours was not saved."
    for each in ("s1", "s2"):
        again = await settle(store, request, says(4, submission_id=each, comment="wait"))
        assert (again.kind, again.note) == ("voted", kept)

    assert (await settle(store, request, says(4, "bob"))).note == ""
    after = await settle(store, request, says(4, submission_id="s3", comment="wait"))
    assert (after.kind, after.note) == ("already_yours", kept)


async def test_a_link_that_votes_again_by_another_name_is_told_that_the_first_one_is_kept(store: Mortal) -> None:
    request = await asked(store, approval=LINKS)
    await settle(store, request, says(4, who("ann", link="a" * 64)))
    again = await settle(store, request, says(4, who("bob", link="a" * 64)))

    assert again.note == "The same vote was sent before: its name is kept, and yours was not saved."


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _link(path: Path) -> None:
    path.symlink_to("/etc/hostname")


def _folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("damage", [_fifo, _link, _folder])
async def test_a_vote_that_cannot_be_read_holds_up_neither_others_nor_the_deadline(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    store = Store(str(tmp_path))
    request, late = await asked(store, approval=TWO), await asked(store, "late", approval=TWO)
    for each in (request, late):
        path = tmp_path / VoteKey(voter_of(who("ann"))).of(each.request_id)
        path.parent.mkdir(parents=True)
        damage(path)

    assert await read_votes(store, request) == []
    assert (await settle(store, request, declines("bob"))).kind == "recorded"
    outcome = await expire(Records(store), late, now=DEADLINE + GRACE + SECOND)
    assert outcome is not None
    assert outcome.outcome == "timed_out"
