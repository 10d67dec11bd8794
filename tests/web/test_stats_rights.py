"""Statistics count what a naive filter finds among what the visitor may see, and nothing else."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hitl.core.documents import OutcomeDocument, RequestDocument, Respondent
from hitl_webapp.auth import Principal
from hitl_webapp.inbox.finding import namespaces
from hitl_webapp.inbox.index import Index
from hitl_webapp.inbox.rights import rights_of
from hitl_webapp.inbox.rows import asked_by, row_of
from hitl_webapp.problems import BadInput
from hitl_webapp.stats import counting, figures
from hitl_webapp.stats.counting import count, settled_from
from hitl_webapp.stats.figures import Figures, Report, Team
from hitl_webapp.stats.queries import Wanted, read_wanted
from tests.web.test_inbox_rights import (
    GROUPS,
    SHA256,
    SPACES,
    Asked,
    in_view,
    may_list,
    origins,
    respondents,
    visitors,
)

# A Thursday.
NOW: Final = datetime(2031, 5, 8, 7, 8, 9, tzinfo=UTC)
MONDAY: Final = datetime(2031, 5, 5, tzinfo=UTC)

wanted_ones = st.builds(
    Wanted,
    view=st.sampled_from(["all", "all", "mine", "groups"]),
    namespace=st.sampled_from(["", "", "", *SPACES]),
    project=st.sampled_from(["", "", "p"]),
    group=st.sampled_from(["", "", *GROUPS]),
    type=st.sampled_from(["", "", "int"]),
    asked_by=st.sampled_from(["", "", "run", "program"]),
    weeks=st.sampled_from(["1", "4", "13", "26"]),
)
moments = st.sampled_from(
    [NOW - timedelta(seconds=5), MONDAY, MONDAY - timedelta(seconds=1), NOW - timedelta(days=20, hours=3)]
)


@st.composite
def questions(draw: st.DrawFn) -> list[Asked]:
    found = []
    for number in range(draw(st.integers(0, 14))):
        ended = draw(moments)
        kind = draw(st.sampled_from([None, None, "answered", "answered", "rejected", "timed_out", "cancelled"]))
        request = RequestDocument(
            request_id=f"q-{number}",
            event_name="n",
            prompt="p",
            data_type=draw(st.sampled_from(["int", "str"])),
            created_at=ended - timedelta(seconds=draw(st.sampled_from([0, 1, 60, 3_600, 90_000]))),
            expires_at=NOW + timedelta(seconds=draw(st.sampled_from([-50, 50]))),
            respondents=draw(respondents),
            origin=draw(origins),
        )
        found.append(
            Asked(request, None if kind is None else outcome_of(request, kind, ended, draw(st.booleans())))
        )
    return found


def outcome_of(request: RequestDocument, kind: Any, at: datetime, default: bool) -> OutcomeDocument:
    value: Any = {"int": 7, "str": "seven"}[request.data_type] if kind == "answered" else None
    return OutcomeDocument(
        request_id=request.request_id,
        data_type=request.data_type,
        status="completed",
        value=value,
        outcome=kind,
        reason="DefaultUsed" if kind == "answered" and default else "x",
        submission_id="s",
        answered_at=at,
        respondent=Respondent(via="web"),
        request_sha256=SHA256,
    )


def matches(each: Asked, visitor: Principal, wanted: Wanted) -> bool:
    request, origin = each.request, each.request.origin
    return (
        in_view(visitor, wanted.view, request)
        and wanted.namespace in ("", origin.namespace)
        and wanted.project in ("", origin.project)
        and (not wanted.group or wanted.group in request.respondents.groups)
        and wanted.type in ("", request.data_type)
        and wanted.asked_by in ("", asked_by(origin))
    )


def naive(asked: Sequence[Asked]) -> dict[str, Any]:
    """Return the figures of questions, each counted by itself."""
    by_people = [each for each in asked if each.state in ("answered", "rejected") and not by_default(each)]
    times = sorted(
        (each.outcome.answered_at - each.request.created_at).total_seconds() for each in by_people if each.outcome
    )
    waiting = [each.request.created_at for each in asked if state(each) == "open"]
    return {
        "open": len(waiting),
        "oldest": min(waiting, default=None),
        "overdue": sum(state(each) == "overdue" for each in asked),
        "answered": sum(each.state == "answered" and not by_default(each) for each in asked),
        "rejected": sum(each.state == "rejected" for each in asked),
        "timed_out": sum(each.state == "timed_out" or by_default(each) for each in asked),
        "cancelled": sum(each.state == "cancelled" for each in asked),
        "p50": times[math.ceil(len(times) / 2) - 1] if times else None,
        "p90": times[math.ceil(len(times) * 9 / 10) - 1] if times else None,
    }


def state(each: Asked) -> str:
    if each.outcome is not None:
        return each.outcome.outcome
    return "open" if each.request.expires_at > NOW else "overdue"


def by_default(each: Asked) -> bool:
    return each.outcome is not None and each.outcome.default_used


def said(found: Figures) -> dict[str, Any]:
    counts = ("open", "oldest", "overdue", "answered", "rejected", "timed_out", "cancelled")
    return {name: getattr(found, name) for name in counts} | {"p50": found.after(50), "p90": found.after(90)}


def grouped(asked: Sequence[Asked], keys: Callable[[Asked], list[Any]]) -> dict[Any, Any]:
    names = {key for each in asked for key in keys(each)}
    return {name: naive([each for each in asked if name in keys(each)]) for name in names}


def teams(each: Asked) -> list[Team]:
    groups, namespace = each.request.respondents.groups, each.request.origin.namespace
    if groups:
        return [Team("group", name) for name in groups]
    return [Team("namespace", namespace) if namespace else Team("none")]


def weeks(each: Asked) -> list[date]:
    if each.outcome is None:
        return []
    day = each.outcome.answered_at.date()
    return [day - timedelta(days=day.weekday())]


def filled(asked: Sequence[Asked]) -> Index:
    index = Index()
    index.put([(row_of(each.request, each.outcome, SHA256), 1.0) for each in asked], 1)
    return index


async def counted(index: Index, visitor: Principal, wanted: Wanted, since: datetime | None = None) -> Report:
    return count(index, await rights_of(visitor, namespaces(index)), wanted, NOW, since)


@settings(max_examples=300, suppress_health_check=list(HealthCheck))
@given(asked=questions(), visitor=visitors, wanted=wanted_ones, since=st.one_of(st.none(), moments))
def test_every_figure_is_that_of_a_naive_filter(
    asked: list[Asked], visitor: Principal, wanted: Wanted, since: datetime | None
) -> None:
    async def looked() -> tuple[list[Asked], Report]:
        seen = [each for each in asked if await may_list(visitor, each.request) and matches(each, visitor, wanted)]
        return seen, await counted(filled(asked), visitor, wanted, since)

    seen, found = asyncio.run(looked())
    start = MONDAY - timedelta(weeks=int(wanted.weeks) - 1)
    if since is not None and since > start:
        # From the next full hour on.
        start = since + (-(since - MONDAY) % timedelta(hours=1))
    seen = [each for each in seen if each.outcome is None or each.outcome.answered_at >= start]
    ended = [each for each in seen if each.outcome is not None]

    assert found.settled_from == start
    assert said(found.total) == naive(seen)
    assert {team: said(each) for team, each in found.teams.items()} == grouped(seen, teams)
    assert {name: said(each) for name, each in found.projects.items()} == grouped(
        seen, lambda each: [each.request.origin.project]
    )
    # A week in which nothing ended is there too, if one before it is.
    assert {week: said(each) for week, each in found.weeks.items() if each.settled} == grouped(ended, weeks)
    assert list(found.weeks) == sorted(found.weeks, reverse=True)
    assert found.first_ended == min((each.outcome.answered_at for each in ended if each.outcome), default=None)


async def test_what_others_may_see_changes_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    ann, mine = Principal("ann", ("sre",), verified=True), {"groups": ["sre"]}
    own = [asked(f"own-{number}", mine) for number in range(3)]
    others = [asked(f"other-{number}", {"groups": ["finance"], "users": ["bob"]}) for number in range(50)]

    alone = await counted(filled(own), ann, Wanted())
    beside = await counted(filled([*own, *others]), ann, Wanted())

    assert beside == alone
    assert list(beside.teams) == [Team("group", "sre")]
    monkeypatch.setattr(counting, "MOST_SETTLED", 50)
    # That the index is full is told, to the hour, and no moment of anybody's question is.
    full = await counted(filled([*own, *others]), ann, Wanted())
    assert full.settled_from == datetime(2031, 5, 8, 8, tzinfo=UTC)
    assert (full.total.answered, full.weeks) == (0, {})


def asked(request_id: str, named: dict[str, Any], ended: datetime = NOW - timedelta(seconds=5)) -> Asked:
    request = RequestDocument(
        request_id=request_id,
        event_name="n",
        prompt="p",
        data_type="int",
        created_at=ended - timedelta(seconds=60),
        expires_at=NOW + timedelta(hours=1),
        respondents=named,
        origin={"project": request_id},
    )
    return Asked(request, outcome_of(request, "answered", ended, False))


async def test_more_teams_and_projects_than_are_shown_are_said_to_be_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(figures, "MOST_ROWS", 2)
    ann = Principal("ann", ("a", "b", "c"), verified=True)
    found = await counted(filled([asked(f"q-{each}", {"groups": [each]}) for each in "abc"]), ann, Wanted())
    assert (list(found.projects), found.more_projects) == (["q-a", "q-b"], 1)
    assert ([each.name for each in found.teams], found.more_teams) == (["a", "b"], 1)


def test_the_weeks_begin_on_mondays_and_what_is_not_known_is_left_out() -> None:
    assert settled_from(NOW, Wanted(weeks="1"), None) == MONDAY
    assert settled_from(NOW, Wanted(weeks="4"), MONDAY - timedelta(weeks=5)) == MONDAY - timedelta(weeks=3)
    assert settled_from(NOW, Wanted(weeks="1"), NOW) == datetime(2031, 5, 8, 8, tzinfo=UTC)
    assert settled_from(MONDAY, Wanted(weeks="1"), MONDAY) == MONDAY


@pytest.mark.parametrize(
    "given", [{"view": "theirs"}, {"weeks": "2"}, {"type": "date"}, {"group": "g" * 257}, {"asked_by": "me"}]
)
def test_what_cannot_be_counted_is_refused_with_a_sentence(given: dict[str, str]) -> None:
    with pytest.raises(BadInput, match=r"\.$"):
        read_wanted(given)
    with pytest.raises(BadInput, match="use view, namespace, project, group"):
        read_wanted({"groups": "x"}, strict=True)


def test_a_url_asks_for_the_same_statistics_again() -> None:
    from urllib.parse import parse_qsl

    wanted = Wanted(view="mine", project="p/q & r", weeks="4")
    assert read_wanted(dict(parse_qsl(wanted.but()[1:]))) == wanted
    assert (Wanted().but(), wanted.but(view="all", weeks="13")) == ("", "?project=p%2Fq+%26+r")
