"""The operator tells targets: what it costs after a restart, and what two of them do at once.

The storage and the webhooks are real. The API server is a fake, which takes each status.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hitl.cluster.conditions import DeliveringReason, ReadyReason
from hitl.cluster.mapping import human_input_of
from hitl.cluster.notification_target import NotificationTarget
from hitl.cluster.v1alpha1 import HumanInput
from hitl.core import keys
from hitl.core.documents import Origin
from hitl.core.notices import NotDelivered
from hitl.errors import ClusterConflict, ClusterError, ClusterForbidden, ClusterUnavailable
from hitl.records.requests import StoredRequest, read_outcome_of
from hitl_operator import metrics, notice_targets, refusals
from hitl_operator.cluster import Cluster
from hitl_operator.context import Context
from hitl_operator.events import Events
from hitl_operator.index import Index
from hitl_operator.notices import Notices
from hitl_operator.queues import Queues
from hitl_operator.request_sync import Requests
from hitl_operator.roots import Roots
from hitl_operator.settings import OperatorSettings
from hitl_operator.target_status import Deliveries, Readiness, status_of
from tests.library.fake_slack import APP_TOKEN, BOT_TOKEN, CHANNEL, WORKSPACE, click, running_slack
from tests.library.receiver import Receiver, receiving
from tests.library.samples import NOW, answer, asked, settle

HOME = "shop"


class Statuses:
    """A fake API server: it holds no HumanInputs, and takes each status."""

    async def apply(self, *_: Any, **__: Any) -> dict[str, Any]:
        return {}

    async def items(self, *_: Any, **__: Any) -> AsyncIterator[dict[str, Any]]:
        for each in list[dict[str, Any]]():
            yield each


class RefusesOnce(Statuses):
    """A fake API server that refuses the first status, and says when it has taken another."""

    def __init__(self, error: ClusterError) -> None:
        self.versions: list[str] = []
        self.taken = asyncio.Event()
        self._error = error

    async def apply(self, _: Any, content: dict[str, Any], **__: Any) -> dict[str, Any]:
        self.versions.append(content["metadata"]["resourceVersion"])
        if len(self.versions) == 1:
            raise self._error
        self.taken.set()
        return {}

    async def get(self, *_: Any) -> dict[str, Any]:
        return {"metadata": {"uid": "u", "resourceVersion": "2"}}


def target(
    url: str = "https://hooks.example.org", *, name: str = "ops", namespace: str = HOME, **status: Any
) -> NotificationTarget:
    metadata = {"name": name, "namespace": namespace, "uid": "u", "generation": 3}
    content = {"metadata": metadata, "spec": {"type": "webhook", "webhook": {"url": url}}, "status": status}
    return NotificationTarget.from_object(content)


@asynccontextmanager
async def operator(url: str, receiver: Receiver, kube: Any = None, **settings: Any) -> AsyncIterator[Notices]:
    """The operator's part that tells, begun just now."""
    chosen = OperatorSettings(storage_root=url, notify_private="allow", **settings)
    roots = Roots(chosen.all_roots())
    [root] = roots
    await root.reach()
    root.looked.set()
    kube = kube or Statuses()
    cluster = Cluster(kube, Events(kube, lambda: 0.0))
    context = Context(cluster, roots, Index(), Queues(roots), chosen)
    notices = Notices(context, Requests(context), lambda _: True)

    async def leading() -> None:
        return

    running = asyncio.create_task(notices.run(leading))
    notices.saw_target("ADDED", target(receiver.url).to_object())
    # It lists what the target may be told of.
    await asyncio.gather(*notices._relisting.values())
    try:
        yield notices
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def question(url: str, number: int, namespace: str = HOME) -> StoredRequest:
    store = OperatorSettings(storage_root=url).all_roots()[0].open_store()
    origin = Origin(namespace=namespace)
    return await asked(store, f"q-{number:03d}", now=datetime.now(UTC), timeout_seconds=3600, origin=origin)


async def ended(url: str, request: StoredRequest) -> None:
    store = OperatorSettings(storage_root=url).all_roots()[0].open_store()
    await settle(store, request, answer("42"), now=datetime.now(UTC))


def shown(request: StoredRequest, answered_at: datetime | None = None) -> HumanInput:
    content = human_input_of(request.document, 60).to_object()
    final = {"phase": "Answered", "answeredAt": answered_at} if answered_at else {"phase": "Pending"}
    return HumanInput.from_object(content | {"status": {"requestID": request.request_id, **final}})


