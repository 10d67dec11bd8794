"""Requests as the API server holds them: HumanInputs, answered by HumanInputResponses."""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hitl.cli.cluster_view import read, shown
from hitl.cli.ids import meant, too_short
from hitl.cli.output import say
from hitl.cli.view import RequestView
from hitl.cluster.client import HUMAN_INPUTS, RESPONSES, Kube, Object
from hitl.cluster.conditions import ACCEPTED, AcceptedReason
from hitl.cluster.human_input_response import HumanInputResponse, HumanInputResponseSpec, ResponseTarget
from hitl.cluster.resources import cut_name
from hitl.cluster.shapes import Condition, Metadata
from hitl.cluster.v1alpha1 import API_VERSION, CLI_MANAGER, HumanInput
from hitl.core.strictjson import read_json
from hitl.core.values import format_value, parse_json
from hitl.errors import (
    AlreadyVoted,
    ClusterConflict,
    ClusterError,
    ClusterUnavailable,
    DocumentDamaged,
    HITLError,
    InvalidRequest,
    InvalidValue,
    NotAllowed,
    RequestNotFound,
    StorageError,
)

# The API server's rule; anything else could name other objects by its path or its selector.
_NAME: Final = re.compile("[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", re.ASCII)
_FIRST_PAUSE_SECONDS: Final = 0.1
_PAUSE_GROWS: Final = 1.5
_LONGEST_PAUSE_SECONDS: Final = 5.0
_OPERATOR_SECONDS: Final = 30.0
_LONGEST_PAUSE_FOR_OPERATOR_SECONDS: Final = 1.0
_REFUSED: Final[dict[str, type[HITLError]]] = {
    AcceptedReason.INVALID: InvalidValue,
    AcceptedReason.NOT_ALLOWED: NotAllowed,
    AcceptedReason.VOTED_BEFORE: AlreadyVoted,
    AcceptedReason.WITHDRAWN: ClusterConflict,
    AcceptedReason.SUPERSEDED: ClusterConflict,
    AcceptedReason.OUTCOME_MISSING: ClusterConflict,
    AcceptedReason.EVIDENCE_CHANGED: StorageError,
}


@dataclass(frozen=True)
class Target:
    """Which cluster, and where in it."""

    kubeconfig: str | None = None
    context: str | None = None
    namespace: str | None = None
    everywhere: bool = False


