"""The only way to an outcome: who wins, what is told to the others, and what a crash leaves."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from hitl.core import keys
from hitl.core.documents import OutcomeDocument, Respondent
from hitl.core.lifecycle import GRACE
from hitl.errors import (
    AlreadySettled,
    ClockApart,
    DocumentDamaged,
    Expired,
    InvalidValue,
    RequestNotFound,
    StorageUnavailable,
)
from hitl.records import outcomes
from hitl.records.creation import Looked
from hitl.records.records import Records
from hitl.records.requests import StoredRequest, read_outcome, read_outcome_of
from hitl.records.submissions import Settled, Submission, timeout_outcome
from hitl.storage import Store
from tests.library.samples import DEADLINE, NOW, SECOND, Timed, asked, expire, settle


class Recording(Store):
    """A real store that notes what is written, and may fail after having written."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.written: list[str] = []
        self.lose_reply = False
        self.die_before = ""

    async def create_once(self, key: str, data: bytes) -> bool:
        if key == self.die_before:
            raise asyncio.CancelledError
        self.written.append(key)
        created = await super().create_once(key, data)
        if self.lose_reply:
            raise StorageUnavailable("the reply was lost")
        return created

    async def mark(self, key: str) -> None:
        self.written.append(key)
        await super().mark(key)


@pytest.fixture
def store() -> Recording:
    return Recording(f"memory://{uuid.uuid4().hex}")


@pytest.fixture
async def request_(store: Recording) -> StoredRequest:
    request = await asked(store)
    store.written.clear()
    return request


def by(name: str, value: Any = "42", **content: Any) -> Submission:
    respondent = Respondent(
        name=name, via="api", verified=content.pop("verified", False), link=content.pop("link", "")
    )
    return Submission("answered", respondent, value=value, **content)


async def test_the_first_wins_and_the_other_is_told_who(store: Recording, request_: StoredRequest) -> None:
    await settle(store, request_, by("ann", "1"), now=NOW, markers=False)

    with pytest.raises(AlreadySettled, match="answered by ann") as lost:
        await settle(store, request_, by("bob", "2"), now=NOW, markers=False)

    assert lost.value.outcome.value == 1


LINK, OTHER_LINK = "l" * 64, "m" * 64
KEY = "the-key"


def rejects(name: str, **content: Any) -> Submission:
    return replace(by(name, **content), outcome="rejected", value=None)


SENT_TWICE = [
    (by("", submission_id=KEY), by("", submission_id=KEY), True),
    (by("", link=LINK), by("", link=LINK), True),
    (by("ann", link=LINK), by("", link=LINK, comment="well"), True),
    (by("ann", verified=True), by("ann", verified=True), True),
    (by("", "4e1", link=LINK), by("", "40.0", link=LINK), True),
    (rejects("ann", verified=True, comment="no"), rejects("ann", verified=True, comment="never"), True),
    (by("ann"), by("ann"), False),
    (by("ann", submission_id=KEY), by("bob", submission_id=KEY), False),
    (by("", submission_id=KEY), by("", "43", submission_id=KEY), False),
    (by("", submission_id=KEY), rejects("", submission_id=KEY), False),
    (by("", link=LINK), by("", link=OTHER_LINK), False),
    (by("", link=LINK, submission_id=KEY), by("", link=OTHER_LINK, submission_id=KEY), False),
    (by("", link=LINK, submission_id=KEY), by("", "43", link=LINK, submission_id=KEY), False),
    (by("", link=LINK, submission_id=KEY), rejects("", link=LINK, submission_id=KEY), False),
    (by("", link=LINK, submission_id=KEY), by("", submission_id=KEY), False),
    (by("", submission_id=KEY), by("", link=LINK, submission_id=KEY), False),
    (by("ann", verified=True), by("ann", verified=False), False),
    (by("ann", verified=True, submission_id=KEY), by("ann", verified=False, submission_id=KEY), False),
    (by("ann", verified=False, submission_id=KEY), by("ann", verified=True, submission_id=KEY), False),
    (by("ann", verified=True, submission_id=KEY), by("bob", verified=True, submission_id=KEY), False),
    (by("ann", verified=True, submission_id=KEY), by("ann", "43", verified=True, submission_id=KEY), False),
    (by("ann", verified=True, submission_id=KEY), by("ann", link=LINK, submission_id=KEY), False),
]


@pytest.mark.parametrize("markers", [False, True])
@pytest.mark.parametrize(("first", "second", "same"), SENT_TWICE)
async def test_saying_the_same_again_is_success_for_who_is_known_to_be_the_same(
    store: Recording, first: Submission, second: Submission, same: bool, markers: bool
) -> None:
    request = await asked(store, data_type=float)
    outcome = await settle(store, request, first, now=NOW, markers=markers)

    if same:
        assert await settle(store, request, second, now=NOW + SECOND, markers=markers) == outcome
    else:
        with pytest.raises(AlreadySettled) as lost:
            await settle(store, request, second, now=NOW + SECOND, markers=markers)
        assert lost.value.outcome == outcome


