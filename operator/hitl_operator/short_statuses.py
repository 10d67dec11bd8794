"""What a status says where the API server refuses the whole one."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from hitl.cluster.client import HUMAN_INPUTS
from hitl.cluster.conditions import HumanInputCondition, TroubleReason
from hitl.cluster.mapping import whole_second
from hitl.cluster.v1alpha1 import HumanInput, HumanInputStatus
from hitl.errors import ClusterError
from hitl_operator.cluster import Cluster
from hitl_operator.decide import Findings, Trouble, is_final, own_deadline
from hitl_operator.refusals import lasting
from hitl_operator.statuses import conditions_of, link_conditions, pending_conditions

# Of an end, programs read no more than these, and what is as long as somebody likes may be why it is refused.
_LEFT_OUT: Final = ("comment", "commit", "edited", "edits_left_out", "approval", "form_url", "escalates_at")
_KEPT: Final = (
    HumanInputCondition.SETTLED,
    HumanInputCondition.ANSWERED,
    HumanInputCondition.READY,
    HumanInputCondition.STALLED,
)
_MESSAGE_CHARS: Final = 1024


def short_status(human_input: HumanInput, sentence: str, now: datetime) -> HumanInputStatus:
    """Return the least that a status can say: that the API server refuses the whole one, in its own words.

    Args:
        human_input: One that is not settled.
        sentence: What the API server said.
        now: The present moment.
    """
    old, generation, deadline = human_input.status, human_input.metadata.generation, own_deadline(human_input)
    why = Trouble(TroubleReason.WRITE_REFUSED, f"the API server refuses what is due: {sentence}"[:1024])
    return HumanInputStatus(
        phase="Pending",
        policy=old.policy,
        request_id=old.request_id,
        # Without these two, nobody would look for its link again.
        link_secret=old.link_secret,
        expires_at=old.expires_at or (whole_second(deadline) if deadline else None),
        observed_generation=generation,
        conditions=conditions_of(
            old.conditions, pending_conditions(why) + link_conditions(human_input, Findings()), generation, now
        ),
    )


def short_end(status: HumanInputStatus, sentence: str) -> HumanInputStatus:
    """Return the least that a final status can say.

    Args:
        status: What it was to say.
        sentence: What the API server said.
    """
    message = f"the API server refuses the whole status: {sentence}"
    kept = [
        each.model_copy(update={"message": f"{each.message[: _MESSAGE_CHARS // 2]}; {message}"[:_MESSAGE_CHARS]})
        for each in status.conditions
        if each.type in _KEPT
    ]
    return status.model_copy(update={**dict.fromkeys(_LEFT_OUT), "conditions": kept})


async def write(cluster: Cluster, human_input: HumanInput, status: HumanInputStatus) -> bool:
    """Write a status. An end is written in short, where a status was refused for long and this one is too.

    Args:
        cluster: The API server.
        human_input: The object as it is.
        status: What its status is to say.

    Returns:
        False when the object is gone, or was changed meanwhile.

    Raises:
        ClusterError: it is refused.
    """
    former, metadata = human_input.status, human_input.metadata
    try:
        return await cluster.write_status(HUMAN_INPUTS, metadata, status, former=former)
    except ClusterError as error:
        stalled = former.condition(HumanInputCondition.STALLED)
        told = stalled is not None and stalled.reason == TroubleReason.WRITE_REFUSED
        if not (told and is_final(status) and lasting(error)):
            raise
        return await cluster.write_status(HUMAN_INPUTS, metadata, short_end(status, str(error)), former=former)