class InCluster:
    """The HumanInputs of a namespace, or of all. They are named `NAME`, or `NAMESPACE/NAME` with ``-A``.

    Args:
        target: Which cluster, and where in it.
        warn: Told of each HumanInput that cannot be read.
    """

    def __init__(self, target: Target, warn: Callable[[str], None] = say) -> None:
        self._target = target
        self._warn = warn

    async def list(self, *, settled: bool) -> list[RequestView]:
        """Return the pending requests, oldest first; the settled ones too if wanted."""
        fields = None if settled else {"status.phase": "Pending"}
        async with self._connected() as kube:
            namespace = None if self._target.everywhere else self._namespace(kube)
            found = [self._row(each) async for each in kube.items(HUMAN_INPUTS, namespace, fields=fields)]
        shown = [view for view in found if view is not None]
        return sorted(shown, key=lambda view: (view.phase != "Pending", view.created_at))

    async def show(self, request_id: str) -> RequestView:
        """Return one request."""
        async with self._connected() as kube:
            return self._view(await self._find(kube, request_id))

    async def answerable(self, request_id: str) -> RequestView:
        """Return a request that waits for an answer. Who may give one, the operator tells afterwards.

        Raises:
            ClusterConflict: when it has an outcome.
        """
        view = await self.show(request_id)
        if view.phase != "Pending":
            raise ClusterConflict(f"{view.id} is settled already ({view.phase}): no other answer can be given")
        return view

    async def answer(self, request_id: str, value: str, *, text: bool, comment: str) -> RequestView:
        """Answer a request; the API server knows who does."""
        async with self._connected() as kube:
            human_input = await self._find(kube, request_id)
            given = value if text else _as_text(human_input, value)
            return await self._respond(kube, human_input, {"value": given, "comment": comment})

    async def answer_file(
        self,
        request_id: str,
        path: Path,
        *,
        comment: str,  # noqa: ARG002 - nothing is recorded
    ) -> RequestView:
        """Refuse to answer by a file: the API server takes none."""
        view = await self.answerable(request_id)
        raise InvalidRequest(
            f"{path.name} cannot be sent through the API server: upload it in the form of {view.id}, or give "
            f"`hitl --root ROOT answer {view.request_id} --file` where the storage can be reached"
        )

    async def reject(self, request_id: str, *, comment: str) -> RequestView:
        """Refuse to answer a request."""
        async with self._connected() as kube:
            human_input = await self._find(kube, request_id)
            return await self._respond(kube, human_input, {"reject": True, "comment": comment})

    async def withdraw(self, request_id: str) -> RequestView:
        """Withdraw the caller's vote, or take back that they handed the question over."""
        return await self._done(request_id, {"withdraw": True})

    async def delegate(self, request_id: str, to: str) -> RequestView:
        """Hand a request over to another user; the API server knows who does."""
        return await self._done(request_id, {"delegate_to": to})

    async def cancel(self, request_id: str, *, comment: str) -> RequestView:
        """Withdraw a request, by deleting its HumanInput."""
        if comment:
            raise InvalidRequest("a HumanInput is withdrawn by deleting it, which takes no comment: leave it out")
        async with self._connected() as kube:
            human_input = await self._find(kube, request_id)
            view = self._view(human_input)
            if view.phase != "Pending":
                raise ClusterConflict(f"{view.id} is settled already ({view.phase}): there is nothing to withdraw")
            metadata = human_input.metadata
            await kube.delete(HUMAN_INPUTS, metadata.name, metadata.namespace, uid=metadata.uid)
            return view.model_copy(update={"phase": "Cancelled", "via": "operator"})

    async def wait(self, request_id: str) -> RequestView:
        """Return a request once it is settled, or withdrawn."""
        async with self._connected() as kube:
            human_input = await self._find(kube, request_id)
            metadata, gaps = human_input.metadata, pauses(_LONGEST_PAUSE_SECONDS)
            while (view := self._view(human_input)).phase == "Pending":
                await asyncio.sleep(next(gaps))
                try:
                    found = await kube.get(HUMAN_INPUTS, metadata.name, metadata.namespace)
                except ClusterUnavailable as error:
                    if error.status == 401:
                        # A person has to sign in again.
                        raise
                    continue
                # One of the same name that was created since is another question.
                if found is None or found["metadata"].get("uid") != metadata.uid:
                    return view.model_copy(update={"phase": "Cancelled"})
                human_input = read(found)
            return view

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Kube]:
        try:
            connected = await Kube.connect(kubeconfig=self._target.kubeconfig, context=self._target.context)
        except ClusterError as error:
            raise ClusterUnavailable(str(error)) from error
        async with connected as kube:
            yield kube

    def _row(self, content: Object) -> RequestView | None:
        try:
            return self._view(read(content))
        except DocumentDamaged as error:
            # One object that cannot be read must not hide the others.
            self._warn(f"left out: {error}")
            return None

    def _namespace(self, kube: Kube) -> str:
        return self._target.namespace or kube.namespace

    async def _find(self, kube: Kube, request_id: str) -> HumanInput:
        namespace, _, name = request_id.rpartition("/")
        namespace = namespace or self._namespace(kube)
        # The beginning of a name may end where no name ends.
        if not (_NAME.fullmatch(name.rstrip("-.")) and _NAME.fullmatch(namespace)):
            raise RequestNotFound(
                f"{request_id!r} is no name of a HumanInput: `kubectl hitl list` shows what waits"
            )
        if _NAME.fullmatch(name):
            if (found := await kube.get(HUMAN_INPUTS, name, namespace)) is not None:
                return read(found)
            async for each in kube.items(HUMAN_INPUTS, namespace, fields={"status.requestID": name}):
                return read(each)
        begun = {
            each["metadata"]["name"]: each
            async for each in kube.items(HUMAN_INPUTS, namespace)
            if each["metadata"]["name"].startswith(name)
        }
        if (whole := meant(name, begun)) is not None:
            return read(begun[whole])
        raise RequestNotFound(
            f"there is no HumanInput {name!r} in namespace {namespace}{too_short(name)}: `kubectl hitl list` "
            "shows what waits; -n names another namespace"
        )

    async def _done(self, request_id: str, what: dict[str, Any]) -> RequestView:
        """Do something that leaves the question as it is, and return it with how it stands."""
        async with self._connected() as kube:
            human_input = await self._find(kube, request_id)
            accepted = await self._accepted(kube, await self._created(kube, human_input, what))
            return self._view(human_input).model_copy(update={"standing": accepted.message})

    async def _respond(self, kube: Kube, human_input: HumanInput, response: dict[str, Any]) -> RequestView:
        metadata = human_input.metadata
        accepted = await self._accepted(kube, await self._created(kube, human_input, response))
        if accepted.reason == AcceptedReason.VOTED:
            return self._view(human_input).model_copy(update={"standing": accepted.message})
        deadline, gaps = time.monotonic() + _OPERATOR_SECONDS, pauses(_LONGEST_PAUSE_FOR_OPERATOR_SECONDS)
        while time.monotonic() < deadline:
            view = self._view(await self._find(kube, f"{metadata.namespace}/{metadata.name}"))
            if view.phase != "Pending":
                return view
            await asyncio.sleep(next(gaps))
        raise ClusterUnavailable(f"recorded, but HumanInput {metadata.name} does not show it yet")

    async def _created(self, kube: Kube, human_input: HumanInput, response: dict[str, Any]) -> HumanInputResponse:
        metadata = human_input.metadata
        spec = HumanInputResponseSpec(request_ref=ResponseTarget(name=metadata.name), **response)
        given = HumanInputResponse(
            metadata=Metadata(
                name=f"{cut_name(metadata.name, 200)}-{uuid.uuid4().hex[:8]}", namespace=metadata.namespace
            ),
            spec=spec,
        )
        content = given.to_object()
        # It goes when its question goes.
        content["metadata"]["ownerReferences"] = [
            {"apiVersion": API_VERSION, "kind": HUMAN_INPUTS.kind, "name": metadata.name, "uid": metadata.uid}
        ]
        await kube.create(RESPONSES, content, manager=CLI_MANAGER)
        return given

    async def _accepted(self, kube: Kube, given: HumanInputResponse) -> Condition:
        metadata = given.metadata
        deadline, gaps = time.monotonic() + _OPERATOR_SECONDS, pauses(_LONGEST_PAUSE_FOR_OPERATOR_SECONDS)
        while time.monotonic() < deadline:
            found: Object | None = await kube.get(RESPONSES, metadata.name, metadata.namespace)
            accepted = HumanInputResponse.from_object(found).status.condition(ACCEPTED) if found else None
            if accepted is not None and accepted.status == "True":
                return accepted
            if accepted is not None and (error := _REFUSED.get(accepted.reason)) is not None:
                raise error(accepted.message)
            await asyncio.sleep(next(gaps))
        raise ClusterUnavailable(
            f"HumanInputResponse {metadata.namespace}/{metadata.name} was created, and nobody looked at it for "
            f"{_OPERATOR_SECONDS:.0f} s: is the operator running? It counts as soon as it does"
        )

    def _view(self, human_input: HumanInput) -> RequestView:
        return shown(human_input, everywhere=self._target.everywhere)


def pauses(longest: float) -> Iterator[float]:
    """Yield the seconds between two looks, more each time: many who wait share one API server."""
    pause = _FIRST_PAUSE_SECONDS
    while True:
        yield pause
        pause = min(pause * _PAUSE_GROWS, longest)


def _as_text(human_input: HumanInput, value: str) -> str:
    kind = human_input.spec.data_type
    try:
        given = read_json(value)
    except InvalidValue as error:
        raise InvalidValue(f"VALUE: {error} Leave out --json-value to give it as text.") from error
    return format_value(kind, parse_json(kind, given))
