"""The question that a HumanInput shows: which one it is, and what is stored of it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Final, NamedTuple

from hitl.cluster.conditions import HumanInputCondition, TroubleReason
from hitl.cluster.mapping import origin_of, question_of
from hitl.cluster.v1alpha1 import HumanInput
from hitl.core import keys
from hitl.core.documents import OutcomeDocument
from hitl.core.lifecycle import may_end_by_itself
from hitl.core.tally import Standing
from hitl.errors import DocumentDamaged, InvalidRequest, RequestMismatch, RequestNotFound
from hitl.records.creation import Looked
from hitl.records.index import Later
from hitl.records.records import Records
from hitl.records.requests import StoredRequest, create, read_outcome_of, read_request
from hitl.records.voting import decide
from hitl.storage import ticks
from hitl_operator.context import Context
from hitl_operator.decide import Trouble, unasked
from hitl_operator.memory import KnownRequests
from hitl_operator.policies import PolicyNotFound, agreed_otherwise, may_change, with_its_policy
from hitl_operator.roots import Root

# Nothing that was stored is deleted sooner: the id of a younger HumanInput was used by nobody but this operator.
_NEVER_DELETED: Final = timedelta(days=1)


def misplaced(context: Context, human_input: HumanInput, root: Root | None) -> Trouble | None:
    """Tell why a HumanInput is not the one that shows its request, if it is not."""
    metadata, request_id = human_input.metadata, human_input.request_id
    if root is None:
        return Trouble(
            TroubleReason.FOREIGN_NAMESPACE,
            f"no root serves namespace {metadata.namespace}: ask the operator's admin",
        )
    shown = context.index.shown_in(metadata.namespace, request_id)
    other = shown is not None and shown.uid != metadata.uid
    if other or (human_input.spec.request is not None and metadata.name != request_id):
        name = shown.name if shown is not None and other else request_id
        return Trouble(
            TroubleReason.DUPLICATE_REQUEST,
            f"request {request_id} is shown by HumanInput {metadata.namespace}/{name}: delete this one",
        )
    return None


class Ended(NamedTuple):
    """Whether a question has ended, and what its votes come to.

    Args:
        outcome: The outcome; None: the question is open.
        own: It was made just now, without a marker.
        standing: How far the votes are, if they were read.
    """

    outcome: OutcomeDocument | None
    own: bool = False
    standing: Standing | None = None


class Requests:
    """Reads questions from storage, and stores those that were asked in Kubernetes.

    Args:
        context: The operator's parts.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._known = KnownRequests()
        self._records: dict[str, Records] = {}

    def records(self, root: Root, *, announce: bool = False) -> Records:
        """Return the records under a root. Rows of its index are written a moment later, many at once.

        Args:
            root: The root.
            announce: Whether a marker is to announce an outcome. None is needed where the HumanInput is looked at
                again after a restart anyway, as its status is not about its generation yet.

        Raises:
            StorageUnavailable: while the root is known not to answer.
        """
        store, records = root.store, self._records.get(root.name)
        if records is None:
            later = Later(store).add
            records = Records(store, now=self._context.now, later=later, audited=root.audit.note)
            self._records[root.name] = records
        return records._replace(announce=True) if announce else records

    async def of(self, root: Root, human_input: HumanInput, *, link_sha256: str = "") -> StoredRequest:
        """Return the question of a HumanInput as it is stored; store it first, if it was asked in Kubernetes.

        Args:
            root: Where it lies.
            human_input: The HumanInput.
            link_sha256: The hash of the token of its link, which is stored with it; empty: it gets none.

        Raises:
            InvalidRequest: it cannot be asked like this.
            PolicyNotFound: the policy that it names is not there.
            RequestNotFound: it is not in storage, or belongs to another namespace.
            DocumentDamaged: what is stored cannot be read.
            StorageUnavailable: trying again is safe.
        """
        status = human_input.status
        if unasked(human_input):
            return self._keep(root, await self._store(root, human_input, link_sha256))
        # One in trouble may have been repaired in storage.
        afresh = status.condition(HumanInputCondition.STALLED) is not None
        request = await self.read(root, human_input.request_id, afresh=afresh)
        if request.document.origin.namespace != human_input.metadata.namespace:
            raise RequestNotFound(f"request {request.request_id} belongs to another namespace")
        if agreed_otherwise(human_input, request.document):
            self.forget(root, request.request_id)
            raise DocumentDamaged(
                keys.request_key(request.request_id), "who must agree was changed after it was asked: ask again"
            )
        return request

    async def read(self, root: Root, request_id: str, *, afresh: bool = False) -> StoredRequest:
        """Return a question, from memory if it is known. Whether it is still stored, `settle` finds out.

        Args:
            root: Where it lies.
            request_id: Its id.
            afresh: Read it from storage, known or not.

        Raises:
            RequestNotFound: there is none of this id.
            DocumentDamaged: what is stored cannot be read.
            StorageUnavailable: trying again is safe.
        """
        store = root.store
        known = None if afresh else self._known.get(root.name, request_id)
        if known is not None:
            return known
        self._known.drop(root.name, request_id)
        return self._keep(root, await read_request(store, request_id))

    async def outcome(self, root: Root, request: StoredRequest) -> Ended:
        """Return the outcome. It is made now, if the deadline has passed or enough votes agree.

        Raises:
            HITLError: it is to be tried again later, or what is stored cannot be read.
        """
        now = self._context.now()
        standing = await read_outcome_of(root.store, request)
        if standing is not None or not may_end_by_itself(request.document, now):
            return Ended(standing)
        await root.require_clock(now)
        decided = await decide(self.records(root), request, now, checked=True)
        # Votes have a marker.
        own = decided.created and request.document.approval is None
        return Ended(decided.outcome, own, decided.standing)

    @staticmethod
    def surely_stored(request: StoredRequest) -> Looked | None:
        """Return when a question was certainly in storage, as `settle` takes it.

        Nothing deletes a question within a day after its deadline, and after its deadline no response is taken.
        Where a HumanInput asked it, its id is the object's uid, under which nobody ever stores another question.
        Other ids may come again, when a root was emptied by hand: of these nothing is certain (None), so that
        `settle` looks.
        """
        return Looked(ticks()) if request.document.origin.human_input else None

    def forget(self, root: Root, request_id: str) -> None:
        """Read a question from storage the next time, as it was found to be gone or another one."""
        self._known.drop(root.name, request_id)

    def _keep(self, root: Root, request: StoredRequest) -> StoredRequest:
        # A reader of the memory did not create it.
        self._known.put(root.name, replace(request, created=False))
        return request

    async def _store(self, root: Root, human_input: HumanInput, link_sha256: str) -> StoredRequest:
        try:
            whole, copied = await with_its_policy(self._context, human_input)
            question = question_of(whole)
        except (PolicyNotFound, InvalidRequest):
            if may_change(self._context, human_input):
                # Its policy may have changed since an operator stored it, which was killed before it said so.
                with suppress(RequestNotFound):
                    return await read_request(root.store, human_input.request_id)
            raise
        now, created = self._context.now(), human_input.metadata.creation_timestamp
        try:
            return await create(
                self.records(root),
                question,
                request_id=human_input.request_id,
                origin=origin_of(human_input, copied),
                endpoint=root.settings.endpoint,
                # The API server's clock: nothing is compared with this machine's.
                asked_at=created or now,
                new=created is not None and now - created < _NEVER_DELETED,
                link_sha256=link_sha256,
            )
        except RequestMismatch:
            # Nobody else has this uid: it was stored before, and the spec or the policy was changed since.
            return await read_request(root.store, human_input.request_id)
