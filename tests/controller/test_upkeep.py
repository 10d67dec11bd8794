"""What the operator looks after in a root besides markers: rows and HumanInputs agree, and what is old goes."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hitl.core import keys
from hitl.core.documents import Origin, Respondent
from hitl.core.keys import OpenRow, SettledRow
from hitl.core.question import Question
from hitl.records.index import is_complete
from hitl.records.outcomes import Submission, settle
from hitl.records.records import Records
from hitl.records.requests import StoredRequest, create
from hitl_operator.index import Index, Seen
from hitl_operator.roots import Roots
from hitl_operator.settings import OperatorSettings
from hitl_operator.upkeep import Upkeep, pause_after
from hitl_operator.work_items import MirrorRequest, WorkItem

STALE = timedelta(minutes=15)


class Taken:
    """A queue that only remembers what it was given."""

    def __init__(self) -> None:
        self.work: set[WorkItem] = set()

    def add(self, work: WorkItem) -> None:
        self.work.add(work)


class Shown(Index):
    """HumanInputs as they were seen, without a cluster."""

    def __init__(self) -> None:
        super().__init__()
        self.all: dict[str, Seen] = {}

    def show(self, request_id: str, *, pending: bool) -> None:
        self.all[request_id] = Seen(
            namespace="team",
            name=request_id,
            uid="u",
            request_id=request_id,
            pending=pending,
            created_at=datetime.now(UTC),
            **_others(),
        )

    def __iter__(self) -> Any:
        return iter(list(self.all.values()))

    def shown_by(self, request_id: str) -> Seen | None:
        return self.all.get(request_id)


def _others() -> dict[str, Any]:
    known = {"namespace", "name", "uid", "request_id", "pending", "created_at"}
    return {name: None for name in Seen.__dataclass_fields__ if name not in known}


class Scene:
    def __init__(self) -> None:
        url = f"memory://{uuid.uuid4().hex}"
        self.settings = OperatorSettings(storage_root=url, open_seconds=0.000001, audit_seconds=0.000001)
        self.roots = Roots(self.settings.all_roots())
        [self.root] = self.roots
        self.shown, self.queue = Shown(), Taken()
        self.upkeep = Upkeep(self.root, self.roots, self.shown, self.queue, self.settings)  # type: ignore[arg-type]  # it only adds
        self.now = datetime.now(UTC) + timedelta(minutes=1)

    async def open(self) -> Scene:
        self.records = Records(await self.root.reach())
        return self

    async def asked(self, request_id: str) -> StoredRequest:
        question = Question.of(name="n", data_type=int, prompt="?", timeout_seconds=600)
        return await create(
            self.records, question, request_id=request_id, new=True, origin=Origin(namespace="team")
        )

    async def answered(self, request: StoredRequest) -> None:
        submission = Submission("answered", Respondent(via="web", name="ann", verified=True), value="7")
        await settle(self.records, request, submission)

    async def round(self) -> None:
        for _ in range(3):
            await self.upkeep.look_at_open(self.now)

    async def has(self, key: str) -> bool:
        return await self.records.store.exists(key)


@pytest.fixture
async def scene() -> Scene:
    return await Scene().open()


async def test_an_open_question_without_a_humaninput_is_shown(scene: Scene) -> None:
    await scene.asked("unseen")
    await scene.asked("seen")
    scene.shown.show("seen", pending=True)

    await scene.round()

    assert scene.queue.work == {MirrorRequest("default", "unseen")}


async def test_a_question_that_was_asked_just_now_is_about_to_be_shown(scene: Scene) -> None:
    await scene.asked("new")
    scene.now = datetime.now(UTC)

    await scene.round()

    assert scene.queue.work == set()


async def test_a_row_that_outlived_its_question_s_outcome_goes_and_the_settled_one_is_there(scene: Scene) -> None:
    request = await scene.asked("settled")
    await scene.answered(request)
    opened = OpenRow("settled", request.document.expires_at)
    settled = SettledRow.of("settled", datetime.now(UTC), request.document.expires_at)
    await scene.records.store.delete(settled.key)
    await scene.records.store.mark(opened.key)
    scene.shown.show("settled", pending=False)

    await scene.round()

    assert not await scene.has(opened.key)
    assert await scene.has(settled.key)


async def test_a_pending_humaninput_whose_question_has_no_row_gets_one(scene: Scene) -> None:
    # As a release without an index asked it.
    request = await scene.asked("old")
    opened = OpenRow("old", request.document.expires_at).key
    await scene.records.store.delete(opened)
    scene.shown.show("old", pending=True)
    scene.shown.show("not-asked-yet", pending=True)

    await scene.round()

    assert await scene.has(opened)


async def test_nothing_is_deleted_before_the_first_full_scan_is_through(scene: Scene) -> None:
    assert not scene.upkeep.deletes_now()
    while not await is_complete(scene.records.store):
        await scene.upkeep.look_at_all(scene.now)

    assert scene.upkeep.deletes_now()
    await scene.upkeep.delete(datetime.now(UTC))
    assert not scene.upkeep.deletes_now()


async def test_a_full_scan_hands_over_what_nobody_shows(scene: Scene) -> None:
    request = await scene.asked("unseen")
    await scene.records.store.delete(OpenRow("unseen", request.document.expires_at).key)

    while not await is_complete(scene.records.store):
        await scene.upkeep.look_at_all(scene.now)

    assert scene.queue.work == {MirrorRequest("default", "unseen")}
    assert await scene.has(keys.request_key("unseen"))


@pytest.mark.parametrize(
    ("looked", "kept", "rests"),
    [
        (0, timedelta(days=30), timedelta(hours=1)),
        (1, timedelta(days=30), STALE),
        (100_000, timedelta(days=30), STALE),
        (100_001, timedelta(days=30), timedelta(days=5)),
        (100_001, timedelta(hours=2), timedelta(hours=1)),
    ],
)
def test_a_pass_over_a_large_root_is_made_when_much_is_due(looked: int, kept: timedelta, rests: timedelta) -> None:
    assert pause_after(looked, kept, STALE) == rests
