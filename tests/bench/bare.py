"""The floor: what one status PATCH and one exclusive creation cost by the operator's own clients."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final

import uvloop

from hitl.cluster.client import HUMAN_INPUTS, Kube
from hitl.cluster.mapping import outcome_shown, whole_second
from hitl.cluster.shapes import Condition
from hitl.cluster.v1alpha1 import API_VERSION, STATUS_MANAGER, HumanInputStatus
from hitl.core.documents import OutcomeDocument, RequestDocument, Respondent
from hitl.records.records import utc_now
from hitl.storage import Store
from tests.backends.plugin import Backend
from tests.bench.cluster import Namespace, at_once
from tests.cluster.control_plane import ControlPlane

# With so many in flight it is tried, one after the other, and what is quickest counts.
_AT_ONCE: Final = (16, 32, 64)


@dataclass(frozen=True)
class Floor:
    """What a pair of both costs.

    Args:
        cpu: Seconds of CPU for each pair.
        seconds: How long all pairs took, with as many in flight as pay.
    """

    cpu: float
    seconds: float


class Bare:
    """The floor, measured round by round, so that it meets the same machine as what it is compared with.

    Args:
        plane: The control plane.
        backend: The root.
        count: How many pairs a round has.
    """

    def __init__(self, plane: ControlPlane, backend: Backend, count: int) -> None:
        self._plane = plane
        self._backend = backend
        self._asked = asyncio.run(Namespace(plane, "floor").ask([f"q-{number}" for number in range(count)]))
        self._rounds: list[Floor] = []

    def measure(self) -> Floor:
        """Measure one round, by the operator's own event loop, and return it."""
        found = uvloop.run(self._pairs(_AT_ONCE[len(self._rounds) % len(_AT_ONCE)]))
        self._rounds.append(found)
        return found

    def seconds(self) -> float:
        """Return how long the quickest of all rounds took."""
        return min(each.seconds for each in self._rounds)

    async def _pairs(self, limit: int) -> Floor:
        store = Store(self._backend.url, self._backend.options)
        await store.prove()
        # Keys of its own for each round: what is there already costs something else.
        prefix = f"floor/{len(self._rounds)}"
        async with await Kube.connect(kubeconfig=str(self._plane.kubeconfig)) as kube:

            async def pair(content: dict[str, Any]) -> None:
                outcome = _outcome(content["metadata"]["uid"])
                await store.create_once(f"{prefix}/{outcome.request_id}", outcome.to_bytes())
                await kube.apply(
                    HUMAN_INPUTS, _shown(content, outcome), manager=STATUS_MANAGER, subresource="status"
                )

            cpu, began = time.process_time(), time.perf_counter()
            await at_once([partial(pair, each) for each in self._asked], limit)
            return Floor((time.process_time() - cpu) / len(self._asked), time.perf_counter() - began)


def _outcome(request_id: str) -> OutcomeDocument:
    return OutcomeDocument(
        request_id=request_id,
        data_type="int",
        status="completed",
        value=42,
        outcome="answered",
        reason="Answered",
        submission_id="0" * 32,
        answered_at=utc_now(),
        respondent=Respondent(via="kubectl"),
        request_sha256="0" * 64,
        expires_at=utc_now(),
    )


def pending_status(content: dict[str, Any], request: RequestDocument) -> dict[str, Any]:
    """Return what is applied to show that a question is pending."""
    conditions = _conditions("AwaitingAnswer", "waits for somebody to answer", request.created_at)
    status = HumanInputStatus(
        phase="Pending",
        form_url=f"http://forms.test/form/{request.request_id}",
        request_id=request.request_id,
        expires_at=whole_second(request.expires_at),
        observed_generation=1,
        conditions=conditions,
    )
    return _applied(content["metadata"], status)


def _shown(content: dict[str, Any], outcome: OutcomeDocument) -> dict[str, Any]:
    conditions = _conditions("Answered", outcome.summary(), outcome.answered_at)
    status = HumanInputStatus(
        **outcome_shown(outcome), request_id=outcome.request_id, observed_generation=1, conditions=conditions
    )
    return _applied(content["metadata"], status)


def _conditions(reason: str, message: str, now: datetime) -> list[Condition]:
    return [
        Condition(
            type=kind,
            status="True",
            reason=reason,
            message=message,
            last_transition_time=whole_second(now),
            observed_generation=1,
        )
        for kind in ("Settled", "Answered", "Ready")
    ]


def _applied(metadata: dict[str, Any], status: HumanInputStatus) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": HUMAN_INPUTS.kind,
        "metadata": {name: metadata[name] for name in ("name", "namespace", "uid")},
        "status": status.model_dump(mode="json", by_alias=True, exclude_none=True),
    }
