"""A HumanInput has the name that belongs to the question of a program: neither is taken for the other.

The API server is a fake, so that half a minute of tries takes no time.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from hitl.cluster.human_input_response import HumanInputResponse
from hitl.cluster.v1alpha1 import HumanInput
from hitl.core import keys
from hitl.errors import ClusterConflict, ClusterError
from hitl.records.records import utc_now
from hitl_operator.refusals import QUICK_TRIES, REFUSED_SECONDS, SLOW_SECONDS, Refusals
from hitl_operator.responses import Responses
from hitl_operator.storage_reconciler import Stored
from hitl_operator.work_items import HandleResponse, MirrorRequest
from tests.cluster.operators import question
from tests.controller.test_looks import NAMESPACE, ORIGIN, Operator
from tests.library.samples import asked

ID = "of-a-program"


class _Taken:
    """An API server that has the HumanInput of somebody else under that name."""

    def __init__(self, operator: Operator) -> None:
        content = question(NAMESPACE, ID)
        content["metadata"] |= {"uid": "another-question", "generation": 1}
        self.events: list[tuple[str, str]] = []
        self.statuses: list[Any] = []
        self._held = HumanInput.from_object(content)
        operator.context.index.put(self._held)
        vars(operator.context.cluster).update(
            show=self.show,
            human_input=self.human_input,
            emit_event=self.emit_event,
            write_status=self.write_status,
        )

    async def show(self, *_: object) -> None:
        raise ClusterConflict("it exists")

    async def human_input(self, _: str, name: str) -> HumanInput | None:
        return self._held if self._held.metadata.name == name else None

    async def emit_event(self, _: object, metadata: Any, notice: Any, __: object) -> None:
        self.events.append((metadata.name, notice.message))

    async def write_status(self, _: object, __: object, status: Any) -> bool:
        self.statuses.append(status)
        return True


async def test_a_question_whose_name_is_taken_keeps_its_marker_and_is_told_and_tried_slowly(
    caplog: pytest.LogCaptureFixture,
) -> None:
    operator = await Operator.over_memory()
    taken, store = _Taken(operator), operator.root.store
    await asked(store, ID, now=utc_now(), origin=ORIGIN)
    await store.mark(keys.new_marker(ID))
    ticks = [0.0]
    refusals = Refusals(lambda: ticks[0])
    stored, work = Stored(operator.context, operator.requests, refusals), MirrorRequest(operator.root.name, ID)
    for _ in range(QUICK_TRIES - 1):
        with pytest.raises(ClusterError, match="has the name that belongs to question of-a-program"):
            await stored.asked(work)
    ticks[0] = REFUSED_SECONDS
    await stored.asked(work)

    assert refusals.rests(work) == SLOW_SECONDS
    [(name, message)] = taken.events
    assert name == ID
    assert re.search("another question.*create it under another name", message)
    assert message in caplog.text
    assert [each.request_id for each in await store.list_markers(keys.NEW)] == [ID]


async def test_an_answer_to_a_question_whose_name_is_taken_goes_to_no_other_question() -> None:
    operator = await Operator.over_memory()
    taken = _Taken(operator)
    content = {
        "metadata": {"name": "given", "namespace": NAMESPACE, "uid": "given", "generation": 1},
        "spec": {"requestRef": {"requestID": ID}, "value": "4"},
    }
    responses = Responses(operator.context, operator.requests)
    responses.saw(HumanInputResponse.from_object(content))
    await responses.do(HandleResponse(NAMESPACE, "given"))

    [status] = taken.statuses
    assert [each.reason for each in status.conditions] == ["RequestNotFound"]
