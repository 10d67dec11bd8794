"""Votes: how many are tallied in a second, each by a process that reads them all, as the last voter does."""

from __future__ import annotations

import asyncio
import shutil
import time
from pathlib import Path
from typing import Final

from hitl.core.approval import Approval
from hitl.core.documents import RequestDocument, Respondent
from hitl.core.tally import tally
from hitl.core.votes import VoteDocument
from hitl.records import outcomes
from hitl.records.records import Records
from hitl.records.submissions import Submission
from hitl.storage import Store
from tests.bench.budgets import Row
from tests.library.samples import NOW, asked, draft_request

LEAST_PER_SECOND: Final = 1_000
_VOTERS: Final = 9
_QUESTIONS: Final = 50
_POLICY: Final = Approval(required=_VOTERS, groups={"sre": 3, "security": 3})
_GROUPS: Final = (["sre"], ["security"], ["sre", "security"])


def measure(build: Path) -> list[Row]:
    """Measure and return the rows of the votes' budget table."""
    home = build / "bench-votes"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    return [
        Row(f"votes tallied, of {_VOTERS} people in two groups, 1/s", _tallied(), 1, least=LEAST_PER_SECOND),
        Row("votes cast on local files, synced, 1/s", asyncio.run(_cast(home)), 1),
    ]


def _tallied() -> float:
    request = draft_request(
        request_id="a",
        now=NOW,
        event_name="e",
        data_type="bool",
        prompt="?",
        timeout_seconds=600,
        approval=_POLICY,
    )
    votes = [_vote(request, number) for number in range(_VOTERS)]
    rounds, began = 300, time.perf_counter()
    for _ in range(rounds):
        # Each voter reads all votes that are there.
        for count in range(1, _VOTERS + 1):
            decision = tally(request, votes[:count], NOW)
            assert (decision is not None) == (count == _VOTERS)
    return rounds * _VOTERS / (time.perf_counter() - began)


async def _cast(home: Path) -> float:
    store = Store(str(home))
    requests = [await asked(store, f"question-{n}", data_type=bool, approval=_POLICY) for n in range(_QUESTIONS)]
    records, began = Records(store), time.perf_counter()
    for request in requests:
        for number in range(_VOTERS):
            told = await outcomes.settle(records, request, Submission("answered", _who(number), "true"), now=NOW)
        assert told.kind == "recorded"
    return _QUESTIONS * _VOTERS / (time.perf_counter() - began)


def _who(number: int) -> Respondent:
    return Respondent(name=f"voter-{number}", via="web", verified=True, groups=_GROUPS[number % 3])


def _vote(request: RequestDocument, number: int) -> VoteDocument:
    return VoteDocument(
        request_id=request.request_id,
        request_sha256="0" * 64,
        data_type="bool",
        outcome="answered",
        value=True,
        submission_id=f"s-{number}",
        voted_at=NOW,
        respondent=_who(number),
    )