@pytest.mark.parametrize(
    ("first", "second", "sentence"),
    [
        (by("ann", link=LINK), by("ann", link=LINK), ""),
        (
            by("ann", link=LINK),
            by("ann", link=LINK, comment="well"),
            "its comment is kept, and yours was not saved",
        ),
        (by("ann", link=LINK), by("bob", link=LINK), "its name is kept, and yours was not saved"),
        (
            by("ann", link=LINK),
            by("", link=LINK, comment="x"),
            "its comment and name are kept, and yours were not saved",
        ),
    ],
)
async def test_the_same_answer_with_another_comment_or_name_is_told_that_the_first_ones_stay(
    store: Recording, request_: StoredRequest, first: Submission, second: Submission, sentence: str
) -> None:
    records = Records(store)
    told = await outcomes.settle(records, request_, first, now=NOW)
    assert (told.kind, told.note) == ("recorded", "")

    again = await outcomes.settle(records, request_, second, now=NOW + SECOND)

    assert (again.kind, again.outcome) == ("already_yours", told.outcome)
    assert sentence in again.note
    assert bool(again.note) is bool(sentence)


@pytest.mark.parametrize("markers", [False, True])
async def test_each_result_has_a_name_and_an_exception_for_whoever_wants_one(
    store: Recording, request_: StoredRequest, markers: bool
) -> None:
    records = Records(store, markers)
    other = await asked(store, "another-question")
    gone = await asked(store, "a-deleted-question")
    await store.delete(keys.request_key(gone.request_id))

    told = [
        await outcomes.settle(records, request_, by("ann", "many"), now=NOW),
        await outcomes.settle(records, request_, by("ann"), now=DEADLINE),
        await outcomes.settle(records, gone, by("ann"), now=NOW),
        await outcomes.settle(records, request_, by("ann", link=LINK), now=NOW),
        await outcomes.settle(records, request_, by("ann", link=LINK), now=DEADLINE + SECOND),
        await outcomes.settle(records, request_, by("bob", link=OTHER_LINK), now=NOW),
        await outcomes.settle(records, request_, by("bob", "many"), now=NOW),
        await outcomes.settle(records, other, replace(by("ann"), outcome="cancelled"), now=DEADLINE),
    ]

    ends: list[tuple[str, type[Exception] | None]] = [
        ("refused", InvalidValue),
        ("too_late", Expired),
        ("gone", RequestNotFound),
        ("recorded", None),
        ("already_yours", None),
        ("lost", AlreadySettled),
        ("lost", AlreadySettled),
        ("recorded", None),
    ]
    for each, (kind, error) in zip(told, ends, strict=True):
        assert each.kind == kind
        if error is None:
            assert each.outcome_or_raise() == each.outcome
        else:
            with pytest.raises(error):
                each.outcome_or_raise()
    assert told[5].outcome == told[6].outcome == told[3].outcome


async def test_a_question_that_was_just_read_is_not_read_again_and_an_old_look_counts_for_nothing(
    store: Recording, request_: StoredRequest
) -> None:
    await store.delete(keys.request_key(request_.request_id))

    async def attempt(seen_at: float) -> Settled:
        records = Records(store, ticks=lambda: 100.0)
        return await outcomes.settle(records, request_, by("ann"), now=NOW, looked=Looked(seen_at))

    assert (await attempt(100 - 61)).kind == "gone"
    assert await read_outcome(store, request_.request_id) is None
    assert (await attempt(100 - 59)).kind == "recorded"


async def test_without_a_moment_the_records_own_clock_counts_if_it_is_the_storages() -> None:
    store = Timed(f"memory://{uuid.uuid4().hex}")
    request = await asked(store)
    late = Records(store, now=lambda: NOW + timedelta(hours=1))

    with pytest.raises(ClockApart):
        await outcomes.settle(late, request, by("ann"))
    with pytest.raises(ClockApart):
        await outcomes.expire(late, request)
    assert await read_outcome(store, request.request_id) is None

    assert (await outcomes.settle(Records(store, now=lambda: NOW), request, by("ann"))).kind == "recorded"
    # What stands can be told by any clock.
    assert await outcomes.expire(late, request) == await read_outcome(store, request.request_id)


async def test_an_invalid_value_writes_nothing_and_who_won_matters_more(
    store: Recording, request_: StoredRequest
) -> None:
    with pytest.raises(InvalidValue):
        await settle(store, request_, by("ann", "many"), now=NOW, markers=True)
    assert store.written == []

    await settle(store, request_, by("ann", "1"), now=NOW, markers=True)
    with pytest.raises(AlreadySettled):
        await settle(store, request_, by("bob", "many"), now=NOW, markers=True)


