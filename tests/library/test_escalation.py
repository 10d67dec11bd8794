"""Who may answer later: what an author writes, what is refused, what is stored, and what votes make of it."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitl.core.approval import Approval
from hitl.core.documents import RequestDocument
from hitl.core.escalation import may_answer, may_ever_answer
from hitl.core.question import Question
from hitl.core.respondents import Respondents
from hitl.core.tally import standing, tally
from hitl.errors import DocumentDamaged, InvalidRequest
from tests.library.samples import NOW, SECOND, draft_request, number_question
from tests.library.test_tally import vote

LATER = timedelta(minutes=5)
ANN = {"users": ["ann"]}
ONCALL = {"groups": ["oncall"]}


def question(**asked: Any) -> RequestDocument:
    content = {"event_name": "e", "data_type": "json", "prompt": "?", "timeout_seconds": 600, **asked}
    return draft_request(request_id="a", now=NOW, **{"respondents": ANN, **content})


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"escalate": [(LATER, ONCALL)], "respondents": None}, "everybody may already: name respondents"),
        ({"escalate": [(timedelta(seconds=600), ONCALL)]}, "after 600 s, and the deadline is after 600 s"),
        ({"escalate": [(LATER, ONCALL), (60, ONCALL)]}, "60 s come after 300 s: give the earliest first"),
        ({"escalate": [(60, ONCALL), (60, ANN)]}, "60 s come after 60 s"),
        ({"escalate": [(0, ONCALL)]}, r"escalate\[0\] is 0: it must be over 0"),
        ({"escalate": [(1.5, ONCALL)]}, r"escalate\[0\] is 1.5: give whole seconds"),
        ({"escalate": [(60, {})]}, r"escalate\[0\]: respondents names nobody"),
        ({"escalate": [(60, {"group": ["oncall"]})]}, r"escalate\[0\]: respondents has no field 'group'"),
        ({"escalate": [(60, "oncall")]}, r"escalate\[0\] names 'oncall': give a list such as"),
        ({"escalate": [60]}, r"escalate\[0\] is 60: give a list such as"),
        ({"escalate": {60: ONCALL}}, "escalate is {60: .*: give a list such as"),
        (
            {"escalate": [(n, {"users": [f"u{each}" for each in range(43)]}) for n in (1, 2, 3)]},
            "escalation has 129 names in all its steps: give at most 128, or name groups",
        ),
        ({"escalate": [(n, ONCALL) for n in range(1, 10)]}, "escalation: List should have at most 8 items"),
    ],
)
def test_what_makes_no_sense_is_refused_when_it_is_asked(asked: Any, why: str) -> None:
    with pytest.raises(InvalidRequest, match=why):
        number_question(**{"respondents": ANN, "timeout_seconds": 600, **asked})


def test_it_is_stored_with_the_question_and_an_older_release_reads_it() -> None:
    content = json.loads(question(escalate=[(LATER, ONCALL)]).to_bytes())

    assert content["escalation"] == [{"after_seconds": 300, "respondents": {"users": [], "groups": ["oncall"]}}]
    # It lets those answer whom it knows, and nobody else.
    assert content["schema_version"] == 1


@pytest.mark.parametrize("respondents", [{}, {"users": []}, {"users": ["eve"], "everybody": True}])
def test_a_step_that_was_written_by_hand_and_names_nobody_is_damaged(respondents: Any) -> None:
    content = json.loads(question(escalate=[(LATER, ONCALL)]).to_bytes())
    content["escalation"][0]["respondents"] = respondents

    with pytest.raises(DocumentDamaged):
        RequestDocument.from_bytes(json.dumps(content).encode(), "a")


def test_a_question_that_escalates_otherwise_is_another_question() -> None:
    one, other, none = (
        number_question(respondents=ANN, escalate=escalate)
        for escalate in ([(LATER, ONCALL)], [(60, ONCALL)], None)
    )
    assert len({each.question_digest() for each in (one, other, none)}) == 3
    # How people are reminded is not what is asked.
    assert number_question(reminders=[60]).question_digest() == number_question().question_digest()


def test_all_who_are_named_together_may_be_more_than_one_list_may_name() -> None:
    many = [Respondents(users=[f"u{n}-{step}" for n in range(64)]) for step in range(3)]
    asked = question(respondents=many[0], escalate=[(60, many[1]), (120, many[2])])

    assert len(may_answer(asked, NOW + 60 * SECOND).users) == 128
    assert may_ever_answer(asked).allow("u63-2", []) is True


@given(st.permutations(["ann", "bob", "cem"]), st.lists(st.integers(0, 599), min_size=3, max_size=3))
def test_a_vote_counts_if_its_voter_might_vote_at_that_time(people: list[str], seconds: list[int]) -> None:
    since = {"ann": 0, "bob": 100, "cem": 300}
    asked = question(
        approval=Approval(required=2),
        escalate=[(100, {"users": ["bob"]}), (300, {"groups": ["oncall"]})],
    )
    votes = [
        vote(name, at=at, groups=["oncall"] if name == "cem" else [])
        for name, at in zip(people, seconds, strict=True)
    ]
    in_time = [name for name, at in zip(people, seconds, strict=True) if at >= since[name]]

    found = standing(asked, votes)
    assert found is not None
    assert {each.respondent.name for each in found.counted} == set(in_time)
    # It is the same at any time from then on: what was decided stays decided.
    assert {tally(asked, votes, NOW + at * SECOND) is not None for at in (0, 599)} == {len(in_time) >= 2}


def test_those_who_are_added_later_are_people_who_are_left() -> None:
    two = Approval(required=2)
    later = question(approval=two, escalate=[(100, {"users": ["bob"]})])
    found = standing(later, [])
    assert found is not None
    assert (found.left, found.unreachable) == (2, False)

    group = standing(question(approval=two, escalate=[(100, ONCALL)]), [])
    assert group is not None
    assert group.left is None

    with pytest.raises(InvalidRequest, match="3 people must agree, and respondents names 2"):
        question(approval=Approval(required=3), escalate=[(100, {"users": ["bob"]})])


def test_a_question_asked_again_keeps_who_may_answer_later() -> None:
    asked = Question.of("n", int, "?", 600, respondents=ANN, escalate=[(LATER, ONCALL)], reminders=[60])

    again = asked.with_refused(7, ["no"])
    assert (again.escalation, again.reminders) == (asked.escalation, asked.reminders)
