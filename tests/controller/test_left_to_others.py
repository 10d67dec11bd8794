"""A question whose HumanInput was deleted in a namespace of another operator is for that one to withdraw."""

from __future__ import annotations

import time
import uuid
from types import SimpleNamespace
from typing import Any

import pytest

from hitl.core.documents import Origin, RequestDocument
from hitl.records.records import utc_now
from hitl_operator import app
from hitl_operator.index import Deleted
from hitl_operator.refusals import Refusals
from hitl_operator.settings import OperatorSettings
from hitl_operator.storage_reconciler import Stored
from hitl_operator.work_items import MirrorRequest
from tests.cluster.operators import question
from tests.controller.test_looks import NAMESPACE, Operator
from tests.library.samples import asked


@pytest.mark.parametrize(("namespace", "at_once"), [(NAMESPACE, []), ("of-a-stranger", ["a-question"])])
async def test_it_is_not_shown_again_before_that_one_had_its_time(
    monkeypatch: pytest.MonkeyPatch, namespace: str, at_once: list[str]
) -> None:
    operator, shown = await Operator.over_memory(), list[str]()

    async def show(request: RequestDocument, _: int) -> None:
        shown.append(request.request_id)

    vars(operator.context.cluster).update(show=show)
    await asked(operator.root.store, "a-question", now=utc_now(), origin=Origin(namespace=NAMESPACE))
    stored = Stored(operator.context, operator.requests, Refusals(time.monotonic))
    # As a look into the index of the root finds it, which is a task of one operator for all namespaces.
    work, now = MirrorRequest(operator.root.name, "a-question"), time.monotonic()
    deleted = Deleted((namespace, "a"), "a-uid", "a-question", pending=True)
    operator.context.index.leave(deleted, now + 60)
    await stored.asked(work)
    assert shown == at_once

    # Nobody withdrew it, as it went with its definition.
    monkeypatch.setattr(time, "monotonic", lambda: now + 61)
    await stored.asked(work)
    assert "a-question" in shown


def test_a_deletion_in_the_namespace_of_another_leaves_the_question_to_that_one() -> None:
    kube: Any = SimpleNamespace(namespace="hitl", clock_difference=lambda _: None, share_connections=lambda: None)
    settings = OperatorSettings(storage_root=f"memory://{uuid.uuid4().hex}", lease="lease", shards=2)
    operator, content = app.Operator(kube, settings), question(NAMESPACE, "a")
    content["metadata"] |= {"uid": "u", "generation": 1, "creationTimestamp": utc_now().isoformat()}
    operator._changed("HumanInput", "ADDED", content)
    assert operator._index.left_for(NAMESPACE, "u", time.monotonic()) == 0
    operator._changed("HumanInput", "DELETED", content)
    assert operator._index.left_for(NAMESPACE, "u", time.monotonic()) > 30