def requests_made() -> Counter[str]:
    """How many requests there were, by the operation."""
    samples = [each for found in metrics.STORAGE_REQUESTS.collect() for each in found.samples]
    counted = Counter[str]()
    for each in samples:
        if each.name.endswith("_total"):
            counted[each.labels["operation"]] += int(each.value)
    return counted


async def quiet(notices: Notices) -> None:
    """Wait until nothing is looked at, and nothing waits to be sent."""
    async with asyncio.timeout(120):
        while any(len(each) or each._working for each in notices._queues.values()) or any(
            each.sender.waiting for each in notices._targets()
        ):
            await asyncio.sleep(0.01)


async def test_after_a_restart_each_open_question_costs_two_requests_and_what_was_told_is_not_told_again() -> None:
    url = f"memory://{uuid.uuid4()}"
    async with receiving() as receiver:
        some = [await question(url, number) for number in range(30)]
        async with operator(url, receiver) as first:
            for each in some:
                first.saw(shown(each))
            await quiet(first)
            for each in some[:10]:
                await ended(url, each)
                first.saw(shown(each, datetime.now(UTC)))
            await quiet(first)
        assert len(receiver.bodies) == 40

        async with operator(url, receiver) as second:
            before = requests_made()
            for each in some[:10]:
                second.saw(shown(each, datetime.now(UTC)))
            for each in some[10:]:
                second.saw(shown(each))
            # Kept for long: no request.
            for number in range(100):
                old = shown(some[0], datetime.now(UTC) - timedelta(days=2))
                status = old.status.model_copy(update={"request_id": f"old-{number}"})
                second.saw(old.model_copy(update={"status": status}))
            await quiet(second)
            # That a list has an end is counted as well, though it is no request.
            assert requests_made() - before == {"list": 2 * 30, "read": 20}
        assert len(receiver.bodies) == 40


async def test_two_operators_send_each_notice_once_and_a_program_s_target_is_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = f"memory://{uuid.uuid4()}"
    async with receiving() as receiver, receiving() as everywhere:
        settings = {"notify": f'[{{"name": "ops", "url": "{everywhere.url}"}}]'}
        async with operator(url, receiver, **settings) as one, operator(url, receiver, **settings) as other:
            for number in range(20):
                request = await question(url, number)
                one.saw(shown(request))
                other.saw(shown(request))
            await receiver.until(20)
            await everywhere.until(20)
        for each in (receiver, everywhere):
            ids = Counter(head["webhook-id"] for head in each.heads)
            assert (len(ids), set(ids.values())) == (20, {1})


async def test_what_the_settings_name_in_slack_is_answered_there() -> None:
    url = f"memory://{uuid.uuid4()}"
    tokens = {"bot_token": BOT_TOKEN, "app_token": APP_TOKEN}
    slack_target = {"type": "slack", "channel": CHANNEL, "workspace": WORKSPACE, **tokens}
    async with running_slack() as slack, receiving() as receiver:
        async with operator(url, receiver, notify=json.dumps([slack_target])) as notices:
            await slack.connected()
            store = OperatorSettings(storage_root=url).all_roots()[0].open_store()
            request = await asked(
                store, "ship", now=datetime.now(UTC), data_type=bool, origin=Origin(namespace=HOME)
            )
            notices.saw(shown(request))
            await slack.until(lambda: len(slack.messages) == 1)
            await slack.deliver(click("U0ANN", slack.message, "Yes"))
            await slack.until(lambda: slack.message.updates == 1)
        outcome = await read_outcome_of(store, request)
        assert outcome is not None
        assert (outcome.value, outcome.respondent.via) == (True, "slack")
        # By its marker, its status shows it.
        assert [each.request_id for each in await store.list_markers(keys.ANSWERED)] == ["ship"]


async def test_a_question_of_another_namespace_is_not_told() -> None:
    url = f"memory://{uuid.uuid4()}"
    async with receiving() as receiver, operator(url, receiver) as notices:
        store = OperatorSettings(storage_root=url).all_roots()[0].open_store()
        strange = await asked(store, "strange", now=datetime.now(UTC), origin=Origin(namespace="bank"))
        told = await question(url, 1)
        # Somebody shows a question of others in a namespace of their own.
        moved = shown(strange)
        notices.saw(moved.model_copy(update={"metadata": moved.metadata.model_copy(update={"namespace": HOME})}))
        notices.saw(shown(told))
        await quiet(notices)
        assert [head["webhook-id"].partition("_")[0] for head in receiver.heads] == ["q-001"]


