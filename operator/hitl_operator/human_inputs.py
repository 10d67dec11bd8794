"""One HumanInput at a time: read the state, do what is due, show the result in its status.

Doing it twice, or half and then again, ends in the same state. One look goes through these stops, in this order:
`Reconciler.do`, `HumanInputs.reconcile`, `_look` (question, link, response, outcome), `_show`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from hitl.cluster.client import HUMAN_INPUTS
from hitl.cluster.conditions import HumanInputCondition, RefusalReason, TroubleReason
from hitl.cluster.mapping import given_by
from hitl.cluster.v1alpha1 import HumanInput, HumanInputStatus
from hitl.core import keys
from hitl.core.documents import OutcomeDocument
from hitl.core.tally import Standing, standing
from hitl.errors import ClockApart, ClusterUnavailable, DocumentDamaged, HITLError, InvalidRequest, RequestNotFound
from hitl.records.requests import StoredRequest, read_outcome_of
from hitl.records.voting import standing_votes
from hitl_operator import metrics, short_statuses
from hitl_operator.context import Context
from hitl_operator.decide import (
    Findings,
    Link,
    Refusal,
    Trouble,
    awaits_response,
    came_late,
    due_in,
    ends_unasked,
    is_final,
    outcome_is_missing,
    wakes_in,
)
from hitl_operator.ended_runs import EndedRuns
from hitl_operator.links import LinkNotIssued, Links
from hitl_operator.memory import Fresh
from hitl_operator.policies import PolicyNotFound
from hitl_operator.refusals import SLOW_SECONDS
from hitl_operator.request_sync import Requests, misplaced
from hitl_operator.roots import Root
from hitl_operator.statuses import notices_for, says_the_same, status_for
from hitl_operator.submissions import Recorded, record, superseded
from hitl_operator.troubles import trouble_of
from hitl_operator.work_items import CancelDeleted, CheckOutcome, ReconcileHumanInput

# An object in trouble is looked at each time when the full scan has seen so many pages.
_TROUBLED_PAGES: Final = 5
# Where no root serves a namespace, there is no storage whose clock could be meant.
_CLOCK_APART: Final = Trouble(
    TroubleReason.CLOCK_APART, "the operator's clock is not the API server's; it is retried automatically"
)


@dataclass
class _Look:
    """One look at a HumanInput, as far as it came."""

    root: Root
    human_input: HumanInput
    # The watch brought it, so it is what changed. Else a marker, a hint or a timer is the reason for this look.
    watched: bool = False
    request: StoredRequest | None = None
    outcome: OutcomeDocument | None = None
    # This look made the outcome, so it has no marker.
    own: bool = False
    refusal: Refusal | None = None
    link: Link | None = None
    trouble: Trouble | None = None
    failure: HITLError | None = None
    standing: Standing | None = None

    def findings(self, lost: str) -> Findings:
        request = self.request.document if self.request else None
        found = (request, self.outcome, self.refusal, self.trouble, self.link)
        return Findings(*found, standing=self.standing, lost=lost)


class HumanInputs:
    """Reconciles HumanInputs.

    Args:
        context: The operator's parts.
        requests: The questions in storage.
        links: The Secrets with links.
    """

    def __init__(self, context: Context, requests: Requests, links: Links) -> None:
        self._context = context
        self._requests = requests
        self._links = links
        self._runs = EndedRuns(context, requests)
        self.fresh: Fresh[HumanInput] = Fresh()
        # Questions that may be stored without any status that says so: withdrawn if their HumanInput goes away.
        self._unshown: dict[ReconcileHumanInput, CancelDeleted] = {}
        # Statuses that may be written, as only the reply was lost: the next look finds nothing to write.
        self._untold: set[ReconcileHumanInput] = set()

    async def reconcile(self, work: ReconcileHumanInput) -> HumanInput | None:
        """Look at a HumanInput, and write its status; return it as it is now, or None when it is gone.

        Raises:
            HITLError: it is to be tried again later.
        """
        human_input = self.fresh.take((work.namespace, work.name))
        watched = human_input is not None
        if human_input is None:
            human_input = await self._context.cluster.human_input(work.namespace, work.name)
            if human_input is None:
                self._withdraw_unshown(work)
                return None
            self._context.index.put(human_input)
        if is_final(human_input.status):
            await self._settled(work, human_input)
            return human_input
        root = self._context.roots.serving(work.namespace)
        trouble = misplaced(self._context, human_input, root)
        if trouble is not None or root is None:
            apart = await self._clock_forbids_the_end(root, human_input, trouble)
            await self._show(work, human_input, Findings(trouble=_CLOCK_APART if apart else trouble), root)
            if apart is not None:
                raise apart
            return human_input
        look = _Look(root, human_input, watched=watched)
        try:
            await self._look(work, look)
        except HITLError as error:
            await self._note_trouble(look, error)
        found = look.findings(self._context.lost.get(human_input.request_id, ""))
        await self._show(work, human_input, found, root, own=look.own)
        if look.failure is not None:
            raise look.failure
        return human_input

    async def _look(self, work: ReconcileHumanInput, look: _Look) -> None:
        """Do what is due in storage, and note in `look` what was found."""
        root, human_input = look.root, look.human_input
        metadata = human_input.metadata
        if human_input.status.request_id is None:
            self._unshown[work] = CancelDeleted(
                metadata.namespace, metadata.name, metadata.uid, human_input.request_id
            )
        link = self._links.to_ask(human_input)
        request = look.request = await self._requests.of(root, human_input, link_sha256=link)
        recorded = await self._respond(root, request, human_input)
        look.outcome, look.refusal = recorded.outcome, recorded.refusal
        if look.outcome is not None:
            look.own = look.refusal is None
        elif not request.created:
            look.outcome, look.own, look.standing = await self._requests.outcome(root, request)
            if look.outcome is None and not look.watched:
                # Somebody said that something happened to it: maybe to the question.
                self._requests.forget(root, request.request_id)
                look.request = None
                request = look.request = await self._requests.of(root, human_input, link_sha256=link)
        if look.outcome is None:
            look.outcome = await self._runs.cancel(root, human_input, request)
        if request.document.approval is not None and look.standing is None:
            votes = await standing_votes(self._requests.records(root), request)
            look.standing = standing(request.document, [each.vote for each in votes])
        await self._issue_link(look, request)

    async def _issue_link(self, look: _Look, request: StoredRequest) -> None:
        """Issue the link of a question that waits. It comes last: trouble with it stops no answer and no end."""
        metadata = look.human_input.metadata
        if look.outcome is not None:
            self._links.forget(metadata.namespace, metadata.name, metadata.uid)
            return
        try:
            look.link = await self._links.issue(look.root, look.human_input, request.document)
        except LinkNotIssued as error:
            look.failure = error
            if look.human_input.status.condition(HumanInputCondition.LINK_ISSUED) is None:
                # Said once: its words may change at each try, and each status brings the next look.
                look.link = Link(refused=str(error))

    async def _respond(self, root: Root, request: StoredRequest, human_input: HumanInput) -> Recorded:
        given = given_by(human_input, believed=self._context.settings.identity_verified)
        if given is None or not awaits_response(human_input):
            return Recorded()
        # Before anything is awaited: this process may be paused at any moment.
        looked = self._requests.surely_stored(request)
        records = self._requests.records(root)
        return await record(self._context, root, records, request, given, may_vote=False, looked=looked)

    async def _note_trouble(self, look: _Look, error: HITLError) -> None:
        root, human_input = look.root, look.human_input
        if isinstance(error, RequestNotFound) and look.request is not None:
            # It was known, and storage does not hold it like that any more: a read tells what it holds.
            error, look.request = await self._why_gone(look, error), None
        look.trouble = trouble_of(error, asked=look.request is not None, root=root.name)
        self._requests.forget(root, human_input.request_id)
        if (apart := await self._clock_forbids_the_end(root, human_input, look.trouble)) is not None:
            error, look.trouble = apart, trouble_of(apart, asked=False, root=root.name)
        if look.trouble.passes or isinstance(error, PolicyNotFound):
            # Somebody who applies a folder creates the policy a moment later: the first looks follow quickly.
            look.failure = error

    async def _clock_forbids_the_end(
        self, root: Root | None, human_input: HumanInput, trouble: Trouble | None
    ) -> HITLError | None:
        """Return why a question that was never asked does not end yet, though by this clock it is over."""
        now = self._context.now()
        if ends_unasked(human_input, trouble, now):
            try:
                await self._require_clock(root, now)
            except HITLError as error:
                return error
        return None

    async def _require_clock(self, root: Root | None, now: datetime) -> None:
        """Refuse to end or to delete a HumanInput by a time that others do not share.

        Raises:
            HITLError: it is to be tried again later.
        """
        if root is None or root.away:
            # The API server dated it, and no storage says more.
            self._context.cluster.require_clock(now)
        else:
            await root.require_clock(now)

    async def _why_gone(self, look: _Look, error: HITLError) -> HITLError:
        self._requests.forget(look.root, look.human_input.request_id)
        try:
            await self._requests.of(look.root, look.human_input)
        except HITLError as found:
            return found
        return error

    async def _settled(self, work: ReconcileHumanInput, human_input: HumanInput) -> None:
        """Tell a response that came too late so, and delete a HumanInput that was kept long enough."""
        current = human_input.status.observed_generation == human_input.metadata.generation
        root, now = self._context.roots.serving(work.namespace), self._context.now()
        if outcome_is_missing(human_input):
            self._context.queue.add(CheckOutcome(work.namespace, work.name))
        elif current and due_in(human_input, now) == 0:
            await self._require_clock(root, now)
            kube, uid = self._context.cluster.kube, human_input.metadata.uid
            await kube.delete(HUMAN_INPUTS, work.name, work.namespace, uid=uid)
            # Not before: while this is refused, what happens to it is to be seen.
            self._context.index.drop((work.namespace, work.name), uid)
            return
        found = Findings()
        if came_late(human_input) and root is not None:
            found = Findings(refusal=await self._refuse_late(root, human_input))
        await self._show(work, human_input, found, root)

    async def _refuse_late(self, root: Root, human_input: HumanInput) -> Refusal | None:
        late = Refusal(RefusalReason.SUPERSEDED, "not recorded, as the question was settled before")
        try:
            request = await self._requests.of(root, human_input)
            standing = await read_outcome_of(root.store, request)
        except (InvalidRequest, RequestNotFound, DocumentDamaged, ClockApart):
            return late
        if standing is None:
            # What the status shows was recorded once: nothing else may be.
            self._context.queue.add(CheckOutcome(human_input.metadata.namespace, human_input.metadata.name))
            return late
        given = given_by(human_input, believed=self._context.settings.identity_verified)
        if given is not None and given.submission_id == standing.submission_id:
            return None
        return superseded(standing).refusal

    async def _show(
        self,
        work: ReconcileHumanInput,
        human_input: HumanInput,
        found: Findings,
        root: Root | None,
        *,
        own: bool = False,
    ) -> None:
        """Write the status, if it is to change, and queue the next look."""
        form_url = root.form_url(human_input.request_id) if root else ""
        status = status_for(human_input, found, form_url=form_url, now=self._context.now())
        try:
            same = says_the_same(status, human_input.status)
            if not same and not await self._write(work, human_input, status, found):
                return
        except ClusterUnavailable:
            self._untold.add(work)
            raise
        self._unshown.pop(work, None)
        before = human_input.status
        changed = (status.phase, status.approval) != (before.phase, before.approval)
        if root is not None and (changed or work in self._untold):
            self._context.tell_web_apps(root.name, human_input.request_id)
        self._untold.discard(work)
        after = human_input.model_copy(update={"status": status})
        self._context.index.put(after)
        shown = found.outcome is not None and not own and not is_final(human_input.status)
        if shown and root is not None:
            await root.store.delete(keys.answered_marker(human_input.request_id))
        if found.trouble is not None and not found.trouble.passes and not is_final(status):
            # A repair is found without a message.
            settings = self._context.settings
            page_seconds = min(settings.open_seconds, settings.audit_seconds)
            self._context.queue.add_after(work, _TROUBLED_PAGES * page_seconds)
        if status.condition(HumanInputCondition.LINK_ISSUED) is not None:
            self._context.queue.add_after(work, SLOW_SECONDS)
        seconds = wakes_in(after, self._context.now())
        if seconds is not None and (found.trouble is None or seconds > 0):
            self._context.queue.add_after(work, seconds + 0.05)

    async def _write(
        self,
        work: ReconcileHumanInput,
        human_input: HumanInput,
        status: HumanInputStatus,
        found: Findings,
    ) -> bool:
        """Write a status; False when the object is gone, or was changed meanwhile and is looked at again."""
        cluster, metadata, now = self._context.cluster, human_input.metadata, self._context.now()
        outcome = found.outcome
        for notice in notices_for(human_input, status, outcome):
            await cluster.emit_event(HUMAN_INPUTS, metadata, notice, now)
        if await short_statuses.write(cluster, human_input, status):
            if outcome is not None:
                metrics.count_outcome(outcome, found.request, metadata.namespace, now)
            return True
        current = await cluster.human_input(metadata.namespace, metadata.name)
        if current is not None and current.metadata.uid == metadata.uid:
            self.fresh.put(current)
            self._context.queue.add(work)
            return False
        self._context.index.drop((metadata.namespace, metadata.name), metadata.uid)
        self._withdraw_unshown(work)
        return False

    def saw_deleted(self, key: tuple[str, str], uid: str) -> None:
        """Forget what waits for the status of a HumanInput that the watch saw go."""
        work = ReconcileHumanInput(*key)
        self.fresh.drop(key)
        self._untold.discard(work)
        unshown = self._unshown.get(work)
        if unshown is not None and unshown.uid == uid:
            del self._unshown[work]

    def _withdraw_unshown(self, work: ReconcileHumanInput) -> None:
        """Have the question withdrawn of a HumanInput that went away before its status said anything."""
        self._untold.discard(work)
        cancel = self._unshown.pop(work, None)
        if cancel is not None:
            self._context.queue.add(cancel)
