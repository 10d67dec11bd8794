"""Telling people: which question which target is told of, and when it is looked at again.

Nothing waits for it. It has queues of its own, and looks at a question when its HumanInput was seen to be asked or
settled, and when a reminder is due. After a restart it looks once at each open question, and at what was settled
within a day. What it is to send, each target sends in its own pace (`hitl.notify.sender`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Final, TypeAlias

from hitl.cluster.client import HUMAN_INPUTS, Object
from hitl.cluster.notification_target import NotificationTarget
from hitl.cluster.v1alpha1 import HumanInput
from hitl.core.lifecycle import KEPT_AT_LEAST
from hitl.core.noticekeys import NoticeBox
from hitl.core.notices import due, next_due_at
from hitl.errors import ClusterError, DocumentDamaged, InvalidRequest, RequestNotFound, StorageUnavailable
from hitl.notify.channels import Channel
from hitl.notify.opening import answering, channels_of
from hitl.records.outbox import ended_notices
from hitl.records.records import Records
from hitl.records.requests import read_outcome_of
from hitl_operator.context import Context
from hitl_operator.decide import is_final
from hitl_operator.known_questions import Known
from hitl_operator.notice_targets import FixedTarget, NamedTarget, Slots, Telling
from hitl_operator.request_sync import Requests
from hitl_operator.roots import Root
from hitl_operator.work_items import ReconcileHumanInput, Tell
from hitl_operator.workers import Workers
from hitl_operator.workqueue import WorkQueue

_LOOKS_AT_ONCE: Final = 4
_SENT_AT_ONCE: Final = 32
# Seconds until HumanInputs are listed again that could not be.
_LIST_AGAIN_SECONDS: Final = 5.0
# Seconds between two lists for targets that are changed all the time.
_CHANGED_SECONDS: Final = 2.0

_Key: TypeAlias = tuple[str, str]

_log = logging.getLogger("hitl.operator.notices")


class Notices:
    """Tells the targets of the questions of each namespace.

    Args:
        context: The operator's parts.
        requests: The questions in storage.
        leads: Tells whether this operator does the work on a namespace.
    """

    def __init__(self, context: Context, requests: Requests, leads: Callable[[str], bool]) -> None:
        self._context = context
        self._requests = requests
        self._leads = leads
        private = context.settings.notify_private == "allow"
        self._telling = {
            root.name: Telling(
                context.cluster, root, requests, Slots(_SENT_AT_ONCE), private, self._lost, context.now
            )
            for root in context.roots
        }
        self._queues: dict[str, WorkQueue[Tell]] = {root.name: WorkQueue() for root in context.roots}
        channels = self._of_settings()
        self._answering = answering(channels)
        self._everywhere = {
            # Two hyphens: no target of a program, and no NotificationTarget, has such a name.
            name: [FixedTarget(telling, each, f"--{each.name}", each.name) for each in channels]
            for name, telling in self._telling.items()
        }
        self._named: dict[_Key, NamedTarget] = {}
        self._names: dict[str, set[str]] = {}
        self._running: dict[_Key, asyncio.Task[None]] = {}
        self._known: dict[Tell, Known] = {}
        self._relisting: dict[str, asyncio.Task[None]] = {}
        # Where a target was changed since the list began.
        self._outdated: set[str] = set()

    async def run(self, leading: Callable[[], Awaitable[None]]) -> None:
        """Tell, until cancelled.

        Args:
            leading: Waits until this operator does any work.
        """
        try:
            await self._run(leading)
        finally:
            for each in (*self._running.values(), *self._relisting.values()):
                each.cancel()

    async def _run(self, leading: Callable[[], Awaitable[None]]) -> None:
        async with asyncio.TaskGroup() as tasks:
            for root in self._context.roots:
                for target in self._everywhere[root.name]:
                    tasks.create_task(target.run())
                workers = Workers(self._queues[root.name], self.look, _LOOKS_AT_ONCE)
                tasks.create_task(self._work(root, workers, leading))
            if self._answering:
                tasks.create_task(self._hear())

    def saw_target(self, change: str, content: Object) -> None:
        """Take note of a NotificationTarget as the watch brings it."""
        try:
            target = NotificationTarget.from_object(content)
        except InvalidRequest as error:
            metadata = content["metadata"]
            _log.error(
                "NotificationTarget %s/%s cannot be read: %s", metadata["namespace"], metadata["name"], error
            )
            return
        metadata = target.metadata
        key = (metadata.namespace, metadata.name)
        root = self._context.roots.serving(metadata.namespace)
        if change == "DELETED" or root is None or not self._leads(metadata.namespace):
            self._stop(key)
            return
        known = self._named.get(key)
        if known is not None and known.target.metadata.uid == metadata.uid:
            same = known.target.metadata.generation == metadata.generation
            known.change(target)
            if same:
                return
        else:
            self._stop(key)
            self._names.setdefault(key[0], set()).add(key[1])
            self._named[key] = named = NamedTarget(self._telling[root.name], target)
            self._running[key] = asyncio.get_running_loop().create_task(named.run())
        self._look_at_all(metadata.namespace)

    def listed_targets(self, namespace: str | None, found: set[_Key]) -> None:
        """Stop what is there no more."""
        for key in list(self._named):
            if key not in found and namespace in (None, key[0]):
                self._stop(key)

    def saw(self, human_input: HumanInput) -> None:
        """Take note of a HumanInput of a namespace for which this operator does the work."""
        metadata, status = human_input.metadata, human_input.status
        tell = self._tell(human_input)
        if tell is None:
            return
        ended, now = is_final(status), self._context.now()
        if ended:
            self._context.lost.pop(tell.request_id, None)
        names = frozenset(self._matching(tell.root, metadata.namespace, metadata.labels))
        if not names and tell not in self._known:
            return
        if ended and (status.answered_at is None or now - status.answered_at >= KEPT_AT_LEAST):
            self._forget(tell)
            return
        known = Known(names, ended, now)
        if self._known.get(tell) != known:
            self._known[tell] = known
            self._queues[tell.root].add(tell)

    def saw_deleted(self, human_input: HumanInput) -> None:
        """Take note of a deletion: the question of one that was pending is withdrawn, which is told."""
        tell = self._tell(human_input)
        self._context.lost.pop(human_input.request_id, None)
        known = self._known.get(tell) if tell is not None else None
        if tell is None or known is None:
            return
        if known.ended and not self._waits(tell):
            self._forget(tell)
            return
        now = self._context.now()
        self._known[tell] = gone = Known(known.targets, True, now, gone=True)
        self._queues[tell.root].add_after(tell, gone.pause(now))

    def left(self) -> None:
        """Stop what others do now."""
        for key in list(self._named):
            if not self._leads(key[0]):
                self._stop(key)
        for tell in list(self._known):
            if not self._leads(tell.namespace):
                self._forget(tell)
        for namespace in list(self._relisting):
            if not self._leads(namespace):
                self._relisting.pop(namespace).cancel()
        for request_id in list(self._context.lost):
            shown = self._context.index.shown_by(request_id)
            if shown is None or not self._leads(shown.namespace):
                del self._context.lost[request_id]

    def measure(self) -> None:
        """Show how much waits for each target."""
        for target in self._targets():
            target.measure()

    async def look(self, tell: Tell) -> None:
        """Look at a question, and hand what is due and not told yet to its targets.

        Raises:
            HITLError: it is to be tried again later.
        """
        known, root = self._known.get(tell), self._context.roots.named(tell.root)
        if known is None:
            return
        targets = self._told_in(tell.root, tell.namespace)
        try:
            done = await ended_notices(root.store, tell.request_id)
            told_of = [each for each in targets if each.name in known.targets and each.wants("settled")]
            if known.ended and {NoticeBox(tell.request_id, "settled", each.name) for each in told_of} <= done:
                if known.gone:
                    self._forget(tell)
                return
            request = await self._requests.read(root, tell.request_id)
            outcome = await read_outcome_of(root.store, request) if known.ended else None
        except (RequestNotFound, DocumentDamaged) as error:
            # The part that reconciles its HumanInput reports it.
            _log.debug("%s: no notices: %s", tell.request_id, error)
            self._forget(tell)
            return
        asked, now = request.document, self._context.now()
        if asked.origin.namespace != tell.namespace:
            self._forget(tell)
            return
        if known.ended and outcome is None:
            if now < asked.expires_at + KEPT_AT_LEAST:
                self._queues[tell.root].add_after(tell, known.pause(now))
            elif known.gone:
                self._forget(tell)
            return
        told = due(asked, outcome, (), now)
        for target in targets:
            boxes = {each: NoticeBox(tell.request_id, each.name, target.name) for each in told}
            wanted = [each for each in told if target.wants(each.event) and boxes[each] not in done]
            target.sender.put(tell.request_id, wanted if target.name in known.targets else ())
        if known.gone and not told:
            # What was not delivered is of no use any more.
            self._forget(tell)
        elif known.gone:
            self._queues[tell.root].add_after(tell, known.pause(now))
        elif outcome is None and (at := next_due_at(asked, (), now)) is not None:
            self._queues[tell.root].add_after(tell, (at - now).total_seconds() + 0.05)

    async def _hear(self) -> None:
        """Take the answers that people give in Slack to what the operator's own settings told them."""
        # Loaded here: most operators tell nobody in Slack.
        from hitl.notify.slack.listening import Listener

        await Listener(self._records_of, self._answering).run()

    def _records_of(self, _request_id: str) -> list[Records]:
        # The part that shows the outcome finds it by its marker.
        found = []
        for root in self._context.roots:
            with suppress(StorageUnavailable):
                found.append(self._requests.records(root, announce=True))
        return found

    async def _work(self, root: Root, workers: Workers[Tell], leading: Callable[[], Awaitable[None]]) -> None:
        # Before, it would seem not to answer.
        await root.looked.wait()
        await workers.run(leading)

    def _of_settings(self) -> list[Channel]:
        settings = self._context.settings
        try:
            return channels_of(settings.notify.get_secret_value(), private=settings.notify_private == "allow")
        except InvalidRequest as error:
            _log.error("HITL_NOTIFY tells nobody: %s", error)
            return []

    def _tell(self, human_input: HumanInput) -> Tell | None:
        metadata, request_id = human_input.metadata, human_input.status.request_id
        root = self._context.roots.serving(metadata.namespace)
        # Only the operator writes the status, and this field once the question is stored.
        return Tell(root.name, metadata.namespace, request_id) if root is not None and request_id else None

    def _lost(self, request_id: str, why: str) -> None:
        """Have the HumanInput of an open question say that a target could not be told of it."""
        shown = self._context.index.shown_by(request_id)
        if shown is not None and shown.pending:
            self._context.lost[request_id] = why
            self._context.queue.add(ReconcileHumanInput(shown.namespace, shown.name))

    def _matching(self, root: str, namespace: str, labels: Mapping[str, str]) -> list[str]:
        named = [
            each.name
            for each in self._in(namespace)
            if each.target.spec.selector is None or each.target.spec.selector.fits(labels)
        ]
        return [*named, *(each.name for each in self._everywhere[root])]

    def _told_in(self, root: str, namespace: str) -> list[FixedTarget]:
        return [*self._in(namespace), *self._everywhere[root]]

    def _in(self, namespace: str) -> list[NamedTarget]:
        # Asked for each change of each HumanInput, and there may be hundreds of namespaces.
        return [self._named[namespace, name] for name in self._names.get(namespace, ())]

    def _waits(self, tell: Tell) -> bool:
        """Tell whether something of a question is still to be told."""
        senders = (each.sender for each in self._told_in(tell.root, tell.namespace))
        return self._queues[tell.root].busy(tell) or any(each.waits(tell.request_id) for each in senders)

    def _targets(self) -> list[FixedTarget]:
        return [*self._named.values(), *(each for some in self._everywhere.values() for each in some)]

    def _forget(self, tell: Tell) -> None:
        if self._known.pop(tell, None) is not None:
            self._queues[tell.root].cancel(tell)
            for target in self._told_in(tell.root, tell.namespace):
                target.sender.drop(tell.request_id)

    def _stop(self, key: _Key) -> None:
        if (target := self._named.pop(key, None)) is not None:
            self._names[key[0]].discard(key[1])
            if not self._names[key[0]]:
                del self._names[key[0]]
            self._running.pop(key).cancel()
            target.forget()

    def _look_at_all(self, namespace: str) -> None:
        """List the HumanInputs of a namespace, as a target may be told of others than before."""
        # At once, as what waits may not be for the target any more.
        for tell in [each for each in self._known if each.namespace == namespace]:
            self._forget(tell)
        if namespace in self._relisting:
            # Not from the start: a target that is changed all the time would keep the others from being told.
            self._outdated.add(namespace)
            return
        task = asyncio.get_running_loop().create_task(self._relist(namespace))
        self._relisting[namespace] = task

    async def _relist(self, namespace: str) -> None:
        while True:
            self._outdated.discard(namespace)
            try:
                async for each in self._context.cluster.kube.items(HUMAN_INPUTS, namespace):
                    # The watch reports one that cannot be read.
                    with suppress(InvalidRequest):
                        self.saw(HumanInput.from_object(each))
            except ClusterError as error:
                _log.warning("the HumanInputs of %s cannot be listed for notices: %s", namespace, error)
                await asyncio.sleep(_LIST_AGAIN_SECONDS)
            else:
                if namespace not in self._outdated:
                    self._relisting.pop(namespace, None)
                    return
                await asyncio.sleep(_CHANGED_SECONDS)
