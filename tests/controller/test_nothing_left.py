"""What went away leaves nothing in the operator's memory, and nothing in its metrics."""

from __future__ import annotations

import time
import uuid
from types import SimpleNamespace
from typing import Any

import pytest

from hitl.cluster.human_input_response import HumanInputResponse
from hitl.cluster.v1alpha1 import HumanInput
from hitl.core import keys
from hitl.core.documents import Origin
from hitl.errors import ClusterNotFound, ClusterUnavailable
from hitl.records.records import utc_now
from hitl_operator import app, metrics
from hitl_operator.index import Deleted, Index
from hitl_operator.reconcile import Reconciler
from hitl_operator.refusals import QUICK_TRIES, REFUSED_SECONDS, Refusals
from hitl_operator.responses import Responses
from hitl_operator.settings import OperatorSettings
from hitl_operator.storage_reconciler import Stored
from hitl_operator.work_items import HandleResponse, MirrorRequest, ReconcileHumanInput, WorkItem
from hitl_operator.workers import Workers
from hitl_operator.workqueue import WorkQueue
from tests.cluster.operators import question
from tests.controller.test_looks import NAMESPACE, Operator
from tests.library.samples import asked


def _human_input(name: str, namespace: str = NAMESPACE) -> HumanInput:
    content = question(namespace, name)
    content["metadata"] |= {"uid": f"uid-of-{name}", "generation": 1, "creationTimestamp": utc_now().isoformat()}
    return HumanInput.from_object(content)


async def _none(*_: object) -> None:
    return None


async def _secret(*_: object) -> str:
    return "a-secret"


async def _done(*_: object, **__: object) -> bool:
    return True


async def test_responses_to_questions_that_there_never_were() -> None:
    operator = await Operator.over_memory()
    vars(operator.context.cluster).update(human_input=_none, response=_none, write_status=_done)
    responses, works = Responses(operator.context, operator.requests), []
    for number in range(50):
        metadata = {"name": f"r-{number}", "namespace": NAMESPACE, "uid": f"u-{number}", "generation": 1}
        spec = {"requestRef": {"name": f"none-{number}"}, "value": "4"}
        responses.saw(HumanInputResponse.from_object({"metadata": metadata, "spec": spec}))
        works.append(HandleResponse(NAMESPACE, f"r-{number}"))
        await responses.do(works[-1])
    assert len(responses._awaiting) == 50

    # They were deleted. Each is looked at after five minutes.
    for work in works:
        await responses.do(work)
    assert (responses._awaiting, responses._awaited) == ({}, {})


async def test_a_response_that_waits_is_looked_at_once_its_question_is_seen_and_waits_no_more() -> None:
    operator = await Operator.over_memory()
    vars(operator.context.cluster).update(human_input=_none, response=_none, write_status=_done)
    responses, work = Responses(operator.context, operator.requests), HandleResponse(NAMESPACE, "r")
    metadata = {"name": "r", "namespace": NAMESPACE, "uid": "u", "generation": 1}
    spec = {"requestRef": {"name": "later"}, "value": "4"}
    responses.saw(HumanInputResponse.from_object({"metadata": metadata, "spec": spec}))
    queue = operator.context.queue.of(work)
    await queue.get()
    await responses.do(work)
    queue.done(work)
    operator.context.index.put(later := _human_input("later"))
    seen = operator.context.index.get((later.metadata.namespace, later.metadata.name))
    assert seen is not None
    responses.saw_question(seen)
    assert queue.busy(work)
    assert (responses._awaiting, responses._awaited) == ({}, {})


async def test_a_refused_question_that_was_deleted_counts_as_refused_no_more() -> None:
    operator = await Operator.over_memory()

    async def show(*_: object) -> None:
        raise ClusterNotFound("there is no namespace team")

    vars(operator.context.cluster).update(human_input=_none, show=show)
    await asked(operator.root.store, "a-question", now=utc_now(), origin=Origin(namespace=NAMESPACE))
    ticks = [0.0]
    refusals, work = Refusals(lambda: ticks[0]), MirrorRequest(operator.root.name, "a-question")
    stored = Stored(operator.context, operator.requests, refusals)
    for _ in range(QUICK_TRIES - 1):
        with pytest.raises(ClusterNotFound):
            await stored.asked(work)
    ticks[0] = REFUSED_SECONDS
    await stored.asked(work)
    assert metrics.REFUSED_WRITES._value.get() == 1

    # As by `hitl gc`, or by hand.
    await operator.root.store.delete(keys.request_key("a-question"))
    operator.requests.forget(operator.root, "a-question")
    await stored.asked(work)
    assert metrics.REFUSED_WRITES._value.get() == 0
    assert (refusals._refused, stored._nowhere) == ({}, set())