async def test_a_namespace_whose_targets_do_not_answer_holds_up_no_other() -> None:
    url = f"memory://{uuid.uuid4()}"
    async with receiving() as receiver, receiving() as silent, operator(url, receiver) as notices:
        silent.held = asyncio.Event()
        for number in range(10):
            notices.saw_target("ADDED", target(silent.url, name=f"t{number}", namespace="bank").to_object())
        await asyncio.gather(*notices._relisting.values())
        for number in range(10, 14):
            notices.saw(shown(await question(url, number, "bank")))
        # More than that is not sent at once.
        await silent.until(8)
        notices.saw(shown(await question(url, 1)))
        await receiver.until(1)
        assert len(silent.bodies) == 8
        silent.held.set()


async def test_what_waits_for_a_target_is_not_told_once_its_selector_means_others() -> None:
    url, now = f"memory://{uuid.uuid4()}", datetime.now(UTC)
    night = {each: f"{now + timedelta(hours=by):%H:%M}" for each, by in (("start", -1), ("end", 2))}
    async with receiving() as receiver, operator(url, receiver) as notices:
        for generation, more in (
            (4, {"quietHours": {"timeZone": "UTC", **night}}),
            (5, {"selector": {"matchLabels": {"team": "sre"}}}),
        ):
            changed = target(receiver.url).to_object()
            changed["metadata"]["generation"] = generation
            changed["spec"] |= more
            notices.saw_target("MODIFIED", changed)
            await asyncio.gather(*notices._relisting.values())
            if generation == 4:
                notices.saw(shown(await question(url, 1)))
                async with asyncio.timeout(120):
                    while not notices._targets()[0].sender.waiting:
                        await asyncio.sleep(0.01)
        meant = shown(await question(url, 2))
        labelled = meant.metadata.model_copy(update={"labels": {"team": "sre"}})
        notices.saw(meant.model_copy(update={"metadata": labelled}))
        await receiver.until(1)
        await quiet(notices)
        assert [head["webhook-id"].partition("_")[0] for head in receiver.heads] == ["q-002"]