async def test_the_marker_comes_before_the_outcome(store: Recording, request_: StoredRequest) -> None:
    await settle(store, request_, by("ann"), now=NOW, markers=True)

    assert store.written == [
        keys.answered_marker(request_.request_id),
        keys.response_key(request_.request_id),
        keys.SettledRow.of(request_.request_id, NOW, request_.document.expires_at).key,
    ]


async def test_a_marker_that_took_over_a_minute_is_written_again(
    store: Recording, request_: StoredRequest
) -> None:
    times = iter([0.0, 61.0, 61.0, 62.0, 62.0])

    await settle(store, request_, by("ann"), now=NOW, markers=True, clock=lambda: next(times))

    assert store.written.count(keys.answered_marker(request_.request_id)) == 2


async def test_a_reply_that_was_lost_is_recognised_as_ones_own(store: Recording, request_: StoredRequest) -> None:
    store.lose_reply = True

    outcome = await settle(store, request_, by("ann", "7"), now=NOW, markers=False)

    assert outcome.value == 7


async def test_a_crash_between_marker_and_outcome_leaves_the_question_open(
    store: Recording, request_: StoredRequest
) -> None:
    store.die_before = keys.response_key(request_.request_id)
    with pytest.raises(asyncio.CancelledError):
        await settle(store, request_, by("ann", "1"), now=NOW, markers=True)
    assert await read_outcome(store, request_.request_id) is None

    store.die_before = ""
    assert (await settle(store, request_, by("bob", "2"), now=NOW, markers=True)).value == 2


async def test_from_the_deadline_on_submissions_are_refused_and_written_nowhere(
    store: Recording, request_: StoredRequest
) -> None:
    for now in (DEADLINE, DEADLINE + GRACE, DEADLINE + timedelta(days=1)):
        with pytest.raises(Expired):
            await settle(store, request_, by("ann"), now=now, markers=True)

    assert store.written == []
    assert (await settle(store, request_, by("ann"), now=DEADLINE - SECOND, markers=True)).value == 42


async def test_the_deadline_is_settled_only_ten_seconds_later(store: Recording, request_: StoredRequest) -> None:
    assert await expire(store, request_, now=DEADLINE + GRACE - SECOND, markers=True) is None

    outcome = await expire(store, request_, now=DEADLINE + GRACE, markers=True)

    assert outcome is not None
    assert (outcome.outcome, outcome.reason) == ("timed_out", "DeadlinePassed")
    assert outcome.expires_at == DEADLINE


async def test_an_answer_in_the_last_second_is_never_taken_away(store: Recording, request_: StoredRequest) -> None:
    await settle(store, request_, by("ann", "5"), now=DEADLINE - SECOND, markers=True)

    outcome = await expire(store, request_, now=DEADLINE + GRACE, markers=True)

    assert outcome is not None
    assert outcome.value == 5


async def test_answers_and_the_deadline_race_to_one_outcome(store: Recording, request_: StoredRequest) -> None:
    attempts = [settle(store, request_, by(f"p{n}", str(n)), now=NOW, markers=True) for n in range(20)]
    expiries = [expire(store, request_, now=DEADLINE + GRACE, markers=True) for _ in range(20)]

    results = await asyncio.gather(*attempts, *expiries, return_exceptions=True)

    standing = await read_outcome(store, request_.request_id)
    told = [each.outcome if isinstance(each, AlreadySettled) else each for each in results]
    assert all(each == standing for each in told)


@pytest.mark.parametrize("markers", [False, True])
@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ((b'"request_sha256":"', b'"request_sha256":"0'), "request_sha256"),
        ((b'"data_type":"int"', b'"data_type":"json"'), "data_type is json, and the question's is int"),
        ((b'"a-question"', b'"another"'), "belongs to request 'another'"),
    ],
)
async def test_an_outcome_of_another_question_or_type_is_damage_and_not_believed(
    store: Recording, request_: StoredRequest, wrong: tuple[bytes, bytes], why: str, markers: bool
) -> None:
    other = await asked(Recording(f"memory://{uuid.uuid4().hex}"))
    right = timeout_outcome(other, NOW).model_copy(
        update={"outcome": "answered", "value": 1, "request_sha256": request_.sha256, "reason": "Answered"}
    )
    assert wrong[0] in right.to_bytes()
    await store.create_once(keys.response_key(request_.request_id), right.to_bytes().replace(*wrong))

    attempts: list[Callable[[], Awaitable[OutcomeDocument | None]]] = [
        lambda: settle(store, request_, by("ann"), now=NOW, markers=markers),
        lambda: settle(store, request_, by("ann"), now=DEADLINE, markers=markers),
        lambda: settle(store, request_, by("ann", "many"), now=NOW, markers=markers),
        lambda: expire(store, request_, now=NOW, markers=markers),
        lambda: expire(store, request_, now=DEADLINE + GRACE, markers=markers),
        lambda: read_outcome_of(store, request_),
    ]
    for attempt in attempts:
        with pytest.raises(DocumentDamaged, match=why):
            await attempt()
