"""What a visitor finds in the inbox is what a naive filter finds: in lists, counts, searches and orders."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hitl.core.documents import Origin, OutcomeDocument, RequestDocument, Respondent
from hitl.core.respondents import Respondents
from hitl_webapp.auth import Principal
from hitl_webapp.inbox.finding import Found, find, namespaces
from hitl_webapp.inbox.index import Index
from hitl_webapp.inbox.queries import Query, read_query
from hitl_webapp.inbox.rights import Rights, rights_of
from hitl_webapp.inbox.rows import asked_by, row_of, tie_of
from hitl_webapp.problems import BadInput

NOW: Final = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)
USERS: Final = ("ann", "Ann", "bob", "u:ann", "*", "ann\x00", "a'nn")
GROUPS: Final = ("ann", "sre", "SRE", "g:sre", "*")
SPACES: Final = ("", "payments", "Payments", "p*", "data")
WORDS: Final = ("deploy", "Deployment", "löschen", "prod-eu", '"quoted"', "x_y", "7")


@dataclass(frozen=True, kw_only=True)
class Limited(Principal):
    """A visitor whose rights depend on the namespace, as in Kubernetes."""

    spaces: frozenset[str]
    limited: ClassVar[bool] = True

    async def may_list_in(self, namespace: str) -> bool:
        return namespace in self.spaces


@dataclass(frozen=True)
class Asked:
    """A question and its outcome."""

    request: RequestDocument
    outcome: OutcomeDocument | None = None

    @property
    def state(self) -> str:
        if self.outcome is not None:
            return self.outcome.outcome
        return "open" if self.request.expires_at > NOW else "overdue"

    @property
    def ended(self) -> datetime:
        return self.request.expires_at if self.outcome is None else self.outcome.answered_at


names = st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(" ".join)
respondents = st.builds(
    Respondents,
    users=st.lists(st.sampled_from(USERS), max_size=2, unique=True),
    groups=st.lists(st.sampled_from(GROUPS), max_size=2, unique=True),
)
origins = st.builds(
    Origin,
    namespace=st.sampled_from(SPACES),
    project=st.sampled_from(["", "p", "q"]),
    run=st.sampled_from(["", "r1", "r2"]),
    human_input=st.sampled_from(["", "h"]),
)
visitors = st.one_of(
    st.builds(
        Principal,
        name=st.sampled_from(USERS),
        groups=st.lists(st.sampled_from(GROUPS), max_size=3).map(tuple),
        verified=st.just(True),
    ),
    st.builds(
        Limited,
        name=st.sampled_from(USERS),
        groups=st.lists(st.sampled_from(GROUPS), max_size=3).map(tuple),
        verified=st.just(True),
        spaces=st.frozensets(st.sampled_from(SPACES)),
    ),
)
queries = st.builds(
    Query,
    view=st.sampled_from(["all", "all", "mine", "groups"]),
    state=st.sampled_from(
        ["open", "open", "settled", "any", "any", "overdue", "answered", "rejected", "timed_out", "cancelled"]
    ),
    namespace=st.sampled_from(["", "", "", *SPACES]),
    project=st.sampled_from(["", "", "p"]),
    run=st.sampled_from(["", "", "r1"]),
    type=st.sampled_from(["", "", "int"]),
    asked_by=st.sampled_from(["", "", "run", "program"]),
    text=st.sampled_from(["", "", "dep", "deploy PROD", "eu", "q-3", "nothing", '"', "losch"]),
    sort=st.sampled_from(["deadline", "age", "name", "ended"]),
    # Hypothesis would make up what a named tuple has a default for.
    voted=st.just(""),
    after=st.just(""),
    before=st.just(""),
)


@st.composite
def questions(draw: st.DrawFn) -> list[Asked]:
    found = []
    for number in range(draw(st.integers(0, 12))):
        # Some have the same deadline, so that only the id tells them apart.
        expires = NOW + timedelta(seconds=draw(st.sampled_from([-50, -50, 50, 50, 900])))
        request = RequestDocument(
            request_id=f"q-{number}",
            event_name=draw(names),
            prompt=draw(names),
            data_type=draw(st.sampled_from(["int", "str"])),
            created_at=NOW - timedelta(seconds=draw(st.sampled_from([60, 60, 90]))),
            expires_at=expires,
            respondents=draw(respondents),
            origin=draw(origins),
        )
        kind = draw(st.sampled_from([None, None, "answered", "rejected", "timed_out", "cancelled"]))
        outcome = None if kind is None else outcome_of(request, kind)
        found.append(Asked(request, outcome))
    return found


def outcome_of(request: RequestDocument, kind: Any) -> OutcomeDocument:
    value: Any = {"int": 7, "str": "seven"}[request.data_type] if kind == "answered" else None
    return OutcomeDocument(
        request_id=request.request_id,
        data_type=request.data_type,
        status="completed",
        value=value,
        outcome=kind,
        reason="x",
        submission_id="s",
        answered_at=NOW - timedelta(seconds=5),
        respondent=Respondent(via="web"),
        request_sha256=SHA256,
    )


SHA256: Final = "ab" * 32
_KEYS: Final[dict[str, Callable[[Asked], Any]]] = {
    "deadline": lambda each: each.request.expires_at,
    "age": lambda each: each.request.created_at,
    "name": lambda each: each.request.event_name.casefold(),
    "ended": lambda each: each.ended,
}


async def naive(visitor: Principal, query: Query, asked: Sequence[Asked]) -> list[str]:
    """Return the ids that match, in the order that was asked for."""
    found = [each for each in asked if await may_list(visitor, each.request) and matches(each, query)]
    found = [each for each in found if in_view(visitor, query.view, each.request)]
    found.sort(key=lambda each: tie_of(each.request.request_id))
    found.sort(key=_KEYS[query.sort])
    ids = [each.request.request_id for each in found]
    return ids[::-1] if query.sort == "ended" else ids


async def may_list(visitor: Principal, request: RequestDocument) -> bool:
    named = request.respondents.allow(visitor.name, list(visitor.groups))
    return named and await visitor.may_list_in(request.origin.namespace)


def in_view(visitor: Principal, view: str, request: RequestDocument) -> bool:
    match view:
        case "mine":
            return visitor.name in request.respondents.users
        case "groups":
            return bool(set(visitor.groups) & set(request.respondents.groups))
        case _:
            return True


def matches(each: Asked, query: Query) -> bool:
    origin, state = each.request.origin, each.state
    states = {"any": True, "settled": state != "open"}.get(query.state, state == query.state)
    return (
        states
        and query.namespace in ("", origin.namespace)
        and query.project in ("", origin.project)
        and query.run in ("", origin.run)
        and query.type in ("", each.request.data_type)
        and query.asked_by in ("", asked_by(origin))
        and (not query.text or query.text == each.request.request_id or said(each.request, query.text))
    )


def said(request: RequestDocument, text: str) -> bool:
    """As full-text search has it: without case and marks, by beginnings of words."""
    parts = [split(each) for each in text.split()]
    return all(parts) and all(
        any(begins(split(where)[at:], part) for where in (request.event_name, request.prompt) for at in range(9))
        for part in parts
    )


def begins(words: list[str], part: list[str]) -> bool:
    """Tell whether words begin with others, of which the last one may be the beginning of a word."""
    *whole, last = part
    found = words[: len(part)]
    return len(found) == len(part) and found[:-1] == whole and found[-1].startswith(last)


def split(text: str) -> list[str]:
    plain = text.casefold().replace("ö", "o")
    return "".join(each if each.isalnum() else " " for each in plain).split()


def pages(index: Index, rights: Any, query: Query, limit: int) -> Iterator[Found]:
    found = find(index, rights, query, NOW, limit)
    yield found
    while found.next is not None:
        found = find(index, rights, read_query_of(query, after=found.next.text()), NOW, limit)
        if not found.rows:
            return
        yield found


def read_query_of(query: Query, **place: str) -> Query:
    given = {name: getattr(query, name) for name in Query._fields} | place
    return read_query({name: text for name, text in given.items() if text})


@settings(max_examples=300, suppress_health_check=list(HealthCheck))
@given(asked=questions(), visitor=visitors, query=queries, limit=st.integers(1, 4))
def test_pages_counts_and_orders_are_those_of_a_naive_filter(
    asked: list[Asked], visitor: Principal, query: Query, limit: int
) -> None:
    index = Index()
    index.put([(row_of(each.request, each.outcome, SHA256), 1.0) for each in asked], 1)

    async def looked() -> tuple[list[str], dict[str, int], Any]:
        wanted = await naive(visitor, query, asked)
        views = {
            view: len(await naive(visitor, Query(**{**parts(query), "view": view}), asked))
            for view in ("all", "mine", "groups")
        }
        return wanted, views, await rights_of(visitor, namespaces(index))

    wanted, views, rights = asyncio.run(looked())
    found = list(pages(index, rights, query, limit))

    assert [row.request_id for page in found for row in page.rows] == wanted
    assert all(vars_of(page.counts) == views for page in found)
    # Backwards from the last page, they are the same pages.
    last = found[-1]
    if last.previous is not None:
        before = find(index, rights, read_query_of(query, before=last.previous.text()), NOW, limit)
        assert [row.request_id for row in before.rows] == [row.request_id for row in found[-2].rows]
    else:
        assert len(found) == 1
    index.close()


def parts(query: Query) -> dict[str, Any]:
    return {name: getattr(query, name) for name in Query._fields}


def vars_of(counts: Any) -> dict[str, int]:
    return {"all": counts.all, "mine": counts.mine, "groups": counts.groups}


@pytest.mark.parametrize(
    "given",
    [
        {"state": "opened"},
        {"view": "theirs"},
        {"sort": "random()"},
        {"type": "date"},
        {"after": "x"},
        {"after": "W251bGwsIDFd"},
        {"after": "WzFlOTk5LCAxXQ"},
        {"after": "WzEsIDFd", "before": "WzEsIDFd"},
        {"after": "WyJcdWQ4MDAiLCAxXQ", "sort": "name"},
        {"text": "x" * 257},
        {"namespace": "n" * 257},
    ],
)
def test_what_cannot_be_asked_for_is_refused_with_a_sentence(given: dict[str, str]) -> None:
    with pytest.raises(BadInput, match=r"\.$"):
        read_query(given)
    with pytest.raises(BadInput, match="use view, state"):
        read_query({"namespaces": "x"}, strict=True)


@pytest.mark.parametrize("character", ["😀", "\0", '"', "ẞ"])
def test_each_page_of_names_leads_to_the_next_one(character: str) -> None:
    index = Index()
    later = NOW + timedelta(hours=1)
    for number in range(3):
        request = RequestDocument(
            request_id=f"q-{number}", event_name="x", prompt="?", data_type="int", created_at=NOW, expires_at=later
        )
        index.put([(replace(row_of(request, None, SHA256), name=character * 200), 1.0)], 1)
    found = list(pages(index, Rights("ann"), Query(sort="name"), 1))
    assert [len(page.rows) for page in found] == [1, 1, 1]
    index.close()


def test_a_url_asks_for_the_same_again() -> None:
    query = Query(view="mine", state="any", text="a & b", sort="name", project="p/q")
    from urllib.parse import parse_qsl

    assert read_query(dict(parse_qsl(query.url()[1:]))) == query
    assert Query().url() == ""
    assert query.but(view="all") == query.but(view="all", after="", before="")