@pytest.mark.parametrize(
    "error", [ClusterConflict("it was changed"), ClusterUnavailable("503"), ClusterError("no")]
)
async def test_a_status_that_was_not_taken_is_written_once_the_target_is_seen_again_or_a_while_later(
    error: ClusterError, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The API server is a fake, as a real one refuses only by chance."""
    monkeypatch.setattr(notice_targets, "_GATHER_SECONDS", 0.01)
    for seen_again in (True, False):
        kube = RefusesOnce(error)
        monkeypatch.setattr(notice_targets, "_LOOK_AGAIN_SECONDS", 600 if seen_again else 0.01)
        async with receiving() as receiver, operator(f"memory://{uuid.uuid4()}", receiver, kube) as notices:
            async with asyncio.timeout(120):
                while not kube.versions:
                    await asyncio.sleep(0.01)
                if seen_again:
                    labelled = target(receiver.url).to_object()
                    labelled["metadata"]["resourceVersion"] = "2"
                    notices.saw_target("MODIFIED", labelled)
                await kube.taken.wait()
        assert kube.versions[1] == ("2" if seen_again else "")


class RefusesStatuses(Statuses):
    """A fake API server that refuses each status, and keeps the Events."""

    def __init__(self) -> None:
        self.tries = 0
        self.error: ClusterError | None = ClusterForbidden("a webhook denies it")
        self.events: list[dict[str, Any]] = []

    async def apply(self, *_: Any, **__: Any) -> dict[str, Any]:
        self.tries += 1
        if self.error is not None:
            raise self.error
        return {}

    async def post(self, _: Any, content: dict[str, Any], **__: Any) -> None:
        self.events.append(content)


@pytest.mark.parametrize("ends", ["accepted", "deleted"])
async def test_a_target_whose_status_is_refused_has_an_event_and_a_metric_and_is_tried_slowly(
    monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    monkeypatch.setattr(refusals, "REFUSED_SECONDS", 0.0)
    before = metrics.REFUSED_WRITES._value.get()
    monkeypatch.setattr(notice_targets, "_GATHER_SECONDS", 0.01)
    monkeypatch.setattr(notice_targets, "_LOOK_AGAIN_SECONDS", 0.01)
    kube = RefusesStatuses()
    async with receiving() as receiver, operator(f"memory://{uuid.uuid4()}", receiver, kube) as notices:
        async with asyncio.timeout(120):
            while kube.tries < 3:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.5)
        assert kube.tries == 3
        assert metrics.REFUSED_WRITES._value.get() == before + 1
        if ends == "deleted":
            notices.saw_target("DELETED", target(receiver.url).to_object())
        else:
            kube.error = None
            notices.saw_target("MODIFIED", target(receiver.url).to_object())
        async with asyncio.timeout(60):
            while metrics.REFUSED_WRITES._value.get() != before:
                await asyncio.sleep(0.01)
        await notices._context.cluster._events.flush(60)
    [event] = kube.events
    assert (event["reason"], event["type"], event["involvedObject"]["name"]) == ("WriteRefused", "Warning", "ops")
    assert "a webhook denies it" in event["message"]


async def test_what_is_measured_of_a_target_goes_with_it() -> None:
    url = f"memory://{uuid.uuid4()}"
    async with receiving() as receiver, operator(url, receiver) as notices:
        receiver.replies = [b"HTTP/1.1 410 Gone\r\n\r\n"]
        for number in range(2):
            notices.saw(shown(await question(url, number)))
        await quiet(notices)
        notices.measure()
        notices.saw_target("DELETED", target(receiver.url).to_object())

        names = {each.labels.get("target") for found in metrics.REGISTRY.collect() for each in found.samples}
        assert f"{HOME}/ops" not in names


async def test_two_targets_whose_long_names_differ_at_the_end_are_both_told() -> None:
    url = f"memory://{uuid.uuid4()}"
    async with receiving() as receiver, receiving() as everywhere:
        long = [{"name": f"{'o' * 39}{each}", "url": everywhere.url} for each in "ab"]
        async with operator(url, receiver, notify=json.dumps(long)) as notices:
            notices.saw(shown(await question(url, 1)))
            await everywhere.until(2)
            await quiet(notices)
        assert len(everywhere.bodies) == 2


def test_a_status_says_since_when_nothing_is_delivered_and_how_much_is_lost() -> None:
    failed, later = NotDelivered("it answered 503"), NOW + timedelta(minutes=5)
    found = Deliveries().after(failed, 0, NOW).after(failed, 2, later)
    [ready, delivering] = status_of(target(), Readiness(), found, 7, later).conditions
    assert (ready.status, ready.reason) == ("True", ReadyReason.USABLE)
    assert (delivering.status, delivering.reason) == ("False", DeliveringReason.GIVEN_UP)
    assert delivering.message == (
        "not delivered since 2031-05-06T07:08:09+00:00: it answered 503; notices that wait: 7; "
        "given up since the operator began: 2"
    )
    [_, again] = status_of(target(), Readiness(), found.after(None, 0, later), 0, later).conditions
    assert (again.status, again.message) == ("True", "given up since the operator began: 2")


def test_what_an_operator_before_found_stays_until_this_one_knows_better() -> None:
    before = status_of(target(), Readiness(), Deliveries().after(NotDelivered("no"), 0, NOW), 1, NOW)
    kept = target(**before.model_dump(mode="json", by_alias=True))
    wrong = Readiness(ReadyReason.SECRET_MISSING, "there is none")
    [ready, delivering] = status_of(kept, wrong, Deliveries(), 0, NOW).conditions
    assert (ready.status, ready.message) == ("False", "there is none")
    assert delivering == before.conditions[1]
    [_, unknown] = status_of(target(), Readiness(), Deliveries(), 0, NOW).conditions
    assert (unknown.status, unknown.reason) == ("Unknown", DeliveringReason.NOTHING_SENT)


def kept_of(notices: Notices) -> int:
    """How much is remembered of questions."""
    senders = [each.sender for each in notices._targets()]
    timers = sum(len(each._timers) + len(each) for each in notices._queues.values())
    return len(notices._known) + timers + sum(len(each._by_question) + len(each._waiting) for each in senders)


async def test_nothing_is_kept_of_a_question_whose_humaninput_was_deleted() -> None:
    url = f"memory://{uuid.uuid4()}"
    async with receiving() as receiver, receiving() as everywhere:
        async with operator(url, receiver, notify=f'[{{"name": "all", "url": "{everywhere.url}"}}]') as notices:
            for number in range(10):
                request = await question(url, number)
                notices.saw(shown(request))
                await ended(url, request)
                settled = shown(request, datetime.now(UTC))
                notices.saw(settled)
                if number % 2:
                    await quiet(notices)
                # As by a short `ttlSecondsAfterFinished`: what is not told yet is told even so.
                notices.saw_deleted(settled)
            await everywhere.until(10)
            async with asyncio.timeout(30):
                while kept_of(notices):
                    await asyncio.sleep(0.05)
        for each in (receiver, everywhere):
            assert sum("settled" in json.loads(body)["type"] for body in each.bodies) == 10


async def test_a_target_of_other_questions_leaves_no_loss_to_tell() -> None:
    url = f"memory://{uuid.uuid4()}"
    async with receiving() as receiver, operator(url, receiver) as notices:
        request = await question(url, 1)
        notices.saw(shown(request))
        notices._context.lost[request.request_id] = "shop/ops could not be told"
        changed = target(receiver.url).to_object()
        changed["metadata"]["generation"] = 4
        changed["spec"]["selector"] = {"matchLabels": {"team": "sre"}}
        notices.saw_target("MODIFIED", changed)
        notices.saw(shown(request, datetime.now(UTC)))
        assert notices._context.lost == {}


async def test_a_deleted_question_that_does_not_end_is_looked_at_ever_more_rarely() -> None:
    """As in a namespace that was deleted with it: its question goes on to its deadline."""
    url, now, looks = f"memory://{uuid.uuid4()}", datetime.now(UTC), 0
    async with receiving() as receiver, operator(url, receiver) as notices:
        request = await question(url, 1)
        notices.saw(shown(request))
        await quiet(notices)
        [queue], [tell] = notices._queues.values(), list(notices._known)
        notices.saw_deleted(shown(request))
        clock = now
        object.__setattr__(notices._context, "now", lambda: clock)
        while clock < now + timedelta(minutes=50):
            timer = queue._timers.pop(tell)
            clock += timedelta(seconds=max(timer.when() - asyncio.get_running_loop().time(), 0))
            timer.cancel()
            await notices.look(tell)
            looks += 1
    assert 10 < looks < 30


async def test_what_is_left_to_another_operator_is_not_listed_for_notices_any_more() -> None:
    url, listed = f"memory://{uuid.uuid4()}", asyncio.Event()

    class Slow(Statuses):
        async def items(self, *_: Any, **__: Any) -> AsyncIterator[dict[str, Any]]:
            await listed.wait()
            yield shown(request).to_object()

    async with receiving() as receiver, receiving() as everywhere:
        request = await question(url, 1)
        settings = {"notify": f'[{{"name": "all", "url": "{everywhere.url}"}}]'}
        listed.set()
        async with operator(url, receiver, Slow(), **settings) as notices:
            listed.clear()
            changed = target(receiver.url).to_object()
            changed["metadata"]["generation"] = 4
            notices.saw_target("MODIFIED", changed)
            await asyncio.sleep(0.01)
            notices._leads = lambda _: False
            notices.left()
            listed.set()
            await asyncio.sleep(0.05)
            assert kept_of(notices) == 0
            assert not notices._relisting


async def test_a_target_whose_status_a_newer_release_wrote_is_told_even_so() -> None:
    url = f"memory://{uuid.uuid4()}"
    condition = {"type": "Delivering", "status": "Unknown", "reason": "Throttled"}
    condition |= {"lastTransitionTime": NOW.isoformat()}
    async with receiving() as receiver, receiving() as newer, operator(url, receiver) as notices:
        changed = target(newer.url, name="newer", conditions=[condition])
        notices.saw_target("ADDED", changed.to_object())
        await asyncio.gather(*notices._relisting.values())
        notices.saw(shown(await question(url, 1)))
        await receiver.until(1)
        async with asyncio.timeout(20):
            await newer.until(1)


class Slow(Statuses):
    """A fake API server that takes its time to list the HumanInputs."""

    def __init__(self) -> None:
        self.held: list[HumanInput] = []
        self.lists = 0

    async def items(self, *_: Any, **__: Any) -> AsyncIterator[dict[str, Any]]:
        self.lists += 1
        await asyncio.sleep(0.2)
        for each in self.held:
            yield each.to_object()


async def test_a_target_that_is_changed_again_and_again_keeps_no_other_from_being_told() -> None:
    url, kube = f"memory://{uuid.uuid4()}", Slow()
    async with receiving() as receiver, operator(url, receiver, kube) as notices:
        kube.held.append(shown(await question(url, 1)))
        began = kube.lists
        for generation in range(200):
            changed = target(name="flaps").to_object()
            changed["metadata"] |= {"uid": "f", "generation": generation}
            changed["spec"]["events"] = ["settled"]
            notices.saw_target("MODIFIED", changed)
            await asyncio.sleep(0.1)
            if receiver.bodies and generation > 10:
                break
        assert len(receiver.bodies) == 1, "it was told while the other one was changed"
        # Each change alone is no reason for another list.
        assert kube.lists - began <= 2 + generation // 10
        await asyncio.gather(*notices._relisting.values())
        await quiet(notices)
        assert len(receiver.bodies) == 1
