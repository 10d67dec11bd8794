"""What a look at a HumanInput asks of the storage, and how often the marker of a vote causes one."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from hitl.cluster.human_input_response import HumanInputResponse
from hitl.cluster.mapping import human_input_of
from hitl.cluster.shapes import Metadata
from hitl.cluster.v1alpha1 import HumanInput
from hitl.core import keys
from hitl.core.approval import Approval
from hitl.core.documents import Origin, Respondent
from hitl.errors import ClusterError, ClusterUnavailable
from hitl.records.outcomes import settle
from hitl.records.records import Records, utc_now
from hitl.records.requests import StoredRequest
from hitl.records.submissions import Submission
from hitl.storage import Marker, Store
from hitl_operator import scanner
from hitl_operator.context import Context
from hitl_operator.human_inputs import HumanInputs
from hitl_operator.index import Index
from hitl_operator.links import Links
from hitl_operator.metrics import STORAGE_REQUESTS
from hitl_operator.probes import Health
from hitl_operator.queues import Queues
from hitl_operator.refusals import Refusals
from hitl_operator.request_sync import Requests
from hitl_operator.responses import Responses
from hitl_operator.roots import Root, Roots
from hitl_operator.settings import OperatorSettings
from hitl_operator.short_statuses import short_status
from hitl_operator.work_items import HandleResponse, ReconcileHumanInput
from tests.controller.test_sweep import Leads
from tests.library.samples import asked

NAMESPACE = "team"
ORIGIN = Origin(namespace=NAMESPACE)


def requests_made() -> Counter[str]:
    [family] = STORAGE_REQUESTS.collect()
    made: Counter[str] = Counter()
    for sample in family.samples:
        if sample.name.endswith("_total"):
            made[sample.labels["operation"]] += int(sample.value)
    return made


@dataclass
class Operator:
    """The operator's parts over a root in memory, with an API server that is a fake and says yes to all."""

    root: Root
    context: Context
    requests: Requests
    human_inputs: HumanInputs
    told: list[str]

    @classmethod
    async def over_memory(cls) -> Operator:
        settings = OperatorSettings(storage_root=f"memory://{uuid.uuid4().hex}")
        roots = Roots(settings.all_roots())
        [root] = roots
        await root.reach()
        cluster: Any = SimpleNamespace()
        told: list[str] = []
        context = Context(
            cluster, roots, Index(), Queues(roots), settings, tell_web_apps=lambda _, each: told.append(each)
        )
        requests = Requests(context)
        looks = HumanInputs(context, requests, Links(context, Refusals(lambda: 0.0)))
        return cls(root, context, requests, looks, told)

    def show(self, request: StoredRequest) -> HumanInput:
        """Let the API server have the HumanInput of a question, which nobody has looked at yet."""
        shown = human_input_of(request.document, 60)
        metadata = Metadata(name=shown.metadata.name, namespace=NAMESPACE, uid=request.request_id, generation=1)
        held = [shown.model_copy(update={"metadata": metadata})]

        async def human_input(*_: str) -> HumanInput:
            return held[-1]

        async def write_status(_resource: object, _metadata: object, status: Any, **_: object) -> bool:
            held.append(held[-1].model_copy(update={"status": status}))
            return True

        async def emit_event(*_: object) -> None:
            """Take an Event."""

        vars(self.context.cluster).update(
            human_input=human_input, write_status=write_status, emit_event=emit_event
        )
        self.context.index.put(held[-1])
        return held[-1]

    async def look(self, request: StoredRequest) -> Counter[str]:
        """Look as after a marker; return the requests to the storage."""
        before = requests_made()
        found = await self.human_inputs.reconcile(ReconcileHumanInput(NAMESPACE, request.request_id))
        assert found is not None
        return requests_made() - before


async def test_a_look_at_an_open_question_reads_each_vote_once() -> None:
    operator = await Operator.over_memory()
    store, approval = operator.root.store, Approval(required=3, allow_links=True)
    request = await asked(store, "voted", now=utc_now(), origin=ORIGIN, approval=approval)
    operator.show(request)
    for name in ("ann", "bob"):
        respondent = Respondent(name=name, via="web", verified=True)
        await settle(Records(store), request, Submission("answered", respondent, "4"))
    await operator.look(request)

    # The outcome, two votes, and whether the question is still there. That a list has ended counts as one more.
    assert await operator.look(request) == {"read": 4, "list": 2}


