"""A response from Kubernetes is recorded by as few calls as can be, and never for a question that was deleted."""

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from hitl.cluster.mapping import Given
from hitl.core import keys
from hitl.core.approval import Approval
from hitl.core.documents import Origin, Respondent
from hitl.errors import ClockApart, RequestNotFound
from hitl.records.creation import Looked
from hitl.records.records import Records
from hitl.records.requests import StoredRequest, read_outcome
from hitl.records.votes import read_votes
from hitl.records.voting import withdraw
from hitl.storage import Store
from hitl_operator.context import Context
from hitl_operator.submissions import Recorded, record, withdraw_or_delegate
from tests.library.samples import NOW, asked

GIVEN = Given("answered", Respondent(via="kubectl"), "42", "", "0" * 32)
BORN = Origin(namespace="team", human_input="number")
MONTH_SECONDS = 30 * 86_400.0


class _Root:
    """A root whose clock is looked at, and something else meanwhile: a real one cannot be told to stand still."""

    def __init__(self, store: Store, meanwhile: Callable[[], Any]) -> None:
        self.store = store
        self._meanwhile = meanwhile

    async def require_clock(self, _now: object) -> None:
        await self._meanwhile()


class _Case:
    def __init__(self) -> None:
        self.calls: list[str] = []
        self.store = Store(f"memory://{uuid.uuid4().hex}", watcher=lambda name, _: self.calls.append(name))
        self.ticks = 0.0

    async def record(
        self, request: StoredRequest, meanwhile: Callable[[], Any], given: Given = GIVEN, now: datetime = NOW
    ) -> Recorded:
        records = Records(self.store, ticks=lambda: self.ticks, later=lambda *_: None)
        context = cast("Context", SimpleNamespace(now=lambda: now))
        self.calls.clear()
        root = cast("Any", _Root(self.store, meanwhile))
        looked = Looked(self.ticks) if request.document.origin.human_input else None
        return await record(context, root, records, request, given, may_vote=True, looked=looked)

    async def nothing(self) -> None:
        """Let no time pass."""

    async def a_month(self, request_id: str) -> None:
        """Have the question answered, kept for long enough and deleted, while this process stands still."""
        await self.store.delete(keys.request_key(request_id))
        self.ticks += MONTH_SECONDS


@pytest.mark.parametrize(("origin", "calls"), [(BORN, ["create"]), (Origin(namespace="team"), ["read", "create"])])
async def test_what_a_humaninput_asked_is_not_read_again_before_it_is_answered(
    origin: Origin, calls: list[str]
) -> None:
    case = _Case()
    request = await asked(case.store, "b7c8", origin=origin)
    recorded = await case.record(request, case.nothing)
    assert case.calls == calls
    assert recorded.outcome is not None
    assert recorded.outcome == await read_outcome(case.store, "b7c8")


@pytest.mark.parametrize("origin", [BORN, Origin(namespace="team")])
async def test_nothing_is_recorded_by_a_process_that_stood_still_until_the_question_was_deleted(
    origin: Origin,
) -> None:
    case = _Case()
    request = await asked(case.store, "b7c8", origin=origin)
    with pytest.raises(RequestNotFound):
        await case.record(request, lambda: case.a_month("b7c8"))
    assert await read_outcome(case.store, "b7c8") is None


async def test_a_vote_that_was_withdrawn_is_not_cast_again_after_a_restart() -> None:
    case = _Case()
    request = await asked(case.store, "b7c8", origin=BORN, approval=Approval(required=2, allow_links=True))
    cast = await case.record(request, case.nothing)
    assert cast.standing is not None
    again = await case.record(request, case.nothing)
    assert again.standing is not None
    assert again.standing.progress() == "1/2"

    await withdraw(Records(case.store), request, GIVEN.respondent, now=NOW)

    refused = await case.record(request, case.nothing)
    assert refused.refusal is not None
    assert refused.refusal.reason == "Withdrawn"
    [only] = await read_votes(case.store, request)
    assert only.end == "withdrawn"


async def test_an_on_call_person_answers_from_their_moment_on_and_by_no_clock_that_is_wrong() -> None:
    case = _Case()
    request = await asked(
        case.store, "b7c8", origin=BORN, respondents={"users": ["ann"]}, escalate=[(60, {"groups": ["oncall"]})]
    )
    oncall = GIVEN._replace(respondent=Respondent(name="eve", groups=["oncall"], via="kubectl", verified=True))
    moment = NOW + timedelta(seconds=60)

    async def apart() -> None:
        raise ClockApart("memory://", 40)

    # Neither recorded nor refused: it is tried again.
    for now in (NOW, moment):
        with pytest.raises(ClockApart):
            await case.record(request, apart, oncall, now)
    early = await case.record(request, case.nothing, oncall, moment - timedelta(microseconds=1))
    assert early.refusal is not None
    assert early.refusal.reason == "NotAllowed"
    assert await read_outcome(case.store, "b7c8") is None
    assert (await case.record(request, case.nothing, oncall, moment)).outcome is not None


async def test_what_withdraws_or_delegates_does_so_once_even_by_an_operator_that_was_killed() -> None:
    case = _Case()
    request = await asked(case.store, "b7c8", origin=BORN, respondents={"users": ["ann"]})
    context = cast("Context", SimpleNamespace(now=lambda: NOW))
    root, records = cast("Any", _Root(case.store, case.nothing)), Records(case.store)

    async def done(number: str, to: str | None) -> str:
        ann = Respondent(name="ann", via="kubectl", verified=True)
        given = Given("answered", ann, None, "", number)
        return (await withdraw_or_delegate(context, root, records, request, given, to)).kind

    assert await done("1", None) == "refused"
    assert [await done("2", "bob"), await done("2", "bob")] == ["delegated", "delegated"]
    assert [await done("3", None), await done("3", None)] == ["withdrawn", "withdrawn"]
    assert [await done("2", "bob"), await done("4", "cem")] == ["withdrawn", "delegated"]
    assert await done("3", None) == "withdrawn"

    bob, cem = (
        GIVEN._replace(respondent=Respondent(name=each, via="kubectl", verified=True)) for each in ("bob", "cem")
    )
    refused = await record(context, root, records, request, bob, may_vote=True, looked=None)
    assert refused.refusal is not None
    assert refused.refusal.reason == "NotAllowed"
    # There is one `spec.response` for each question: the API server refuses it from somebody else than it names.
    by_spec = await record(context, root, records, request, cem, may_vote=False, looked=None)
    assert by_spec.refusal is not None
    recorded = await record(context, root, records, request, cem, may_vote=True, looked=None)
    assert recorded.outcome is not None
    assert recorded.outcome.by() == "cem on behalf of ann"
    assert await done("5", None) == "lost"
