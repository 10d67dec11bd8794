"""Every channel lets the same people answer at each moment: those that one function of the time names."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from hitl.core.approval import Approval
from hitl.core.documents import OutcomeDocument, RequestDocument, Respondent
from hitl.core.respondents import Respondents
from hitl.core.votes import vote_refusal
from hitl.records.attempts import line_of_result
from hitl.records.requests import StoredRequest
from hitl.records.submissions import Settled, Submission
from hitl_operator.submissions import _not_allowed
from hitl_webapp.auth import Principal
from hitl_webapp.inbox.finding import find
from hitl_webapp.inbox.index import Index
from hitl_webapp.inbox.index import Settled as Ended
from hitl_webapp.inbox.queries import Query
from hitl_webapp.inbox.rights import Rights
from hitl_webapp.inbox.rows import ended_of, row_of
from hitl_webapp.stats.counting import count
from hitl_webapp.stats.queries import Wanted
from tests.library.samples import NOW, draft_request

SHA256: Final = "ab" * 32
SECONDS: Final = 100
USERS: Final = ("ann", "bob", "cem")
GROUPS: Final = ("sre", "oncall")
TICK: Final = timedelta(microseconds=1)

names = st.builds(
    Respondents,
    users=st.lists(st.sampled_from(USERS), max_size=2, unique=True),
    groups=st.lists(st.sampled_from(GROUPS), max_size=1),
).filter(bool)
visitors = st.builds(
    Principal,
    name=st.sampled_from(USERS),
    groups=st.lists(st.sampled_from(GROUPS), max_size=2, unique=True).map(tuple),
    verified=st.just(True),
)
steps = st.dictionaries(st.integers(1, SECONDS - 1), names, max_size=4).map(lambda found: sorted(found.items()))


@st.composite
def moments(draw: st.DrawFn, when: Sequence[int]) -> list[datetime]:
    """Moments in any order, as a clock may be set back: each second of an escalation, and right beside it."""
    beside = st.sampled_from([-TICK, 0 * TICK, TICK])
    seconds = st.sampled_from([0, *when, SECONDS])
    return [NOW + timedelta(seconds=draw(seconds)) + draw(beside) for _ in range(draw(st.integers(1, 6)))]


def naive(first: Respondents, later: Sequence[tuple[int, Respondents]], visitor: Principal, at: datetime) -> bool:
    named = [first, *(who for after, who in later if (at - NOW).total_seconds() >= after)]
    return any(visitor.name in who.users or set(visitor.groups) & set(who.groups) for who in named)


def question(first: Respondents, later: Sequence[tuple[int, Respondents]], **asked: Any) -> RequestDocument:
    content = {"event_name": "e", "data_type": bool, "prompt": "?", "timeout_seconds": SECONDS, **asked}
    return draft_request(request_id="a", now=NOW, respondents=first, escalate=later, **content)


def listed(index: Index, visitor: Principal, now: datetime) -> list[str]:
    found = find(index, Rights(visitor.name, visitor.groups), Query(state="any"), now)
    return [each.request_id for each in found.rows]


@given(st.data(), names, steps, visitors)
@settings(max_examples=60)
async def test_every_channel_says_what_the_time_says(
    data: st.DataObject, first: Respondents, later: list[tuple[int, Respondents]], visitor: Principal
) -> None:
    request = question(first, later)
    voted = question(first, later, approval=Approval(required=1))
    who = Respondent(name=visitor.name, groups=list(visitor.groups), via="kubectl", verified=True)
    stored = StoredRequest(request, SHA256)
    index, counted = Index(), Index()
    for each in (index, counted):
        each.put([(row_of(request, None, SHA256), 0.0)], 1)
    for now in data.draw(moments([after for after, _ in later])):
        may = naive(first, later, visitor, now)
        assert (await visitor.refusal(request, now) == "") is may
        assert (vote_refusal(voted, Approval(required=1), who, now) == "") is may
        assert (_not_allowed(stored, who, now) is None) is may
        noted = line_of_result(stored, Submission("answered", who, True), Settled("lost"), now)
        assert bool(noted.named) is may
        assert listed(index, visitor, now) == ["a"] * may
        rights = Rights(visitor.name, visitor.groups)
        figures = count(counted, rights, Wanted(), now, None).total
        assert figures.open + figures.overdue == may


@given(st.data(), names, steps, visitors)
@settings(max_examples=60)
def test_the_inbox_shows_what_ended_to_those_who_might_answer_until_then(
    data: st.DataObject, first: Respondents, later: list[tuple[int, Respondents]], visitor: Principal
) -> None:
    request = question(first, later)
    ended, *others = data.draw(moments([after for after, _ in later]))
    outcome = OutcomeDocument(
        request_id="a",
        data_type="bool",
        status="rejected",
        outcome="rejected",
        reason="x",
        submission_id="s",
        answered_at=ended,
        respondent=Respondent(via="web"),
        request_sha256=SHA256,
    )
    noticed, read = Index(), Index()
    noticed.put([(row_of(request, None, SHA256), 0.0)], 1)
    for now in others:
        listed(noticed, visitor, now)
    noticed.settle([Ended("a", SHA256, ended_of(outcome))])
    read.put([(row_of(request, outcome, SHA256), 0.0)], 1)
    after = NOW + timedelta(days=1)
    may = naive(first, later, visitor, max(ended, NOW))
    assert listed(noticed, visitor, after) == listed(read, visitor, after) == ["a"] * may
