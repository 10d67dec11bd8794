"""The only way to an outcome: who wins, what is told to the others, and what a crash leaves."""

import asyncio
import uuid
from datetime import timedelta
from typing import Any

import pytest

from hitl import keys
from hitl.documents import Respondent
from hitl.errors import AlreadySettled, Expired, InvalidValue, StorageUnavailable
from hitl.requests import StoredRequest, read_outcome
from hitl.retention import collect
from hitl.settle import Submission, expire, settle
from hitl.storage import Store
from hitl.transitions import GRACE
from tests.library.samples import DEADLINE, NOW, SECOND, asked


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


@pytest.mark.parametrize("markers", [False, True])
@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        (by("", submission_id="one"), by("", submission_id="one"), True),
        (by("", link="l" * 64), by("", link="l" * 64), True),
        (by("ann", verified=True), by("ann", verified=True), True),
        (by("ann"), by("ann"), False),
        (by("", link="l" * 64), by("", link="m" * 64), False),
        (by("", link="l" * 64), by("", "43", link="l" * 64), False),
        (by("ann", verified=True), by("ann", verified=False), False),
    ],
)
async def test_saying_the_same_again_is_success_for_who_is_known_to_be_the_same(
    store: Recording, request_: StoredRequest, first: Submission, second: Submission, same: bool, markers: bool
) -> None:
    outcome = await settle(store, request_, first, now=NOW, markers=markers)

    if same:
        assert await settle(store, request_, second, now=NOW + SECOND, markers=markers) == outcome
    else:
        with pytest.raises(AlreadySettled):
            await settle(store, request_, second, now=NOW + SECOND, markers=markers)


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
    ]


async def test_a_marker_that_took_over_a_minute_is_written_again(
    store: Recording, request_: StoredRequest
) -> None:
    times = iter([0.0, 61.0, 61.0, 62.0])

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


async def test_collecting_deletes_settled_requests_after_their_time_and_nothing_pending(
    store: Recording, request_: StoredRequest
) -> None:
    await asked(store, "pending")
    await settle(store, request_, by("ann"), now=NOW, markers=True)
    month = timedelta(days=30)

    assert await collect(store, now=NOW + month - SECOND, retention=month) == []
    assert await collect(store, now=NOW + month, retention=month, dry_run=True) == [request_.request_id]
    assert await collect(store, now=NOW + month, retention=month) == [request_.request_id]

    left = {key async for key, _ in store.list_keys(keys.PREFIX)}
    assert keys.request_key("pending") in left
    assert not any(request_.request_id in key.split("/") for key in left)
