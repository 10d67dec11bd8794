"""The Secret with a link: whenever an operator is killed, one is left, and its token opens the question."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from hitl.cluster.v1alpha1 import HumanInput
from hitl.core import keys
from hitl.core.documents import RequestDocument
from hitl.errors import ClusterConflict, ClusterError, ClusterForbidden, ClusterUnavailable, StorageUnavailable
from hitl.records.links import find_link, list_links
from hitl.records.records import utc_now
from hitl.records.requests import read_request
from hitl.storage import Store
from hitl_operator.cluster import link_secret
from hitl_operator.context import Context
from hitl_operator.human_inputs import HumanInputs
from hitl_operator.index import Index
from hitl_operator.links import LinkNotIssued, Links
from hitl_operator.metrics import REFUSED_WRITES
from hitl_operator.queues import Queues
from hitl_operator.refusals import FAILED_SECONDS, QUICK_TRIES, Refusals
from hitl_operator.request_sync import Requests
from hitl_operator.roots import Roots
from hitl_operator.settings import OperatorSettings
from hitl_operator.work_items import ReconcileHumanInput
from tests.cluster.operators import question
from tests.controller.test_looks import requests_made

UID = str(uuid.uuid4())
WORK = ReconcileHumanInput("team", "ship")


class Killed(BaseException):
    """The process was killed: nothing catches this."""


class Cluster:
    """An API server with one HumanInput: a fake, as tests/cluster asks the real one.

    Attributes:
        before: What happens to the first call of this name instead of what it does.
        after: What happens to the first call of this name once it is done.
        broken: Why no Secret can be created at all, if none can.
    """

    def __init__(self, **spec: Any) -> None:
        content = question("team", "ship", **spec)
        content["metadata"] |= {"uid": UID, "generation": 1, "creationTimestamp": utc_now().isoformat()}
        self.held = HumanInput.from_object(content)
        self.secrets: dict[str, str] = {}
        self.before: dict[str, BaseException] = {}
        self.after: dict[str, BaseException] = {}
        self.broken: ClusterError | None = None

    def change(self, **content: Any) -> None:
        """Change parts of the HumanInput, as people do."""
        before = self.held.to_object()
        metadata = before["metadata"] | {"generation": self.held.metadata.generation + 1}
        self.held = HumanInput.from_object(
            {**before, "metadata": metadata | content.pop("metadata", {}), "spec": before["spec"] | content}
        ).model_copy(update={"status": self.held.status})

    def fails(self, when: dict[str, BaseException], name: str) -> None:
        if error := when.pop(name, None):
            raise error

    async def human_input(self, *_: str) -> HumanInput:
        return self.held

    async def hand_out_link(self, human_input: HumanInput, token: str, form_url: str) -> str:
        self.fails(self.before, "secret")
        if self.broken is not None:
            raise self.broken
        name = link_secret(human_input.metadata)
        if name in self.secrets:
            raise ClusterConflict("there is one")
        self.secrets[name] = token
        self.fails(self.after, "secret")
        return name

    async def write_status(self, _resource: object, _metadata: object, status: Any, **_: object) -> bool:
        self.fails(self.before, "status")
        self.held = self.held.model_copy(update={"status": status})
        self.fails(self.after, "status")
        return True

    async def emit_event(self, *_: object) -> None:
        """Take an Event."""


class Life:
    """What outlives an operator: the cluster and the storage."""

    def __init__(self, **settings: Any) -> None:
        self.cluster = Cluster()
        self.settings = OperatorSettings(storage_root=f"memory://{uuid.uuid4().hex}", **settings)
        self.store = Store(self.settings.storage_root)
        self.ticks = 0.0

    async def operator(self) -> Callable[[], Awaitable[object]]:
        """Start an operator, and return how it looks at the HumanInput."""
        roots = Roots(self.settings.all_roots())
        [root] = roots
        await root.reach()
        cluster: Any = self.cluster
        context = Context(cluster, roots, Index(), Queues(roots), self.settings, tell_web_apps=lambda *_: None)
        looks = HumanInputs(context, Requests(context), Links(context, Refusals(lambda: self.ticks)))
        return lambda: looks.reconcile(WORK)

    async def question(self) -> RequestDocument:
        return (await read_request(self.store, UID)).document

    async def opens(self) -> bool:
        """Tell whether the token of the one Secret opens the question."""
        [token] = self.cluster.secrets.values()
        return await find_link(self.store, UID, keys.hash_token(token), await self.question()) is not None

    async def link_objects(self) -> int:
        return len([key async for key, _ in self.store.list_keys(keys.links_prefix(UID))])


async def test_a_new_question_takes_two_writes_its_own_and_its_row() -> None:
    life = Life()
    look = await life.operator()
    before = requests_made()
    await look()

    assert requests_made() - before == Counter(create=1, mark=1)
    [token] = life.cluster.secrets.values()
    assert (await life.question()).link_sha256 == keys.hash_token(token)
    assert await life.opens()
    assert await life.link_objects() == 0
    assert life.cluster.held.status.link_secret == next(iter(life.cluster.secrets))
    # No status, no spec and no name tells it.
    assert keys.hash_token(token) not in life.cluster.held.model_dump_json()
    await look()
    assert len(life.cluster.secrets) == 1


@pytest.mark.parametrize("auth", ["proxy", "kubernetes"])
async def test_where_links_do_not_count_none_is_handed_out(auth: str) -> None:
    life = Life(auth=auth)
    await (await life.operator())()

    assert (await life.question()).link_sha256 == ""
    assert life.cluster.secrets == {}


@pytest.mark.parametrize(
    ("step", "when", "added"),
    [
        # The token died with the operator, so a link is added.
        ("secret", "before", 1),
        # The Secret stands, and what was added meanwhile is revoked.
        ("secret", "after", 0),
        ("status", "before", 0),
        ("status", "after", 0),
    ],
)
async def test_killed_at_any_step_it_leaves_one_secret_that_opens_the_question(
    step: str, when: str, added: int
) -> None:
    life = Life()
    vars(life.cluster)[when][step] = Killed()
    with pytest.raises(Killed):
        await (await life.operator())()
    await (await life.operator())()

    assert len(life.cluster.secrets) == 1
    assert await life.opens()
    assert await life.link_objects() == added
    assert life.cluster.held.status.link_secret == next(iter(life.cluster.secrets))
    assert life.cluster.held.status.phase == "Pending"


@pytest.mark.parametrize("step", ["secret", "status"])
@pytest.mark.parametrize("when", ["before", "after"])
async def test_an_operator_that_got_no_reply_keeps_the_link_it_has(step: str, when: str) -> None:
    life = Life()
    vars(life.cluster)[when][step] = ClusterUnavailable("no reply in time")
    look = await life.operator()
    with pytest.raises(LinkNotIssued if step == "secret" else ClusterUnavailable):
        await look()
    await look()

    assert await life.opens()
    assert await life.link_objects() == 0
    assert life.cluster.held.status.condition("LinkIssued") is None
    assert life.cluster.held.status.link_secret == next(iter(life.cluster.secrets))


async def test_the_token_is_the_same_after_a_storing_whose_reply_was_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    life, lost = Life(), [keys.request_key(UID)]
    create_once = Store.create_once

    async def no_reply(store: Store, key: str, data: bytes) -> bool:
        created = await create_once(store, key, data)
        if key in lost:
            lost.remove(key)
            raise StorageUnavailable("no reply in time")
        return created

    look = await life.operator()
    monkeypatch.setattr(Store, "create_once", no_reply)
    with pytest.raises(StorageUnavailable):
        await look()
    await look()

    assert await life.opens()
    assert await life.link_objects() == 0


async def test_a_link_that_was_added_is_kept_for_as_long_as_its_secret_is_refused() -> None:
    life = Life()
    life.cluster.before["secret"] = Killed()
    with pytest.raises(Killed):
        await (await life.operator())()
    look = await life.operator()
    for _ in range(2):
        life.cluster.before["secret"] = ClusterForbidden("no Secrets here")
        with pytest.raises(LinkNotIssued, match="no Secrets here"):
            await look()
    await look()

    assert await life.opens()
    assert await life.link_objects() == 1
    assert [link.label for _, link in await list_links(life.store, UID)] == ["HumanInput"] * 2


def refused_writes() -> float:
    [family] = REFUSED_WRITES.collect()
    [sample] = family.samples
    return sample.value


def gone_webhook() -> ClusterUnavailable:
    return ClusterUnavailable('failed calling webhook "secrets.example.org"', status=500)


async def test_a_question_whose_secret_fails_is_shown_and_takes_a_response() -> None:
    life = Life()
    life.cluster.broken = gone_webhook()
    look = await life.operator()
    with pytest.raises(LinkNotIssued):
        await look()
    shown = life.cluster.held.status
    told = shown.condition("LinkIssued")
    assert (shown.phase, told and told.reason) == ("Pending", "SecretRefused")
    life.cluster.broken = ClusterUnavailable("this time in other words", status=503)
    with pytest.raises(LinkNotIssued):
        await look()
    assert life.cluster.held.status == shown, "a change would bring the next look at once, and so on"

    life.cluster.change(response={"value": "4"})
    await look()
    assert (life.cluster.held.status.phase, life.cluster.held.status.value) == ("Answered", "4")
    assert life.cluster.held.status.condition("LinkIssued") is None


async def test_a_question_whose_secret_fails_ends_at_its_deadline() -> None:
    life = Life()
    life.cluster.broken = gone_webhook()
    created = utc_now() - timedelta(hours=1)
    life.cluster.change(metadata={"creationTimestamp": created.isoformat()}, timeoutSeconds=60)
    look = await life.operator()
    with pytest.raises(LinkNotIssued):
        await look()
    await look()
    assert life.cluster.held.status.phase == "TimedOut"


async def test_a_secret_that_fails_for_long_is_tried_slowly_until_the_question_needs_none() -> None:
    life = Life()
    life.cluster.broken = gone_webhook()
    look = await life.operator()
    for _ in range(QUICK_TRIES):
        with pytest.raises(LinkNotIssued):
            await look()
    life.ticks += FAILED_SECONDS
    await look()
    assert refused_writes() == 1
    life.cluster.broken = None
    await look()
    assert life.cluster.secrets == {}, "it rests"

    life.cluster.change(response={"value": "4"})
    await look()
    assert refused_writes() == 0