@pytest.fixture
def time_passes(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """The scanner's clocks: `now` is both."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(scanner, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


async def test_votes_on_open_questions_cost_looks_by_what_changes_and_not_by_what_is_open(
    time_passes: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator, number, sweep = await Operator.over_memory(), 20, 3.0
    began = utc_now()
    written = {f"voted-{each}": began for each in range(number)}
    approval = Approval(required=2, allow_links=True)
    for name in written:
        # As it is once the operator has found it in storage.
        shown = operator.show(await asked(operator.root.store, name, now=began, origin=ORIGIN, approval=approval))
        status = shown.status.model_copy(update={"request_id": name})
        operator.context.index.put(shown.model_copy(update={"status": status}))

    async def markers(_store: Store, prefix: str) -> list[Marker]:
        return [Marker(name, at) for name, at in written.items()] if prefix == keys.ANSWERED else []

    monkeypatch.setattr(Store, "list_markers", markers)
    nothing: Any = None
    looks = scanner.Scanner(
        nothing,
        operator.context.roots,
        operator.context.index,
        operator.context.queue,
        operator.context.settings,
        Health(sweep),
        cast("Any", Leads()),
        lambda: True,
        now=lambda: began + timedelta(seconds=time_passes.now),
    )
    queue = operator.context.queue.of(ReconcileHumanInput(NAMESPACE, "voted-0"))
    looked: Counter[str] = Counter()

    async def pass_by(seconds: float) -> None:
        until = time_passes.now + seconds
        while time_passes.now < until:
            await looks.sweep(operator.root)
            while len(queue):
                work = await queue.get()
                looked[cast("ReconcileHumanInput", work).name] += 1
                queue.done(work)
            time_passes.now += sweep

    await pass_by(sweep)
    assert set(looked.values()) == {1}
    # A marker is there for 15 minutes.
    await pass_by(900)
    assert max(looked.values()) <= 10
    before = looked.copy()
    written["voted-7"] = began + timedelta(seconds=time_passes.now)
    await pass_by(sweep)
    assert looked - before == {"voted-7": 1}
    # It may have preceded its vote by a moment.
    await pass_by(sweep)
    assert looked["voted-7"] - before["voted-7"] == 2


async def test_a_question_that_is_seen_while_its_response_looks_for_it_is_not_missed() -> None:
    operator, name = await Operator.over_memory(), "first-the-answer"
    response = HumanInputResponse.from_object(
        {
            "metadata": {"name": "early", "namespace": NAMESPACE, "uid": "early", "generation": 1},
            "spec": {"requestRef": {"name": name}, "value": "4"},
        }
    )
    request = await asked(operator.root.store, name, now=utc_now(), origin=ORIGIN)
    responses = Responses(operator.context, operator.requests)
    work = HandleResponse(NAMESPACE, "early")

    async def too_early(*_: str) -> None:
        """The API server said that there is none. Before its reply was read, the watch told of it."""
        operator.show(request)
        seen = operator.context.index.get((NAMESPACE, name))
        assert seen is not None
        responses.saw_question(seen)

    async def nothing(*_: object) -> None:
        """Take an Event."""

    async def told(*_: object) -> bool:
        return True

    queue = operator.context.queue.of(work)
    responses.saw(response)
    assert await queue.get() == work
    vars(operator.context.cluster).update(human_input=too_early, emit_event=nothing, write_status=told)
    await responses.do(work)
    queue.done(work)

    assert len(queue) == 1


async def test_web_apps_are_told_of_a_status_whose_writing_got_no_reply() -> None:
    operator = await Operator.over_memory()
    request = await asked(operator.root.store, "slow", now=utc_now(), origin=ORIGIN)
    operator.show(request)
    cluster = vars(operator.context.cluster)
    write_status = cluster["write_status"]

    async def no_reply(*given: Any, **named: Any) -> bool:
        await write_status(*given, **named)
        raise ClusterUnavailable("no reply in time")

    cluster["write_status"] = no_reply
    with pytest.raises(ClusterUnavailable):
        await operator.look(request)
    cluster["write_status"] = write_status
    await operator.look(request)
    await operator.look(request)

    assert operator.told == ["slow"]


async def test_an_end_that_is_refused_is_shown_in_short_once_that_was_told() -> None:
    operator = await Operator.over_memory()
    request = await asked(operator.root.store, "asked", now=utc_now(), origin=ORIGIN)
    operator.show(request)
    cluster = vars(operator.context.cluster)
    write_status = cluster["write_status"]

    async def no_comments(resource: object, metadata: object, status: Any, **named: object) -> bool:
        if status.comment:
            raise ClusterError("no comments here")
        return bool(await write_status(resource, metadata, status, **named))

    cluster["write_status"] = no_comments
    await settle(
        Records(operator.root.store),
        request,
        Submission("answered", Respondent(name="ann", via="web"), "4", comment="as agreed"),
    )
    for _ in range(2):
        with pytest.raises(ClusterError, match="no comments here"):
            await operator.look(request)
    shown = await cluster["human_input"]()
    told = short_status(shown, "no comments here", utc_now())
    await write_status(None, None, told)
    await operator.look(request)
    ended = (await cluster["human_input"]()).status
    assert (ended.phase, ended.value, ended.answered_by, ended.comment) == ("Answered", "4", "ann", None)
    assert "no comments here" in ended.condition("Settled").message
