"""A HumanInput that is gone although the watch told of no deletion is forgotten after half a minute."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

import pytest

from hitl.cluster.v1alpha1 import HumanInput
from hitl.records.records import utc_now
from hitl_operator import reconcile
from hitl_operator.context import Context
from hitl_operator.reconcile import Reconciler
from hitl_operator.request_sync import Requests
from hitl_operator.work_items import ReconcileHumanInput
from tests.cluster.operators import question
from tests.controller.test_looks import NAMESPACE, Operator


@pytest.mark.parametrize("step", [timedelta(hours=-1), timedelta(), timedelta(hours=1)])
async def test_half_a_minute_takes_as_long_when_the_clock_is_set(
    monkeypatch: pytest.MonkeyPatch, step: timedelta
) -> None:
    operator, ticks, off = await Operator.over_memory(), [100.0], [timedelta()]

    async def none(*_: object) -> None:
        return None

    made = operator.context
    vars(made.cluster).update(human_input=none)
    context = Context(
        made.cluster, made.roots, made.index, made.queue, made.settings, now=lambda: utc_now() + off[0]
    )
    reconciler = Reconciler(context, Requests(context))
    monkeypatch.setattr(reconcile, "time", SimpleNamespace(monotonic=lambda: ticks[0]))
    content = question(NAMESPACE, "asked")
    content["metadata"] |= {"uid": "u", "generation": 1, "creationTimestamp": utc_now().isoformat()}
    context.index.put(HumanInput.from_object(content))
    work = ReconcileHumanInput(NAMESPACE, "asked")

    await reconciler.do(work)
    ticks[0], off[0] = 110.0, step
    await reconciler.do(work)
    assert context.index.pending() == {NAMESPACE: 1}, "the watch may still tell of its deletion"
    ticks[0] = 131.0
    await reconciler.do(work)
    assert context.index.pending() == {}
