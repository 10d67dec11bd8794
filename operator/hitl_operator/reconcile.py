"""One HumanInput, one response, one deletion at a time: read what is, do what is due, say what became of it."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from hitl import keys
from hitl.api.v1alpha1 import HumanInput, HumanInputResponse, Identity
from hitl.documents import Origin, OutcomeDocument, RequestDocument, Respondent, Respondents
from hitl.errors import (
    AlreadySettled,
    ClusterConflict,
    ClusterError,
    ClusterForbidden,
    ClusterNotFound,
    ClusterUnavailable,
    DocumentDamaged,
    Expired,
    InvalidRequest,
    InvalidValue,
    RequestMismatch,
    RequestNotFound,
    StorageUnavailable,
)
from hitl.kube import CRDS, HUMAN_INPUTS, NAMESPACES, RESPONSES
from hitl.requests import StoredRequest, add_link, create_request, draft_request, read_outcome, read_request
from hitl.retention import STALE
from hitl.settle import Submission, expire, settle
from hitl_operator import metrics
from hitl_operator.cluster import Cluster
from hitl_operator.decide import (
    AcceptedReason,
    Notice,
    Refusal,
    Trouble,
    due_in,
    is_final,
    notices_for,
    response_done,
    response_status,
    status_for,
    submission_of,
)
from hitl_operator.index import Index
from hitl_operator.roots import Root, Roots
from hitl_operator.settings import OperatorSettings
from hitl_operator.work import Announced, Asked, Given, Gone, Question, Work
from hitl_operator.workqueue import WorkQueue

# How long a HumanInput that is not there may still be announced as deleted.
_MISSING_SECONDS: Final = 30.0
# An object in trouble is looked at each time when the slow walk has seen so many pages.
_TROUBLED_PAGES: Final = 5

_log = logging.getLogger("hitl.operator")
_audit = logging.getLogger("hitl.audit")


class Reconciler:
    """Does what is due for one piece of work. Doing it twice, or half and then again, ends in the same state.

    Args:
        cluster: What the operator writes to the API server.
        roots: The roots.
        index: What was seen of the cluster.
        queue: Where further work goes.
        settings: The operator's settings.
        now: The present moment.
    """

    def __init__(
        self,
        cluster: Cluster,
        roots: Roots,
        index: Index,
        queue: WorkQueue[Work],
        settings: OperatorSettings,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._cluster = cluster
        self._roots = roots
        self._index = index
        self._queue = queue
        self._settings = settings
        self._now = now
        self._missing: dict[Question, datetime] = {}
        self._awaiting: defaultdict[tuple[str, str], set[Given]] = defaultdict(set)

    async def do(self, work: Work) -> None:
        """Do one piece of work.

        Raises:
            HITLError: it is to be tried again later.
        """
        match work:
            case Question():
                await self._question(work)
            case Given():
                await self._given(work)
            case Gone():
                await self._gone(work)
            case Asked():
                await self._asked(work)
            case Announced():
                await self._announced(work)

    def saw(self, human_input: HumanInput) -> None:
        """Take note of a HumanInput as the watch brings it, and queue what is due."""
        seen = self._index.put(human_input)
        work = Question(seen.namespace, seen.name)
        self._missing.pop(work, None)
        for target in ((seen.namespace, seen.name), (seen.namespace, seen.request_id)):
            for given in self._awaiting.pop(target, ()):
                self._queue.add(given)
        self._schedule(work, human_input)

    def saw_response(self, response: HumanInputResponse) -> None:
        """Take note of a HumanInputResponse."""
        if not response_done(response):
            self._queue.add(Given(response.metadata.namespace, response.metadata.name))

    def saw_deleted(self, human_input: HumanInput) -> None:
        """Take note of the deletion of a HumanInput."""
        metadata = human_input.metadata
        shown = self._index.shown_by(human_input.request_id)
        self._index.drop((metadata.namespace, metadata.name))
        self._queue.cancel(Question(metadata.namespace, metadata.name))
        if shown is not None and shown.uid == metadata.uid and not is_final(human_input.status):
            self._queue.add(Gone(metadata.namespace, metadata.name, metadata.uid, human_input.request_id))

    async def _question(self, work: Question) -> None:
        human_input = await self._cluster.human_input(work.namespace, work.name)
        if human_input is None:
            self._look_for(work)
            return
        shown = self._index.put(human_input)
        if is_final(human_input.status) and await self._delete_when_due(work, human_input):
            return
        root = self._roots.serving(work.namespace)
        request: StoredRequest | None = None
        outcome: OutcomeDocument | None = None
        refusal: Refusal | None = None
        trouble = self._misplaced(human_input, root)
        failure: StorageUnavailable | None = None
        if trouble is None and root is not None and not is_final(human_input.status):
            try:
                request = await self._request(root, human_input)
                refusal = await self._respond(root, request, human_input)
                outcome = await expire(root.store, request, now=self._now(), markers=True)
            except StorageUnavailable as error:
                failure = error
                trouble = Trouble("StorageUnavailable", "the storage does not answer; it is tried again by itself")
            except (InvalidRequest, RequestNotFound, DocumentDamaged) as error:
                trouble = self._broken(root, error, request)
        status = status_for(
            human_input,
            request=request.document if request else None,
            outcome=outcome,
            refusal=refusal,
            trouble=trouble,
            form_url=root.form_url(shown.request_id) if root else "",
            now=self._now(),
        )
        if status != human_input.status:
            for notice in notices_for(human_input, status, outcome):
                await self._cluster.tell(HUMAN_INPUTS, human_input.metadata, notice, self._now())
            if not await self._cluster.write_status(HUMAN_INPUTS, human_input.metadata, status):
                return
            if outcome is not None:
                metrics.OUTCOMES.labels(outcome=outcome.outcome, via=outcome.respondent.via).inc()
                metrics.MIRROR_SECONDS.observe(max(0.0, (self._now() - outcome.answered_at).total_seconds()))
        if failure is not None:
            raise failure
        after = human_input.model_copy(update={"status": status})
        self._index.put(after)
        if is_final(status) and root is not None:
            await root.store.delete(keys.answered_marker(shown.request_id))
        if trouble is None:
            self._schedule(work, after)
        elif not is_final(status):
            # Whoever mends what is wrong need not say so.
            self._queue.add_after(work, _TROUBLED_PAGES * self._settings.audit_seconds)

    def _schedule(self, work: Question, human_input: HumanInput) -> None:
        seconds = due_in(human_input, self._now())
        if seconds == 0:
            self._queue.add(work)
        elif seconds is not None:
            self._queue.add_after(work, seconds + 0.05)

    async def _delete_when_due(self, work: Question, human_input: HumanInput) -> bool:
        if human_input.status.observed_generation != human_input.metadata.generation:
            return False
        if due_in(human_input, self._now()) != 0:
            return False
        self._index.drop((work.namespace, work.name))
        await self._cluster.kube.delete(HUMAN_INPUTS, work.name, work.namespace, uid=human_input.metadata.uid)
        return True

    def _look_for(self, work: Question) -> None:
        """Tell a deletion of which the watch will still tell from one that nobody saw."""
        seen = self._index.get((work.namespace, work.name))
        if seen is None:
            self._missing.pop(work, None)
            return
        since = self._missing.setdefault(work, self._now())
        if self._now() - since < timedelta(seconds=_MISSING_SECONDS):
            self._queue.add_after(work, _MISSING_SECONDS + 1)
            return
        self._missing.pop(work, None)
        self._index.drop(seen.key)
        root = self._roots.serving(work.namespace)
        if seen.pending and root is not None:
            self._queue.add(Asked(root.name, seen.request_id))

    def _misplaced(self, human_input: HumanInput, root: Root | None) -> Trouble | None:
        metadata, request_id = human_input.metadata, human_input.request_id
        if root is None:
            return Trouble(
                "ForeignNamespace", f"no root serves namespace {metadata.namespace}: ask the operator's admin"
            )
        shown = self._index.shown_by(request_id)
        other = shown is not None and shown.uid != metadata.uid
        if other or (human_input.spec.request is not None and metadata.name != request_id):
            name = f"{shown.namespace}/{shown.name}" if shown is not None and other else request_id
            return Trouble(
                "DuplicateRequest", f"request {request_id} is shown by HumanInput {name}: delete this one"
            )
        return None

    async def _request(self, root: Root, human_input: HumanInput) -> StoredRequest:
        metadata, spec = human_input.metadata, human_input.spec
        if spec.request is not None or human_input.status.request_id is not None:
            request = await read_request(root.store, human_input.request_id)
            if request.document.origin.namespace != metadata.namespace:
                raise RequestNotFound(f"request {request.request_id} belongs to another namespace")
            return request
        draft = draft_request(
            request_id=human_input.request_id,
            event_name=metadata.name[:128],
            data_type=spec.data_type,
            prompt=spec.prompt,
            timeout_seconds=spec.timeout_seconds,
            now=metadata.creation_timestamp or self._now(),
            json_schema=spec.json_schema,
            choices=spec.choices,
            default=spec.default,
            on_timeout="default" if spec.on_timeout == "UseDefault" else "fail",
            respondents=Respondents.model_validate(spec.respondents.model_dump()) if spec.respondents else None,
            endpoint=root.settings.endpoint,
            origin=Origin(namespace=metadata.namespace, human_input=metadata.name),
            root=root.settings.url,
        )
        try:
            request = await create_request(root.store, draft)
        except RequestMismatch:
            # Nobody else has this uid: it was stored before, and the spec was changed since.
            request = await read_request(root.store, human_input.request_id)
        if self._settings.auth == "link":
            token = await add_link(root.store, request.request_id, now=self._now(), label="HumanInput")
            await self._cluster.hand_out_link(human_input, token, root.form_url(request.request_id))
        return request

    async def _respond(self, root: Root, request: StoredRequest, human_input: HumanInput) -> Refusal | None:
        response, status = human_input.spec.response, human_input.status
        if response is None:
            return None
        refused = status.condition("ResponseRefused")
        if refused is not None and refused.observed_generation == human_input.metadata.generation:
            return None
        submission = submission_of(
            human_input.metadata,
            "response",
            value=response.value,
            reject=response.reject,
            comment=response.comment,
            identity=response.respondent,
            believed=self._settings.identity_verified,
        )
        return await self._settle(root, request, submission, response.respondent)

    async def _settle(
        self, root: Root, request: StoredRequest, submission: Submission, identity: Identity | None
    ) -> Refusal | None:
        refusal = None
        try:
            refusal = await self._not_allowed(root, request, submission, identity)
            if refusal is None:
                await settle(root.store, request, submission, now=self._now(), markers=True)
        except AlreadySettled as error:
            refusal = Refusal("Superseded", f"not recorded, as the question was {error.outcome.summary()}")
        except Expired:
            refusal = Refusal("Expired", "not recorded, as the deadline has passed")
        except InvalidValue as error:
            refusal = Refusal("Invalid", " ".join((str(error), *error.details)))
        if refusal is not None:
            metrics.REFUSED.labels(reason=refusal.reason).inc()
        _audit.info(
            "request_id=%s submission_id=%s attempt=%s name=%r verified=%s via=%s result=%s",
            request.request_id,
            submission.submission_id,
            submission.outcome,
            submission.respondent.name,
            submission.respondent.verified,
            submission.respondent.via,
            refusal.reason if refusal else "Recorded",
        )
        return refusal

    async def _not_allowed(
        self, root: Root, request: StoredRequest, submission: Submission, identity: Identity | None
    ) -> Refusal | None:
        named = request.document.respondents
        if not named:
            return None
        groups = list(identity.groups) if identity else []
        if submission.respondent.verified and named.allow(submission.respondent.name, groups):
            return None
        if (standing := await read_outcome(root.store, request.request_id)) is not None:
            raise AlreadySettled(standing)
        if not submission.respondent.verified:
            return Refusal(
                "NotAllowed",
                "the question names who may answer, and this cluster does not vouch for who writes: answer it in "
                "the web app",
            )
        return Refusal(
            "NotAllowed", f"the question is for others to answer; this was {submission.respondent.name}"
        )

    def _broken(self, root: Root, error: Exception, request: StoredRequest | None) -> Trouble:
        if isinstance(error, DocumentDamaged):
            metrics.DAMAGED.labels(root=root.name).inc()
            _log.error("root %s: %s", root.name, error)
            if request is not None:
                return Trouble("OutcomeDamaged", f"the stored outcome cannot be read: {error.why}")
            return Trouble("RequestDamaged", f"the stored question cannot be read: {error.why}")
        if isinstance(error, RequestNotFound):
            return Trouble("RequestMissing", "the question is not in storage (any more)")
        return Trouble("InvalidRequest", str(error))

    async def _given(self, work: Given) -> None:
        response = await self._cluster.response(work.namespace, work.name)
        if response is None or response_done(response):
            return
        try:
            accepted, reason, message = await self._accept(work, response)
        except StorageUnavailable:
            waiting = "the storage does not answer; it is tried again by itself"
            await self._decided(response, False, "StorageUnavailable", waiting)
            raise
        await self._decided(response, accepted, reason, message)

    async def _accept(self, work: Given, response: HumanInputResponse) -> tuple[bool, AcceptedReason, str]:
        target = response.spec.request_ref
        human_input = await self._target(work.namespace, target.name, target.request_id)
        root = self._roots.serving(work.namespace)
        if human_input is None or root is None or self._misplaced(human_input, root) is not None:
            self._awaiting[work.namespace, target.name or target.request_id or ""].add(work)
            return False, "RequestNotFound", f"there is no question {target.name or target.request_id} here (yet)"
        try:
            request = await self._request(root, human_input)
            submission = submission_of(
                response.metadata,
                "requestRef",
                value=response.spec.value,
                reject=response.spec.reject,
                comment=response.spec.comment,
                identity=response.spec.respondent,
                believed=self._settings.identity_verified,
            )
            refusal = await self._settle(root, request, submission, response.spec.respondent)
        except (InvalidRequest, RequestNotFound) as error:
            return False, "RequestNotFound", str(error)
        except DocumentDamaged as error:
            return False, "RequestNotFound", f"the stored question cannot be read: {error.why}"
        self._queue.add(Question(human_input.metadata.namespace, human_input.metadata.name))
        if refusal is None:
            return True, "Accepted", "recorded as the outcome"
        if refusal.reason == "Expired":
            return False, "Superseded", refusal.message
        return False, refusal.reason, refusal.message

    async def _target(self, namespace: str, name: str | None, request_id: str | None) -> HumanInput | None:
        if name is None and request_id is not None:
            shown = self._index.shown_by(request_id)
            name = shown.name if shown is not None and shown.namespace == namespace else request_id
        return await self._cluster.human_input(namespace, name) if name else None

    async def _decided(
        self, response: HumanInputResponse, accepted: bool, reason: AcceptedReason, message: str
    ) -> None:
        status = response_status(response, accepted, reason, message, self._now())
        if status == response.status:
            return
        if not accepted and reason not in ("RequestNotFound", "StorageUnavailable"):
            notice = Notice("SubmissionRefused", message, warning=True)
            await self._cluster.tell(RESPONSES, response.metadata, notice, self._now())
        await self._cluster.write_status(RESPONSES, response.metadata, status)

    async def _gone(self, work: Gone) -> None:
        if self._index.shown_by(work.request_id) is not None:
            return
        root = self._roots.serving(work.namespace)
        if root is None or await self._leaving(work.namespace):
            return
        try:
            request = await read_request(root.store, work.request_id)
            submission = Submission(
                "cancelled",
                Respondent(via="operator"),
                comment=f"its HumanInput {work.namespace}/{work.name} was deleted",
                submission_id=f"deleted-{work.uid}",
            )
            await settle(root.store, request, submission, now=self._now(), markers=True)
        except AlreadySettled:
            pass
        except (RequestNotFound, DocumentDamaged) as error:
            _log.warning("%s/%s was deleted, and there is nothing to cancel: %s", work.namespace, work.name, error)
        else:
            _log.info("%s/%s was deleted: request %s is cancelled", work.namespace, work.name, work.request_id)
        await root.store.delete(keys.answered_marker(work.request_id))

    async def _leaving(self, namespace: str) -> bool:
        """Tell whether the namespace or the whole kind is being deleted, which withdraws no question."""
        try:
            for resource, name in ((NAMESPACES, namespace), (CRDS, f"{HUMAN_INPUTS.plural}.{HUMAN_INPUTS.group}")):
                found = await self._cluster.kube.get(resource, name)
                if found is None or found["metadata"].get("deletionTimestamp"):
                    return True
        except ClusterForbidden as error:
            _log.error("a deletion in %s is left alone, as nobody may tell why it was: %s", namespace, error)
            return True
        return False

    async def _asked(self, work: Asked) -> None:
        root = self._roots.named(work.root)
        marker = keys.new_marker(work.request_id)
        if (shown := self._index.shown_by(work.request_id)) is not None:
            self._queue.add(Question(shown.namespace, shown.name))
            await root.store.delete(marker)
            return
        try:
            request = (await read_request(root.store, work.request_id)).document
            outcome = await read_outcome(root.store, work.request_id)
        except RequestNotFound:
            return
        except DocumentDamaged as error:
            metrics.DAMAGED.labels(root=root.name).inc()
            _log.error("root %s: %s", root.name, error)
            return
        namespace = request.origin.namespace
        if not namespace or self._roots.serving(namespace) is not root:
            metrics.FOREIGN.labels(root=root.name).inc()
            _log.error(
                "root %s: request %s is left alone: it names namespace %r", root.name, work.request_id, namespace
            )
            return
        kept = timedelta(seconds=self._settings.ttl_seconds)
        # One that is settled and without a marker was shown, and deleted since: a hint brings it back no more.
        if outcome is None or (self._now() - outcome.answered_at < kept and await root.store.exists(marker)):
            await self._show(request)
        await root.store.delete(marker)

    async def _show(self, request: RequestDocument) -> None:
        try:
            await self._cluster.show(request, self._settings.ttl_seconds)
        except ClusterConflict:
            self._queue.add(Question(request.origin.namespace, request.request_id))
        except (ClusterUnavailable, ClusterForbidden, ClusterNotFound):
            raise
        except ClusterError as error:
            # It was refused for what it says: no use in trying again before somebody asks again.
            _log.error("request %s cannot be shown as a HumanInput: %s", request.request_id, error)

    async def _announced(self, work: Announced) -> None:
        root = self._roots.named(work.root)
        marker = keys.answered_marker(work.request_id)
        try:
            outcome = await read_outcome(root.store, work.request_id)
            request = (await read_request(root.store, work.request_id)).document
        except RequestNotFound:
            await self._drop_stale(root, marker)
            return
        except DocumentDamaged as error:
            metrics.DAMAGED.labels(root=root.name).inc()
            _log.error("root %s: %s", root.name, error)
            await self._drop_stale(root, marker)
            return
        if request.origin.namespace and self._roots.serving(request.origin.namespace) is root:
            # The watch may not have told of it yet. One that was deleted is shown again under the request's id.
            for each in dict.fromkeys((request.human_input, work.request_id)):
                found = await self._cluster.human_input(request.origin.namespace, each)
                if found is not None and found.request_id == work.request_id:
                    self._index.put(found)
                    self._queue.add(Question(request.origin.namespace, each))
                    return
        if outcome is not None:
            await root.store.delete(marker)

    async def _drop_stale(self, root: Root, marker: str) -> None:
        for key, written_at in await root.store.list_page(marker):
            if key == marker and self._now() - written_at >= STALE:
                await root.store.delete(marker)
