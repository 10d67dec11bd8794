"""What must hold at the end of a run: pure, over what lies in the storage and in the cluster."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from hitl.cluster.conditions import ACCEPTED, HumanInputCondition
from hitl.cluster.human_input_response import HumanInputResponse
from hitl.cluster.mapping import outcome_shown
from hitl.cluster.v1alpha1 import HumanInput
from hitl.core import keys
from hitl.core.documents import OutcomeDocument
from hitl.core.keys import OpenRow, SettledRow
from tests.soak.ledger import Asked, Ledger

_OUTCOMES: Final = {
    "Answered": "answered",
    "Rejected": "rejected",
    "TimedOut": "timed_out",
    "Cancelled": "cancelled",
}
_ZERO: Final = (
    "hitl_pending",
    "hitl_queue_depth",
    "hitl_failing",
    "hitl_refused_writes",
    "hitl_missing_outcomes",
    "hitl_unseen_watches",
    "hitl_root_trouble",
)


@dataclass
class Found:
    """What there is at the end.

    Args:
        objects: Every key in the storage, and when it was written, by the storage's own clock.
        outcomes: The recorded outcomes, by the question's id.
        human_inputs: As the API server holds them.
        responses: The HumanInputResponses.
        metrics: Of each operator that runs, the sum of each metric; None: it does not answer.
    """

    objects: dict[str, datetime]
    outcomes: dict[str, OutcomeDocument]
    human_inputs: list[dict[str, Any]] = field(default_factory=list)
    responses: list[dict[str, Any]] = field(default_factory=list)
    metrics: list[dict[str, float] | None] = field(default_factory=list)


def faults(ledger: Ledger, found: Found) -> list[str]:
    """Return what is wrong, one sentence each; nothing when all is as it must be."""
    shown: dict[str, list[HumanInput]] = {}
    for content in found.human_inputs:
        human_input = HumanInput.from_object(content)
        shown.setdefault(human_input.request_id, []).append(human_input)
    wrong = list(ledger.faults)
    for asked in ledger.asked.values():
        wrong += [
            f"{asked.namespace}/{asked.name} ({asked.request_id}): {each}" for each in _of(asked, found, shown)
        ]
    strangers = [each for each in shown if each not in ledger.asked]
    wrong += [f"nobody asked the question of HumanInput {each}" for each in strangers]
    wrong += _responses(ledger, found)
    wrong += _index(found)
    wrong += _metrics(found)
    return wrong


def unsettled(ledger: Ledger, found: Found) -> list[Asked]:
    """Return the questions that lie in storage without an outcome."""
    return [
        asked
        for asked in ledger.asked.values()
        if keys.request_key(asked.request_id) in found.objects and asked.request_id not in found.outcomes
    ]


def _of(asked: Asked, found: Found, shown: dict[str, list[HumanInput]]) -> Iterator[str]:
    outcome = found.outcomes.get(asked.request_id)
    stored_at = found.objects.get(keys.response_key(asked.request_id))
    human_inputs = shown.get(asked.request_id, [])
    if len(human_inputs) > 1:
        yield f"{len(human_inputs)} HumanInputs show it"
    if not human_inputs and not asked.deleted:
        yield "no HumanInput shows it"
    if asked.invalid:
        yield from _invalid(outcome, human_inputs)
        return
    if keys.request_key(asked.request_id) not in found.objects:
        if not asked.deleted:
            yield "it is not in storage"
        for told in asked.told:
            yield f"it is not in storage, and {told.by} said {told.outcome}"
        return
    if outcome is None or stored_at is None:
        yield "it has no outcome"
        return
    yield from (f"{told} was told, and {outcome} is recorded" for told in asked.told if not told.fits(outcome))
    text = outcome.value_text()
    if outcome.outcome == "answered" and outcome.reason != "DefaultUsed" and text not in asked.given:
        yield f"nobody answered {text}"
    if outcome.respondent.via == "timeout" and stored_at < asked.expires_at:
        yield f"it was timed out at {stored_at}, before its deadline {asked.expires_at}"
    if outcome.outcome == "cancelled" and not asked.deleted:
        yield "it was cancelled, and nobody deleted its HumanInput"
    for human_input in human_inputs:
        yield from _status(human_input, outcome)


def _invalid(outcome: OutcomeDocument | None, human_inputs: list[HumanInput]) -> Iterator[str]:
    if outcome is not None:
        yield f"it is invalid, and has the outcome {outcome}"
    for human_input in human_inputs:
        if human_input.status.phase != "TimedOut":
            yield f"it is invalid, its deadline has passed, and its phase is {human_input.status.phase}"


def _status(human_input: HumanInput, outcome: OutcomeDocument) -> Iterator[str]:
    status, wanted = human_input.status, outcome_shown(outcome)
    differing = {name: getattr(status, name) for name in wanted if getattr(status, name) != wanted[name]}
    if differing:
        conditions = {each.type: each.reason for each in status.conditions}
        yield f"its status says {differing}, and storage says {wanted}; conditions: {conditions}"
    if status.observed_generation != human_input.metadata.generation:
        yield "its status is not about its generation"
    settled = status.condition(HumanInputCondition.SETTLED)
    if settled is None or settled.status != "True":
        yield "it has no condition Settled=True"
    if status.condition(HumanInputCondition.OUTCOME_MISSING) is not None:
        yield "it has the condition OutcomeMissing"
    response = human_input.spec.response
    refused = status.condition(HumanInputCondition.RESPONSE_REFUSED) is not None
    if response is not None:
        recorded = response.reject == (status.phase == "Rejected") and response.value == status.value
        if not recorded and not refused:
            yield f"its response {response} was not recorded, and no condition says so: {status}"


def _responses(ledger: Ledger, found: Found) -> Iterator[str]:
    names = {(each.namespace, each.name): each for each in ledger.asked.values()}
    accepted: Counter[str] = Counter()
    for content in found.responses:
        response = HumanInputResponse.from_object(content)
        metadata, reference = response.metadata, response.spec.request_ref
        where = f"HumanInputResponse {metadata.namespace}/{metadata.name}"
        condition = response.status.condition(ACCEPTED)
        if condition is None:
            yield f"{where} has no condition"
            continue
        asked = ledger.asked.get(reference.request_id or "") or names.get(
            (metadata.namespace, reference.name or "")
        )
        if asked is None or condition.status != "True":
            if asked is not None and condition.reason == "StorageUnavailable":
                yield f"{where} still waits for the storage"
            continue
        accepted[asked.request_id] += 1
        outcome = found.outcomes.get(asked.request_id)
        if outcome is None or outcome.value_text() != response.spec.value:
            yield f"{where} was accepted with {response.spec.value}, and {outcome} is recorded"
    yield from (f"{count} responses to {each} were accepted" for each, count in accepted.items() if count > 1)


def _index(found: Found) -> Iterator[str]:
    settled: Counter[str] = Counter()
    for key in found.objects:
        if (row := OpenRow.of_key(key)) is not None and row.request_id in found.outcomes:
            yield f"a ghost in the index: {key}"
        if (done := SettledRow.of_key(key)) is not None:
            settled[done.request_id] += 1
        if key.startswith((f"{keys.NEW}/", f"{keys.ANSWERED}/")):
            yield f"a marker is left: {key}"
    yield from (f"{each} is settled, and not in the index" for each in found.outcomes if not settled[each])
    yield from (
        f"{each} has no outcome, and is settled in the index" for each in settled if each not in found.outcomes
    )


def _metrics(found: Found) -> Iterator[str]:
    for number, metrics in enumerate(found.metrics):
        if metrics is None:
            yield f"operator {number} does not answer"
            continue
        yield from (f"operator {number}: {each} is {metrics[each]:g}" for each in _ZERO if metrics.get(each))


def told_by_status(content: dict[str, Any]) -> tuple[str, str, str | None] | None:
    """Return id, outcome and value that a HumanInput's status tells, None while it tells of none."""
    human_input = HumanInput.from_object(content)
    status = human_input.status
    if status.phase is None or status.phase == "Pending":
        return None
    return human_input.request_id, _OUTCOMES[status.phase], status.value
