"""Every piece of work goes to its handler; every change that the watch brings becomes work."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from hitl.cluster.client import HUMAN_INPUTS, RESPONSES
from hitl.cluster.human_input_response import HumanInputResponse
from hitl.cluster.v1alpha1 import HumanInput
from hitl.errors import ClusterError
from hitl_operator.context import Context
from hitl_operator.decide import Notice, due_in, ends_in, is_final
from hitl_operator.human_inputs import HumanInputs
from hitl_operator.index import Deleted
from hitl_operator.links import Links
from hitl_operator.outcome_check import OutcomeCheck
from hitl_operator.refusals import SLOW_SECONDS, Refusals
from hitl_operator.request_sync import Requests
from hitl_operator.responses import Responses
from hitl_operator.short_statuses import short_status
from hitl_operator.statuses import says_the_same
from hitl_operator.storage_reconciler import Stored
from hitl_operator.work_items import (
    CancelDeleted,
    CheckOutcome,
    HandleResponse,
    IssueLink,
    MirrorOutcome,
    MirrorRequest,
    ReconcileHumanInput,
    WorkItem,
)

# Seconds to wait for a DELETED event after a 404.
_MISSING_SECONDS: Final = 30.0

_log = logging.getLogger("hitl.operator")


class Reconciler:
    """Does what is due for one piece of work. Doing it twice, or half and then again, ends in the same state.

    Args:
        context: The operator's parts.
        requests: The questions in storage.
    """

    def __init__(self, context: Context, requests: Requests) -> None:
        self._context = context
        self._requests = requests
        self._refusals = Refusals(time.monotonic)
        self._links = Links(context, self._refusals)
        self._human_inputs = HumanInputs(context, requests, self._links)
        self._responses = Responses(context, requests)
        self._stored = Stored(context, requests, self._refusals)
        self._outcomes = OutcomeCheck(context, requests)
        # Since when, by `time.monotonic`: nothing is missing for longer when the clock is set.
        self._missing: dict[ReconcileHumanInput, float] = {}

    async def do(self, work: WorkItem) -> None:
        """Do one piece of work. What the API server refused several times is done slowly.

        Raises:
            HITLError: it is to be tried again later.
        """
        if isinstance(work, MirrorRequest):
            # Its deadline is settled even while the HumanInput is refused: it counts its refusals by itself.
            await self._stored.asked(work)
            return
        if (seconds := self._refusals.rests(work)) > 0:
            self._context.queue.add_after(work, seconds + 0.05)
            return
        try:
            await self._do(work)
        except ClusterError as error:
            if not self._refusals.count(work, error):
                raise
            _log.error("%s is refused, and tried again every %.0f s: %s", work, SLOW_SECONDS, error)
            seconds = self._refusals.rest(work, await self._tell(work, error))
            self._context.queue.add_after(work, seconds + 0.05)
        else:
            self._refusals.forget(work)

    def seen_again(self, namespace: str) -> None:
        """Try at once what was refused in a namespace (empty: anywhere), which the API server shows again."""
        for work in self._refusals.seen_again(namespace):
            whole = ReconcileHumanInput(work.namespace, work.name) if isinstance(work, IssueLink) else work
            self._context.queue.add(whole)

    def saw(self, human_input: HumanInput) -> None:
        """Take note of a HumanInput as the watch brings it, and queue what is due."""
        metadata, index = human_input.metadata, self._context.index
        work = ReconcileHumanInput(metadata.namespace, metadata.name)
        before = index.get((metadata.namespace, metadata.name))
        replaced = index.put(human_input)
        seen = index.get((metadata.namespace, metadata.name))
        if seen is None or seen.uid != metadata.uid:
            # It was deleted since.
            return
        if replaced is not None:
            self._gone(replaced.key, replaced.uid, replaced.request_id, pending=replaced.pending)
        if before is None or before.generation != metadata.generation:
            self._refusals.forget(work)
        self._missing.pop(work, None)
        self._responses.saw_question(seen)
        seconds = due_in(human_input, self._context.now())
        if seconds == 0:
            self._human_inputs.fresh.put(human_input)
            self._context.queue.add(work)
        elif seconds is not None:
            self._context.queue.add_after(work, seconds + 0.05)
        if self._context.task_actions is not None:
            self._context.task_actions.look(seen)

    def saw_response(self, response: HumanInputResponse) -> None:
        """Take note of a HumanInputResponse."""
        self._responses.saw(response)

    def left(self, leads: Callable[[str], bool]) -> None:
        """Forget what was refused, or waits, of what others work on now.

        Args:
            leads: Tells whether this operator works on a namespace, or on a request by its id.
        """
        self._refusals.left(leads)
        self._responses.left(leads)

    def saw_deleted(self, deleted: Deleted) -> None:
        """Take note of the deletion of a HumanInput."""
        key, uid = deleted.key, deleted.uid
        if self._context.index.drop(key, uid) is not None:
            work = ReconcileHumanInput(*key)
            self._context.queue.cancel(work)
            self._human_inputs.saw_deleted(key, uid)
            self._missing.pop(work, None)
            self._refusals.forget(work)
        self._gone(key, uid, deleted.request_id, pending=deleted.pending)

    def _gone(self, key: tuple[str, str], uid: str, request_id: str, *, pending: bool) -> None:
        self._links.forget(*key, uid)
        if pending:
            self._context.queue.add(CancelDeleted(*key, uid, request_id))
        elif (root := self._context.roots.serving(key[0])) is not None:
            # It was settled, and nobody asks for it again.
            self._requests.forget(root, request_id)

    async def _do(self, work: WorkItem) -> None:
        match work:
            case ReconcileHumanInput():
                if await self._human_inputs.reconcile(work) is None:
                    self._look_for(work)
            case HandleResponse():
                await self._responses.do(work)
            case CancelDeleted():
                await self._stored.gone(work)
            case CheckOutcome():
                await self._outcomes.do(work)
            case MirrorOutcome():
                await self._stored.announced(work)
            case IssueLink() | MirrorRequest():
                # The former is done with its HumanInput, the latter above.
                pass

    def _look_for(self, work: ReconcileHumanInput) -> None:
        """Tell a deletion of which the watch will still tell from one that nobody saw."""
        seen = self._context.index.get((work.namespace, work.name))
        if seen is None:
            self._missing.pop(work, None)
            return
        since = self._missing.setdefault(work, time.monotonic())
        if time.monotonic() - since < _MISSING_SECONDS:
            self._context.queue.add_after(work, _MISSING_SECONDS + 1)
            return
        self._missing.pop(work, None)
        self._context.index.drop(seen.key, seen.uid)
        root = self._context.roots.serving(work.namespace)
        if seen.pending and root is not None:
            self._context.queue.add(MirrorRequest(root.name, seen.request_id))

    async def _tell(self, work: WorkItem, error: ClusterError) -> float:
        """Say by an Event, and in a status if that is not refused as well, what the API server refuses.

        Returns:
            In how many seconds it is to be tried again at the latest: a question ends at its deadline.
        """
        now, cluster, seconds = self._context.now(), self._context.cluster, SLOW_SECONDS
        notice = Notice("WriteRefused", f"the API server refuses what is due: {error}", warning=True)
        with suppress(ClusterError):
            if isinstance(work, ReconcileHumanInput):
                human_input = await cluster.human_input(work.namespace, work.name)
                if human_input is None:
                    return seconds
                await cluster.emit_event(HUMAN_INPUTS, human_input.metadata, notice, now)
                if not is_final(human_input.status):
                    ends = ends_in(human_input, now)
                    seconds = ends if ends is not None and ends > 0 else seconds
                    status = short_status(human_input, str(error), now)
                    if not says_the_same(status, human_input.status):
                        await cluster.write_status(HUMAN_INPUTS, human_input.metadata, status)
            elif isinstance(work, HandleResponse):
                response = await cluster.response(work.namespace, work.name)
                if response is not None:
                    await cluster.emit_event(RESPONSES, response.metadata, notice, now)
        return seconds