async def test_humaninputs_that_were_deleted_while_the_api_server_took_no_status() -> None:
    operator = await Operator.over_memory()

    async def away(*_: object, **__: object) -> bool:
        raise ClusterUnavailable("the API server cannot be reached", status=503)

    vars(operator.context.cluster).update(
        write_status=away, emit_event=_none, human_input=_none, hand_out_link=_secret
    )
    reconciler = Reconciler(operator.context, operator.requests)
    for number in range(20):
        reconciler.saw(human_input := _human_input(f"n-{number}"))
        work = ReconcileHumanInput(NAMESPACE, f"n-{number}")
        with pytest.raises(ClusterUnavailable):
            await reconciler.do(work)
        if number % 2:
            # The API server says that it is gone before the watch does.
            await reconciler.do(work)
        reconciler.saw_deleted(Deleted.of(human_input))
    human_inputs = reconciler._human_inputs
    assert (human_inputs._unshown, human_inputs._untold, reconciler._missing) == ({}, set(), {})


async def test_namespaces_without_questions() -> None:
    index, queue = Index(), WorkQueue[ReconcileHumanInput]()
    workers = Workers(queue, _none, 8)
    for number in range(100):
        human_input = _human_input("a", f"n-{number}")
        index.put(human_input)
        index.drop((f"n-{number}", "a"), human_input.metadata.uid)
        queue.add(ReconcileHumanInput(f"n-{number}", "a"))
        await workers._free.acquire()
        await workers._one(await workers._next())
    assert (index._pending, index._missing, workers._busy) == ({}, {}, {})


async def test_what_others_work_on_now() -> None:
    ticks = [0.0]
    refusals = Refusals(lambda: ticks[0])
    work: list[WorkItem] = [
        ReconcileHumanInput("kept", "a"),
        ReconcileHumanInput("left", "a"),
        MirrorRequest("root", "left"),
    ]
    for _ in range(QUICK_TRIES):
        for each in work:
            refusals.count(each, ClusterNotFound("no namespace", status=404))
        ticks[0] += REFUSED_SECONDS
    assert metrics.REFUSED_WRITES._value.get() == 3
    refusals.left(lambda whose: whose != "left")
    assert metrics.REFUSED_WRITES._value.get() == 1
    assert set(refusals._refused) == {work[0]}
    refusals.forget(work[0])


def test_deletions_that_others_saw_to_long_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    kube: Any = SimpleNamespace(namespace="hitl", clock_difference=lambda _: None, share_connections=lambda: None)
    settings = OperatorSettings(storage_root=f"memory://{uuid.uuid4().hex}", lease="lease", shards=2)
    operator = app.Operator(kube, settings)
    passed = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: passed[0])
    for number in range(100):
        passed[0] = number
        content = question("team", f"n-{number}", refused=["x" * 4_000] * 60)
        content["metadata"]["uid"] = f"uid-{number}"
        operator._changed("HumanInput", "DELETED", content)
    assert [each.uid for each in operator._index.left(passed[0])] == [f"uid-{number}" for number in range(40, 100)]
    assert len(repr(operator._index._left)) < 30_000


async def test_the_question_of_a_settled_humaninput_that_was_deleted() -> None:
    operator = await Operator.over_memory()
    reconciler = Reconciler(operator.context, operator.requests)
    request = await asked(operator.root.store, origin=Origin(namespace=NAMESPACE))
    await operator.requests.read(operator.root, request.request_id)
    known = await operator.requests.read(operator.root, request.request_id)

    reconciler.saw_deleted(Deleted((NAMESPACE, "q"), "u", request.request_id, pending=True))
    # It is withdrawn yet.
    assert await operator.requests.read(operator.root, request.request_id) is known
    reconciler.saw_deleted(Deleted((NAMESPACE, "q"), "u", request.request_id, pending=False))
    assert await operator.requests.read(operator.root, request.request_id) is not known
