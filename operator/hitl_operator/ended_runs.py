"""A question whose workflow has ended is cancelled: nobody waits for its answer any more."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from hitl.cluster.client import NAMESPACES, TASK_ACTIONS
from hitl.cluster.conditions import RUN_ABORTED
from hitl.cluster.replies import KindNotServed
from hitl.cluster.task_actions import Asker, End, end_of
from hitl.cluster.v1alpha1 import HumanInput
from hitl.core.documents import OutcomeDocument, Respondent
from hitl.errors import ClusterError, ClusterForbidden
from hitl.records.outcomes import settle
from hitl.records.requests import StoredRequest
from hitl.records.submissions import Submission
from hitl_operator.context import Context
from hitl_operator.request_sync import Requests
from hitl_operator.roots import Root
from hitl_operator.work_items import ReconcileHumanInput

_LOOK_AGAIN_SECONDS: Final = 5.0

_log = logging.getLogger("hitl.operator")


class EndedRuns:
    """Cancels questions of workflows that have ended.

    Args:
        context: The operator's parts.
        requests: The questions in storage.
    """

    def __init__(self, context: Context, requests: Requests) -> None:
        self._context = context
        self._requests = requests

    async def cancel(self, root: Root, human_input: HumanInput, request: StoredRequest) -> OutcomeDocument | None:
        """Cancel a question if its workflow has ended; return the outcome that stands then, or None.

        Args:
            root: Where the question lies.
            human_input: What shows it.
            request: The question, which has no outcome as far as is known. It says what asks, as nobody can
                change it. The HumanInput's annotations only help to find it.

        Raises:
            HITLError: it is to be tried again later.
        """
        metadata, actions = human_input.metadata, self._context.task_actions
        asker = Asker.of(request.document.origin, metadata.namespace)
        if actions is None or asker is None or not actions.may_have_ended(asker):
            return None
        try:
            end = await self._end(asker)
        except (ClusterForbidden, KindNotServed):
            # The watch says the same, and where.
            return None
        except ClusterError as error:
            _log.warning("whether run %s has ended cannot be told now: %s", asker.run, error)
            self._context.queue.add_after(
                ReconcileHumanInput(metadata.namespace, metadata.name), _LOOK_AGAIN_SECONDS
            )
            return None
        return None if end is None else await self._settle(root, request, asker, end)

    async def _end(self, asker: Asker) -> End | None:
        """Return how an action ended, by what the API server says now."""
        kube, end = self._context.cluster.kube, End.GONE
        for place in asker.places:
            found = await kube.get(TASK_ACTIONS, asker.name, place)
            if found is None:
                continue
            ended = end_of(found)
            if ended is None or not asker.is_in(found["metadata"].get("labels") or {}):
                return None
            end = ended
            break
        return None if end.by_deletion and await self._all_go(asker.places) else end

    async def _all_go(self, places: Sequence[str]) -> bool:
        """Tell whether every object goes, with the definition or with a namespace: that is no abort."""
        kube = self._context.cluster.kube
        if not await kube.keeps(TASK_ACTIONS):
            return True
        found = [await kube.get(NAMESPACES, place) for place in places]
        return any(each is not None and "deletionTimestamp" in each["metadata"] for each in found)

    async def _settle(self, root: Root, request: StoredRequest, asker: Asker, end: End) -> OutcomeDocument:
        submission = Submission(
            "cancelled",
            Respondent(via="operator"),
            comment=f"The workflow has ended: action {asker.action} of run {asker.run} {end}.",
            reason=RUN_ABORTED,
            submission_id=f"ended-{request.request_id}"[:64],
        )
        now = self._context.now()
        await root.require_clock(now)
        # With a marker: after a restart, nothing else may show that there is an outcome.
        records = self._requests.records(root, announce=True)
        settled = await settle(records, request, submission, now=now)
        if settled.kind == "recorded":
            _log.info(
                "run %s: its action %s %s: %s is cancelled", asker.run, asker.action, end, request.request_id
            )
        if settled.outcome is None:
            raise settled.error or AssertionError(settled.kind)
        return settled.outcome
